//! One key, one execution, whatever happens in between.

use std::sync::Arc;
use std::time::Duration;

use command_api::CommandApiConfig;
use domain::{Aggregate as _, Inspection};
use platform::event_log::{EventLog, StreamId};
use platform::test_support::{InterceptedLog, Interception};
use serde_json::json;

use crate::pictures::jpeg;
use crate::support::{TestApi, board};

#[tokio::test]
async fn the_same_key_and_request_give_the_first_answer_again() {
    let api = TestApi::start().await;
    let call = api.post("/v1/inspections").json(board());
    let first = call.clone().send().await;
    let head = api.head().await;
    // White space, the order of fields and quotes around the key do not make another request.
    let spaced = r#" { "station":"AOI-1", "part":"PCB-1", "lot":"LOT-1" } "#;
    let key = call.clone().send().await;
    let again = call.body(spaced).send().await;
    for replay in [key, again] {
        assert!(replay.is_replay());
        assert_eq!((replay.status, &replay.bytes), (201, &first.bytes));
        for name in ["etag", "location", "x-log-position", "content-type"] {
            assert_eq!(replay.header(name), first.header(name));
        }
    }
    assert!(!first.is_replay());
    assert_eq!(api.head().await, head);
}

#[tokio::test]
async fn a_key_belongs_to_one_request_of_one_principal() {
    let api = TestApi::start().await;
    let call = api.post("/v1/inspections").json(board()).key("k");
    call.clone().send().await;
    let head = api.head().await;
    let other_body = json!({ "lot": "OTHER", "part": "PCB-1", "station": "AOI-1" });
    let others = [
        call.clone().json(other_body),
        call.clone().header("if-match", "*"),
        api.post("/v1/parts").key("k").json(json!({ "part": "PCB-1" })),
        api.post("/v1/inspections").key("\"k\"").json(json!({"lot":"X","part":"P","station":"S"})),
    ];
    for other in others {
        assert_eq!(other.send().await.problem(), (422, "idempotency-key-reused".into()));
    }
    assert_eq!(api.head().await, head);
    let somebody_else = call.token(&api.token_of("aoi-7", &["station"])).send().await;
    assert_eq!((somebody_else.status, somebody_else.is_replay()), (201, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_at_once_execute_once() {
    let api = TestApi::start().await;
    let call = api.post("/v1/inspections").json(board());
    let calls = (0..16).map(|_| tokio::spawn(call.clone().send()));
    let mut executed = 0;
    for reply in futures::future::join_all(calls).await {
        let reply = reply.unwrap();
        assert_eq!(reply.status, 201, "nobody is told to come again: {reply:?}");
        executed += usize::from(!reply.is_replay());
    }
    assert_eq!((executed, api.event_types().await.len()), (1, 1));
    assert!(call.send().await.is_replay());
}

/// A log that shares no transaction with the keys.
struct KeepsAnswersApart;

impl Interception for KeepsAnswersApart {
    fn keeps_answers_with_events(&self, _: &dyn EventLog) -> bool {
        false
    }
}

async fn start_with_answers_apart() -> TestApi {
    let apart = |log| Arc::new(InterceptedLog::over(log, KeepsAnswersApart)) as Arc<dyn EventLog>;
    TestApi::start_with(CommandApiConfig::default(), apart).await
}

#[tokio::test]
async fn after_a_crash_between_append_and_answer_the_retry_answers_from_the_log() {
    let api = start_with_answers_apart().await;
    let id = api.create().await;
    let path = format!("/v1/inspections/{id}/artifacts?type=image/jpeg");
    for call in [api.post("/v1/inspections").json(board()), api.post(path)] {
        let first = call.clone().send().await;
        let head = api.head().await;
        // As a dead owner leaves it: events appended, no answer, the lease over.
        sqlx::query(
            "UPDATE idempotency_keys SET answer = NULL, answered_at = NULL,
                    claimed_until = now() - interval '1 s'",
        )
        .execute(&api.pool)
        .await
        .unwrap();
        let retry = call.clone().send().await;
        assert_eq!((retry.status, &retry.json), (201, &first.json), "{retry:?}");
        assert_eq!(retry.header("location"), first.header("location"));
        assert!(call.send().await.is_replay());
        assert_eq!(api.head().await, head);
    }
}

#[tokio::test]
async fn a_claim_keeps_others_out_until_its_lease_ends() {
    let api = start_with_answers_apart().await;
    let call = api.post("/v1/inspections").json(board());
    call.clone().send().await;
    // As an owner leaves it that has claimed and not appended yet.
    let (head, id) = (api.head().await, api.events().await[0].stream.aggregate_id.clone());
    let claimed = "UPDATE idempotency_keys SET answer = NULL, answered_at = NULL,
                   claimed_until = now() + interval '5 s', claim = gen_random_uuid()";
    sqlx::query(claimed).execute(&api.pool).await.unwrap();
    let refused = call.clone().send().await;
    assert_eq!(refused.problem(), (409, "idempotency-key-in-progress".into()));
    assert!(refused.header("retry-after").is_some());
    let over = "UPDATE idempotency_keys SET claimed_until = now() - interval '1 s'";
    sqlx::query(over).execute(&api.pool).await.unwrap();
    let taken_over = call.send().await;
    assert_eq!((taken_over.status, taken_over.text("inspection_id")), (201, id));
    assert_eq!(api.head().await, head);
}

#[tokio::test]
async fn a_key_that_somebody_claimed_and_let_go_of_is_taken_by_the_append() {
    let api = TestApi::start().await;
    let call = api.post("/v1/inspections").json(board());
    call.clone().send().await;
    let other = api.post("/v1/inspections").json(board()).key("claimed");
    // As an owner leaves it that claims first, such as a server of an older version, and dies.
    let claim = "INSERT INTO idempotency_keys (principal, key, fingerprint, claim, claimed_until)
                 SELECT principal, 'claimed', fingerprint, gen_random_uuid(), now() + interval '1 h'
                 FROM idempotency_keys";
    sqlx::query(claim).execute(&api.pool).await.unwrap();
    let held = other.clone().send().await;
    assert_eq!(held.problem(), (409, "idempotency-key-in-progress".into()));
    let over = "UPDATE idempotency_keys SET claimed_until = now() - interval '1 s'";
    sqlx::query(over).execute(&api.pool).await.unwrap();
    assert_eq!(other.clone().send().await.status, 201);
    assert!(other.send().await.is_replay());
}

#[tokio::test]
async fn a_refusal_is_not_kept_so_the_same_key_succeeds_once_nothing_is_in_its_way() {
    let api = TestApi::start().await;
    let id = api.create().await;
    let infer = api.post(format!("/v1/inspections/{id}/infer"));
    assert_eq!(infer.clone().send().await.problem(), (409, "no-artifact".into()));
    let (_, url) = api.reserve(&id).await;
    assert_eq!(infer.clone().send().await.problem(), (409, "artifacts-pending".into()));
    let keys: i64 =
        sqlx::query_scalar("SELECT count(*) FROM idempotency_keys WHERE answer IS NULL")
            .fetch_one(&api.pool)
            .await
            .unwrap();
    assert_eq!(keys, 0, "a refused command leaves its key behind");
    api.put(&url, jpeg(1)).send().await;
    assert_eq!(infer.clone().send().await.status, 202);
    assert!(infer.send().await.is_replay());
}

#[tokio::test]
async fn a_key_whose_answer_is_forgotten_still_executes_once_and_links_the_result() {
    let api = TestApi::start().await;
    let call = api.post("/v1/inspections").json(board());
    let id = call.clone().send().await.text("inspection_id");
    let head = api.head().await;
    sqlx::query("DELETE FROM idempotency_keys").execute(&api.pool).await.unwrap();
    let expired = call.send().await;
    assert_eq!(expired.problem(), (409, "key-expired".into()));
    assert_eq!(expired.json["result"], format!("/v1/inspections/{id}"));
    let link = format!("</v1/inspections/{id}>; rel=\"related\"");
    assert_eq!(expired.header("link"), Some(&*link));
    assert_eq!(api.head().await, head);
}

#[tokio::test]
async fn a_command_is_finished_when_its_client_leaves() {
    let api = TestApi::start().await;
    let call = api.post("/v1/inspections").json(board());
    let mut leaving = Box::pin(call.clone().send());
    // Far enough to have begun: the first poll spawns the command.
    let begun = futures::poll!(leaving.as_mut());
    assert!(begun.is_pending());
    drop(leaving);
    appended(&api).await;
    let reply = call.send().await;
    assert_eq!((reply.status, reply.is_replay()), (201, true));
    assert_eq!(api.event_types().await, ["InspectionCreated"]);
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_answered_with_504_and_finished_all_the_same() {
    let config = CommandApiConfig { request_timeout_s: 0, ..Default::default() };
    let api = TestApi::start_with(config, |log| log).await;
    let reply = api.post("/v1/inspections").json(board()).send().await;
    assert_eq!(reply.problem(), (504, "timeout".into()));
    appended(&api).await;
    assert_eq!(api.event_types().await, ["InspectionCreated"]);
    let status: i32 = sqlx::query_scalar("SELECT (answer->>'status')::int FROM idempotency_keys")
        .fetch_one(&api.pool)
        .await
        .unwrap();
    assert_eq!(status, 201);
}

#[tokio::test]
async fn two_commands_on_one_inspection_at_once_are_both_executed() {
    let api = TestApi::start().await;
    let id = api.create().await;
    let path = format!("/v1/inspections/{id}/artifacts?type=image/png");
    let calls = (0..8).map(|_| api.post(path.as_str()).send());
    for reply in futures::future::join_all(calls).await {
        assert_eq!(reply.status, 201, "{reply:?}");
    }
    let stream = StreamId::for_aggregate::<Inspection>(&id);
    let events = api.log.read_stream(&stream, 0).await.unwrap().events;
    let decoded: Vec<_> =
        events.iter().map(|event| event.decode::<Inspection>().unwrap()).collect();
    let state = Inspection::replay(&decoded);
    assert_eq!(state.facts().unwrap().artifacts.len(), 8);
}

/// Waits until there is an event.
async fn appended(api: &TestApi) {
    let some = async {
        while api.head().await.0 == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), some).await.expect("the command is finished");
}
