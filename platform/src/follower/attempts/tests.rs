//! The ledger on a real PostgreSQL; a process that dies is one whose ledger is dropped unsaved.

use futures::FutureExt as _;

use super::*;
use crate::test_support::{TestDatabase, fresh_database};

const WORK: Uuid = Uuid::from_u128(7);

fn ledger(database: &TestDatabase) -> AttemptLedger {
    AttemptLedger::new(database.pool(), "test")
}

async fn kept(database: &TestDatabase) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM follower_attempts")
        .fetch_one(&database.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn what_ends_leaves_nothing_behind_and_what_does_not_is_counted_across_processes() {
    let database = fresh_database().await;
    for _ in 0..3 {
        let ledger = ledger(&database);
        let attempt = ledger.begin(WORK).await.unwrap();
        assert_eq!((attempt.unended_before(), kept(&database).await), (0, 1));
        drop(attempt);
        ledger.save_ended().await;
        assert_eq!(kept(&database).await, 0);
    }
    for died in 0..3 {
        let attempt = ledger(&database).begin(WORK).await.unwrap();
        assert_eq!(attempt.unended_before(), died);
    }
}

#[tokio::test]
async fn what_is_being_saved_when_that_is_given_up_is_saved_by_whoever_saves_next() {
    let database = fresh_database().await;
    let ledger = ledger(&database);
    drop(ledger.begin(WORK).await.unwrap());
    // As when the reactor ends in the middle of it.
    assert!(ledger.save_ended().now_or_never().is_none());
    ledger.save_ended().await;
    assert_eq!(kept(&database).await, 0);
}

#[tokio::test]
async fn trying_again_before_the_end_was_saved_is_not_counted() {
    let database = fresh_database().await;
    let ledger = ledger(&database);
    for _ in 0..3 {
        assert_eq!(ledger.begin(WORK).await.unwrap().unended_before(), 0);
    }
}

#[tokio::test]
async fn one_suspect_at_a_time_is_tried_and_others_need_not_wait() {
    let database = fresh_database().await;
    let (one, two, fresh) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
    let died = ledger(&database);
    drop((died.begin(one).await.unwrap(), died.begin(two).await.unwrap()));
    let ledger = ledger(&database);
    let first = ledger.begin(one).await.unwrap();
    let mut second = Box::pin(ledger.begin(two));
    tokio::select! {
        _ = &mut second => panic!("two suspects at a time"),
        other = ledger.begin(fresh) => assert_eq!(other.unwrap().unended_before(), 0),
    }
    assert!((&mut second).now_or_never().is_none());
    drop(first);
    assert_eq!(second.await.unwrap().unended_before(), 1, "waiting is no attempt");
}

/// Several pieces of work kill, each beside the same innocent one.
#[tokio::test]
async fn what_was_only_beside_those_that_kill_is_tried_alone_before_it_is_given_up() {
    let database = fresh_database().await;
    for died in 0..2 {
        let ledger = ledger(&database);
        let innocent = ledger.begin(WORK).await.unwrap();
        let deadly = ledger.begin(Uuid::from_u128(100 + u128::from(died))).await.unwrap();
        assert_eq!((innocent.unended_before(), deadly.unended_before()), (died, 0));
    }
    let ledger = ledger(&database);
    let (beside, later) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let beside = ledger.begin(beside).await.unwrap();
    let mut innocent = Box::pin(ledger.begin(WORK));
    let wait = Duration::from_millis(100);
    assert!(tokio::time::timeout(wait, &mut innocent).await.is_err(), "something is beside it");
    assert_eq!(kept(&database).await, 4, "waiting is no attempt");
    drop(beside);
    let innocent = innocent.await.unwrap();
    assert_eq!(innocent.unended_before(), 2);
    let mut later = Box::pin(ledger.begin(later));
    assert!(tokio::time::timeout(wait, &mut later).await.is_err(), "it is alone");
    drop(innocent);
    assert_eq!(later.await.unwrap().unended_before(), 0);
    ledger.save_ended().await;
    let again = ledger.begin(WORK).await.unwrap();
    assert_eq!(again.unended_before(), 0, "what ends is no suspect any more");
}

/// Work that hangs, alone or beside what is to be alone.
#[tokio::test]
async fn nothing_waits_for_ever_to_be_alone_nor_for_what_is() {
    let database = fresh_database().await;
    for _ in 0..2 {
        drop(ledger(&database).begin(WORK).await.unwrap());
    }
    let impatient = || AttemptLedger { alone_max: Duration::from_millis(50), ..ledger(&database) };
    let (beside, later) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let ledger = impatient();
    let hanging = ledger.begin(beside).await.unwrap();
    let suspect = ledger.begin(WORK).await.unwrap();
    assert!(matches!(suspect._room, Room::Unheld), "it waited long enough");
    drop((hanging, suspect));

    let ledger = impatient();
    let hanging = ledger.begin(WORK).await.unwrap();
    assert!(matches!(hanging._room, Room::Alone { .. }));
    let others = ledger.begin(later).await.unwrap();
    assert!(matches!(others._room, Room::Unheld), "it waited long enough");
}

#[tokio::test]
async fn an_end_that_is_saved_late_does_not_forget_an_attempt_of_another_process() {
    let database = fresh_database().await;
    let (cut_off, other) = (ledger(&database), ledger(&database));
    let first = cut_off.begin(WORK).await.unwrap();
    let second = other.begin(WORK).await.unwrap();
    drop(first);
    cut_off.save_ended().await;
    assert_eq!(kept(&database).await, 1);
    drop(second);
    other.save_ended().await;
    assert_eq!(kept(&database).await, 0);
}

#[tokio::test]
async fn what_nobody_has_tried_again_for_long_is_forgotten() {
    let database = fresh_database().await;
    drop(ledger(&database).begin(WORK).await.unwrap());
    let ledger = ledger(&database);
    ledger.forget_old().await.unwrap();
    assert_eq!(kept(&database).await, 1);
    sqlx::query("UPDATE follower_attempts SET begun_at = begun_at - interval '31 days'")
        .execute(&database.pool())
        .await
        .unwrap();
    ledger.forget_old().await.unwrap();
    assert_eq!(kept(&database).await, 0);
}
