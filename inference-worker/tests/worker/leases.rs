//! Leases on a real PostgreSQL, stepped: time passes when a test says so.

use std::time::Duration;

use inference_worker::worker::lease::{Lease, Leases};
use inference_worker::worker::{PARTITIONS, Partition};
use platform::event_log::Position;
use platform::test_support::{TestDatabase, fresh_database};
use sqlx::Executor as _;

const ALL: usize = PARTITIONS as usize;

fn worker(database: &TestDatabase) -> Leases {
    Leases::new(database.pool(), Duration::from_secs(3_600), None)
}

/// Every lease and every sign of life is older than it may be.
async fn time_passes(database: &TestDatabase) {
    for table in ["worker_leases", "worker_members"] {
        let statement = format!("UPDATE {table} SET expires_at = now() - interval '1 second'");
        database.pool().execute(statement.as_str()).await.unwrap();
    }
}

async fn position(database: &TestDatabase, partition: Partition) -> i64 {
    sqlx::query_scalar("SELECT position FROM worker_leases WHERE partition = $1")
        .bind(i16::try_from(partition.0).unwrap())
        .fetch_one(&database.pool())
        .await
        .unwrap()
}

fn at(lease: Lease, position: i64) -> Lease {
    Lease { position: Position(position), ..lease }
}

#[tokio::test]
async fn a_partition_has_one_owner_and_the_first_worker_takes_all() {
    let database = fresh_database().await;
    let (one, two) = (worker(&database), worker(&database));
    assert_eq!(one.renew().await.unwrap().fair, ALL);
    assert_eq!(one.acquire(ALL).await.unwrap().len(), ALL);
    assert_eq!(two.renew().await.unwrap().fair, ALL / 2);
    assert_eq!(two.acquire(ALL).await.unwrap(), []);
    let renewed = one.renew().await.unwrap();
    assert_eq!((renewed.held.len(), renewed.fair), (ALL, ALL / 2));
}

#[tokio::test]
async fn a_fenced_owner_moves_no_checkpoint_and_gives_nothing_back() {
    let database = fresh_database().await;
    let (old, new) = (worker(&database), worker(&database));
    old.renew().await.unwrap();
    let stale = old.acquire(1).await.unwrap()[0];
    old.save_positions(&[at(stale, 10)]).await.unwrap();
    time_passes(&database).await;
    new.renew().await.unwrap();
    let taken = new.acquire(1).await.unwrap()[0];
    assert_eq!((taken.partition, taken.position), (stale.partition, Position(10)));
    assert!(taken.epoch > stale.epoch);

    old.save_positions(&[at(stale, 99)]).await.unwrap();
    old.save_positions(&[Lease { epoch: taken.epoch, ..at(stale, 99) }]).await.unwrap();
    old.release(&[at(stale, 99)]).await.unwrap();
    assert_eq!(position(&database, stale.partition).await, 10);
    assert_eq!(old.renew().await.unwrap().held, [], "it learns that it was lost");
    assert_eq!(new.renew().await.unwrap().held, [taken], "and the new owner keeps it");
}

#[tokio::test]
async fn an_owner_that_takes_its_own_lease_again_is_fenced_off_from_before() {
    let database = fresh_database().await;
    let worker = worker(&database);
    worker.renew().await.unwrap();
    let before = worker.acquire(1).await.unwrap()[0];
    time_passes(&database).await;
    let again = worker.acquire(1).await.unwrap()[0];
    assert_eq!(again.partition, before.partition);
    worker.save_positions(&[at(before, 99)]).await.unwrap();
    assert_eq!(position(&database, before.partition).await, 0);
}

#[tokio::test]
async fn a_checkpoint_moves_forward_only() {
    let database = fresh_database().await;
    let worker = worker(&database);
    worker.renew().await.unwrap();
    let lease = worker.acquire(1).await.unwrap()[0];
    for (saved, expected) in [(7, 7), (5, 7), (9, 9)] {
        worker.save_positions(&[at(lease, saved)]).await.unwrap();
        assert_eq!(position(&database, lease.partition).await, expected);
    }
    worker.release(&[at(lease, 3)]).await.unwrap();
    assert_eq!(position(&database, lease.partition).await, 9);
    assert_eq!(worker.acquire(1).await.unwrap()[0].position, Position(9));
}

#[tokio::test]
async fn what_is_given_back_is_free_at_once_and_who_leaves_has_no_share() {
    let database = fresh_database().await;
    let (one, two) = (worker(&database), worker(&database));
    one.renew().await.unwrap();
    two.renew().await.unwrap();
    let held = one.acquire(ALL).await.unwrap();
    one.leave_group().await.unwrap();
    one.release(&held[..3]).await.unwrap();
    assert_eq!(two.renew().await.unwrap().fair, ALL);
    assert_eq!(two.acquire(ALL).await.unwrap().len(), 3);
    one.release(&held).await.unwrap();
    assert_eq!(two.acquire(ALL).await.unwrap().len(), ALL - 3);
}

#[tokio::test]
async fn a_worker_that_shows_no_sign_of_life_has_no_share_and_one_that_comes_back_has() {
    let database = fresh_database().await;
    let (silent, other) = (worker(&database), worker(&database));
    silent.renew().await.unwrap();
    time_passes(&database).await;
    assert_eq!(other.renew().await.unwrap().fair, ALL);
    assert_eq!(silent.renew().await.unwrap().fair, ALL / 2);
    assert_eq!(other.renew().await.unwrap().fair, ALL / 2);
}

#[tokio::test]
async fn many_workers_at_once_take_every_partition_once() {
    let database = fresh_database().await;
    let workers: Vec<_> = (0..6).map(|_| worker(&database)).collect();
    futures::future::join_all(workers.iter().map(Leases::renew)).await;
    let taken = futures::future::join_all(workers.iter().map(|worker| worker.acquire(5))).await;
    let mut partitions: Vec<_> =
        taken.into_iter().flatten().flatten().map(|lease| lease.partition).collect();
    partitions.sort_unstable();
    let before = partitions.len();
    partitions.dedup();
    assert_eq!(partitions.len(), before, "no partition was taken twice");
}

#[tokio::test]
async fn a_worker_of_the_same_name_takes_up_what_it_left_and_fences_its_past_off() {
    let database = fresh_database().await;
    let named = || Leases::new(database.pool(), Duration::from_secs(3_600), Some("pod-1"));
    let before = named();
    before.renew().await.unwrap();
    let held = before.acquire(ALL).await.unwrap();

    let after = named();
    after.resume_named().await.unwrap();
    let renewed = after.renew().await.unwrap().held;
    assert_eq!(renewed.len(), ALL, "nothing is waited for");
    let newer = |lease: &Lease| renewed.iter().all(|new| new.epoch > lease.epoch);
    assert!(held.iter().all(newer), "{held:?} {renewed:?}");
    before.save_positions(&[at(held[0], 7)]).await.unwrap();
    assert_eq!(position(&database, held[0].partition).await, 0, "the past moves nothing");
    let other = Leases::new(database.pool(), Duration::from_secs(3_600), Some("pod-2"));
    other.resume_named().await.unwrap();
    assert_eq!(other.renew().await.unwrap().held, []);
}
