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
use platform::test_support::{DatabaseBackup, cut_log, fresh_database, put_copy_back};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);

async fn append(log: &dyn EventLog, stream: &str) -> Position {
    let event = NewEvent {
        event_type: "Happened".into(),
        event_version: "1".into(),
        payload: serde_json::json!({}),
        labels: domain::EventLabels::default(),
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
    let before = log.end().await.unwrap().incarnation;
    let backup = DatabaseBackup::take(&database).await;
    let lost = append(&log, "b").await;
    assert_eq!(log.end().await.unwrap().incarnation, before, "nothing was given out again");
    backup.restore().await;

    let reissued = append(&log, "c").await;
    assert_eq!(reissued, lost, "the control: the position was given out again");
    let now = log.end().await.unwrap().incarnation;
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
        streams.extend(page.events.iter().map(|event| event.stream.aggregate_id.clone()));
    }
    assert_eq!(streams, ["d", "e"], "neither what was lost, nor less than what there is");
}

#[tokio::test]
async fn an_incarnation_can_be_begun_by_hand() {
    let database = fresh_database().await;
    let log = PostgresEventLog::new(database.pool());
    append(&log, "a").await;
    let before = log.end().await.unwrap().incarnation;
    let begun: Uuid = sqlx::query_scalar("SELECT begin_log_incarnation()")
        .fetch_one(&database.pool())
        .await
        .unwrap();
    // A session stays in the one that it began in; those that begin later are in the new one.
    let config = platform::postgres::DatabaseConfig::from_url(database.url());
    let elsewhere = platform::postgres::connect(&config);
    let elsewhere = PostgresEventLog::new(elsewhere.await.unwrap());
    assert_eq!(elsewhere.end().await.unwrap().incarnation, Incarnation(begun));
    assert_ne!(begun, before.0);
}

#[tokio::test]
async fn a_copy_that_is_put_back_is_another_incarnation_without_anybody_saying_so() {
    let database = fresh_database().await;
    let log: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(database.pool()));
    let kept = append(&*log, "a").await;
    let before = log.end().await.unwrap();
    let tail = LogTail::new(Arc::clone(&log));
    let lost = append(&*log, "b").await;
    let mut past = tail.follow(Position(0));
    while past.position() < lost {
        past.next_page(10).await.unwrap();
    }
    put_copy_back(&database, kept).await;

    // The log comes past what was lost before anybody looks at its end.
    let streams = ["c", "d", "e"];
    for stream in streams {
        append(&*log, stream).await;
    }
    let told = loop {
        match past.next_page(10).await {
            Err(EventLogError::Unavailable(_)) => {}
            other => break other,
        }
    };
    assert!(
        matches!(told, Err(EventLogError::Reissued { after }) if after == kept),
        "it goes on as if nothing had happened: {told:?}"
    );
    log.check_place(before).await.unwrap();
    let check = log.check_place(LogPlace { position: lost, ..before }).await.unwrap_err();
    assert!(matches!(check, EventLogError::Reissued { after } if after == kept), "{check}");
    let mut again = tail.follow(kept);
    let mut read = Vec::new();
    while read.len() < streams.len() {
        let page = again.next_page(10).await.unwrap();
        read.extend(page.events.iter().map(|event| event.stream.aggregate_id.clone()));
    }
    assert_eq!(read, streams, "nothing of what is lost, and nothing is passed over");
}

#[tokio::test]
async fn whoever_sees_the_log_end_before_what_was_read_forgets_it() {
    let database = fresh_database().await;
    let log: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(database.pool()));
    let kept = append(&*log, "a").await;
    append(&*log, "b").await;
    let lost = append(&*log, "c").await;
    let tail = LogTail::new(Arc::clone(&log));
    let mut past = tail.follow(Position(0));
    while past.position() < lost {
        past.next_page(10).await.unwrap();
    }
    cut_log(&database, kept).await;
    let reading = tokio::time::timeout(PATIENCE, past.next_page(10));
    let told = reading.await.expect("it is not told").unwrap_err();
    let EventLogError::EndsBefore { end, place } = told else { panic!("{told}") };
    assert_eq!((end, place), (kept, lost));
    let beyond = tail.follow(lost).next_page(10).await.unwrap_err();
    assert!(matches!(beyond, EventLogError::EndsBefore { .. }), "{beyond}");
    append(&*log, "d").await;
    let page = tail.follow(kept).next_page(10).await.unwrap();
    assert_eq!(page.events.len(), 1);
    assert_eq!(page.events[0].stream.aggregate_id, "d");
}

#[tokio::test]
async fn another_incarnation_fences_off_and_puts_back_what_is_beyond_the_log() {
    let database = fresh_database().await;
    let (log, pool) = (PostgresEventLog::new(database.pool()), database.pool());
    let end = append(&log, "a").await;
    let lease = "INSERT INTO follower_leases (follower, partition, epoch, position) VALUES ('f', $1, 5, $2)";
    for (partition, position) in [(0, end.0), (1, end.0 + 7)] {
        sqlx::query(lease).bind(partition).bind(position).execute(&pool).await.unwrap();
    }
    sqlx::query("SELECT begin_log_incarnation()").execute(&pool).await.unwrap();
    let leases: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT epoch, position FROM follower_leases WHERE follower = 'f' ORDER BY partition",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(leases, [(6, end.0), (6, 0)], "what may have been passed over is done again");
}
