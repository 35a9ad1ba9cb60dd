//! Relay's `node`: whatever has an id is found again by it alone.

use chrono::Utc;
use serde_json::{Value, json};

use super::limits::statements;
use super::tables::recipe_json;
use super::world::{World, artifact_id};

const NODE: &str = "query($id: ID!) { node(id: $id) { __typename id
    ... on Inspection { lot } ... on Artifact { mediaType } ... on GoldenSample { use }
    ... on Report { lot } ... on Defect { number class } ... on Part { part } } }";

/// Everything that an inspection shows beside its lists of few.
const WIDE_NODES: &str = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Inspection { id lot part station state
    judgement createdAt judgedAt version position
    defects { number class confidence grade box { x y width height } boxMm { x y width height } lot foundAt }
    artifacts { id view state sha256 bytes width height uploadedAt goldenRevision modelName modelVersion
        coverage { comparedShare uncovered { x y width height } excluded { x y width height } } }
    timeline { sequence position eventType occurredAt actor } } } }";

const DOCUMENTS: &str =
    "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Report { id document } } }";

const NODES: &str = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }";

/// One of everything that has an id, with its kind.
async fn world_with_ids() -> (World, Vec<(&'static str, String)>) {
    let world = World::new().await;
    world.insert_inspection(1, 2).await;
    world.insert_report(1, "{}").await;
    let recipe = recipe_json(1);
    world
        .execute(&format!("INSERT INTO read.parts VALUES ('Ä:/1', '{recipe}', now(), 1, 3, 9)"))
        .await;
    world
        .execute(&format!(
            "INSERT INTO read.golden_samples VALUES
             ('Ä:/1', 1, '{}', 'aa', 'image/png', 5, 6, 7, 'variant', 'top', 'blue', 48.3, 'ada', now())",
            artifact_id(77)
        ))
        .await;
    let listed = world
        .query(
            "{ inspections { nodes { id artifacts { id } } } reports { nodes { id } }
               defects { nodes { id } } parts { nodes { id } }
               goldenSamples(part: \"Ä:/1\") { nodes { id } } }",
            json!({}),
        )
        .await;
    let id = |path: &str| listed.pointer(path).unwrap().as_str().unwrap().to_owned();
    let ids = vec![
        ("Inspection", id("/inspections/nodes/0/id")),
        ("Artifact", id("/inspections/nodes/0/artifacts/0/id")),
        ("GoldenSample", id("/goldenSamples/nodes/0/id")),
        ("Report", id("/reports/nodes/0/id")),
        ("Defect", id("/defects/nodes/1/id")),
        ("Part", id("/parts/nodes/0/id")),
    ];
    (world, ids)
}

#[tokio::test]
async fn whatever_has_an_id_is_found_again_by_it_and_by_no_other() {
    let (world, ids) = world_with_ids().await;
    for (kind, id) in &ids {
        let node = world.query(NODE, json!({"id": id})).await["node"].clone();
        assert_eq!((&node["__typename"], &node["id"]), (&json!(kind), &json!(id)));
    }
    let part = world.query(NODE, json!({"id": ids[5].1})).await;
    assert_eq!(part["node"]["part"], "Ä:/1");
    let nothing = world.query(NODE, json!({"id": uuid::Uuid::nil()})).await;
    assert_eq!(nothing["node"], Value::Null);
    for wrong in ["", "x", "UmVwb3J0OjE", "ZGVmZWN0Ojox", "cGFydDo"] {
        assert_eq!(
            world.graphql_code(NODE, json!({"id": wrong})).await,
            "BAD_USER_INPUT",
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn nodes_come_in_the_order_of_their_ids_by_a_statement_for_each_kind() {
    let (world, ids) = world_with_ids().await;
    let nothing = uuid::Uuid::nil().to_string();
    let mut asked: Vec<_> = ids.iter().rev().map(|(_, id)| id.clone()).collect();
    asked.insert(2, nothing);
    asked.push(ids[0].1.clone());
    let nodes = world.query(NODES, json!({"ids": asked})).await["nodes"].clone();
    let kinds: Vec<_> =
        nodes.as_array().unwrap().iter().map(|node| node["__typename"].clone()).collect();
    let [part, defect, report] = ["Part", "Defect", "Report"].map(Value::from);
    let [golden, artifact, inspection] =
        ["GoldenSample", "Artifact", "Inspection"].map(Value::from);
    let wanted =
        [part, defect, Value::Null, report, golden, artifact, inspection.clone(), inspection];
    assert_eq!(kinds, wanted);

    let many = vec![ids[0].1.clone(); 200];
    let (count, found) = statements(world.query(NODES, json!({"ids": many}))).await;
    assert_eq!(found["nodes"].as_array().unwrap().len(), 200);
    assert_eq!(count, 2, "of which kind they are, and those of that kind");
    let too_many = vec![ids[0].1.clone(); 201];
    assert_eq!(world.graphql_code(NODES, json!({"ids": too_many})).await, "BAD_USER_INPUT");
}

#[tokio::test]
async fn as_many_nodes_as_there_may_be_are_refused_when_each_shows_much() {
    let (world, ids) = world_with_ids().await;
    let of = |kind| &ids.iter().find(|(known, _)| *known == kind).unwrap().1;
    for (query, kind) in [(WIDE_NODES, "Inspection"), (DOCUMENTS, "Report")] {
        let ids = |count: usize| json!({"ids": vec![of(kind); count]});
        let (count, code) = statements(world.graphql_code(query, ids(200))).await;
        assert_eq!((count, code.as_str()), (0, "QUERY_TOO_COMPLEX"), "{kind}");
        // The control: it is how many they are.
        let found = world.query(query, ids(50)).await;
        assert_eq!(found["nodes"].as_array().unwrap().len(), 50, "{kind}");
    }
}

#[tokio::test]
async fn a_node_needs_the_scope_of_the_field_that_shows_it_elsewhere() {
    let (world, ids) = world_with_ids().await;
    let station = world.token_of(&["station"], Utc::now());
    for (kind, id) in &ids {
        for (query, variables) in [(NODE, json!({"id": id})), (NODES, json!({"ids": [id]}))] {
            let body = json!({"query": query, "variables": variables});
            let answer = world.post_graphql(&station, &body).await.json();
            let code = &answer["errors"][0]["extensions"]["code"];
            match *kind {
                "Report" => assert_eq!(code, "FORBIDDEN", "{answer}"),
                _ => assert_eq!(code, &Value::Null, "{answer}"),
            }
        }
        let nobody = world.token_of(&["nobody"], Utc::now());
        let body = json!({"query": NODE, "variables": {"id": id}});
        let answer = world.post_graphql(&nobody, &body).await.json();
        assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{answer}");
    }
}
