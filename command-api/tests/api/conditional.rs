//! `ETag` and `If-Match`.

use platform::test_support::DatabaseBackup;
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
    let stale = call.clone().header("if-match", &api.tag(1).await).send().await;
    assert_eq!(stale.problem(), (412, "precondition-failed".into()));
    let current = api.tag(2).await;
    assert_eq!(stale.header("etag"), Some(&*current));
    assert_eq!(api.head().await, head);
    // Not kept: the key works with what was read again.
    let fresh = call.header("if-match", &current).send().await;
    assert_eq!((fresh.status, fresh.header("etag")), (200, Some(&*api.tag(3).await)));
}

#[tokio::test]
async fn a_stale_version_is_refused_before_a_picture_at_rest_is_recorded() {
    let api = TestApi::start().await;
    let id = api.create().await;
    let (artifact, _) = api.reserve(&id).await;
    api.put_to_rest(&artifact, jpeg(1)).await;
    let infer = api.post(format!("/v1/inspections/{id}/infer"));
    let head = api.head().await;
    let stale = infer.clone().header("if-match", &api.tag(1).await).send().await;
    assert_eq!(stale.problem(), (412, "precondition-failed".into()));
    let current = api.tag(2).await;
    assert_eq!((stale.header("etag"), api.head().await), (Some(&*current), head));
    // The version that was seen fits, although a picture is recorded with the command.
    let fits = infer.header("if-match", &current).send().await;
    let recorded = api.tag(4).await;
    assert_eq!((fits.status, fits.header("etag")), (202, Some(&*recorded)), "{fits:?}");
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
    let call = call.header("if-match", &api.tag(1).await);
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
    let tag = api.tag(1).await;
    for tag in [&format!("W/{tag}"), "\"1\"", "\"\"", "\"one\"", &format!("{tag}, {tag}")] {
        let call = api.post(format!("/v1/inspections/{id}/infer")).header("if-match", tag);
        assert_eq!(call.send().await.problem(), (400, "if-match-malformed".into()), "{tag}");
    }
    assert_eq!(api.head().await, head);
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_whatever_the_precondition_says() {
    let api = TestApi::start().await;
    let missing = "/v1/inspections/00000000-0000-0000-0000-000000000000/infer";
    let tag = api.tag(3).await;
    for tag in [&tag, "*"] {
        let reply = api.post(missing).header("if-match", tag).send().await;
        assert_eq!(reply.problem(), (404, "inspection-not-found".into()));
    }
    let reply = api.post("/v1/inspections").header("if-match", &tag).json(board()).send().await;
    assert_eq!(reply.problem(), (412, "precondition-failed".into()));
    assert_eq!(api.head().await.0, 0);
}

#[tokio::test]
async fn a_version_of_what_a_restore_has_lost_does_not_fit_another_event_of_the_same_number() {
    let api = TestApi::start().await;
    let (lost, kept) = (api.create().await, api.create().await);
    let seen = api.tag(1).await;
    let backup = DatabaseBackup::take(&api.database).await;
    api.reconnect().await;
    let reserve = || api.post(format!("/v1/inspections/{lost}/artifacts?type=image/png")).send();
    let before = reserve().await;
    backup.restore().await;
    api.reconnect().await;

    // The same number again, of another picture.
    let after = reserve().await;
    let (before, after) = (before.header("etag").unwrap(), after.header("etag").unwrap());
    assert_eq!(before.split('.').next(), after.split('.').next(), "the control: the same number");
    let void = |id: &str, tag: &str| {
        let void = api.post(format!("/v1/inspections/{id}/void")).json(json!({ "reason": "r" }));
        void.header("if-match", tag).send()
    };
    let told = void(&lost, before).await;
    assert_eq!(told.problem(), (412, "precondition-failed".into()));
    assert_eq!(told.header("etag"), Some(after));
    assert_eq!(void(&kept, &seen).await.status, 200, "it is what it was before the restore");
    assert_eq!(void(&lost, after).await.status, 200);
}
