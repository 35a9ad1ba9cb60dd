//! Every field of the roots of the GraphQL schema.

use serde_json::{Value, json};

use super::{BOARDS, Line, PARTS, Reader};
use crate::tests::world::{artifact_id, inspection_id};

/// Everything about a board that an inspection leads to.
const BOARD: &str = "id lot defects { id inspection { id } } artifacts { id }
    timeline { position } report { id document inspection { id } }";

/// The root fields, as the schema lists them.
async fn root_fields(line: &Line, root: &str) -> Vec<String> {
    let query = format!("{{ __schema {{ {root} {{ fields {{ name }} }} }} }}");
    let everywhere = Reader::all().pop().unwrap();
    let schema = line.query(&everywhere, &query, json!({})).await;
    let fields = schema["__schema"][root]["fields"].as_array().unwrap().iter();
    fields.map(|field| field["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn nothing_outside_a_reach_is_read_by_any_field() {
    let line = Line::start().await;
    let fields = root_fields(&line, "queryType").await;
    assert!(fields.len() >= 15, "{fields:?}");
    for reader in Reader::all() {
        for field in &fields {
            check(&line, &reader, field).await;
        }
    }
}

/// What is decided about each field.
async fn check(line: &Line, reader: &Reader, field: &str) {
    match field {
        "node" | "nodes" => check_nodes(line, reader).await,
        "inspection" | "report" => check_board(line, reader, field).await,
        "inspections" | "defects" | "reports" => check_boards(line, reader, field).await,
        "part" | "parts" | "recipeRevisions" | "goldenSamples" => check_parts(line, reader).await,
        "yieldSeries" => {
            let query = "{ yieldSeries { denominator buckets { judged } } }";
            let series = line.query(reader, query, json!({})).await["yieldSeries"].clone();
            assert_eq!(series["denominator"], reader.boards().len(), "{}", reader.name);
        }
        "defectPareto" => {
            let query = "{ defectPareto { total } }";
            let pareto = line.query(reader, query, json!({})).await;
            assert_eq!(pareto["defectPareto"]["total"], reader.boards().len(), "{}", reader.name);
        }
        "auditTrail" => check_trail(line, reader).await,
        "projections" => check_whole(line, reader, "{ projections { name } }").await,
        "projectionRepairs" => {
            let query = "{ projectionRepairs(projection: \"yield\") { reason } }";
            check_whole(line, reader, query).await;
        }
        other => panic!("{other}: decide what somebody who is limited may see of it"),
    }
}

/// Events of boards within reach; one of the whole installation for nobody who is limited.
async fn check_trail(line: &Line, reader: &Reader) {
    let mut wanted: Vec<_> = reader.boards().iter().map(ToString::to_string).collect();
    wanted.extend(reader.reach.is_everywhere().then(|| "5".to_owned()));
    let wanted: Vec<_> = wanted.into_iter().map(|n| json!({"position": n})).collect();
    for filter in ["", "(filter: {subject: \"ada\"})"] {
        let query = format!("{{ auditTrail{filter} {{ totalCount nodes {{ position }} }} }}");
        let trail = line.query(reader, &query, json!({})).await["auditTrail"].clone();
        assert_eq!(trail["nodes"], json!(wanted), "{} {filter}", reader.name);
        assert_eq!(trail["totalCount"], wanted.len(), "{} {filter}", reader.name);
    }
}

/// What is of the whole installation.
async fn check_whole(line: &Line, reader: &Reader, query: &str) {
    let answer = line.ask(reader, query, json!({})).await;
    let code = &answer["errors"][0]["extensions"]["code"];
    match reader.reach.is_everywhere() {
        true => assert_eq!(code, &Value::Null, "{answer}"),
        false => assert_eq!(code, "OUT_OF_REACH", "{query}: {answer}"),
    }
}

#[tokio::test]
async fn what_is_decided_about_read_models_is_decided_by_nobody_who_is_limited() {
    let line = Line::start().await;
    for reader in Reader::all() {
        for field in root_fields(&line, "mutationType").await {
            let query = match field.as_str() {
                "retryParkedStream" | "discardParkedStream" => format!(
                    "mutation {{ {field}(projection: \"yield\", position: 7, reason: \"x\") {{ position }} }}"
                ),
                "discardEvent" => {
                    format!("mutation {{ {field}(position: 7, reason: \"x\") {{ position }} }}")
                }
                other => panic!("{other}: decide who may decide it"),
            };
            let answer = line.ask(&reader, &query, json!({})).await;
            let wanted = if reader.reach.is_everywhere() { "NOT_FOUND" } else { "OUT_OF_REACH" };
            assert_eq!(answer["errors"][0]["extensions"]["code"], wanted, "{query}: {answer}");
        }
    }
}

async fn check_board(line: &Line, reader: &Reader, field: &str) {
    let selection = match field {
        "inspection" => BOARD.to_owned(),
        _ => format!("id document inspection {{ {BOARD} }}"),
    };
    for board in BOARDS {
        let id = match field {
            "inspection" => inspection_id(board.0),
            _ => domain::ReportId::for_inspection(domain::InspectionId(inspection_id(board.0))).0,
        };
        let query = format!("query($id: ID!) {{ {field}(id: $id) {{ {selection} }} }}");
        let found = line.query(reader, &query, json!({"id": id})).await;
        assert_eq!(found[field].is_object(), reader.sees_board(board), "{}: {found}", reader.name);
    }
}

async fn check_boards(line: &Line, reader: &Reader, field: &str) {
    let (selection, id) = match field {
        "inspections" => (BOARD.to_owned(), "/id"),
        "defects" => (format!("inspectionId inspection {{ {BOARD} }}"), "/inspectionId"),
        _ => (format!("inspectionId document inspection {{ {BOARD} }}"), "/inspectionId"),
    };
    let query = format!("{{ {field}(first: 10) {{ totalCount nodes {{ {selection} }} }} }}");
    let list = line.query(reader, &query, json!({})).await[field].clone();
    let nodes = list["nodes"].as_array().unwrap();
    let ids: Vec<_> = nodes.iter().map(|node| node.pointer(id).unwrap().clone()).collect();
    let seen = reader.boards().into_iter().rev();
    let wanted: Vec<Value> = seen.map(|n| inspection_id(n).to_string().into()).collect();
    assert_eq!(ids, wanted, "{} {field}", reader.name);
    assert_eq!(list["totalCount"], wanted.len(), "{} {field}", reader.name);
    for node in nodes {
        let board = if field == "inspections" { node } else { &node["inspection"] };
        let report = board["report"]["document"]["board"].as_str();
        assert_eq!(report, board["id"].as_str(), "what belongs to it is seen, too: {board}");
    }
}

async fn check_parts(line: &Line, reader: &Reader) {
    let query = "{ parts { totalCount nodes { part } } }";
    let list = line.query(reader, query, json!({})).await["parts"].clone();
    let wanted: Vec<_> = reader.parts().into_iter().map(|part| json!({"part": part})).collect();
    assert_eq!(list["nodes"], json!(wanted), "{}", reader.name);
    assert_eq!(list["totalCount"], wanted.len(), "{}", reader.name);
    let query = "query($part: String!) { part(part: $part) { part recipe { revision } }
        recipeRevisions(part: $part) { totalCount nodes { actor } }
        goldenSamples(part: $part) { totalCount nodes { id url } } }";
    for (part, _) in PARTS {
        let found = line.query(reader, query, json!({"part": part})).await;
        let seen = reader.sees_part(part);
        assert_eq!(found["part"].is_object(), seen, "{}: {found}", reader.name);
        for list in ["recipeRevisions", "goldenSamples"] {
            assert_eq!(found[list]["totalCount"], usize::from(seen), "{}: {found}", reader.name);
            assert_eq!(found[list]["nodes"].as_array().unwrap().len(), usize::from(seen));
        }
    }
}

/// One id of everything that has one, and whether `reader` sees what has it.
async fn ids(line: &Line, reader: &Reader) -> Vec<(String, bool)> {
    let everywhere = Reader::all().pop().unwrap();
    let query = "{ defects { nodes { id inspectionId } } parts { nodes { id part } } }";
    let listed = line.query(&everywhere, query, json!({})).await;
    let mut ids = Vec::new();
    for board in BOARDS {
        let seen = reader.sees_board(board);
        let inspection = inspection_id(board.0);
        ids.push((inspection.to_string(), seen));
        ids.push((artifact_id(board.0).to_string(), seen));
        let report = domain::ReportId::for_inspection(domain::InspectionId(inspection));
        ids.push((report.to_string(), seen));
        let defects = listed["defects"]["nodes"].as_array().unwrap();
        let own = defects.iter().find(|node| node["inspectionId"] == json!(inspection)).unwrap();
        ids.push((own["id"].as_str().unwrap().to_owned(), seen));
    }
    for (part, n) in PARTS {
        let seen = reader.sees_part(part);
        ids.push((artifact_id(n).to_string(), seen));
        let parts = listed["parts"]["nodes"].as_array().unwrap();
        let own = parts.iter().find(|node| node["part"] == part).unwrap();
        ids.push((own["id"].as_str().unwrap().to_owned(), seen));
    }
    ids
}

async fn check_nodes(line: &Line, reader: &Reader) {
    let (asked, seen): (Vec<_>, Vec<_>) = ids(line, reader).await.into_iter().unzip();
    let query = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }";
    let nodes = line.query(reader, query, json!({"ids": asked})).await["nodes"].clone();
    let found: Vec<_> = nodes.as_array().unwrap().iter().map(Value::is_object).collect();
    assert_eq!(found, seen, "{}: {nodes}", reader.name);
    let query = "query($id: ID!) { node(id: $id) { id } }";
    let node = line.query(reader, query, json!({"id": asked[0]})).await["node"].clone();
    assert_eq!(node.is_object(), seen[0], "{}", reader.name);
}
