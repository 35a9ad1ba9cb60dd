//! Where the log keeps answers with events, a key is taken by what is appended: a command is executed once without a claim.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/idempotency_stage.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod idempotency_stage;
#[path = "support/two_step_log.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod two_step_log;

use std::sync::Arc;

use platform::event_log::postgres::PostgresEventLog;
use platform::event_log::{EventLog, Position};
use platform::idempotency::{ClaimError, Claimed, IdempotencyStore};
use platform::test_support::fresh_database;

use idempotency_stage::Stage;

#[tokio::test]
async fn without_a_claim_a_command_runs_once_and_its_answer_is_given_again() {
    let stage = Stage::in_one_transaction().await;
    let first = stage.run_at_once("P-1", ("k", "a")).await.unwrap();
    assert_eq!(first.place.position, Position(1));
    assert_eq!(stage.run_at_once("P-1", ("k", "a")).await.unwrap(), first);
    let Claimed::Answered(again) = stage.claim("k", "a").await.unwrap() else { panic!("not kept") };
    assert_eq!(again, first);
    for (part, body) in [("P-1", "b"), ("P-2", "b")] {
        let refused = stage.run_at_once(part, ("k", body)).await.unwrap_err();
        assert_eq!(refused, ClaimError::OtherRequest.to_string());
    }
    assert_eq!(stage.head().await, Position(1));
}

#[tokio::test]
async fn without_a_claim_a_refused_command_leaves_its_key_free() {
    let stage = Stage::in_one_transaction().await;
    stage.run_at_once("P-1", ("k", "a")).await.unwrap();
    stage.run_at_once("P-1", ("other", "a")).await.unwrap_err();
    assert_eq!(stage.claim_held("other").await, None);
    stage.run_at_once("P-2", ("other", "b")).await.unwrap();
    assert_eq!(stage.head().await, Position(2));
}

#[tokio::test]
async fn without_a_claim_a_key_whose_answer_has_expired_prevents_a_second_execution() {
    let stage = Stage::in_one_transaction().await;
    stage.run_at_once("P-1", ("k", "a")).await.unwrap();
    sqlx::query("DELETE FROM idempotency_keys").execute(&stage.database.pool()).await.unwrap();
    for (part, body, told) in [("P-1", "a", "ran already"), ("P-2", "b", "another request")] {
        let refused = stage.run_at_once(part, ("k", body)).await.unwrap_err();
        assert!(refused.contains(told), "{refused}");
    }
    assert_eq!(stage.head().await, Position(1));
}

#[tokio::test]
async fn without_a_claim_nothing_is_appended_under_a_key_that_is_claimed() {
    let stage = Stage::in_one_transaction().await;
    let claim = stage.fresh("k", "a").await;
    let refused = stage.run_at_once("P-1", ("k", "a")).await.unwrap_err();
    assert!(refused.contains("still running"), "{refused}");
    assert_eq!(stage.head().await, Position(0));
    stage.run("P-1", &claim).await.unwrap();
}

#[tokio::test]
async fn a_claim_of_another_request_that_was_let_go_of_is_anothers_all_the_same() {
    let stage = Stage::in_one_transaction().await;
    stage.fresh("k", "a").await;
    stage.end_leases().await;
    let refused = stage.run_at_once("P-1", ("k", "b")).await.unwrap_err();
    assert_eq!(refused, ClaimError::OtherRequest.to_string());
    stage.run_at_once("P-1", ("k", "a")).await.unwrap();
}

#[tokio::test]
async fn of_many_requests_with_one_key_in_two_processes_one_executes_and_all_get_its_answer() {
    let stage = Arc::new(Stage::in_one_transaction().await);
    let elsewhere: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(stage.database.pool()));
    let elsewhere = Arc::new(Stage {
        database: fresh_database().await,
        keys: IdempotencyStore::new(stage.database.pool(), Arc::clone(&elsewhere)),
        log: elsewhere,
    });
    let requests = (0..32).map(|n| {
        let stage = Arc::clone(if n % 2 == 0 { &stage } else { &elsewhere });
        tokio::spawn(async move { stage.run_at_once("P-1", ("k", "a")).await })
    });
    let answers = futures::future::join_all(requests).await;
    for answer in answers {
        assert_eq!(answer.unwrap().unwrap().place.position, Position(1));
    }
    assert_eq!(stage.log.end().await.unwrap().position.0, 1);
}
