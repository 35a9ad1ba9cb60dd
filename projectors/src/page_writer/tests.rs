//! A page is applied whole, or event by event around what is poisoned.

use std::sync::Arc;

use domain::Inspection;
use platform::event_log::postgres::PostgresEventLog;
use platform::event_log::{Append, EventLog, EventMetadata, NewEvent};
use platform::follower::OwnerConnection;
use platform::postgres::{DatabaseConnection, Pool};
use platform::test_support::fresh_database;
use uuid::Uuid;

use super::*;
use crate::projection::Projection;
use crate::serving_projector::take_over_serving;
use crate::{ensure_each, find};

fn projection() -> &'static dyn Projection {
    find("inspection_overview").unwrap()
}

/// The page of a log with one event in it.
async fn page_of_one(pool: &Pool) -> Page {
    ensure_each(pool, &[projection()]).await.unwrap();
    let log = Arc::new(PostgresEventLog::new(pool.clone()));
    let id = "018f0000-0000-7000-8000-000000000001";
    let event = NewEvent {
        event_type: "InspectionCreated".into(),
        event_version: "1".into(),
        payload: serde_json::json!({
            "type": "InspectionCreated", "inspection_id": id, "lot": "L", "part": "P",
            "station": "S", "recipe": {"revision": 1, "fail_at": 0.5, "review_at": 0.25},
        }),
        labels: domain::EventLabels::default(),
    };
    let stream = StreamId::for_aggregate::<Inspection>(id);
    let metadata = EventMetadata::by_service("test");
    let append = Append::new(stream, 0, vec![event], metadata);
    log.append(append).await.unwrap();
    log.read_all(Position::default(), 10).await.unwrap()
}

async fn owner(pool: &Pool) -> (OwnerConnection, Generation) {
    let mut connection = OwnerConnection::open(pool).await.unwrap();
    let generation = take_over_serving(&mut connection, projection()).await.unwrap().unwrap();
    (connection, generation)
}

async fn rows(pool: &Pool) -> (i64, i64) {
    let sql = "SELECT (SELECT count(*) FROM read.inspections), max(position)
               FROM projection_checkpoints";
    sqlx::query_as(sql).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn an_owner_that_was_replaced_writes_nothing() {
    let database = fresh_database().await;
    let pool = database.pool();
    let (page, log) = (page_of_one(&pool).await, PostgresEventLog::new(pool.clone()));
    let (mut old_connection, mut old) = owner(&pool).await;
    let (mut connection, mut new) = owner(&pool).await;

    let fenced = write_page(&mut old_connection, &log, &mut old, &page).await;
    assert!(matches!(fenced, Err(WriteError::Fenced)), "{fenced:?}");
    assert_eq!(rows(&pool).await, (0, 0));

    write_page(&mut connection, &log, &mut new, &page).await.unwrap();
    assert_eq!(rows(&pool).await, (1, page.up_to.0));
}

#[tokio::test]
async fn an_owner_that_has_lost_count_writes_nothing() {
    let database = fresh_database().await;
    let pool = database.pool();
    let (page, log) = (page_of_one(&pool).await, PostgresEventLog::new(pool.clone()));
    let (mut connection, mut generation) = owner(&pool).await;
    generation.position = Position(7);
    let fenced = write_page(&mut connection, &log, &mut generation, &page).await;
    assert!(matches!(fenced, Err(WriteError::Fenced)), "{fenced:?}");
    assert_eq!(rows(&pool).await, (0, 0));
}

#[tokio::test]
async fn a_transaction_that_is_dropped_before_its_end_leaves_nothing() {
    let database = fresh_database().await;
    let pool = database.pool();
    let page = page_of_one(&pool).await;
    let (mut connection, generation) = owner(&pool).await;
    let mut tx = begin_on_tables(&mut connection, &generation).await.unwrap();
    lock_checkpoint(&mut tx, &generation).await.unwrap();
    let tally = apply_events(&mut tx, &generation, &page.events).await.unwrap();
    let counts = (tally.applied, tally.parked);
    advance_checkpoint(&mut tx, &generation, page.up_to, counts).await.unwrap();
    drop(tx);
    drop(connection);
    assert_eq!(rows(&pool).await, (0, 0));
}

/// How PostgreSQL looks the rows of several hundred inspections up.
async fn lookup_plan(connection: &mut DatabaseConnection, table: &str) -> String {
    let ids: Vec<Uuid> = (0..500).map(Uuid::from_u128).collect();
    let sql = format!("EXPLAIN SELECT * FROM {table} WHERE inspection_id = ANY($1)");
    let lines: Vec<String> =
        sqlx::query_scalar(&sql).bind(ids).fetch_all(connection).await.unwrap();
    lines.join("\n")
}

#[tokio::test]
async fn rows_are_looked_up_by_index_also_in_a_table_of_which_nothing_is_known() {
    let database = fresh_database().await;
    let pool = database.pool();
    page_of_one(&pool).await;
    let (mut connection, generation) = owner(&pool).await;
    let table = format!("{}.inspections", generation.schema());
    let by_default = lookup_plan(&mut connection, &table).await;
    assert!(by_default.contains("Seq Scan"), "the control: {by_default}");
    let mut tx = begin_on_tables(&mut connection, &generation).await.unwrap();
    lock_checkpoint(&mut tx, &generation).await.unwrap();
    let plan = lookup_plan(&mut tx, "inspections").await;
    assert!(!plan.contains("Seq Scan"), "{plan}");
}
