//! A command is executed once, whatever crashes between append and answer: on a log that keeps the answer
//! in the transaction that appends, and on one that keeps it in a second step.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/idempotency_stage.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod idempotency_stage;
#[path = "support/two_step_log.rs"]
mod two_step_log;

use std::sync::Arc;
use std::time::Duration;

use domain::{Part, PartCommand, Reach};
use platform::event_log::{EventMetadata, Position, StreamVersion};
use platform::execute::{ExecuteError, Request, execute, execute_once};
use platform::idempotency::{ClaimError, Claimed};

use idempotency_stage::{Stage, answer, request};

/// The tests that hold whichever way the log keeps answers.
macro_rules! on_every_log {
    ($($name:ident)*) => {
        mod in_one_transaction {
            $( #[tokio::test] async fn $name() {
                super::$name(super::Stage::in_one_transaction().await).await;
            } )*
        }
        mod in_two_steps {
            $( #[tokio::test] async fn $name() {
                super::$name(super::Stage::in_two_steps().await.0).await;
            } )*
        }
    };
}

on_every_log! {
    the_same_key_and_request_again_gives_the_first_answer
    the_same_key_for_another_request_is_refused_running_or_done
    while_the_first_request_runs_the_second_is_told_to_wait
    a_released_key_is_free_and_nothing_of_it_is_kept
    a_claim_whose_owner_died_before_the_append_is_taken_over_and_the_late_owner_is_shut_out
    a_lease_that_a_clock_dated_ahead_keeps_nobody_out
    a_command_that_takes_longer_than_its_lease_keeps_its_key
    what_a_dead_owner_appended_without_an_answer_is_answered_from_the_log
    a_key_whose_answer_has_expired_still_prevents_a_second_execution
    of_many_requests_with_one_key_at_once_one_executes
    commands_on_one_aggregate_from_many_at_once_take_turns_and_each_is_settled
    a_command_on_a_version_that_is_no_longer_current_is_refused_with_the_current_one
}

async fn the_same_key_and_request_again_gives_the_first_answer(stage: Stage) {
    let first = stage.run("P-1", &stage.fresh("k", "a").await).await.unwrap();
    let Claimed::Answered(again) = stage.claim("k", "a").await.unwrap() else { panic!("not kept") };
    assert_eq!(again, first);
    assert_eq!(first.place.position, Position(1));
}

async fn the_same_key_for_another_request_is_refused_running_or_done(stage: Stage) {
    let claim = stage.fresh("k", "a").await;
    assert!(matches!(stage.claim("k", "b").await, Err(ClaimError::OtherRequest)));
    stage.run("P-1", &claim).await.unwrap();
    assert!(matches!(stage.claim("k", "b").await, Err(ClaimError::OtherRequest)));
}

async fn while_the_first_request_runs_the_second_is_told_to_wait(stage: Stage) {
    let _running = stage.fresh("k", "a").await;
    let Err(ClaimError::InProgress { retry_after }) = stage.claim("k", "a").await else {
        panic!("two requests hold one key");
    };
    assert!((1..=5).contains(&retry_after.as_secs()));
}

async fn a_released_key_is_free_and_nothing_of_it_is_kept(stage: Stage) {
    let claim = stage.fresh("k", "a").await;
    stage.keys.release(&claim).await;
    stage.fresh("k", "b").await;
}

async fn a_claim_whose_owner_died_before_the_append_is_taken_over_and_the_late_owner_is_shut_out(
    stage: Stage,
) {
    let dead = stage.fresh("k", "a").await;
    stage.end_leases().await;
    let heir = stage.fresh("k", "a").await;
    // The owner was only slow: whoever appends second finds that the other has the key.
    stage.run("P-1", &heir).await.unwrap();
    assert!(stage.run("P-1", &dead).await.is_err());
    assert_eq!(stage.head().await, Position(1));
}

#[tokio::test]
async fn a_late_owner_that_lost_its_claim_appends_nothing() {
    let stage = Stage::in_one_transaction().await;
    let dead = stage.fresh("k", "a").await;
    stage.end_leases().await;
    let heir = stage.fresh("k", "a").await;
    let refused = execute_once(&*stage.log, request("P-1"), (&dead, &Reach::everywhere()), answer)
        .await
        .unwrap_err();
    assert!(matches!(refused, ExecuteError::ClaimLost));
    assert_eq!(stage.head().await, Position(0));
    stage.run("P-1", &heir).await.unwrap();
}

async fn a_lease_that_a_clock_dated_ahead_keeps_nobody_out(stage: Stage) {
    let _before = stage.fresh("k", "a").await;
    sqlx::query("UPDATE idempotency_keys SET claimed_until = now() + interval '1 hour'")
        .execute(&stage.database.pool())
        .await
        .unwrap();
    let claim = stage.fresh("k", "a").await;
    assert!(matches!(stage.claim("k", "a").await, Err(ClaimError::InProgress { .. })));
    stage.run("P-1", &claim).await.unwrap();
}

async fn a_command_that_takes_longer_than_its_lease_keeps_its_key(stage: Stage) {
    let claim = stage.fresh("k", "a").await;
    stage.end_leases().await;
    let slow = stage.keys.keep_claimed(&claim, async {
        while !matches!(stage.claim_held("k").await, Some(left) if left > 0.0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stage.run("P-1", &claim).await
    });
    let done = tokio::time::timeout(Duration::from_secs(60), slow).await.expect("it is renewed");
    done.unwrap();
}

async fn what_a_dead_owner_appended_without_an_answer_is_answered_from_the_log(stage: Stage) {
    let dead = stage.fresh("k", "a").await;
    // An adapter that cannot keep the answer in the same transaction dies right after the append.
    let mut appended_only = request("P-1");
    appended_only.metadata = appended_only
        .metadata
        .with_command_id(dead.command_id())
        .with_fingerprint(dead.fingerprint());
    execute(&*stage.log, appended_only).await.unwrap();
    stage.end_leases().await;

    let heir = stage.fresh("k", "a").await;
    assert_eq!(heir.recorded().len(), 1);
    let answer = stage.run("P-1", &heir).await.unwrap();
    assert_eq!(answer.place.position, Position(1));
    assert_eq!(stage.head().await, Position(1));
}

async fn a_key_whose_answer_has_expired_still_prevents_a_second_execution(stage: Stage) {
    stage.run("P-1", &stage.fresh("k", "a").await).await.unwrap();
    let old = "UPDATE idempotency_keys SET answered_at = now() - interval '8 days'";
    sqlx::query(old).execute(&stage.database.pool()).await.unwrap();
    assert_eq!(stage.keys.forget_expired().await.unwrap(), 1);

    let Err(ClaimError::KeyExpired { stream }) = stage.claim("k", "a").await else {
        panic!("the command would run twice");
    };
    assert_eq!(stream.aggregate_id, "P-1");
    assert!(matches!(stage.claim("k", "b").await, Err(ClaimError::OtherRequest)));
}

async fn of_many_requests_with_one_key_at_once_one_executes(stage: Stage) {
    let stage = Arc::new(stage);
    let requests = (0..16).map(|_| {
        let stage = Arc::clone(&stage);
        tokio::spawn(async move {
            match stage.claim("k", "a").await {
                Ok(Claimed::Fresh(claim)) => stage.run("P-1", &claim).await.map(|_| true).unwrap(),
                Ok(Claimed::Answered(_)) | Err(ClaimError::InProgress { .. }) => false,
                Err(other) => panic!("{other}"),
            }
        })
    });
    let executed = futures::future::join_all(requests).await;
    assert_eq!(executed.into_iter().filter(|ran| *ran.as_ref().unwrap()).count(), 1);
    assert_eq!(stage.head().await, Position(1));
}

async fn commands_on_one_aggregate_from_many_at_once_take_turns_and_each_is_settled(stage: Stage) {
    execute(&*stage.log, request("P-1")).await.unwrap();
    // More than are decided again and again until they are done: without turns, those that lose too often are
    // refused.
    let reservations = (0..120_u128).map(|n| {
        let log = Arc::clone(&stage.log);
        tokio::spawn(async move {
            let command = PartCommand::ReserveGoldenSample {
                artifact_id: domain::ArtifactId(uuid::Uuid::from_u128(n)),
                media_type: domain::MediaType::Png,
                purpose: domain::GoldenPurpose {
                    usage: domain::GoldenSampleUse::Replacement,
                    view: None,
                    reason: None,
                },
                pixels_per_millimetre: None,
                now: chrono::Utc::now(),
                expires_at: chrono::Utc::now(),
            };
            let request = Request::<Part> {
                aggregate_id: "P-1".into(),
                command,
                is_new: false,
                if_match: None,
                metadata: EventMetadata::by_service("test"),
            };
            execute(&*log, request).await.unwrap().version
        })
    });
    let mut versions: Vec<_> =
        futures::future::join_all(reservations).await.into_iter().map(Result::unwrap).collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=121).collect::<Vec<_>>());
}

async fn a_command_on_a_version_that_is_no_longer_current_is_refused_with_the_current_one(
    stage: Stage,
) {
    execute(&*stage.log, request("P-1")).await.unwrap();
    let mut stale = request("P-1");
    let incarnation = stage.log.end().await.unwrap().incarnation;
    stale.if_match = Some(StreamVersion { incarnation, number: 0 });
    let error = execute(&*stage.log, stale).await.unwrap_err();
    let is_told =
        matches!(&error, ExecuteError::VersionMismatch { current } if current.number == 1);
    assert!(is_told, "{error}");
}

#[tokio::test]
async fn an_owner_that_dies_between_append_and_answer_is_answered_for_from_the_log() {
    let (stage, log) = Stage::in_two_steps().await;
    log.die_after_the_next_append();
    let dead = stage.fresh("k", "a").await;
    let owner = {
        let log = Arc::clone(&stage.log);
        tokio::spawn(async move {
            execute_once(&*log, request("P-1"), (&dead, &Reach::everywhere()), answer).await
        })
    };
    log.died().await;
    owner.abort();
    assert!(matches!(stage.claim("k", "a").await, Err(ClaimError::InProgress { .. })));

    stage.end_leases().await;
    let heir = stage.fresh("k", "a").await;
    let first = stage.run("P-1", &heir).await.unwrap();
    let Claimed::Answered(again) = stage.claim("k", "a").await.unwrap() else { panic!("not kept") };
    assert_eq!(again, first);
    assert_eq!(first.place.position, Position(1));
    assert_eq!(stage.head().await, Position(1));
}

#[tokio::test]
async fn an_owner_that_appends_after_its_heir_has_looked_does_not_make_it_execute_again() {
    let (stage, _) = Stage::in_two_steps().await;
    let slow = stage.fresh("k", "a").await;
    stage.end_leases().await;
    let heir = stage.fresh("k", "a").await;
    assert!(heir.recorded().is_empty());
    let refused = execute_once(&*stage.log, request("P-1"), (&slow, &Reach::everywhere()), answer)
        .await
        .unwrap_err();
    assert!(matches!(refused, ExecuteError::ClaimLost), "{refused}");

    let first = stage.run("P-1", &heir).await.unwrap();
    let Claimed::Answered(again) = stage.claim("k", "a").await.unwrap() else { panic!("not kept") };
    assert_eq!(again, first);
    assert_eq!(stage.head().await, Position(1));
}

#[tokio::test]
async fn a_command_whose_answer_could_not_be_kept_is_answered_and_its_retry_as_well() {
    let (stage, log) = Stage::in_two_steps().await;
    log.lose_the_next_answer();
    let claim = stage.fresh("k", "a").await;
    let first = stage.run("P-1", &claim).await.unwrap();
    // Whether its claim is given back or ends with its lease: the command is not executed again.
    stage.keys.release(&claim).await;
    let retry = stage.fresh("k", "a").await;
    assert_eq!(stage.run("P-1", &retry).await.unwrap(), first);
    assert_eq!(stage.head().await, Position(1));
}

#[tokio::test]
async fn a_key_that_could_not_be_given_back_is_in_nobodys_way_for_more_than_seconds() {
    let (stage, log) = Stage::in_two_steps().await;
    let claim = stage.fresh("k", "a").await;
    log.set_away(true);
    stage.keys.release(&claim).await;
    log.set_away(false);
    let held = stage.claim_held("k").await.expect("it was not given back");
    assert!(held <= 5.0, "for {held} s more, though nothing runs");
    match stage.claim("k", "a").await {
        Err(ClaimError::InProgress { retry_after }) => {
            assert!(retry_after <= Duration::from_secs(5));
        }
        other => assert!(matches!(other, Ok(Claimed::Fresh(_))), "{other:?}"),
    }
}

#[tokio::test]
async fn a_key_that_was_taken_over_while_the_log_was_away_is_still_answered_from_the_log() {
    let (stage, log) = Stage::in_two_steps().await;
    let claim = stage.fresh("k", "a").await;
    log.die_after_the_next_append();
    tokio::select! {
        outcome = stage.run("P-1", &claim) => panic!("it did not die: {outcome:?}"),
        () = log.died() => {}
    }
    stage.end_leases().await;
    log.set_away(true);
    assert!(matches!(stage.claim("k", "a").await, Err(ClaimError::Log(_))));
    log.set_away(false);
    let again = stage.fresh("k", "a").await;
    assert_eq!(stage.run("P-1", &again).await.unwrap().place.position, Position(1));
    assert_eq!(stage.head().await, Position(1));
}
