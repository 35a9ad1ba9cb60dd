//! What operators decide about parked streams: with the scope, about what is parked, recorded with who and why.

use chrono::Utc;
use domain::ProjectionRepair;
use platform::event_log::{EventLog as _, LogPlace, Position, StreamId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::world::World;

const DISCARD: &str = "mutation($projection: String!, $position: Position!, $reason: String!) {
    discardParkedStream(projection: $projection, position: $position, reason: $reason) {
        position aggregateType aggregateId eventType } }";
const RETRY: &str = "mutation($projection: String!, $position: Position!, $reason: String!) {
    retryParkedStream(projection: $projection, position: $position, reason: $reason) { position } }";

/// A stream of which an event has parked `yield`, and where that event is.
async fn park_a_stream(world: &World) -> (Uuid, Position) {
    let id = Uuid::now_v7();
    let position = world.append(id, 0, "InspectionJudged").await;
    let sql = format!(
        "INSERT INTO parked_streams (projection, generation, aggregate_type, aggregate_id, position,
             event_type, error)
         VALUES ('yield', 1, 'inspection', '{id}', {position}, 'InspectionJudged', 'torn')"
    );
    world.execute(&sql).await;
    (id, position)
}

async fn decide(world: &World, role: &str, mutation: &str, variables: Value) -> Value {
    let body = json!({"query": mutation, "variables": variables});
    world.post_graphql(&world.token_of(&[role], Utc::now()), &body).await.json()
}

fn about(projection: &str, position: i64, reason: &str) -> Value {
    json!({"projection": projection, "position": position.to_string(), "reason": reason})
}

fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_default()
}

async fn decisions(world: &World) -> usize {
    let stream = StreamId::for_aggregate::<ProjectionRepair>("yield");
    world.log.read_stream(&stream, 0).await.unwrap().events.len()
}

#[tokio::test]
async fn a_decision_needs_the_scope_and_a_parked_stream_and_a_reason() {
    let world = World::new().await;
    let (_, Position(position)) = park_a_stream(&world).await;
    for mutation in [RETRY, DISCARD] {
        for role in ["station", "operator", "engineer", "auditor"] {
            let refused = decide(&world, role, mutation, about("yield", position, "torn")).await;
            assert_eq!(code(&refused), "FORBIDDEN", "{role}: {refused}");
            assert_eq!(refused["errors"][0]["extensions"]["scope"], "projections:write");
        }
        for (variables, expected) in [
            (about("yield", position + 1, "torn"), "NOT_FOUND"),
            (about("reports", position, "torn"), "NOT_FOUND"),
            (about("yields", position, "torn"), "BAD_USER_INPUT"),
            (about("yield", position, " "), "REJECTED"),
        ] {
            let refused = decide(&world, "admin", mutation, variables).await;
            assert_eq!(code(&refused), expected, "{refused}");
        }
    }
    assert_eq!(decisions(&world).await, 0);
}

#[tokio::test]
async fn a_decision_is_recorded_and_shown_with_who_made_it_and_why() {
    let world = World::new().await;
    let (id, Position(position)) = park_a_stream(&world).await;
    let variables = about("yield", position, "a tool tore it");
    let answer = decide(&world, "admin", DISCARD, variables.clone()).await;
    let decided = &answer["data"]["discardParkedStream"];
    assert_eq!(decided["aggregateId"], json!(id), "{answer}");
    assert_eq!(decided["eventType"], "InspectionJudged");
    let decided_at: LogPlace = decided["position"].as_str().unwrap().parse().unwrap();
    assert!(decided_at.position.0 > position);

    let again = decide(&world, "admin", DISCARD, variables.clone()).await;
    assert_eq!(code(&again), "REJECTED", "{again}");
    assert_eq!(again["errors"][0]["extensions"]["rejection"], "already-discarded");
    decide(&world, "admin", RETRY, variables).await;
    assert_eq!(decisions(&world).await, 2);

    let query = "query($first: Int!) { projectionRepairs(projection: \"yield\", first: $first) {
        action actor reason aggregateType aggregateId eventPosition eventType } }";
    let shown = world.query(query, json!({"first": 10})).await;
    assert_eq!(
        shown["projectionRepairs"][1],
        json!({"action": "DISCARD", "actor": "somebody", "reason": "a tool tore it",
               "aggregateType": "inspection", "aggregateId": id,
               "eventPosition": position.to_string(), "eventType": "InspectionJudged"})
    );
    let latest = world.query(query, json!({"first": 1})).await;
    assert_eq!(latest["projectionRepairs"].as_array().unwrap().len(), 1);
    assert_eq!(latest["projectionRepairs"][0]["action"], "RETRY");
    for wrong in [0, 201, -1] {
        assert_eq!(world.graphql_code(query, json!({"first": wrong})).await, "BAD_USER_INPUT");
    }
}

#[tokio::test]
async fn one_decision_lets_every_read_model_go_on_that_stands_still() {
    let world = World::new().await;
    let id = Uuid::now_v7();
    let Position(position) = world.append(id, 0, "InspectionExploded").await;
    let discard = "mutation($position: Position!) {
        discardEvent(position: $position, reason: \"written by a trial\") {
            projection aggregateId eventType } }";
    let variables = json!({"position": position.to_string()});
    let early = decide(&world, "admin", discard, variables.clone()).await;
    assert_eq!(code(&early), "NOT_FOUND", "it is in the way of none: {early}");
    let sql = format!(
        "UPDATE projection_checkpoints SET position = {position} WHERE projection = 'parts';
         UPDATE projection_checkpoints SET blocked_by = '{{\"position\": {position},
             \"aggregate_type\": \"inspection\", \"aggregate_id\": \"{id}\",
             \"event_type\": \"InspectionExploded\", \"error\": \"nobody knows it\",
             \"since\": \"2026-11-29T10:38:03Z\"}}' WHERE projection IN ('yield', 'reports')"
    );
    world.execute(&sql).await;

    let query = "{ projections { name blockedBy {
        position aggregateType aggregateId eventType error since next } } }";
    let shown = world.query(query, json!({})).await;
    let shown = shown["projections"].as_array().unwrap();
    let of = |name: &str| &shown.iter().find(|one| one["name"] == name).unwrap()["blockedBy"];
    assert_eq!(of("parts"), &Value::Null);
    let blocked = of("yield");
    assert_eq!(blocked["position"], json!(position.to_string()), "{blocked}");
    assert_eq!(
        (&blocked["aggregateId"], &blocked["error"]),
        (&json!(id), &json!("nobody knows it"))
    );
    let next = blocked["next"].as_str().unwrap();
    assert!(next.contains(&format!("discardEvent(position: \"{position}\"")), "{next}");

    let refused = decide(&world, "engineer", discard, variables.clone()).await;
    assert_eq!(code(&refused), "FORBIDDEN", "{refused}");
    // One of them alone first: the others are decided about all the same.
    let alone = decide(&world, "admin", DISCARD, about("yield", position, "a trial")).await;
    assert_eq!(alone["data"]["discardParkedStream"]["aggregateId"], json!(id), "{alone}");
    let answer = decide(&world, "admin", discard, variables.clone()).await;
    let decided = answer["data"]["discardEvent"].as_array().unwrap();
    let names: Vec<_> = decided.iter().map(|one| one["projection"].as_str().unwrap()).collect();
    assert_eq!(names, ["defects", "inspection_overview", "reports"], "those that come there, too");
    let again = decide(&world, "admin", discard, variables).await;
    assert_eq!(again["errors"][0]["extensions"]["rejection"], "already-discarded", "{again}");
}

#[tokio::test]
async fn a_decision_that_cannot_be_read_is_listed_and_in_the_way_of_none() {
    let world = World::new().await;
    let stream = StreamId::for_aggregate::<ProjectionRepair>("yield");
    world.append_to(stream, 0, "StreamDiscarded").await;
    let (_, Position(position)) = park_a_stream(&world).await;
    let answer = decide(&world, "admin", DISCARD, about("yield", position, "torn")).await;
    assert_eq!(answer["data"]["discardParkedStream"]["eventType"], "InspectionJudged", "{answer}");
    let query = "{ projectionRepairs(projection: \"yield\") { action reason aggregateId } }";
    let shown = world.query(query, json!({})).await;
    assert_eq!(shown["projectionRepairs"][0]["action"], "DISCARD");
    let unreadable = &shown["projectionRepairs"][1];
    assert_eq!(
        (&unreadable["action"], &unreadable["aggregateId"]),
        (&json!("UNREADABLE"), &Value::Null)
    );
    assert!(unreadable["reason"].as_str().unwrap().contains("cannot be read"), "{unreadable}");
}
