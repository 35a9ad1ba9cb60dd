//! Appends that share a transaction: nobody fails or waits for a neighbour's sake, and one round trip carries many.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use platform::event_log::postgres::PostgresEventLog;
use platform::event_log::{
    Answer, Append, AppendError, EventLog, EventLogError, EventMetadata, KeyedAnswer, LogPlace,
    NewEvent, RequestKey, StreamId,
};
use platform::test_support::fresh_database;
use serde_json::json;
use uuid::Uuid;

fn stream(id: &str) -> StreamId {
    StreamId { aggregate_type: "test".into(), aggregate_id: id.into() }
}

fn append(id: &str) -> Append {
    let event = NewEvent {
        event_type: "Happened".into(),
        event_version: "1".into(),
        payload: json!({}),
        labels: domain::EventLabels::default(),
    };
    Append::new(stream(id), 0, vec![event], EventMetadata::by_service("test"))
}

fn request_key(key: &str) -> RequestKey {
    let (principal, key) = ("demo".to_owned(), key.to_owned());
    RequestKey { principal, key, fingerprint: [7; 32], claim_id: Uuid::new_v4() }
}

fn answer(key: &str) -> KeyedAnswer {
    let answer =
        Answer { status: 201, headers: vec![], body: json!({}), place: LogPlace::default() };
    KeyedAnswer::new(request_key(key), move |_| answer.clone())
}

#[tokio::test]
async fn an_answer_that_cannot_be_made_fails_its_own_append_only() {
    let database = fresh_database().await;
    let log = Arc::new(PostgresEventLog::new(database.pool()));
    let panicking = KeyedAnswer::new(request_key("k"), |_| panic!("it cannot be made"));
    let mut appends: Vec<_> = (0..20).map(|n| append(&format!("good-{n}"))).collect();
    appends.insert(10, append("bad").keeping(panicking));
    let told = join_all(appends.into_iter().map(|append| log.append(append))).await;
    for (n, told) in told.iter().enumerate() {
        assert_eq!(told.is_ok(), n != 10, "{n}: {told:?}");
    }
    assert!(log.read_stream(&stream("bad"), 0).await.unwrap().events.is_empty());
    log.append(append("after")).await.unwrap();
}

#[tokio::test]
async fn whoever_waits_for_another_process_waits_alone() {
    let database = fresh_database().await;
    let pool = database.pool();
    let log = Arc::new(PostgresEventLog::new(pool.clone()));
    // Another process holds a key and stands still.
    let mut elsewhere = pool.begin().await.unwrap();
    sqlx::query(
        "INSERT INTO idempotency_keys (principal, key, fingerprint, claim, claimed_until)
         VALUES ('demo', 'k', '', gen_random_uuid(), now())",
    )
    .execute(&mut *elsewhere)
    .await
    .unwrap();
    // More of them than a pool has connections.
    let waiting: Vec<_> = (0..40)
        .map(|n| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                log.append(append(&format!("waits-{n}")).keeping(answer("k"))).await
            })
        })
        .collect();
    let others = join_all((0..20).map(|n| {
        let log = Arc::clone(&log);
        async move {
            let key = format!("key-{n}");
            log.append(append(&format!("other-{n}")).keeping(answer(&key))).await
        }
    }));
    let told = tokio::time::timeout(Duration::from_secs(20), others).await.expect("they go on");
    assert!(told.iter().all(Result::is_ok), "{told:?}");
    for waiting in waiting {
        let told = waiting.await.unwrap();
        let is_to_come_again =
            matches!(&told, Err(AppendError::Log(EventLogError::Unavailable(_))));
        assert!(is_to_come_again, "{told:?}");
    }
    elsewhere.rollback().await.unwrap();
    log.append(append("comes-again").keeping(answer("k"))).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_stored_fails_alone() {
    let database = fresh_database().await;
    let log = Arc::new(PostgresEventLog::new(database.pool()));
    let mut bad = append("bad");
    // PostgreSQL keeps no such character.
    bad.events[0].payload = json!({ "text": "\u{0}" });
    let appends = [append("one"), bad, append("two")];
    let told = join_all(appends.map(|append| log.append(append))).await;
    assert!(told[0].is_ok() && told[2].is_ok(), "{told:?}");
    assert!(matches!(told[1], Err(AppendError::Log(_))), "{told:?}");
}

#[tokio::test]
async fn whoever_stops_waiting_stops_nobodys_append() {
    let database = fresh_database().await;
    let log = Arc::new(PostgresEventLog::new(database.pool()));
    let left = log.append(append("left"));
    let (left, stayed) = (left, log.append(append("stayed")));
    assert!(tokio::time::timeout(Duration::ZERO, left).await.is_err());
    stayed.await.unwrap();
    let events = log.read_stream(&stream("left"), 0).await.unwrap().events;
    assert_eq!(events.len(), 1, "it was given to the log");
}
