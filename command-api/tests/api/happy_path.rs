//! What a station does all day.

use platform::event_log::{LogPlace, StreamId};
use serde_json::json;

use crate::pictures::jpeg;
use crate::support::{TestApi, board};

#[tokio::test]
async fn a_board_goes_from_token_to_inference() {
    let api = TestApi::start().await;
    let form = "username=demo&password=demo";
    let token = api.post("/v1/token").without("authorization").without("idempotency-key");
    let token = token.header("content-type", "application/x-www-form-urlencoded").body(form);
    let token = token.send().await.text("access_token");

    let part = api.post("/v1/parts").token(&token).json(json!({ "part": "PCB 1/a" })).send().await;
    assert_eq!((part.status, part.header("location")), (201, Some("/v1/parts/PCB%201%2Fa")));
    assert_eq!(part.json["recipe"]["revision"], 1);
    let golden = "/v1/parts/PCB%201%2Fa/golden-sample?type=image/jpeg";
    let golden = api.post(golden).token(&token).send().await;
    assert_eq!((golden.status, golden.json["part"].as_str()), (201, Some("PCB 1/a")));
    let put = api.put(&golden.text("upload_url"), jpeg(1)).header("content-type", "image/jpeg");
    assert_eq!(put.send().await.status, 201);

    let board = json!({ "lot": "L", "part": "PCB 1/a", "station": "AOI-1" });
    let created = api.post("/v1/inspections").token(&token).json(board).send().await;
    assert_eq!((created.status, created.header("etag")), (201, Some(&*api.tag(1).await)));
    let id = created.text("inspection_id");
    assert_eq!(created.header("location"), Some(&*format!("/v1/inspections/{id}")));
    let (incarnation, position) = (api.log.end().await.unwrap().incarnation, api.head().await);
    let place = LogPlace { incarnation, position };
    assert_eq!(created.header("x-log-position"), Some(&*place.to_string()));
    assert_eq!((created.text("state"), &created.json["version"]), ("open".into(), &json!(1)));

    let (artifact, url) = api.reserve(&id).await;
    let put = api.put(&url, jpeg(2)).send().await;
    assert_eq!((put.status, put.text("artifact_id")), (201, artifact));
    assert_eq!((&put.json["width"], &put.json["height"]), (&json!(192), &json!(160)));
    assert_eq!(put.text("sha256"), domain::Sha256::digest_of(&jpeg(2)).to_string());

    let infer = api.post(format!("/v1/inspections/{id}/infer")).token(&token).send().await;
    assert_eq!((infer.status, infer.text("state")), (202, "inferring".into()));
    let expected = [
        "PartRegistered",
        "GoldenSampleReserved",
        "GoldenSampleRegistered",
        "InspectionCreated",
        "ArtifactReserved",
        "ArtifactUploaded",
        "InferenceRequested",
    ];
    assert_eq!(api.event_types().await, expected);
}

#[tokio::test]
async fn events_say_who_asked_and_in_which_trace() {
    let api = TestApi::start().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let call = api.post("/v1/inspections").header("traceparent", trace).json(board());
    let id = call.send().await.text("inspection_id");
    let (_, url) = api.reserve(&id).await;
    api.put(&url, jpeg(1)).send().await;
    let events = api.events().await;
    for event in &events {
        assert_eq!(event.metadata.actor.as_ref().unwrap().subject, "demo");
        assert_eq!(event.metadata.correlation_id.as_deref(), Some(&*id));
        assert!(event.command_id.is_some() && event.metadata.occurred_at.is_some());
    }
    assert!(events[0].metadata.traceparent.as_ref().unwrap().starts_with(&trace[..36]));
    assert!(events[0].metadata.request_fingerprint.is_some());
}

#[tokio::test]
async fn an_inspection_keeps_the_recipe_that_was_in_force_and_unregistered_parts_are_accepted() {
    let api = TestApi::start().await;
    let unregistered = api.create().await;
    api.register_part("PCB-1").await;
    let registered = api.create().await;
    for (id, revision) in [(unregistered, 0), (registered, 1)] {
        let stream = StreamId::for_aggregate::<domain::Inspection>(&id);
        let events = api.log.read_stream(&stream, 0).await.unwrap().events;
        assert_eq!(events[0].payload["recipe"]["revision"], revision);
    }
}

#[tokio::test]
async fn an_inspection_is_voided_with_a_reason_until_it_is_voided() {
    let api = TestApi::start().await;
    let id = api.create().await;
    let path = format!("/v1/inspections/{id}/void");
    let reason = json!({ "reason": "  wrong board " });
    let voided = api.post(&path).json(reason.clone()).send().await;
    assert_eq!((voided.status, voided.text("state")), (200, "voided".into()));
    assert_eq!(api.events().await[1].payload["reason"], "wrong board");
    let again = api.post(&path).json(reason).send().await;
    assert_eq!(again.problem(), (409, "voided".into()));
}

#[tokio::test]
async fn asking_again_for_inference_changes_nothing() {
    let api = TestApi::start().await;
    let id = api.create().await;
    let (_, url) = api.reserve(&id).await;
    api.put(&url, jpeg(1)).send().await;
    let path = format!("/v1/inspections/{id}/infer");
    let first = api.post(&path).send().await;
    let head = api.head().await;
    let second = api.post(&path).send().await;
    assert_eq!((second.status, &second.json), (202, &first.json));
    assert!(!second.is_replay());
    assert_eq!(api.head().await, head);
}

#[tokio::test]
async fn who_prefers_to_wait_is_answered_when_it_is_decided_or_when_the_wait_is_over() {
    let api = TestApi::start().await;
    let id = api.create().await;
    let (_, url) = api.reserve(&id).await;
    api.put(&url, jpeg(1)).send().await;
    let infer = || api.post(format!("/v1/inspections/{id}/infer")).header("idempotency-key", "k1");
    let undecided = infer().header("prefer", "wait=1").send().await;
    assert_eq!((undecided.status, undecided.text("state")), (202, "inferring".into()));
    assert_eq!(undecided.header("preference-applied"), Some("wait=1"));
    assert!(undecided.json["judgement"].is_null());

    let waits = infer().header("prefer", "wait=20").send();
    let withdraw = async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let reason = json!({"reason": "wrong board"});
        api.post(format!("/v1/inspections/{id}/void")).json(reason).send().await
    };
    let (decided, withdrawn) = tokio::join!(waits, withdraw);
    assert_eq!(withdrawn.status, 200);
    assert_eq!((decided.status, decided.text("state")), (200, "voided".into()));
    assert_eq!(decided.header("etag"), withdrawn.header("etag"));
    assert_eq!(decided.header("preference-applied"), Some("wait=20"));
    assert!(decided.is_replay(), "the command was given before");

    let at_once = infer().send().await;
    assert_eq!((at_once.status, at_once.header("preference-applied")), (202, None));
}

#[tokio::test]
async fn an_upload_url_names_the_host_that_was_asked_or_the_public_one() {
    let public = Some("https://chipq.example/base/".parse().unwrap());
    let config = command_api::CommandApiConfig { public_url: public, ..Default::default() };
    let api = TestApi::start_with(config, |log| log).await;
    let id = api.create().await;
    let (artifact, url) = api.reserve(&id).await;
    let expected = format!("https://chipq.example/base/v1/uploads/{artifact}?");
    assert!(url.starts_with(&expected), "{url}");
}
