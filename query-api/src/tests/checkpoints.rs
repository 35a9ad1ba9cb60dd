//! Read your writes, and what is said when the read model is not there yet.

use std::time::{Duration, Instant};

use serde_json::json;

use super::world::{Answer, World};
use crate::QueryApiConfig;

const PARTS: &str = "query($p: Position) { parts(minPosition: $p) { position } }";

#[tokio::test]
async fn a_read_waits_for_its_position_and_says_which_it_reflects() {
    let world = World::new().await;
    world.reach(6).await;
    let read = world.get("/v1/inspections?min_position=7");
    let advance = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.reach(8).await;
    };
    let (answer, ()) = tokio::join!(read, advance);
    assert_eq!((answer.status.as_u16(), answer.header("x-log-position")), (200, "8"));

    let data = world.query(PARTS, json!({"p": "8"})).await;
    assert_eq!(data["parts"]["position"], "8");
    assert_eq!(world.query(PARTS, json!({"p": 3})).await["parts"]["position"], "8");
}

#[tokio::test]
async fn a_read_that_comes_too_early_is_told_to_come_again() {
    let world = World::new().await;
    let begun = Instant::now();
    let (rest, graphql) =
        tokio::join!(world.get("/v1/reports?min_position=1"), world.ask(PARTS, json!({"p": "1"})));
    assert!(begun.elapsed() >= Duration::from_secs(2), "waited {:?}", begun.elapsed());
    assert_eq!(rest.problem(), (503, "unavailable".into()));
    assert_eq!(rest.header("retry-after"), "1");
    let extensions = &graphql["errors"][0]["extensions"];
    assert_eq!(
        (&extensions["code"], &extensions["projection"], &extensions["minPosition"]),
        (&json!("NOT_READY"), &json!("parts"), &json!("1"))
    );
}

#[tokio::test]
async fn fields_of_another_read_model_are_waited_for_too() {
    let world = World::new().await;
    let id = world.insert_inspection(4, 1).await;
    world.reach(4).await;
    world
        .execute("UPDATE projection_checkpoints SET position = 3 WHERE projection = 'defects'")
        .await;
    let query = |fields: &str| {
        format!("query($id: ID!) {{ inspection(id: $id, minPosition: 4) {{ {fields} }} }}")
    };
    world.query(&query("id"), json!({"id": id})).await;
    let code = world.graphql_code(&query("id defects { number }"), json!({"id": id})).await;
    assert_eq!(code, "NOT_READY");
}

#[tokio::test]
async fn several_read_models_are_waited_for_no_longer_than_one() {
    let world = World::new().await;
    let id = world.insert_inspection(4, 1).await;
    world.reach(3).await;
    let reach = |model: &'static str, after_ms| {
        let world = &world;
        async move {
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            let sql = "UPDATE projection_checkpoints SET position = 4 WHERE projection = ";
            world.execute(&format!("{sql}'{model}'")).await;
        }
    };
    let query = "query($id: ID!) { inspection(id: $id, minPosition: 4) { id defects { number } } }";
    // Each comes within 2 s of the one before, and the last of them after 2 s.
    let (code, ..) = tokio::join!(
        world.graphql_code(query, json!({"id": id})),
        reach("defects", 1_500),
        reach("inspection_overview", 3_200),
    );
    assert_eq!(code, "NOT_READY");
}

#[tokio::test]
async fn a_bad_position_is_the_caller_s_mistake() {
    let world = World::new().await;
    for bad in [json!("x"), json!(-1), json!(1.5), json!({"a": 1}), json!("99999999999999999999")] {
        let code = world.graphql_code(PARTS, json!({"p": bad})).await;
        assert!(["BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED"].contains(&code.as_str()), "{code}");
    }
    let answer = world.get("/v1/parts?min_position=x").await;
    assert_eq!(answer.problem(), (400, "invalid-query".into()));
}

#[tokio::test]
async fn readiness_names_what_is_missing() {
    let world = World::without_read_models(QueryApiConfig::default()).await;
    let ready = world.get_with("/readyz", &[("authorization", "")]).await;
    assert_eq!((ready.status.as_u16(), ready.header("retry-after")), (503, "1"));
    let body = ready.json();
    let missing = body["checks"].as_array().unwrap().iter();
    let missing: Vec<_> = missing.filter(|check| check["ready"] == false).collect();
    assert_eq!(missing.len(), 5, "{body:#}");
    assert_eq!(missing[0]["name"], "projection:inspection_overview");

    let alive = world.get_with("/healthz", &[("authorization", "")]).await;
    assert_eq!(alive.status, 200);
    assert_eq!(world.get("/v1/parts").await.problem(), (503, "unavailable".into()));
    assert_eq!(world.graphql_code("{ parts { edges { cursor } } }", json!({})).await, "NOT_READY");
}

#[tokio::test]
async fn readiness_ends_when_a_read_model_falls_behind() {
    let world = World::with(QueryApiConfig { ready_lag_s: 0, ..QueryApiConfig::default() }).await;
    assert_eq!(world.get("/readyz").await.status, 200);
    let position = world.append(uuid::Uuid::now_v7(), 0, "InspectionCreated").await;
    let behind = readiness_of(&world, 503).await;
    assert!(String::from_utf8_lossy(&behind.body).contains("behind the log"));
    world.reach(position.0).await;
    readiness_of(&world, 200).await;
}

/// Readiness once it is this status: an answer is kept for a second.
async fn readiness_of(world: &World, status: u16) -> Answer {
    for _ in 0..100 {
        let answer = world.get("/readyz").await;
        if answer.status == status {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("readiness is not {status}")
}

#[tokio::test]
async fn a_database_that_is_gone_is_said_plainly() {
    let world = World::new().await;
    world.pool.close().await;
    let answer = world.get("/v1/inspections").await;
    assert_eq!(answer.problem(), (503, "unavailable".into()));
    assert!(!answer.header("retry-after").is_empty());
    assert_eq!(
        world.graphql_code("{ parts { edges { cursor } } }", json!({})).await,
        "UNAVAILABLE"
    );
    assert_eq!(world.get("/healthz").await.status, 200);
    let ready = world.get("/readyz").await;
    assert_eq!(
        (ready.status.as_u16(), &ready.json()["checks"][0]["name"]),
        (503, &json!("database"))
    );
}
