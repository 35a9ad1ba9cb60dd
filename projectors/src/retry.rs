//! Takes a parked stream up again, once the code can read its events.

use platform::event_log::{EventLog, EventLogError, Position, StreamId};
use sqlx::{Acquire as _, PgConnection, PgPool};

use crate::generation::schema;
use crate::page_writer::Poison;
use crate::projection::{ApplyError, Projection};
use crate::schema_version::{self, SchemaMismatch};

/// Why a stream stays parked.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// It is not.
    #[error("stream {0} is not parked for this projection")]
    NotParked(StreamId),
    /// It still cannot be applied.
    #[error("{0}")]
    Poison(Poison),
    /// Newer software wrote one of its events.
    #[error("{0}")]
    Unknown(String),
    /// The generation was built by code of another version.
    #[error(transparent)]
    OtherSchema(SchemaMismatch),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] EventLogError),
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// Applies the events of a parked stream up to the checkpoint and unparks it, in one transaction in
/// which the checkpoint stands still. Answers how many events were taken up.
///
/// Events that were applied before it was parked are given again and change nothing. That the
/// stream comes late is right because rows depend on the order within a stream only.
///
/// # Errors
/// When the stream stays parked, as it was.
pub async fn retry_stream(
    pool: &PgPool,
    log: &dyn EventLog,
    projection: &dyn Projection,
    stream: &StreamId,
) -> Result<u64, RetryError> {
    let mut tx = pool.begin().await?;
    let (generation, position) = hold_checkpoint(&mut tx, projection, stream).await?;
    let mut events = log.read_stream(stream, 0).await?;
    events.retain(|event| event.position <= position);
    sqlx::query("SELECT set_config('search_path', $1, true)")
        .bind(schema(projection.name(), generation))
        .execute(&mut *tx)
        .await?;
    for event in &events {
        let mut savepoint = tx.begin().await?;
        match projection.apply(&mut savepoint, &[event]).await {
            Ok(()) => savepoint.commit().await?,
            Err(ApplyError::Transient(error)) => return Err(error.into()),
            Err(ApplyError::Unknown(reason)) => return Err(RetryError::Unknown(reason)),
            Err(ApplyError::Permanent(reason)) => {
                return Err(RetryError::Poison(Poison::new(event, reason)));
            }
        }
    }
    let taken_up = unpark_stream(&mut tx, projection, generation, stream).await?;
    tx.commit().await?;
    Ok(taken_up)
}

/// Holds the serving generation's checkpoint still, and gives its owner a new epoch: it has to look
/// again at which streams are parked.
async fn hold_checkpoint(
    tx: &mut PgConnection,
    projection: &dyn Projection,
    stream: &StreamId,
) -> Result<(i32, Position), RetryError> {
    let held: Option<(i32, i64)> = sqlx::query_as(
        "UPDATE public.projection_checkpoints c SET owner_epoch = owner_epoch + 1
         WHERE projection = $1 AND status = 'serving'
           AND schema_version = $4
           AND EXISTS (SELECT FROM public.parked_streams p
                       WHERE p.projection = c.projection AND p.generation = c.generation
                         AND p.aggregate_type = $2 AND p.aggregate_id = $3)
         RETURNING generation, position",
    )
    .bind(projection.name())
    .bind(&stream.aggregate_type)
    .bind(&stream.aggregate_id)
    .bind(projection.definition().schema_version)
    .fetch_optional(&mut *tx)
    .await?;
    let Some((generation, position)) = held else {
        let mismatch = schema_version::find_mismatch(tx, projection).await?;
        let not_parked = || RetryError::NotParked(stream.clone());
        return Err(mismatch.map_or_else(not_parked, RetryError::OtherSchema));
    };
    Ok((generation, Position(position)))
}

async fn unpark_stream(
    tx: &mut PgConnection,
    projection: &dyn Projection,
    generation: i32,
    stream: &StreamId,
) -> Result<u64, sqlx::Error> {
    let events: i64 = sqlx::query_scalar(
        "WITH unparked AS (
             DELETE FROM public.parked_streams
             WHERE projection = $1 AND generation = $2 AND aggregate_type = $3
               AND aggregate_id = $4
             RETURNING events)
         UPDATE public.projection_checkpoints c
         SET events_applied = events_applied + events, events_parked = events_parked - events
         FROM unparked WHERE projection = $1 AND generation = $2
         RETURNING events",
    )
    .bind(projection.name())
    .bind(generation)
    .bind(&stream.aggregate_type)
    .bind(&stream.aggregate_id)
    .fetch_one(tx)
    .await?;
    Ok(events.unsigned_abs())
}
