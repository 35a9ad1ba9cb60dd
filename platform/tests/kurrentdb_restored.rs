//! A log in KurrentDB that was put back to an earlier state, beside a database that was not, and the other way round:
//! whoever kept a place is told, and what the database knows of what is lost goes back with the log. A cluster in memory
//! stands in for KurrentDB.

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
use kurrent_stage::{KurrentStage, append};
use platform::event_log::{EventLogError, LogPlace, Position};
use platform::follower::LogTail;
use sqlx::Executor as _;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_log_that_was_put_back_says_which_places_still_hold() {
    let stage = KurrentStage::start(1).await;
    let log = stage.open().await;
    let kept = append(&*log, "a").await.unwrap().position.unwrap();
    let before = log.end().await.unwrap().incarnation;
    let backup = stage.cluster.back_up();
    let lost = append(&*log, "b").await.unwrap().position.unwrap();
    let tail = LogTail::new(Arc::clone(&log));
    let mut past = tail.follow(Position(0));
    while past.position() < lost {
        past.next_page(10).await.unwrap();
    }
    stage.cluster.put_back(backup).await;

    // It comes past what was lost before anybody looks.
    for id in ["c", "d", "e"] {
        append(&*log, id).await.unwrap();
    }
    let now = log.end().await.unwrap();
    assert!(now.position > lost && now.incarnation != before, "the control");
    let check = |incarnation, position| log.check_place(LogPlace { incarnation, position });
    check(before, kept).await.unwrap();
    check(now.incarnation, now.position).await.unwrap();
    let told = check(before, lost).await.unwrap_err();
    assert!(matches!(told, EventLogError::Reissued { after } if after == kept), "{told}");

    let reading = async {
        loop {
            match past.next_page(10).await {
                Err(EventLogError::Unavailable(_)) => {}
                told => return told,
            }
        }
    };
    let told = tokio::time::timeout(PATIENCE, reading).await.expect("it is not told");
    assert!(matches!(told, Err(EventLogError::Reissued { .. })), "{told:?}");
    let mut again = tail.follow(kept);
    let mut read = Vec::new();
    while read.len() < 3 {
        let page = again.next_page(10).await.unwrap();
        read.extend(page.events.iter().map(|event| event.stream.aggregate_id.clone()));
    }
    assert_eq!(read, ["c", "d", "e"], "nothing of what is lost, and nothing is passed over");
}

#[tokio::test]
async fn what_followers_knew_of_what_is_lost_goes_back_with_the_log() {
    let stage = KurrentStage::start(1).await;
    let log = stage.open().await;
    let kept = append(&*log, "a").await.unwrap().position.unwrap();
    let backup = stage.cluster.back_up();
    let lost = append(&*log, "b").await.unwrap().position.unwrap();
    let pool = stage.database.pool();
    let lease = "INSERT INTO follower_leases (follower, partition, epoch, position) VALUES ('f', $1, 5, $2)";
    for (partition, position) in [(0, kept), (1, lost)] {
        sqlx::query(lease).bind(partition).bind(position.0).execute(&pool).await.unwrap();
    }
    let checkpoint = "INSERT INTO projection_checkpoints (projection, generation, status, schema_version, position)
                      VALUES ($1, 1, 'serving', 1, $2)";
    for (name, position) in [("kept", kept), ("lost", lost)] {
        sqlx::query(checkpoint).bind(name).bind(position.0).execute(&pool).await.unwrap();
    }
    stage.cluster.put_back(backup).await;
    for id in ["c", "d", "e"] {
        append(&*log, id).await.unwrap();
    }
    assert!(log.head().await.unwrap() > lost, "the control: the number alone says nothing");
    while pool.execute("SELECT 1").await.is_err() {}
    let leases: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT epoch, position FROM follower_leases WHERE follower = 'f' ORDER BY partition",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(leases, [(6, kept.0), (6, kept.0)]);
    let lost_after: Vec<(String, Option<i64>)> = sqlx::query_as(
        "SELECT projection, log_lost_after FROM projection_checkpoints ORDER BY projection",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(lost_after, [("kept".into(), None), ("lost".into(), Some(kept.0))]);
}

#[tokio::test]
async fn an_answer_whose_events_are_lost_is_not_given_again() {
    let stage = KurrentStage::start(1).await;
    let log = stage.open().await;
    append(&*log, "a").await.unwrap();
    let backup = stage.cluster.back_up();
    let KurrentStage { cluster, database } = stage;
    let keys = Stage::on(database, Arc::clone(&log));
    let claim = keys.fresh("k", "body").await;
    keys.run("PCB-1", &claim).await.unwrap();
    let replayed = keys.claim("k", "body").await.unwrap();
    assert!(matches!(replayed, platform::idempotency::Claimed::Answered(_)), "the control");
    cluster.put_back(backup).await;
    append(&*log, "c").await.unwrap();
    let claim = loop {
        match keys.claim("k", "body").await {
            Ok(platform::idempotency::Claimed::Fresh(claim)) => break claim,
            Ok(answered) => panic!("it says what is lost: {answered:?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    keys.run("PCB-1", &claim).await.unwrap();
    let parts = log.read_command(claim.command_id()).await.unwrap();
    assert_eq!(parts.len(), 1, "executed anew, once");
}

#[tokio::test]
async fn a_database_that_is_started_again_fences_off_and_every_place_stands() {
    let stage = KurrentStage::start(1).await;
    let log = stage.open().await;
    append(&*log, "a").await.unwrap();
    let before = log.end().await.unwrap();
    let pool = stage.database.pool();
    sqlx::query(
        "INSERT INTO follower_leases (follower, partition, epoch, position) VALUES ('f', 0, 5, $1)",
    )
    .bind(before.position.0)
    .execute(&pool)
    .await
    .unwrap();
    platform::test_support::put_copy_back(&stage.database, Position(1)).await;
    // A session that is gone remembers its incarnation until it is used: at most a second.
    while pool.execute("SELECT 1").await.is_err() {}
    let after = loop {
        match log.end().await {
            Ok(end) => break end,
            Err(EventLogError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    };
    assert_ne!(after.incarnation, before.incarnation);
    assert_eq!(after.position, before.position);
    log.check_place(before).await.unwrap();
    let lease: (i64, i64) =
        sqlx::query_as("SELECT epoch, position FROM follower_leases WHERE follower = 'f'")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(lease, (6, before.position.0));
}
