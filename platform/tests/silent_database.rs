//! A database that falls silent: nothing is reset, nothing comes back, and a new primary is there. Whatever
//! waits is back within the limits that it has; the bounds here are theirs with room for a busy machine.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::future::Future;
use std::time::Duration;

use platform::event_log::postgres::PostgresEventLog;
use platform::event_log::{
    Append, EventLog as _, EventLogError, EventMetadata, NewEvent, StreamId,
};
use platform::follower::{OwnerConnection, OwnerLock};
use platform::postgres::channel::HintListener;
use platform::postgres::{DatabaseConfig, Pool, connect, migrate};
use platform::test_support::{Gateway, TestDatabase, fresh_database};
use sqlx::migrate::Migrate as _;
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;

/// How long a loop may take to be back.
const BACK_WITHIN: Duration = Duration::from_secs(30);

struct World {
    database: TestDatabase,
    gateway: Gateway,
    pool: Pool,
}

/// A database, and a pool of so many connections that reaches it through the gateway.
async fn world(connections: u32) -> World {
    let database = fresh_database().await;
    let (gateway, url) = Gateway::before_url(database.url()).await;
    let mut config = DatabaseConfig::from_url(url);
    config.database_max_connections = connections;
    config.database_statement_timeout_s = 1;
    let pool = connect(&config).await.unwrap();
    World { database, gateway, pool }
}

impl World {
    /// Opens so many connections of the pool.
    async fn use_connections(&self, connections: usize) {
        let sleeping = (0..connections).map(|_| select(&self.pool, "SELECT pg_sleep(0.2)"));
        futures::future::try_join_all(sleeping).await.unwrap();
    }
}

async fn select(pool: &Pool, sql: &'static str) -> Result<(), sqlx::Error> {
    sqlx::query(sql).execute(pool).await.map(|_| ())
}

async fn back<T>(what: &str, waiting: impl Future<Output = T>) -> T {
    timeout(BACK_WITHIN, waiting).await.unwrap_or_else(|_| panic!("not back in time: {what}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_silent_database_is_told_and_nobody_after_it_waits_again() {
    let world = world(3).await;
    world.use_connections(3).await;
    let waiting = tokio::spawn({
        let pool = world.pool.clone();
        async move { select(&pool, "SELECT pg_sleep(0.9)").await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.gateway.fall_silent();
    world.gateway.lead_on();
    let error = back("the statement", waiting).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("did not answer within 4 s"), "{error}");

    // Two more were idle and are as dead: they are not tried one after the other.
    let before = world.gateway.connections();
    world.use_connections(3).await;
    assert_eq!(world.gateway.connections(), before + 3, "all of them are new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_were_idle_when_the_database_fell_silent_cost_one_proof_and_no_statement()
{
    let world = world(3).await;
    world.use_connections(3).await;
    world.gateway.fall_silent();
    world.gateway.lead_on();
    // Longer than a connection is trusted without a proof.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    select(&world.pool, "SELECT 1").await.unwrap();
    world.use_connections(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_stays_away_is_an_error_in_time_and_no_place_is_lost() {
    let world = world(2).await;
    world.use_connections(2).await;
    world.gateway.fall_silent();
    for _ in 0..3 {
        back("a statement", select(&world.pool, "SELECT 1")).await.unwrap_err();
    }
    world.gateway.lead_on();
    world.use_connections(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_on_a_silent_connection_is_unavailable_and_the_log_goes_on() {
    let world = world(4).await;
    let log = PostgresEventLog::new(world.pool.clone());
    let append = |id: &str| {
        let stream = StreamId { aggregate_type: "thing".into(), aggregate_id: id.into() };
        let (event_type, event_version) = ("Asked".into(), "1".into());
        let event = NewEvent {
            event_type,
            event_version,
            payload: serde_json::json!({}),
            labels: domain::EventLabels::default(),
        };
        log.append(Append::new(stream, 0, vec![event], EventMetadata::by_service("test")))
    };
    append("a").await.unwrap();
    world.gateway.fall_silent();
    let head = back("a read", log.head()).await.unwrap_err();
    assert!(matches!(head, EventLogError::Unavailable(_)), "{head}");
    world.gateway.lead_on();
    back("an append", append("b")).await.unwrap();
    assert_eq!(log.head().await.unwrap().0, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hints_of_others_are_heard_again() {
    let world = world(4).await;
    let log = PostgresEventLog::new(world.pool.clone());
    let elsewhere = PostgresEventLog::new(world.database.pool());
    let mut hints = log.hints();
    // The first says that it listens.
    back("listening", hints.changed()).await.unwrap();
    world.gateway.fall_silent();
    world.gateway.lead_on();
    back("listening again", hints.changed()).await.unwrap();
    let stream = StreamId { aggregate_type: "thing".into(), aggregate_id: "a".into() };
    let nothing = Append::new(stream, 0, vec![], EventMetadata::by_service("test"));
    elsewhere.append(nothing).await.unwrap();
    back("the hint", hints.changed()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_on_a_silent_connection_closes_it_when_it_listens_again() {
    let world = world(4).await;
    let listener = HintListener::start(world.pool.clone(), "chipq_test");
    let mut hints = listener.subscribe();
    back("listening", hints.changed()).await.unwrap();
    let only_one = async || {
        while world.gateway.open_connections() != 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    // Whoever looked after the database before may be a moment in leaving.
    back("the control: nobody else is connected", only_one()).await;
    world.gateway.fall_silent();
    world.gateway.lead_on();
    back("listening again", hints.changed()).await.unwrap();
    back("closing the connection that is silent", only_one()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_another_migration_does_not_wait_for_a_server_that_is_silent() {
    let world = world(4).await;
    let direct = world.database.pool();
    // Something is left to do, and somebody else is at it.
    let last = "DELETE FROM _sqlx_migrations
        WHERE version = (SELECT max(version) FROM _sqlx_migrations)";
    select(&direct, last).await.unwrap();
    let mut other = PgConnection::connect(world.database.url()).await.unwrap();
    other.lock().await.unwrap();
    let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";
    let silence = async {
        while !sqlx::query_scalar(waits).fetch_one(&direct).await.unwrap_or(false) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        world.gateway.fall_silent();
        world.gateway.lead_on();
    };
    let both = async { tokio::join!(migrate(&world.pool), silence) };
    let (migrated, ()) = timeout(2 * BACK_WITHIN, both).await.expect("it waits for ever");
    migrated.unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_stands_still_loses_what_it_owns() {
    const LOCK: OwnerLock = OwnerLock { class: 999, name: "of a test" };
    let database = fresh_database().await;
    let owns = OwnerConnection::wait_for(&database.pool(), LOCK, || {}).await.unwrap();
    let next = tokio::spawn({
        let pool = database.pool();
        async move { OwnerConnection::wait_for(&pool, LOCK, || {}).await.map(drop) }
    });
    // It says nothing any more, and holds on to its connection.
    let limit = Duration::from_secs(60);
    timeout(limit, next).await.expect("what stands still owns for ever").unwrap().unwrap();
    drop(owns);
}
