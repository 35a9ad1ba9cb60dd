//! Leases on a real PostgreSQL, stepped: time passes when a test says so.

use std::time::Duration;

use sqlx::Executor as _;

use super::*;
use crate::test_support::{TestDatabase, fresh_database};

const FOLLOWER: &str = "inference-worker";
const PARTITIONS: u16 = 16;
const ALL: usize = PARTITIONS as usize;

fn member(database: &TestDatabase) -> Leases {
    named_member(database, None)
}

fn named_member(database: &TestDatabase, name: Option<&str>) -> Leases {
    Leases::new(database.pool(), (FOLLOWER, PARTITIONS), Duration::from_secs(3_600), name)
}

/// Every lease and every sign of life is older than it may be.
async fn time_passes(database: &TestDatabase) {
    for table in ["follower_leases", "follower_members"] {
        let statement = format!("UPDATE {table} SET expires_at = now() - interval '1 second'");
        database.pool().execute(statement.as_str()).await.unwrap();
    }
}

async fn stored_position(database: &TestDatabase, partition: Partition) -> i64 {
    sqlx::query_scalar(
        "SELECT position FROM follower_leases WHERE follower = $1 AND partition = $2",
    )
    .bind(FOLLOWER)
    .bind(i16::try_from(partition.0).unwrap())
    .fetch_one(&database.pool())
    .await
    .unwrap()
}
fn at(lease: Lease, position: i64) -> Lease {
    Lease { position: Position(position), ..lease }
}

/// The clock ran ahead when everything was dated, and was put right since.
async fn clock_is_put_back(database: &TestDatabase, by: &str) {
    for table in ["follower_leases", "follower_members"] {
        let statement = format!("UPDATE {table} SET expires_at = expires_at + interval '{by}'");
        database.pool().execute(statement.as_str()).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_clock_that_ran_ahead_has_dated_is_not_believed_and_a_little_is() {
    let database = fresh_database().await;
    let (one, two) = (member(&database), member(&database));
    one.renew().await.unwrap();
    assert_eq!(one.acquire(ALL).await.unwrap().len(), ALL);
    clock_is_put_back(&database, "50 minutes").await;
    assert_eq!(two.renew().await.unwrap().fair_share, ALL / 2, "it lasts an hour");
    assert_eq!(two.acquire(ALL).await.unwrap(), []);

    clock_is_put_back(&database, "2 hours").await;
    assert_eq!(two.renew().await.unwrap().fair_share, ALL, "who is of the future is not alive");
    assert_eq!(two.acquire(ALL).await.unwrap().len(), ALL);
    assert_eq!(one.renew().await.unwrap().held, [], "it learns that it was lost");
    assert_eq!(two.renew().await.unwrap().held.len(), ALL, "and the new owner keeps it");
}

#[tokio::test]
async fn a_partition_has_one_owner_and_the_first_member_takes_all() {
    let database = fresh_database().await;
    let (one, two) = (member(&database), member(&database));
    assert_eq!(one.renew().await.unwrap().fair_share, ALL);
    assert_eq!(one.acquire(ALL).await.unwrap().len(), ALL);
    assert_eq!(two.renew().await.unwrap().fair_share, ALL / 2);
    assert_eq!(two.acquire(ALL).await.unwrap(), []);
    let renewed = one.renew().await.unwrap();
    assert_eq!((renewed.held.len(), renewed.fair_share), (ALL, ALL / 2));
}

#[tokio::test]
async fn a_fenced_owner_moves_no_checkpoint_and_gives_nothing_back() {
    let database = fresh_database().await;
    let (old, new) = (member(&database), member(&database));
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
    assert_eq!(stored_position(&database, stale.partition).await, 10);
    assert_eq!(old.renew().await.unwrap().held, [], "it learns that it was lost");
    assert_eq!(new.renew().await.unwrap().held, [taken], "and the new owner keeps it");
}

#[tokio::test]
async fn an_owner_that_takes_its_own_lease_again_is_fenced_off_from_before() {
    let database = fresh_database().await;
    let member = member(&database);
    member.renew().await.unwrap();
    let before = member.acquire(1).await.unwrap()[0];
    time_passes(&database).await;
    let again = member.acquire(1).await.unwrap()[0];
    assert_eq!(again.partition, before.partition);
    member.save_positions(&[at(before, 99)]).await.unwrap();
    assert_eq!(stored_position(&database, before.partition).await, 0);
}

#[tokio::test]
async fn a_checkpoint_moves_forward_only() {
    let database = fresh_database().await;
    let member = member(&database);
    member.renew().await.unwrap();
    let lease = member.acquire(1).await.unwrap()[0];
    for (saved, expected) in [(7, 7), (5, 7), (9, 9)] {
        member.save_positions(&[at(lease, saved)]).await.unwrap();
        assert_eq!(stored_position(&database, lease.partition).await, expected);
    }
    member.release(&[at(lease, 3)]).await.unwrap();
    assert_eq!(stored_position(&database, lease.partition).await, 9);
    assert_eq!(member.acquire(1).await.unwrap()[0].position, Position(9));
}

#[tokio::test]
async fn what_is_given_back_is_free_at_once_and_who_leaves_has_no_share() {
    let database = fresh_database().await;
    let (one, two) = (member(&database), member(&database));
    one.renew().await.unwrap();
    two.renew().await.unwrap();
    let held = one.acquire(ALL).await.unwrap();
    one.leave_group().await.unwrap();
    one.release(&held[..3]).await.unwrap();
    assert_eq!(two.renew().await.unwrap().fair_share, ALL);
    assert_eq!(two.acquire(ALL).await.unwrap().len(), 3);
    one.release(&held).await.unwrap();
    assert_eq!(two.acquire(ALL).await.unwrap().len(), ALL - 3);
}

#[tokio::test]
async fn a_member_that_shows_no_sign_of_life_has_no_share_and_one_that_comes_back_has() {
    let database = fresh_database().await;
    let (silent, other) = (member(&database), member(&database));
    silent.renew().await.unwrap();
    time_passes(&database).await;
    assert_eq!(other.renew().await.unwrap().fair_share, ALL);
    assert_eq!(silent.renew().await.unwrap().fair_share, ALL / 2);
    assert_eq!(other.renew().await.unwrap().fair_share, ALL / 2);
}

#[tokio::test]
async fn many_members_at_once_take_every_partition_once() {
    let database = fresh_database().await;
    let members: Vec<_> = (0..6).map(|_| member(&database)).collect();
    futures::future::join_all(members.iter().map(Leases::renew)).await;
    let taken = futures::future::join_all(members.iter().map(|member| member.acquire(5))).await;
    let mut partitions: Vec<_> =
        taken.into_iter().flatten().flatten().map(|lease| lease.partition).collect();
    partitions.sort_unstable();
    assert_eq!(partitions, (0..PARTITIONS).map(Partition).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_member_of_the_same_name_takes_up_what_it_left_and_fences_its_past_off() {
    let database = fresh_database().await;
    let named = || named_member(&database, Some("pod-1"));
    let before = named();
    before.renew().await.unwrap();
    let held = before.acquire(ALL).await.unwrap();

    let after = named();
    let renewed = after.join_group().await.unwrap().held;
    assert_eq!(renewed.len(), ALL, "nothing is waited for");
    let newer = |lease: &Lease| renewed.iter().all(|new| new.epoch > lease.epoch);
    assert!(held.iter().all(newer), "{held:?} {renewed:?}");
    before.save_positions(&[at(held[0], 7)]).await.unwrap();
    assert_eq!(stored_position(&database, held[0].partition).await, 0, "the past moves nothing");
    let other = named_member(&database, Some("pod-2"));
    assert_eq!(other.join_group().await.unwrap().held, []);
}

#[tokio::test]
async fn a_new_follower_gets_its_rows_and_another_one_has_nothing_to_do_with_them() {
    let database = fresh_database().await;
    let leases = |follower, partitions| {
        Leases::new(database.pool(), (follower, partitions), Duration::from_secs(3_600), Some("a"))
    };
    let (worker, relay) = (leases(FOLLOWER, PARTITIONS), leases("relay", 1));
    assert_eq!(worker.join_group().await.unwrap().fair_share, ALL);
    assert_eq!(relay.join_group().await.unwrap().fair_share, 1);
    let held = relay.acquire(ALL).await.unwrap();
    assert_eq!(held.iter().map(|lease| lease.partition).collect::<Vec<_>>(), [Partition(0)]);
    relay.save_positions(&[at(held[0], 9)]).await.unwrap();
    assert_eq!(stored_position(&database, Partition(0)).await, 0);
    assert_eq!(worker.acquire(ALL).await.unwrap().len(), ALL);
    assert_eq!(relay.join_group().await.unwrap().held[0].position, Position(9), "it goes on");
}

#[tokio::test]
async fn a_follower_of_another_number_of_partitions_does_not_start() {
    let database = fresh_database().await;
    let lasts = Duration::from_secs(3_600);
    let refused = Leases::new(database.pool(), (FOLLOWER, 17), lasts, None).join_group().await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "inference-worker has checkpoints for 16 partitions and is built for 17; \
         changing their number needs a migration"
    );
}

#[test]
fn fair_shares_add_up_and_differ_by_one_at_most() {
    for members in 1..=20_u128 {
        let alive: Vec<_> = (0..members).map(|m| (Uuid::from_u128(m), true)).collect();
        let shares: Vec<_> =
            alive.iter().map(|(m, _)| compute_fair_share(&alive, *m, PARTITIONS)).collect();
        assert_eq!(shares.iter().sum::<usize>(), ALL);
        assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1, "{shares:?}");
    }
    assert_eq!(compute_fair_share(&[], Uuid::nil(), PARTITIONS), 0, "who is not alive has none");
}

fn partition(aggregate_id: impl ToString, partitions: u16) -> u16 {
    let (aggregate_type, aggregate_id) = ("inspection".into(), aggregate_id.to_string());
    Partition::for_stream(&StreamId { aggregate_type, aggregate_id }, partitions).0
}

#[test]
fn the_partition_of_a_stream_never_changes() {
    let known = [0, 1, 2, 3, u128::MAX].map(|n| partition(Uuid::from_u128(n), 16));
    assert_eq!(known, [12, 11, 6, 5, 13], "stored checkpoints depend on it");
    assert_eq!(["golden-compare", "P-1", ""].map(|id| partition(id, 16)), [5, 12, 1]);
    assert_eq!(partition("anything", 1), 0);
}

#[test]
fn streams_spread_evenly() {
    let mut counts = [0_usize; 16];
    for n in 0..16_000_u128 {
        let id = Uuid::from_u128(n << 80 | 7 << 76 | 2 << 62 | (n * n + 1));
        counts[usize::from(partition(id, 16))] += 1;
    }
    assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
}

#[tokio::test]
async fn a_member_that_is_not_able_has_no_share_while_another_is_and_its_share_when_nobody_is() {
    let database = fresh_database().await;
    let (mut one, mut two) = (member(&database), member(&database));
    one.renew().await.unwrap();
    two.renew().await.unwrap();
    one.set_able(false);
    assert_eq!(one.renew().await.unwrap().fair_share, 0);
    assert_eq!(two.renew().await.unwrap().fair_share, ALL);
    two.set_able(false);
    assert_eq!(two.renew().await.unwrap().fair_share, ALL / 2, "nobody else could do it");
    assert_eq!(one.renew().await.unwrap().fair_share, ALL / 2);
    one.set_able(true);
    assert_eq!(one.renew().await.unwrap().fair_share, ALL);
    assert_eq!(two.renew().await.unwrap().fair_share, 0);
}
