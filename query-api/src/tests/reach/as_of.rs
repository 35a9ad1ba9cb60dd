//! What was is within a reach or not as what is.

use serde_json::json;

use super::{Line, reach_of};
use crate::tests::world::inspection_id;

const QUERY: &str =
    "query ($id: ID!, $asOf: String) { inspection(id: $id, asOf: $asOf) { version } }";

#[tokio::test]
async fn whoever_may_not_see_an_inspection_sees_nothing_of_what_it_was_and_is_not_told_that_it_was()
{
    let mut line = Line::start().await;
    let before = line.world.append(inspection_id(99), 0, "Happened").await.0;
    let created = line.world.append(inspection_id(98), 0, "Happened").await.0;
    line.world.reach(created).await;
    line.admit("inside", reach_of(&["AOI-1"], &["P"]));
    line.admit("outside", reach_of(&["AOI-2"], &[]));
    line.admit("elsewhere", reach_of(&["AOI-1"], &["Q"]));
    for (name, at, status) in [
        ("inside", created, 200),
        ("inside", before, 404),
        ("outside", created, 404),
        ("outside", before, 404),
        ("elsewhere", created, 404),
    ] {
        let authorization = format!("Bearer {}", line.token(name));
        let path = format!("/v1/inspections/{}?as_of={at}", inspection_id(98));
        let headers = [("authorization", authorization.as_str())];
        let answer = line.world.get_with(&path, &headers).await;
        assert_eq!(answer.status, status, "{name} at {at}");
        let told =
            answer.json()["detail"].as_str().is_some_and(|said| said.contains("created later"));
        assert_eq!(told, name == "inside" && at == before, "{name} at {at}");
        let body = json!({ "query": QUERY, "variables": { "id": inspection_id(98), "asOf": at.to_string() } });
        let answer = line.world.post_graphql(&line.token(name), &body).await.json();
        assert_eq!(
            answer["data"]["inspection"].is_object(),
            status == 200,
            "{name} at {at}: {answer}"
        );
        assert_eq!(answer.get("errors").is_some(), told, "{name} at {at}: {answer}");
    }
}
