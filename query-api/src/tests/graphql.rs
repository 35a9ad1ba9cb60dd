//! What GraphQL answers, and with how many statements.

use serde_json::json;

use super::limits::statements;
use super::world::{World, artifact_id};

/// Everything that is known of an inspection.
const EVERYTHING: &str = "query($id: ID!) { inspection(id: $id) { id lot part station state judgement
        rules { rule class count judgement text } recipe { revision failAt reviewAt }
        goldenSampleRevision
        defects { number class confidence grade box { x y width height }
            boxMm { x y width height } artifactId }
        artifacts { id view pixelsPerMillimetre state sha256 url registration { dx dy score bend } goldenRevision
            identicalToGoldenSample
            coverage { inspectedPixels comparedPixels comparedShare
                uncovered { x y width height }
                excludedPixels excludedShare excluded { x y width height } method }
            detectionLimit { method finds mayMiss } borderPx
            differences { kind strength box { x y width height } boxMm { x y width height } } }
        differenceCount
        timeline { sequence eventType actor } report { id url document }
        version position createdAt judgedAt voidReason } }";

#[tokio::test]
async fn an_inspection_shows_everything_that_is_known_of_it() {
    let world = World::new().await;
    let id = world.insert_inspection(1, 2).await;
    world.insert_report(1, r#"{"schema_version": 1}"#).await;
    let data = world.query(EVERYTHING, json!({"id": id})).await;
    let found = &data["inspection"];
    assert_eq!(found["id"], id.to_string());
    assert_eq!((&found["lot"], &found["state"]), (&json!("L1"), &json!("JUDGED")));
    assert_eq!((&found["judgement"], &found["version"]), (&json!("FAIL"), &json!(5)));
    assert_eq!(
        found["rules"],
        json!([{"rule": "defect", "class": "OPEN", "count": 2, "judgement": "FAIL",
                "text": "2 × open"}])
    );
    assert_eq!(found["recipe"], json!({"revision": 1, "failAt": 0.5, "reviewAt": 0.25}));
    assert_eq!(
        found["defects"][1],
        json!({"number": 2, "class": "OPEN", "confidence": 0.9, "grade": "DEFECT",
               "box": {"x": 1, "y": 2, "width": 3, "height": 4},
               "boxMm": {"x": 0.021, "y": 0.041, "width": 0.062, "height": 0.083},
               "artifactId": artifact_id(1)})
    );
    let picture = &found["artifacts"][0];
    assert_eq!(picture["url"], format!("/v1/artifacts/{}", artifact_id(1)));
    assert_eq!(
        picture["registration"],
        json!({"dx": 0.1, "dy": -2.0, "score": 0.95, "bend": 1.25})
    );
    assert_eq!(picture["pixelsPerMillimetre"], 48.3);
    assert_eq!(
        picture["coverage"],
        json!({"inspectedPixels": 307_200, "comparedPixels": 297_600, "comparedShare": 0.96875,
               "uncovered": [{"x": 620, "y": 0, "width": 20, "height": 480}],
               "excludedPixels": 102_400, "excludedShare": 0.25,
               "excluded": [{"x": 9, "y": 8, "width": 320, "height": 320}],
               "method": "LEVELS"})
    );
    assert_eq!(
        (&picture["detectionLimit"]["method"], &picture["borderPx"]),
        (&json!("LEVELS"), &json!(0))
    );
    let finds = picture["detectionLimit"]["finds"].as_str().unwrap();
    assert!(finds.contains("from 6 px (0.12 mm) across"), "in millimetres of its scale: {finds}");
    assert_eq!(
        picture["differences"],
        json!([{"kind": "JOINED", "strength": 1.5,
                "box": {"x": 5, "y": 6, "width": 7, "height": 8},
                "boxMm": {"x": 0.104, "y": 0.124, "width": 0.145, "height": 0.166}}])
    );
    assert_eq!(picture["identicalToGoldenSample"], json!(null), "it was compared with none");
    assert_eq!((&found["differenceCount"], &found["goldenSampleRevision"]), (&json!(1), &json!(3)));
    assert_eq!(found["timeline"][0]["eventType"], "InspectionCreated");
    assert_eq!(found["report"]["document"], json!({"schema_version": 1}));
    assert_eq!(found["position"], "1");
}

#[tokio::test]
async fn the_documented_query_answers() {
    let world = World::new().await;
    let id = world.insert_inspection(1, 1).await;
    let query = "query($id: ID!){inspection(id:$id){id lot part station judgement \
                 defects{class confidence box{x y width height}}}}";
    let data = world.query(query, json!({"id": id})).await;
    assert_eq!(data["inspection"]["id"], id.to_string());
    assert_eq!(data["inspection"]["defects"].as_array().unwrap().len(), 1);
    let nothing = world.query(query, json!({"id": uuid::Uuid::nil()})).await;
    assert_eq!(nothing, json!({"inspection": null}));
}

#[tokio::test]
async fn as_many_statements_for_fifty_inspections_as_for_one() {
    let world = World::new().await;
    for n in 1..=50 {
        world.insert_inspection(n, 2).await;
        world.insert_report(n, "{}").await;
    }
    let query =
        "query($n: Int!) { inspections(first: $n) { nodes { id defects { number inspection { id } }
        artifacts { id } timeline { sequence } report { id document inspection { id } } } } }";
    let count = async |n: i32| {
        let (count, data) = statements(world.query(query, json!({"n": n}))).await;
        assert_eq!(data["inspections"]["nodes"].as_array().unwrap().len(), n as usize);
        count
    };
    count(1).await;
    let (one, fifty) = (count(1).await, count(50).await);
    assert!(one >= 6, "statements are not counted: {one}");
    assert!(fifty <= one + 1, "{fifty} statements for fifty, {one} for one");
}

#[tokio::test]
async fn filters_hold_together() {
    let world = World::new().await;
    for n in 1..=6 {
        world.insert_inspection(n, i32::from(n > 3)).await;
    }
    let count = async |filter: serde_json::Value| {
        let query = "query($f: InspectionFilter) { inspections(filter: $f) { nodes { id } } }";
        let data = world.query(query, json!({"f": filter})).await;
        data["inspections"]["nodes"].as_array().unwrap().len()
    };
    assert_eq!(count(json!({})).await, 6);
    assert_eq!(count(json!({"lot": "L1"})).await, 2);
    assert_eq!(count(json!({"lot": "L1", "judgement": "FAIL"})).await, 1);
    assert_eq!(count(json!({"judgement": "PASS", "state": "JUDGED", "part": "P"})).await, 3);
    assert_eq!(count(json!({"station": "AOI-2"})).await, 0);
    assert_eq!(count(json!({"lot": "' OR true --"})).await, 0);
    assert_eq!(count(json!({"lot": "%"})).await, 0);
}

#[tokio::test]
async fn hostile_filters_are_the_caller_s_mistake() {
    let world = World::new().await;
    let query = "query($f: DefectFilter) { defects(filter: $f) { nodes { number } } }";
    for filter in [
        json!({"lot": ""}),
        json!({"part": " padded "}),
        json!({"station": "x".repeat(65)}),
        json!({"lot": "\u{202e}evil"}),
        json!({"minConfidence": 2.0}),
        json!({"minConfidence": -0.1}),
        json!({"from": "-262143-01-01T00:00:00Z"}),
        json!({"to": "+262142-01-01T00:00:00Z"}),
        json!({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}),
        json!({"class": "SCRATCH"}),
        json!({"inspectionId": "x"}),
        json!({"unknown": 1}),
        json!([]),
    ] {
        let code = world.graphql_code(query, json!({"f": filter})).await;
        let expected = ["BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED"];
        assert!(expected.contains(&code.as_str()), "{filter}: {code}");
    }
}

#[tokio::test]
async fn yield_shows_formula_numerator_and_denominator() {
    let world = World::new().await;
    world
        .execute(
            "INSERT INTO read.yield_hourly VALUES
             ('2026-01-01T10:00Z', 'A', 'P', 'S', 4, 3, 0, 1, 2),
             ('2026-01-01T10:00Z', 'B', 'P', 'S', 2, 1, 1, 0, 0),
             ('2026-01-01T11:00Z', 'A', 'P', 'S', 1, 0, 0, 1, 5),
             ('2026-01-01T12:00Z', 'A', 'P', 'S', 9, 9, 0, 0, 0)",
        )
        .await;
    let query = "query($from: DateTime, $to: DateTime, $lot: String) {
        yieldSeries(from: $from, to: $to, filter: {lot: $lot}) { formula numerator denominator value
            buckets { hour numerator denominator value formula judged passed review failed
                      defects } } }";
    let (from, to) = ("2026-01-01T10:00:00Z", "2026-01-01T12:00:00Z");
    let series = world.query(query, json!({"from": from, "to": to})).await["yieldSeries"].clone();
    assert_eq!((&series["numerator"], &series["denominator"]), (&json!(4), &json!(7)));
    assert_eq!(series["formula"], "passed ÷ judged");
    let buckets = series["buckets"].as_array().unwrap();
    assert_eq!(buckets.len(), 2);
    assert_eq!((&buckets[0]["numerator"], &buckets[0]["denominator"]), (&json!(4), &json!(6)));
    assert_eq!((&buckets[1]["value"], &buckets[1]["defects"]), (&json!(0.0), &json!(5)));

    let of_b = world.query(query, json!({"from": from, "to": to, "lot": "B"})).await;
    assert_eq!(of_b["yieldSeries"]["value"], 0.5);
    let nothing = world
        .query(
            query,
            json!({"from": "2020-01-01T00:00:00Z",
                                            "to": "2020-01-02T00:00:00Z"}),
        )
        .await;
    assert_eq!(nothing["yieldSeries"]["value"], json!(null));
    world.query("{ yieldSeries { value } }", json!({})).await;
    for (from, to) in [(to, from), (from, from), ("2020-01-01T00:00:00Z", to)] {
        assert_eq!(
            world.graphql_code(query, json!({"from": from, "to": to})).await,
            "BAD_USER_INPUT"
        );
    }
}

#[tokio::test]
async fn the_pareto_is_sorted_and_adds_up() {
    let world = World::new().await;
    world.insert_inspection(1, 6).await;
    world.execute("UPDATE read.defects SET class = 'short' WHERE number IN (1, 2)").await;
    world
        .execute("UPDATE read.defects SET class = 'pin-hole', grade = 'doubtful' WHERE number = 3")
        .await;
    let query = "query($f: DefectFilter) { defectPareto(filter: $f) { formula total
        classes { class count share cumulativeShare } } }";
    let pareto = world.query(query, json!({})).await["defectPareto"].clone();
    assert_eq!(
        pareto["classes"],
        json!([{"class": "OPEN", "count": 3, "share": 0.6, "cumulativeShare": 0.6},
               {"class": "SHORT", "count": 2, "share": 0.4, "cumulativeShare": 1.0}])
    );
    let doubtful = world.query(query, json!({"f": {"grade": "DOUBTFUL"}})).await;
    assert_eq!(doubtful["defectPareto"]["total"], 1);
    let none = world.query(query, json!({"f": {"lot": "none"}})).await;
    assert_eq!(
        (&none["defectPareto"]["total"], &none["defectPareto"]["classes"]),
        (&json!(0), &json!([]))
    );
}

#[tokio::test]
async fn projections_tell_how_far_they_are_and_what_is_parked() {
    let world = World::new().await;
    let head = world.append(uuid::Uuid::now_v7(), 0, "InspectionCreated").await;
    world.reach(head.0).await;
    world
        .execute("UPDATE projection_checkpoints SET position = 0 WHERE projection = 'yield'")
        .await;
    world
        .execute(
            "INSERT INTO parked_streams VALUES
             ('yield', 1, 'inspection', 'x', 7, 'InspectionJudged', 'no such column', 3, now())",
        )
        .await;
    let data = world
        .query(
            "{ projections { name status generation position head lagEvents lagSeconds
               parkedStreams { aggregateId position error events } } }",
            json!({}),
        )
        .await;
    let projections = data["projections"].as_array().unwrap();
    assert_eq!(projections.len(), 6);
    let of = |name: &str| projections.iter().find(|p| p["name"] == name).unwrap();
    assert_eq!((&of("parts")["lagEvents"], &of("parts")["lagSeconds"]), (&json!(0), &json!(0.0)));
    let behind = of("yield");
    assert_eq!((&behind["position"], &behind["head"]), (&json!("0"), &json!(head.to_string())));
    assert_eq!(behind["lagEvents"], head.0);
    assert!(behind["lagSeconds"].as_f64().unwrap() > 0.0);
    assert_eq!(behind["parkedStreams"][0]["error"], "no such column");
}
