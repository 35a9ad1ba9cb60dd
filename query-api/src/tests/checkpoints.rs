//! Read your writes, and what is said when the read model is not there yet.

use std::time::{Duration, Instant};

use serde_json::json;

use super::world::{Answer, World};
use crate::QueryApiConfig;

const PARTS: &str = "query($p: LogPlace) { parts(minPosition: $p) { position } }";

#[tokio::test]
async fn a_read_waits_for_its_position_and_says_which_it_reflects() {
    let world = World::new().await;
    world.reach(6).await;
    let path = format!("/v1/inspections?min_position={}", world.place(7).await);
    let read = world.get(&path);
    let advance = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.reach(8).await;
    };
    let (answer, ()) = tokio::join!(read, advance);
    let reached = world.place(8).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-log-position")), (200, &*reached));

    for wanted in [reached.clone(), world.place(3).await] {
        let data = world.query(PARTS, json!({"p": wanted})).await;
        assert_eq!(data["parts"]["position"], reached);
    }
}

#[tokio::test]
async fn a_read_that_comes_too_early_is_told_to_come_again() {
    let world = World::new().await;
    let wanted = world.place(1).await;
    let path = format!("/v1/reports?min_position={wanted}");
    let begun = Instant::now();
    let (rest, graphql) = tokio::join!(world.get(&path), world.ask(PARTS, json!({"p": wanted})));
    assert!(begun.elapsed() >= Duration::from_secs(2), "waited {:?}", begun.elapsed());
    assert_eq!(rest.problem(), (503, "unavailable".into()));
    assert_eq!(rest.header("retry-after"), "1");
    let extensions = &graphql["errors"][0]["extensions"];
    assert_eq!(
        (&extensions["code"], &extensions["projection"], &extensions["minPosition"]),
        (&json!("NOT_READY"), &json!("parts"), &json!(wanted))
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
        format!(
            "query($id: ID!, $p: LogPlace) {{ inspection(id: $id, minPosition: $p) {{ {fields} }} }}"
        )
    };
    let variables = json!({"id": id, "p": world.place(4).await});
    world.query(&query("id"), variables.clone()).await;
    let code = world.graphql_code(&query("id defects { number }"), variables).await;
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
    let query = "query($id: ID!, $p: LogPlace) {
        inspection(id: $id, minPosition: $p) { id defects { number } } }";
    let variables = json!({"id": id, "p": world.place(4).await});
    // Each comes within 2 s of the one before, and the last of them after 2 s.
    let (code, ..) = tokio::join!(
        world.graphql_code(query, variables),
        reach("defects", 1_500),
        reach("inspection_overview", 3_200),
    );
    assert_eq!(code, "NOT_READY");
}

#[tokio::test]
async fn a_bad_position_is_the_caller_s_mistake() {
    let world = World::new().await;
    for bad in [json!("x"), json!(-1), json!(1.5), json!({"a": 1}), json!("4711"), json!(4711)] {
        let code = world.graphql_code(PARTS, json!({"p": bad})).await;
        assert!(["BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED"].contains(&code.as_str()), "{code}");
    }
    for bad in ["x", "4711", ""] {
        let answer = world.get(&format!("/v1/parts?min_position={bad}")).await;
        assert_eq!(answer.problem(), (400, "invalid-query".into()), "{bad}");
    }
}

#[tokio::test]
async fn readiness_names_what_is_missing() {
    let world = World::without_read_models(QueryApiConfig::default()).await;
    let ready = world.get_with("/readyz", &[("authorization", "")]).await;
    assert_eq!((ready.status.as_u16(), ready.header("retry-after")), (503, "1"));
    let body = ready.json();
    let missing = body["checks"].as_array().unwrap().iter();
    let missing: Vec<_> = missing.filter(|check| check["ready"] == false).collect();
    assert_eq!(missing.len(), 6, "{body:#}");
    assert_eq!(missing[0]["name"], "projection:inspection_overview");

    let alive = world.get_with("/healthz", &[("authorization", "")]).await;
    assert_eq!(alive.status, 200);
    assert_eq!(world.get("/v1/parts").await.problem(), (503, "unavailable".into()));
    assert_eq!(world.graphql_code("{ parts { edges { cursor } } }", json!({})).await, "NOT_READY");
}

#[tokio::test]
async fn readiness_costs_the_same_however_many_streams_are_parked() {
    let world = World::new().await;
    // They cannot even be read: nobody does.
    world.execute("ALTER TABLE parked_streams RENAME TO gone").await;
    assert_eq!(world.get("/readyz").await.status, 200);
    assert_eq!(world.graphql_code("{ projections { name } }", json!({})).await, "NOT_READY");
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
