//! A log that was restored: positions are given out again, and whoever kept one is told.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use platform::event_log::postgres::PostgresEventLog;
use platform::event_log::{
    Append, EventLog, EventLogError, EventMetadata, Incarnation, LogPlace, NewEvent, Position,
    StreamId,
};
use platform::follower::LogTail;
use platform::test_support::{DatabaseBackup, fresh_database};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);

async fn append(log: &dyn EventLog, stream: &str) -> Position {
    let event = NewEvent {
        event_type: "Happened".into(),
        event_version: "1".into(),
        payload: serde_json::json!({}),
    };
    let stream = StreamId { aggregate_type: "test".into(), aggregate_id: stream.into() };
    let append = || {
        let metadata = EventMetadata::by_service("test");
        log.append(Append::new(stream.clone(), 0, vec![event.clone()], metadata))
    };
    // What was terminated is found out by the first who uses it.
    for _ in 0..20 {
        if let Ok(appended) = append().await {
            return appended.position.unwrap();
        }
    }
    panic!("the log does not come back")
}

#[tokio::test]
async fn a_log_that_was_restored_says_which_places_still_hold() {
    let database = fresh_database().await;
    let log = PostgresEventLog::new(database.pool());
    let kept = append(&log, "a").await;
    let before = log.incarnation().await.unwrap();
    let backup = DatabaseBackup::take(&database).await;
    let lost = append(&log, "b").await;
    assert_eq!(log.incarnation().await.unwrap(), before, "nothing was given out again");
    backup.restore().await;

    let reissued = append(&log, "c").await;
    assert_eq!(reissued, lost, "the control: the position was given out again");
    let now = log.incarnation().await.unwrap();
    assert_ne!(now, before);
    assert_eq!(log.read_all(Position(0), 10).await.unwrap().incarnation, now);
    let check = |incarnation, position| log.check_place(LogPlace { incarnation, position });
    check(before, kept).await.unwrap();
    check(now, reissued).await.unwrap();
    let told = check(before, lost).await.unwrap_err();
    assert!(matches!(told, EventLogError::Reissued { after } if after == kept), "{told}");
    let told = check(Incarnation(Uuid::nil()), kept).await.unwrap_err();
    assert!(matches!(told, EventLogError::Reissued { after: Position(0) }), "nobody can tell");
}

#[tokio::test]
async fn a_follower_that_had_read_what_was_lost_is_told_and_another_one_skips_nothing() {
    let database = fresh_database().await;
    let log: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(database.pool()));
    append(&*log, "a").await;
    let backup = DatabaseBackup::take(&database).await;
    let tail = LogTail::new(Arc::clone(&log));
    append(&*log, "b").await;
    let lost = append(&*log, "c").await;
    let (mut past, mut before) = (tail.follow(Position(0)), tail.follow(Position(0)));
    while past.position() < lost {
        past.next_page(10).await.unwrap();
    }
    before.next_page(1).await.unwrap();
    backup.restore().await;

    let reading = async {
        loop {
            // The first to use what was terminated is told that, too.
            match past.next_page(10).await {
                Err(EventLogError::Reissued { after }) => return after,
                Err(EventLogError::Unavailable(_)) => {}
                other => panic!("it goes on as if nothing had happened: {other:?}"),
            }
        }
    };
    let after = tokio::time::timeout(PATIENCE, reading).await.expect("it is not told");
    assert_eq!(after, Position(1));
    for stream in ["d", "e"] {
        append(&*log, stream).await;
    }
    let mut streams = Vec::new();
    while streams.len() < 2 {
        let page = before.next_page(10).await.unwrap();
        streams.extend(page.events.into_iter().map(|event| event.stream.aggregate_id));
    }
    assert_eq!(streams, ["d", "e"], "neither what was lost, nor less than what there is");
}

#[tokio::test]
async fn an_incarnation_can_be_begun_by_hand() {
    let database = fresh_database().await;
    let log = PostgresEventLog::new(database.pool());
    append(&log, "a").await;
    let before = log.incarnation().await.unwrap();
    let begun: Uuid = sqlx::query_scalar("SELECT begin_log_incarnation()")
        .fetch_one(&database.pool())
        .await
        .unwrap();
    // A session stays in the one that it began in; those that begin later are in the new one.
    let config = platform::postgres::DatabaseConfig::from_url(database.url());
    let elsewhere = platform::postgres::connect(&config);
    let elsewhere = PostgresEventLog::new(elsewhere.await.unwrap());
    assert_eq!(elsewhere.incarnation().await.unwrap(), Incarnation(begun));
    assert_ne!(begun, before.0);
}
