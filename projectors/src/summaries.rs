//! Keeps the continuous aggregates of generations up to date, where TimescaleDB offers them.
//!
//! Invariant: what readers see is exact at every moment, whether an aggregate was refreshed or not. An aggregate alone is
//! not: TimescaleDB shows what changes in an hour that was materialised only after the next refresh. So readers
//! take from it what is before `exact_up_to`, and add up the rows from there on (`projections/summary_progress.sql`). A
//! row that comes for an hour before it takes it back in its own transaction; here it is moved on, once a refresh
//! has seen every row that was written before it began, and none came late while it ran.
//!
//! Absent: which sums there are (`projections/*/continuous.sql`), and plain tables of sums, which their triggers keep.

use std::time::Duration;

use platform::follower::{OwnerConnection, OwnerLock};
use platform::postgres::{DatabaseConnection, Pool, Timescale};
use platform::shutdown::Shutdown;
use sqlx::Executor as _;

use crate::generation::{lock, schema};
use crate::projection::Projection;

/// The table that says up to where a generation's aggregates are exact: about them, and no part of the read model.
pub(crate) const SUMMARY_PROGRESS: &str = "summary_progress";
/// How often the service looks whether an hour has ended that is not materialised. Nothing is wrong until then: readers
/// add its rows up.
const REFRESH_INTERVAL: Duration = Duration::from_secs(300);

/// Refreshes what serves, every five minutes until shutdown is requested.
pub(crate) async fn keep_refreshed(
    pool: Pool,
    projections: Vec<&'static dyn Projection>,
    shutdown: Shutdown,
) {
    loop {
        tokio::select! {
            () = shutdown.requested() => return,
            () = tokio::time::sleep(REFRESH_INTERVAL) => {}
        }
        for projection in &projections {
            if let Err(error) = refresh_summaries(&pool, *projection).await {
                tracing::warn!(
                    projection = projection.name(), %error,
                    "sums by the hour and day are not materialised; queries add up the rows meanwhile"
                );
            }
        }
    }
}

/// Materialises the sums of the generation that serves, up to an hour before its newest row. Does nothing where it has
/// no continuous aggregates, or while another process is at it.
///
/// # Errors
/// When the database fails, or its licence does not allow it any more. What readers see stays exact.
pub async fn refresh_summaries(
    pool: &Pool,
    projection: &'static dyn Projection,
) -> Result<(), sqlx::Error> {
    let serving: Option<i32> = sqlx::query_scalar(
        "SELECT generation FROM public.projection_checkpoints
         WHERE projection = $1 AND status = 'serving'
           AND to_regclass(projection || '_g' || generation || '.' || $2) IS NOT NULL",
    )
    .bind(projection.name())
    .bind(SUMMARY_PROGRESS)
    .fetch_optional(pool)
    .await?;
    let Some(generation) = serving else { return Ok(()) };
    let mut connection = OwnerConnection::open(pool).await?;
    let ours = OwnerLock { class: lock::REFRESH, name: projection.name() };
    let refreshed = async {
        if !connection.try_lock(ours).await? {
            return Ok(());
        }
        // The first one after a rebuild is of everything.
        connection.allow_long_statements(pool).await?;
        connection.execute("SET statement_timeout = 0").await?;
        refresh_generation(&mut connection, &schema(projection.name(), generation)).await
    };
    let refreshed = refreshed.await;
    connection.release().await;
    refreshed
}

/// How far a refresh is to go. As text: `-infinity` is no time that Rust knows.
#[derive(sqlx::FromRow)]
struct RefreshStretch {
    from_hour: String,
    from_day: String,
    up_to: String,
    up_to_day: String,
    late_rows: i64,
}

/// Refreshes the continuous aggregates in a generation's schema, if it has any and an hour has ended.
pub(crate) async fn refresh_generation(
    connection: &mut DatabaseConnection,
    schema: &str,
) -> Result<(), sqlx::Error> {
    let Some(timescale) = Timescale::detect(connection).await? else { return Ok(()) };
    let aggregates: Vec<String> = sqlx::query_scalar(
        "SELECT view_name::text FROM timescaledb_information.continuous_aggregates
         WHERE view_schema = $1::text ORDER BY 1",
    )
    .bind(schema)
    .fetch_all(&mut *connection)
    .await?;
    if aggregates.is_empty() {
        return Ok(());
    }
    let Some(stretch) = begin_refresh(connection, schema).await? else { return Ok(()) };
    for aggregate in aggregates {
        let (from, up_to) = if aggregate.ends_with("_daily") {
            (&stretch.from_day, &stretch.up_to_day)
        } else {
            (&stretch.from_hour, &stretch.up_to)
        };
        // A stretch without a whole bucket is an error.
        if from == up_to {
            continue;
        }
        let functions = &timescale.schema;
        let call = format!(
            "CALL {functions}.refresh_continuous_aggregate('{schema}.{aggregate}'::regclass,
                 '{from}'::timestamptz, '{up_to}'::timestamptz)"
        );
        connection.execute(call.as_str()).await?;
    }
    end_refresh(connection, schema, &stretch).await
}

/// Says up to where rows are late from now on. Waits for the transaction that is writing rows: once this
/// returns, everybody who writes below counts as late, and a refresh sees everybody who wrote before.
async fn begin_refresh(
    connection: &mut DatabaseConnection,
    schema: &str,
) -> Result<Option<RefreshStretch>, sqlx::Error> {
    // Rows of a clock that runs ahead are not waited for.
    let begin = format!(
        "UPDATE {schema}.{SUMMARY_PROGRESS} AS p
         SET refreshing_up_to = greatest(refreshing_up_to, ended.up_to)
         FROM (SELECT date_trunc('hour', least(at, clock_timestamp()), 'UTC') - INTERVAL '1 hour' AS up_to
               FROM {schema}.newest_summed) AS ended
         WHERE exact_up_to < ended.up_to
         RETURNING exact_up_to::text AS from_hour, date_trunc('day', exact_up_to, 'UTC')::text AS from_day,
                   ended.up_to::text AS up_to, date_trunc('day', ended.up_to, 'UTC')::text AS up_to_day, late_rows"
    );
    sqlx::query_as(&begin).fetch_optional(connection).await
}

/// Lets readers rely on what was refreshed, unless a row came meanwhile that the refresh may have missed.
async fn end_refresh(
    connection: &mut DatabaseConnection,
    schema: &str,
    stretch: &RefreshStretch,
) -> Result<(), sqlx::Error> {
    let end = format!(
        "UPDATE {schema}.{SUMMARY_PROGRESS} SET exact_up_to = $1::text::timestamptz WHERE late_rows = $2"
    );
    let ended = sqlx::query(&end).bind(&stretch.up_to).bind(stretch.late_rows);
    let moved = ended.execute(connection).await?.rows_affected() > 0;
    tracing::debug!(schema, up_to = stretch.up_to, moved, "sums refreshed");
    Ok(())
}
