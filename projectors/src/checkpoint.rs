//! The checkpoint of a generation: whose it is, and how it moves.
//!
//! Invariants: it moves in the transaction that writes the rows, by its owner alone, and from where the owner
//! left it; events read = applied + parked.

use platform::event_log::{EventLogError, Position};
use platform::postgres::{DatabaseConnection, Transaction};

use crate::generation::Generation;
use crate::poison::Poison;

/// Why what a page says was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("another process owns the generation now")]
    Fenced,
    /// Newer software wrote this event.
    #[error("{}", .0.reason)]
    Unknown(Poison),
    #[error(transparent)]
    Log(#[from] EventLogError),
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// Begins a transaction on the generation's tables.
///
/// Rows are looked up by keys, some hundred of them at a time, in tables that grow with every page and that
/// nothing is known of yet: PostgreSQL would rather read them whole, and a rebuild would take longer with
/// the square of the log. So it is told not to. Nor is each statement planned for the keys of one page, which takes
/// longer than to look a few of them up.
pub(crate) async fn begin_on_tables<'c>(
    connection: &'c mut DatabaseConnection,
    generation: &Generation,
) -> Result<Transaction<'c>, sqlx::Error> {
    let schema = generation.schema();
    let statements = format!(
        "BEGIN; SET LOCAL search_path = {schema}; SET LOCAL enable_seqscan = off;
         SET LOCAL plan_cache_mode = force_generic_plan"
    );
    connection.begin_by(statements).await
}

/// Takes the checkpoint's row, if it is still ours and where we left it, before it is known how it moves.
pub(crate) async fn lock_checkpoint(
    tx: &mut DatabaseConnection,
    generation: &Generation,
) -> Result<(), WriteError> {
    let ours: Option<i32> = sqlx::query_scalar(
        "SELECT generation FROM public.projection_checkpoints
         WHERE projection = $1 AND generation = $2 AND status = $3 AND owner_epoch = $4
           AND position = $5
         FOR UPDATE",
    )
    .bind(generation.projection.name())
    .bind(generation.number)
    .bind(generation.status.as_str())
    .bind(generation.epoch)
    .bind(generation.position.0)
    .fetch_optional(&mut *tx)
    .await?;
    ours.map(drop).ok_or(WriteError::Fenced)
}

/// Moves the checkpoint, if it is still ours and where we left it, and counts the events that it moves over.
pub(crate) async fn advance_checkpoint(
    tx: &mut DatabaseConnection,
    generation: &Generation,
    up_to: Position,
    (applied, parked): (u64, u64),
) -> Result<(), WriteError> {
    let moved = sqlx::query(
        "UPDATE public.projection_checkpoints
         SET position = $6, events_read = events_read + $7 + $8,
             events_applied = events_applied + $7, events_parked = events_parked + $8,
             updated_at = clock_timestamp(), blocked_by = NULL
         WHERE projection = $1 AND generation = $2 AND status = $3 AND owner_epoch = $4
           AND position = $5",
    )
    .bind(generation.projection.name())
    .bind(generation.number)
    .bind(generation.status.as_str())
    .bind(generation.epoch)
    .bind(generation.position.0)
    .bind(up_to.0)
    .bind(to_bigint(applied))
    .bind(to_bigint(parked))
    .execute(&mut *tx)
    .await?;
    if moved.rows_affected() == 0 { Err(WriteError::Fenced) } else { Ok(()) }
}

/// A number of events as PostgreSQL counts.
pub(crate) fn to_bigint(events: u64) -> i64 {
    i64::try_from(events).unwrap_or(i64::MAX)
}
