//! `ETag` and `If-Match`.

use serde_json::json;

use crate::pictures::jpeg;
use crate::support::{TestApi, board};

#[tokio::test]
async fn a_stale_version_is_refused_with_the_current_one() {
    let api = TestApi::start().await;
    let id = api.create().await;
    api.reserve(&id).await;
    let head = api.head().await;
    let path = format!("/v1/inspections/{id}/void");
    let call = api.post(&path).json(json!({ "reason": "r" }));
    let stale = call.clone().header("if-match", "\"1\"").send().await;
    assert_eq!(stale.problem(), (412, "precondition-failed".into()));
    assert_eq!(stale.header("etag"), Some("\"2\""));
    assert_eq!(api.head().await, head);
    // Not kept: the key works with what was read again.
    let fresh = call.header("if-match", "\"2\"").send().await;
    assert_eq!((fresh.status, fresh.header("etag")), (200, Some("\"3\"")));
}

#[tokio::test]
async fn a_stale_version_is_refused_before_a_picture_at_rest_is_recorded() {
    let api = TestApi::start().await;
    let id = api.create().await;
    let (artifact, _) = api.reserve(&id).await;
    api.put_to_rest(&artifact, jpeg(1)).await;
    let infer = api.post(format!("/v1/inspections/{id}/infer"));
    let head = api.head().await;
    let stale = infer.clone().header("if-match", "\"1\"").send().await;
    assert_eq!(stale.problem(), (412, "precondition-failed".into()));
    assert_eq!((stale.header("etag"), api.head().await), (Some("\"2\""), head));
    // The version that was seen fits, although a picture is recorded with the command.
    let fits = infer.header("if-match", "\"2\"").send().await;
    assert_eq!((fits.status, fits.header("etag")), (202, Some("\"4\"")), "{fits:?}");
}

#[tokio::test]
async fn a_refused_request_for_the_verdict_records_nothing() {
    let api = TestApi::start().await;
    let id = api.create().await;
    let (artifact, _) = api.reserve(&id).await;
    api.reserve(&id).await;
    api.put_to_rest(&artifact, jpeg(1)).await;
    let head = api.head().await;
    let refused = api.post(format!("/v1/inspections/{id}/infer")).send().await;
    assert_eq!(refused.problem(), (409, "artifacts-pending".into()));
    assert_eq!(api.head().await, head);
}

#[tokio::test]
async fn a_repeated_success_is_a_success_although_its_if_match_is_stale_by_now() {
    let api = TestApi::start().await;
    let id = api.create().await;
    let call = api.post(format!("/v1/inspections/{id}/artifacts?type=image/png"));
    let call = call.header("if-match", "\"1\"");
    assert_eq!(call.clone().send().await.status, 201);
    let again = call.send().await;
    assert_eq!((again.status, again.is_replay()), (201, true));
}

#[tokio::test]
async fn a_star_fits_whatever_exists() {
    let api = TestApi::start().await;
    let id = api.create().await;
    let call = api.post(format!("/v1/inspections/{id}/void")).header("if-match", "*");
    assert_eq!(call.json(json!({ "reason": "r" })).send().await.status, 200);
}

#[tokio::test]
async fn what_is_no_strong_entity_tag_is_refused() {
    let api = TestApi::start().await;
    let id = api.create().await;
    let head = api.head().await;
    for tag in ["W/\"1\"", "1", "\"\"", "\"one\"", "\"1\", \"2\"", "\"18446744073709551616\""] {
        let call = api.post(format!("/v1/inspections/{id}/infer")).header("if-match", tag);
        assert_eq!(call.send().await.problem(), (400, "if-match-malformed".into()), "{tag}");
    }
    assert_eq!(api.head().await, head);
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_whatever_the_precondition_says() {
    let api = TestApi::start().await;
    let missing = "/v1/inspections/00000000-0000-0000-0000-000000000000/infer";
    for tag in ["\"3\"", "*"] {
        let reply = api.post(missing).header("if-match", tag).send().await;
        assert_eq!(reply.problem(), (404, "inspection-not-found".into()));
    }
    let reply = api.post("/v1/inspections").header("if-match", "\"3\"").json(board()).send().await;
    assert_eq!(reply.problem(), (412, "precondition-failed".into()));
    assert_eq!(api.head().await.0, 0);
}
