//! The log's promise under fire: many appenders with delays and rollbacks, a reader in a tight loop.
//!
//! The naive reader `position > checkpoint` runs beside it as the control. It must be seen to lose
//! events: otherwise the test could not have failed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use platform::event_log::postgres::PostgresEventLog;
use platform::event_log::{EventLog, Position, Recorded};
use platform::postgres::{DatabaseConfig, Pool};
use platform::test_support::fresh_database;
use rand::Rng as _;

const APPENDERS: usize = 32;
const TRANSACTIONS: usize = 40;
const EVENTS_PER_TRANSACTION_MAX: i64 = 4;
const DELAY_MAX: Duration = Duration::from_millis(20);
const ROLLBACKS: f64 = 0.1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_32_appenders_a_reader_misses_nothing_and_the_naive_reader_does() {
    let database = fresh_database().await;
    let appender_pool = pool(database.url(), APPENDERS as u32).await;
    let log: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(pool(database.url(), 4).await));
    let done = Arc::new(AtomicBool::new(false));

    let complete = tokio::spawn(read_complete(Arc::clone(&log), Arc::clone(&done)));
    let naive = tokio::spawn(read_naively(pool(database.url(), 2).await, Arc::clone(&done)));
    let appenders: Vec<_> =
        (0..APPENDERS).map(|n| tokio::spawn(append_and_dawdle(appender_pool.clone(), n))).collect();
    for appender in appenders {
        appender.await.unwrap();
    }
    done.store(true, Ordering::Release);
    let (seen, naive_seen) = (complete.await.unwrap(), naive.await.unwrap());

    let committed: Vec<i64> = sqlx::query_scalar("SELECT position FROM events ORDER BY position")
        .fetch_all(&appender_pool)
        .await
        .unwrap();
    let positions: Vec<i64> = seen.iter().map(|event| event.position.0).collect();
    assert!(committed.len() > APPENDERS * TRANSACTIONS, "too little was appended to tell");
    assert_eq!(positions, committed, "missed, doubled or out of order");
    assert_streams_in_order(&seen);

    let naive_missed = committed.iter().filter(|position| !naive_seen.contains(position)).count();
    assert!(naive_missed > 0, "the control lost nothing: this run proves nothing");
    println!("{} events, complete reader missed 0, naive {naive_missed}", committed.len());
}

async fn pool(url: &str, connections: u32) -> Pool {
    let mut config = DatabaseConfig::from_url(url);
    config.database_max_connections = connections;
    config.database_acquire_timeout_s = 30;
    platform::postgres::connect(&config).await.unwrap()
}

/// Appends one to four events a transaction to its own stream, dawdling between draw and commit.
async fn append_and_dawdle(pool: Pool, appender: usize) {
    let mut sequence = 0_i64;
    for _ in 0..TRANSACTIONS {
        let (events, delay, roll_back) = {
            let mut random = rand::rng();
            let events = random.random_range(1..=EVENTS_PER_TRANSACTION_MAX);
            let delay = random.random_range(Duration::ZERO..DELAY_MAX);
            (events, delay, random.random_bool(ROLLBACKS))
        };
        let mut transaction = pool.begin().await.unwrap();
        for n in 1..=events {
            sqlx::query(
                "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type,
                                     event_version, payload, metadata)
                 VALUES ('hammer', $1, $2, 'Struck', '1', '{}', '{}')",
            )
            .bind(appender.to_string())
            .bind(sequence + n)
            .execute(&mut *transaction)
            .await
            .unwrap();
        }
        tokio::time::sleep(delay).await;
        if roll_back {
            transaction.rollback().await.unwrap();
        } else {
            transaction.commit().await.unwrap();
            sequence += events;
        }
    }
}

async fn read_complete(log: Arc<dyn EventLog>, done: Arc<AtomicBool>) -> Vec<Recorded> {
    let mut seen = Vec::new();
    let mut after = Position::default();
    loop {
        let last_round = done.load(Ordering::Acquire);
        let page = log.read_all(after, 100).await.unwrap();
        assert!(page.up_to >= after && page.up_to <= page.head.max(after));
        after = page.up_to;
        let empty = page.events.is_empty();
        seen.extend(page.events.into_iter().map(Arc::unwrap_or_clone));
        if last_round && empty {
            return seen;
        }
    }
}

async fn read_naively(pool: Pool, done: Arc<AtomicBool>) -> BTreeSet<i64> {
    let mut seen = BTreeSet::new();
    loop {
        let last_round = done.load(Ordering::Acquire);
        let checkpoint = seen.last().copied().unwrap_or(0);
        let rows: Vec<i64> = sqlx::query_scalar(
            "SELECT position FROM events WHERE position > $1 ORDER BY position LIMIT 100",
        )
        .bind(checkpoint)
        .fetch_all(&pool)
        .await
        .unwrap();
        let empty = rows.is_empty();
        seen.extend(rows);
        if last_round && empty {
            return seen;
        }
    }
}

fn assert_streams_in_order(events: &[Recorded]) {
    let mut last = BTreeMap::new();
    for event in events {
        let before = last.insert(event.stream.aggregate_id.clone(), event.sequence).unwrap_or(0);
        assert_eq!(event.sequence, before + 1, "stream {} is out of order", event.stream);
    }
}
