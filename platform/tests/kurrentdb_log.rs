//! The log in KurrentDB when things go wrong: outcomes that nobody knows, other leaders, streams that were truncated,
//! databases that are another's. A cluster in memory stands in for KurrentDB; `kurrentdb_restored.rs` puts earlier states
//! of it back.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/idempotency_stage.rs"]
#[allow(dead_code, reason = "shared with the tests of keys")]
mod idempotency_stage;
#[path = "support/kurrent_stage.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the suite of every log")]
mod kurrent_stage;
#[path = "support/two_step_log.rs"]
#[allow(dead_code, reason = "a stage may have one")]
mod two_step_log;

use std::sync::Arc;
use std::time::Duration;

use idempotency_stage::Stage;
use kurrent_stage::{Fault, KurrentStage, append, append_to, open_at, stream};
use platform::event_log::{AppendError, EventLog, EventLogError, Position};
use platform::test_support::fresh_database;
use uuid::Uuid;

async fn events_in(log: &dyn EventLog, id: &str) -> usize {
    log.read_stream(&stream(id), 0).await.unwrap().events.len()
}

/// What a sentence of an error says, whatever kind it is of.
fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[tokio::test]
async fn what_nobody_knows_of_is_asked_for_again_and_is_there_once() {
    let stage = KurrentStage::start(1).await;
    let log = stage.open().await;
    let faults = [
        Fault::TimeoutApplied,
        Fault::TimeoutNotApplied,
        Fault::CutApplied,
        Fault::CutNotApplied,
        Fault::Busy,
    ];
    for (command, fault) in (1..).zip(faults) {
        // Once where the command is noted, and once where its events are.
        for prefix in ["chipq-command-", "chipq."] {
            let id = format!("{command}{}", prefix.len());
            let command = command * 100 + prefix.len() as u128;
            stage.cluster.fail_next(prefix, &[fault]);
            let appended = log.append(append_to(&id, 0, Some(command))).await.unwrap();
            assert_eq!(appended.version, 1);
            let events = log.read_stream(&stream(&id), 0).await.unwrap().events;
            assert_eq!(events.len(), 1, "{fault:?} at {prefix}");
            assert_eq!(appended.position, Some(events[0].position));
            let found = log.read_command(Uuid::from_u128(command)).await.unwrap();
            assert_eq!(found, events);
        }
    }
    // Without a command, and again and again.
    stage.cluster.fail_next("chipq.", &[Fault::CutApplied, Fault::TimeoutApplied, Fault::Busy]);
    append(&*log, "without").await.unwrap();
    assert_eq!(events_in(&*log, "without").await, 1);
}

#[tokio::test]
async fn an_append_rides_through_a_fail_over_and_is_there_once() {
    let stage = KurrentStage::start(3).await;
    let log = stage.open().await;
    append(&*log, "before").await.unwrap();
    let before = log.end().await.unwrap();
    stage.cluster.fail_next("chipq.", &[Fault::NotLeader]);
    append(&*log, "moved").await.unwrap();

    stage.cluster.fail_next("chipq.", &[Fault::TimeoutApplied]);
    let appending = tokio::spawn({
        let log = Arc::clone(&log);
        async move { append(&*log, "died").await }
    });
    // The leader dies with what it was doing, and after a while another one leads.
    stage.cluster.kill_node(1);
    stage.cluster.elect(None);
    tokio::time::sleep(Duration::from_millis(500)).await;
    stage.cluster.elect(Some(2));
    appending.await.unwrap().unwrap();
    for id in ["before", "moved", "died"] {
        assert_eq!(events_in(&*log, id).await, 1, "{id}");
    }
    let after = log.end().await.unwrap();
    assert_ne!(after.incarnation, before.incarnation, "another life of a leader");
    log.check_place(before).await.unwrap();
}

#[tokio::test]
async fn two_processes_that_execute_one_command_append_it_once_and_one_is_told() {
    let stage = KurrentStage::start(1).await;
    let (one, other) = (stage.open().await, stage.open().await);
    for command in 1..20 {
        let id = command.to_string();
        // The payloads differ, as decisions of two processes may by their time.
        let mut second = append_to(&id, 0, Some(command));
        second.events[0].payload = serde_json::json!({ "id": "second" });
        let first = one.append(append_to(&id, 0, Some(command)));
        let (first, second) = tokio::join!(first, other.append(second));
        let outcomes = [&first, &second];
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(won, 1, "{outcomes:?}");
        let told = outcomes.into_iter().find_map(|outcome| outcome.as_ref().err()).unwrap();
        assert!(matches!(told, AppendError::DuplicateCommand { .. }), "{told}");
        assert_eq!(events_in(&*one, &id).await, 1);
    }
}

#[tokio::test]
async fn a_command_that_died_between_its_note_and_its_events_is_executed_by_whoever_comes_next() {
    let stage = KurrentStage::start(1).await;
    let log = stage.open().await;
    stage.cluster.fail_next("chipq.", &[Fault::Silent]);
    let dying = log.append(append_to("a", 0, Some(7)));
    assert!(tokio::time::timeout(Duration::from_millis(500), dying).await.is_err());
    assert_eq!(log.read_command(Uuid::from_u128(7)).await.unwrap(), [], "only begun");
    let elsewhere = stage.open().await;
    let other = elsewhere.append(append_to("b", 0, Some(7))).await.unwrap_err();
    assert!(said(other).contains("another Idempotency-Key"), "it may still come there");
    elsewhere.append(append_to("a", 0, Some(7))).await.unwrap();
    assert_eq!(events_in(&*log, "a").await, 1);
}

#[tokio::test]
async fn a_command_is_executed_once_whatever_crashes_between_append_and_answer() {
    let stage = KurrentStage::start(1).await;
    let log = stage.open().await;
    let KurrentStage { cluster, database } = stage;
    let keys = Stage::on(database, Arc::clone(&log));
    // Its owner dies with the events appended and the answer not kept.
    let claim = keys.fresh("k", "body").await;
    cluster.fail_next("chipq.", &[Fault::CutApplied, Fault::Silent]);
    let dying = keys.run("PCB-1", &claim);
    assert!(tokio::time::timeout(Duration::from_secs(1), dying).await.is_err(), "it died");
    keys.end_leases().await;
    let retry = keys.fresh("k", "body").await;
    assert_eq!(retry.recorded().len(), 1, "the retry finds what the dead owner appended");
    let answer = keys.run("PCB-1", &retry).await.unwrap();
    assert_eq!(answer.body["version"], 1);
    let end = keys.head().await;
    assert_eq!(answer.place.position, end, "nothing was appended again");
}

#[tokio::test]
async fn a_stream_that_was_truncated_or_deleted_is_refused_aloud() {
    let stage = KurrentStage::start(1).await;
    let log = stage.open().await;
    for id in ["truncated", "deleted", "gone"] {
        append(&*log, id).await.unwrap();
        log.append(append_to(id, 1, None)).await.unwrap();
    }
    let world = || stage.cluster.world();
    world().log.truncate_stream("chipq.test-truncated", 1);
    for error in [
        log.read_stream(&stream("truncated"), 0).await.unwrap_err(),
        log.read_stream_end(&stream("truncated"), 9).await.unwrap_err(),
    ] {
        assert!(matches!(error, EventLogError::Failed(_)), "{error}");
        assert!(said(&error).contains("take $maxAge, $maxCount and $tb out"), "{error}");
    }
    world().log.tombstone("chipq.test-gone");
    let error = log.read_stream(&stream("gone"), 0).await.unwrap_err();
    assert!(said(&error).contains("chipq.test-gone was deleted in KurrentDB"), "{error}");
    let error = log.append(append_to("gone", 2, None)).await.unwrap_err();
    assert!(matches!(error, AppendError::Log(EventLogError::Failed(_))), "{error}");
    world().log.delete_stream("chipq.test-deleted");
    let error = append(&*log, "deleted").await.unwrap_err();
    assert!(said(&error).contains("was deleted"), "{error}");
}

#[tokio::test]
async fn an_event_that_is_missing_within_a_page_of_the_log_is_refused_aloud() {
    let stage = KurrentStage::start(1).await;
    let log = stage.open().await;
    append(&*log, "a").await.unwrap();
    for version in 1..4 {
        log.append(append_to("a", version, None)).await.unwrap();
    }
    assert_eq!(log.read_all(Position(0), 100).await.unwrap().events.len(), 4);
    stage.cluster.world().log.lose_event("chipq.test-a", 2);
    let error = log.read_all(Position(0), 100).await.unwrap_err();
    assert!(said(&error).contains("chipq.test-a is truncated"), "{error}");
}

#[tokio::test]
async fn a_log_without_its_beginning_is_refused_at_start() {
    let stage = KurrentStage::start(1).await;
    append(&*stage.open().await, "a").await.unwrap();
    stage.cluster.world().log.truncate_stream("chipq-log", 1);
    let error = stage.try_to_open().await.err().unwrap();
    assert!(said(&error).contains("has lost its beginning") && !error.may_pass(), "{error}");
    stage.cluster.world().log.tombstone("chipq-log");
    let error = stage.try_to_open().await.err().unwrap();
    assert!(said(&error).contains("chipq-log was deleted") && !error.may_pass(), "{error}");
}

#[tokio::test]
async fn a_log_and_a_database_that_do_not_belong_together_are_refused() {
    let stage = KurrentStage::start(1).await;
    append(&*stage.open().await, "a").await.unwrap();
    // Another KurrentDB beside this database.
    let other = KurrentStage::start(1).await;
    let log = open_at(&other.cluster.url(), &stage.database).await.unwrap();
    let error = log.end().await.unwrap_err();
    assert!(said(&error).contains("belongs to the log of another KurrentDB"), "{error}");
    // The table events of this database.
    let error = platform::event_log::open(None, &stage.database.pool()).await.err().unwrap();
    assert!(said(&error).contains("is in a KurrentDB"), "{error}");
    // This KurrentDB beside a database that has a log of its own.
    let database = fresh_database().await;
    let own = platform::event_log::open(None, &database.pool()).await.unwrap();
    append(&*own, "a").await.unwrap();
    let log = open_at(&other.cluster.url(), &database).await.unwrap();
    let error = log.end().await.unwrap_err();
    assert!(said(&error).contains("has a log of its own"), "{error}");
}

#[tokio::test]
async fn whoever_is_not_let_in_is_told_at_start_and_a_server_that_comes_late_is_waited_for() {
    let stage = KurrentStage::start(1).await;
    stage.cluster.world().credentials = Some(("ops".into(), "right".into()));
    let error = stage.try_to_open().await.err().unwrap();
    assert!(said(&error).contains("does not accept the user or the password"), "{error}");
    assert!(!error.may_pass());
    stage.cluster.world().credentials = None;
    stage.cluster.world().may_append = false;
    let error = stage.try_to_open().await.err().unwrap();
    assert!(said(&error).contains("may not do this"), "{error}");
    stage.cluster.world().may_append = true;
    stage.cluster.kill_node(0);
    let cluster = stage.cluster.clone();
    let (opened, ()) = tokio::join!(stage.try_to_open(), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cluster.start_node(0).await;
    });
    append(&*opened.unwrap(), "a").await.unwrap();
}

#[tokio::test]
async fn what_others_write_into_kurrentdb_is_not_the_log() {
    let stage = KurrentStage::start(1).await;
    let log = stage.open().await;
    append(&*log, "a").await.unwrap();
    for n in 0..5 {
        stage.cluster.world().log.append_system_event("$statsCollected");
        append(&*log, &format!("b{n}")).await.unwrap();
    }
    let page = log.read_all(Position(0), 100).await.unwrap();
    assert_eq!(page.events.len(), 6);
    let middle = page.events[2].position;
    let rest = log.read_all(middle, 100).await.unwrap();
    assert_eq!(rest.events[..], page.events[3..]);
    assert_eq!(rest.head, page.events[5].position);
}
