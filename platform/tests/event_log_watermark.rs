//! The corners of the watermark: a sequence never called, prepared transactions, open transactions,
//! rollbacks, other databases.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use platform::event_log::postgres::PostgresEventLog;
use platform::event_log::{EventLog, Position};
use platform::postgres::{DatabaseConfig, DatabaseConnection, Pool};
use platform::test_support::fresh_database;

const INSERT: &str = "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type,
    event_version, payload, metadata) VALUES ('test', $1, $2, 'Happened', '1', '{}', '{}')";

async fn insert(connection: &mut DatabaseConnection, stream: &str, sequence: i64) {
    sqlx::query(INSERT).bind(stream).bind(sequence).execute(connection).await.unwrap();
}

async fn committed(pool: &Pool, stream: &str) {
    insert(&mut pool.acquire().await.unwrap(), stream, 1).await;
}

async fn head(pool: &Pool) -> i64 {
    PostgresEventLog::new(pool.clone()).head().await.unwrap().0
}

#[tokio::test]
async fn an_empty_log_is_complete_up_to_0() {
    let database = fresh_database().await;
    assert_eq!(head(&database.pool()).await, 0);
}

#[tokio::test]
async fn the_first_position_ever_drawn_is_guarded_though_the_sequence_was_never_called() {
    let database = fresh_database().await;
    let pool = database.pool();
    let mut first = pool.begin().await.unwrap();
    insert(&mut first, "first", 1).await;
    committed(&pool, "second").await;

    let log = PostgresEventLog::new(pool.clone());
    let page = log.read_all(Position(0), 10).await.unwrap();
    assert_eq!((page.events.len(), page.up_to, page.head), (0, Position(0), Position(0)));

    first.commit().await.unwrap();
    let page = log.read_all(Position(0), 10).await.unwrap();
    let streams: Vec<_> = page.events.iter().map(|e| e.stream.aggregate_id.as_str()).collect();
    assert_eq!((streams, page.up_to), (vec!["first", "second"], Position(2)));
}

#[tokio::test]
async fn a_prepared_transaction_holds_the_watermark_until_it_ends() {
    let database = fresh_database().await;
    let pool = database.pool();
    committed(&pool, "before").await;
    let mut connection = pool.acquire().await.unwrap();
    // A global name: prepared transactions are known to the whole cluster.
    let name = format!("chipq-{}", uuid::Uuid::new_v4());
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await.unwrap();
    insert(&mut connection, "prepared", 1).await;
    let prepare = format!("PREPARE TRANSACTION '{name}'");
    sqlx::raw_sql(&prepare)
        .execute(&mut *connection)
        .await
        .expect("the test cluster must run with max_prepared_transactions > 0");
    committed(&pool, "after").await;
    assert_eq!(head(&pool).await, 1, "position 2 is prepared, 3 is committed");
    let log = PostgresEventLog::new(pool.clone());
    let hold_up = log.hold_up(Duration::ZERO).await.unwrap().expect("it holds the log up");
    assert_eq!((hold_up.pid, hold_up.gid.as_deref()), (None, Some(name.as_str())));

    let commit = format!("COMMIT PREPARED '{name}'");
    sqlx::raw_sql(&commit).execute(&mut *connection).await.unwrap();
    assert_eq!(head(&pool).await, 3);
}

#[tokio::test]
async fn a_hole_that_a_rollback_leaves_does_not_hold_the_log_up() {
    let database = fresh_database().await;
    let pool = database.pool();
    let mut rolled_back = pool.begin().await.unwrap();
    insert(&mut rolled_back, "never", 1).await;
    committed(&pool, "after").await;
    assert_eq!(head(&pool).await, 0);
    let log = PostgresEventLog::new(pool.clone());
    let hold_up = log.hold_up(Duration::ZERO).await.unwrap().expect("it holds the log up");
    let backend: i32 =
        sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *rolled_back).await.unwrap();
    assert_eq!(hold_up.pid, Some(backend));
    rolled_back.rollback().await.unwrap();
    assert_eq!(log.hold_up(Duration::ZERO).await.unwrap(), None);
    assert_eq!(head(&pool).await, 2);
    let page = PostgresEventLog::new(pool.clone()).read_all(Position(0), 10).await.unwrap();
    assert_eq!(page.events.len(), 1);
}

#[tokio::test]
async fn a_transaction_that_appends_twice_is_guarded_from_its_first_position() {
    let database = fresh_database().await;
    let pool = database.pool();
    let mut slow = pool.begin().await.unwrap();
    insert(&mut slow, "slow", 1).await;
    committed(&pool, "quick").await;
    insert(&mut slow, "slow", 2).await;
    assert_eq!(head(&pool).await, 0);
    slow.commit().await.unwrap();
    assert_eq!(head(&pool).await, 3);
}

#[tokio::test]
async fn a_savepoint_that_is_rolled_back_does_not_lift_the_floor_of_what_came_before_it() {
    let database = fresh_database().await;
    let pool = database.pool();
    let mut slow = pool.begin().await.unwrap();
    insert(&mut slow, "slow", 1).await;
    sqlx::raw_sql("SAVEPOINT a").execute(&mut *slow).await.unwrap();
    insert(&mut slow, "slow", 2).await;
    sqlx::raw_sql("ROLLBACK TO a").execute(&mut *slow).await.unwrap();
    committed(&pool, "quick").await;
    assert_eq!(head(&pool).await, 0);
    insert(&mut slow, "slow", 2).await;
    slow.commit().await.unwrap();
    assert_eq!(head(&pool).await, 4);
}

#[tokio::test]
async fn an_open_transaction_that_appends_nothing_does_not_hold_the_log_up() {
    let database = fresh_database().await;
    let pool = database.pool();
    let mut idle = pool.begin().await.unwrap();
    sqlx::raw_sql("CREATE TABLE busy (n int)").execute(&mut *idle).await.unwrap();
    committed(&pool, "one").await;
    assert_eq!(head(&pool).await, 1);
}

#[tokio::test]
async fn an_appender_of_another_database_does_not_hold_the_log_up() {
    let (database, other) = (fresh_database().await, fresh_database().await);
    let mut elsewhere = other.pool().begin().await.unwrap();
    insert(&mut elsewhere, "elsewhere", 1).await;
    committed(&database.pool(), "here").await;
    assert_eq!(head(&database.pool()).await, 1);
}

#[tokio::test]
async fn positions_beyond_31_bits_are_guarded() {
    let database = fresh_database().await;
    let pool = database.pool();
    let far = (7_i64 << 31) - 1;
    sqlx::query("SELECT setval('event_position_seq', $1)").bind(far).execute(&pool).await.unwrap();
    let mut slow = pool.begin().await.unwrap();
    insert(&mut slow, "slow", 1).await;
    committed(&pool, "quick").await;
    assert_eq!(head(&pool).await, far);
    slow.commit().await.unwrap();
    assert_eq!(head(&pool).await, far + 2);
}

#[tokio::test]
async fn events_are_never_changed_or_deleted() {
    let database = fresh_database().await;
    let pool = database.pool();
    committed(&pool, "one").await;
    for sql in ["UPDATE events SET payload = '{}'", "DELETE FROM events", "TRUNCATE events"] {
        let error = sqlx::raw_sql(sql).execute(&pool).await.unwrap_err();
        assert!(error.to_string().contains("never changed or deleted"), "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_read_that_is_given_up_leaves_its_place_in_the_pool_to_others() {
    let database = fresh_database().await;
    let mut few = DatabaseConfig::from_url(database.url());
    few.database_max_connections = 3;
    few.database_acquire_timeout_s = 20;
    let pool = platform::postgres::connect(&few).await.unwrap();
    let log = PostgresEventLog::new(pool.clone());
    let mut holder = database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE events IN ACCESS EXCLUSIVE MODE").execute(&mut *holder).await.unwrap();
    // These are more than there are places.
    for _ in 0..4 {
        let reading = log.read_all(Position(0), 10);
        tokio::time::timeout(Duration::from_millis(200), reading).await.expect_err("it is held");
        tokio::time::timeout(Duration::from_millis(200), log.head()).await.expect_err("it is held");
    }
    let answer: i32 = sqlx::query_scalar("SELECT 1").fetch_one(&pool).await.unwrap();
    assert_eq!(answer, 1, "although what was given up is still waiting in the server");
    holder.rollback().await.unwrap();
    assert_eq!(log.head().await.unwrap(), Position(0));
}
