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
