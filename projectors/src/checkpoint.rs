//! The checkpoint of a generation: whose it is, and how it moves.
//!
//! Invariants: it moves in the transaction that writes the rows, by its owner alone, and from where the owner
//! left it; events read = applied + parked.

use platform::event_log::{EventLogError, Position};
use platform::postgres::DatabaseConnection;

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

/// Takes the checkpoint's row, if it is still ours and where we left it, and points the transaction
/// at the generation's tables.
///
/// Rows are looked up by keys, some hundred of them at a time, in tables that grow with every page and that
/// nothing is known of yet: PostgreSQL would rather read them whole, and a rebuild would take longer with
/// the square of the log. So it is told not to.
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
    if ours.is_none() {
        return Err(WriteError::Fenced);
    }
    sqlx::query(
        "SELECT set_config('search_path', $1, true), set_config('enable_seqscan', 'off', true)",
    )
    .bind(generation.schema())
    .execute(tx)
    .await?;
    Ok(())
}

/// Moves the checkpoint, and counts the events that it moves over.
pub(crate) async fn advance_checkpoint(
    tx: &mut DatabaseConnection,
    generation: &Generation,
    up_to: Position,
    (applied, parked): (u64, u64),
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE public.projection_checkpoints
         SET position = $3, events_read = events_read + $4 + $5,
             events_applied = events_applied + $4, events_parked = events_parked + $5,
             updated_at = clock_timestamp(), blocked_by = NULL
         WHERE projection = $1 AND generation = $2",
    )
    .bind(generation.projection.name())
    .bind(generation.number)
    .bind(up_to.0)
    .bind(to_bigint(applied))
    .bind(to_bigint(parked))
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// A number of events as PostgreSQL counts.
pub(crate) fn to_bigint(events: u64) -> i64 {
    i64::try_from(events).unwrap_or(i64::MAX)
}
