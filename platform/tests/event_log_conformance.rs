//! What every adapter of the event log must do. The PostgreSQL adapter is the first to be held to it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use platform::event_log::postgres::PostgresEventLog;
use platform::event_log::{
    Append, AppendError, EventLog, EventMetadata, NewEvent, Position, StreamId,
};
use platform::follower::LogTail;
use platform::test_support::{TestDatabase, fresh_database};
use serde_json::json;
use uuid::Uuid;

async fn log() -> (TestDatabase, Arc<dyn EventLog>) {
    let database = fresh_database().await;
    let log = Arc::new(PostgresEventLog::new(database.pool()));
    (database, log)
}

fn stream(id: &str) -> StreamId {
    StreamId { aggregate_type: "test".into(), aggregate_id: id.into() }
}

fn append(id: &str, expected_version: u64, events: usize) -> Append {
    let event = |n| NewEvent {
        event_type: "Happened".into(),
        event_version: "1".into(),
        payload: json!({ "n": n }),
    };
    Append {
        stream: stream(id),
        expected_version,
        events: (0..events).map(event).collect(),
        metadata: EventMetadata::by_service("test"),
        completion: None,
    }
}

#[tokio::test]
async fn a_stream_gives_back_what_was_appended_in_order() {
    let (_database, log) = log().await;
    let mut first = append("a", 0, 3);
    first.metadata.command_id = Some(Uuid::from_u128(1));
    first.metadata.traceparent = Some("00-trace".into());
    let appended = log.append(first).await.unwrap();
    assert_eq!((appended.version, appended.position), (3, Some(Position(3))));

    let events = log.read_stream(&stream("a"), 0).await.unwrap();
    let numbers: Vec<_> = events.iter().map(|e| (e.sequence, e.payload["n"].as_u64())).collect();
    assert_eq!(numbers, [(1, Some(0)), (2, Some(1)), (3, Some(2))]);
    assert!(events.iter().all(|e| e.metadata.traceparent.as_deref() == Some("00-trace")));
    assert!(events.iter().all(|e| e.command_id == Some(Uuid::from_u128(1))));
    assert_eq!(log.read_stream(&stream("a"), 2).await.unwrap().len(), 1);
    assert_eq!(log.read_stream(&stream("b"), 0).await.unwrap(), []);
}

#[tokio::test]
async fn an_append_on_another_version_is_a_conflict_whether_behind_or_ahead() {
    let (_database, log) = log().await;
    log.append(append("a", 0, 2)).await.unwrap();
    for expected in [0, 1, 3] {
        let error = log.append(append("a", expected, 1)).await.unwrap_err();
        assert!(matches!(error, AppendError::Conflict { .. }), "{expected}: {error}");
    }
    assert_eq!(log.head().await.unwrap(), Position(2));
}

#[tokio::test]
async fn of_many_appenders_on_one_version_exactly_one_wins() {
    let (_database, log) = log().await;
    let attempts = (0..8).map(|_| {
        let log = Arc::clone(&log);
        tokio::spawn(async move { log.append(append("a", 0, 2)).await })
    });
    let outcomes = futures::future::join_all(attempts).await;
    let won = outcomes.iter().filter(|outcome| outcome.as_ref().unwrap().is_ok()).count();
    assert_eq!(won, 1);
    assert_eq!(log.read_stream(&stream("a"), 0).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_command_is_appended_once_even_to_another_stream() {
    let (_database, log) = log().await;
    let command = |id: &str| {
        let mut append = append(id, 0, 2);
        append.metadata.command_id = Some(Uuid::from_u128(9));
        append
    };
    log.append(command("a")).await.unwrap();
    let error = log.append(command("b")).await.unwrap_err();
    assert!(matches!(error, AppendError::DuplicateCommand { .. }), "{error}");
    assert_eq!(log.read_stream(&stream("b"), 0).await.unwrap(), []);
    assert_eq!(log.read_command(Uuid::from_u128(9)).await.unwrap().len(), 2);
    assert_eq!(log.read_command(Uuid::from_u128(8)).await.unwrap(), []);
}

#[tokio::test]
async fn pages_of_the_log_join_without_gap_or_overlap() {
    let (_database, log) = log().await;
    for n in 0..7 {
        log.append(append(&n.to_string(), 0, 3)).await.unwrap();
    }
    let (mut after, mut positions) = (Position(0), Vec::new());
    loop {
        let page = log.read_all(after, 4).await.unwrap();
        assert_eq!(page.head, Position(21));
        if page.events.is_empty() {
            break;
        }
        after = page.up_to;
        positions.extend(page.events.iter().map(|event| event.position.0));
    }
    assert_eq!(positions, (1..=21).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_follower_is_woken_by_an_append_here_or_in_another_process() {
    let (database, log) = log().await;
    let elsewhere = PostgresEventLog::new(database.pool());
    let mut follow = LogTail::new(Arc::clone(&log)).follow(Position(0));
    for (n, appender) in [(1, &*log as &dyn EventLog), (2, &elsewhere)] {
        let waiting = tokio::spawn(async move {
            let page = follow.next_page(10).await.unwrap();
            (follow, page)
        });
        tokio::task::yield_now().await;
        appender.append(append(&n.to_string(), 0, 1)).await.unwrap();
        let (back, page) =
            tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
        follow = back;
        assert_eq!(page.up_to, Position(n));
        assert_eq!(follow.position(), Position(n));
    }
}

#[tokio::test]
async fn a_database_that_is_away_makes_the_log_unavailable_and_appends_nothing() {
    let (database, log) = log().await;
    database.pool().close().await;
    let error = log.append(append("a", 0, 1)).await.unwrap_err();
    let unavailable = |e: &platform::event_log::EventLogError| {
        matches!(e, platform::event_log::EventLogError::Unavailable(_))
    };
    assert!(matches!(&error, AppendError::Log(e) if unavailable(e)), "{error}");
    assert!(unavailable(&log.read_all(Position(0), 1).await.unwrap_err()));
}
