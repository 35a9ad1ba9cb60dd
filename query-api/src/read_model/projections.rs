//! How far each generation of each read model has come, and what it had to leave out.

use async_graphql::SimpleObject;
use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool};

use super::LogPosition;
use super::words::GenerationStatusWord;
use crate::error::QueryError;

/// One generation of a read model.
#[derive(Debug, Clone, FromRow, SimpleObject)]
#[graphql(name = "Projection")]
pub(crate) struct GenerationObject {
    /// The read model's name.
    #[graphql(name = "name")]
    pub(crate) projection: String,
    /// From 1; a rebuild fills the next.
    pub(crate) generation: i32,
    /// Whether it is read.
    pub(crate) status: GenerationStatusWord,
    /// Everything up to here is applied or parked.
    pub(crate) position: LogPosition,
    /// Events read; the sum of those applied and parked.
    pub(crate) events_read: i64,
    /// Events applied.
    pub(crate) events_applied: i64,
    /// Events of parked streams, passed over.
    pub(crate) events_parked: i64,
    /// When the checkpoint moved last.
    pub(crate) updated_at: DateTime<Utc>,
    /// The log is complete up to here.
    #[sqlx(skip)]
    pub(crate) head: LogPosition,
    /// Places in the log that are not applied yet.
    #[sqlx(skip)]
    pub(crate) lag_events: i64,
    /// Age of the oldest event that is not applied yet; 0 when there is none.
    #[sqlx(skip)]
    pub(crate) lag_seconds: f64,
    /// Streams that it could not go on with, oldest first, at most 1,000 of all read models.
    #[sqlx(skip)]
    pub(crate) parked_streams: Vec<ParkedStreamObject>,
}

/// A stream that a projector could not go on with.
#[derive(Debug, Clone, FromRow, SimpleObject)]
#[graphql(name = "ParkedStream")]
pub(crate) struct ParkedStreamObject {
    #[graphql(skip)]
    projection: String,
    #[graphql(skip)]
    generation: i32,
    /// What kind of stream.
    aggregate_type: String,
    /// Whose stream.
    aggregate_id: String,
    /// The place in the log of the event that could not be applied.
    position: LogPosition,
    /// That event's stored name.
    event_type: String,
    /// Why it could not be applied.
    error: String,
    /// Events of the stream passed over since.
    events: i64,
    /// When it was parked.
    parked_at: DateTime<Utc>,
}

/// Every generation that serves or is being filled, with its parked streams. Two statements.
pub(crate) async fn read_generations(pool: &PgPool) -> Result<Vec<GenerationObject>, QueryError> {
    let mut projections: Vec<GenerationObject> = sqlx::query_as(
        "SELECT projection, generation, status, position, events_read, events_applied,
                events_parked, updated_at
         FROM projection_checkpoints WHERE status <> 'retired' ORDER BY projection, generation",
    )
    .fetch_all(pool)
    .await?;
    let parked: Vec<ParkedStreamObject> = sqlx::query_as(
        "SELECT projection, generation, aggregate_type, aggregate_id, position, event_type, error,
                events, parked_at
         FROM parked_streams ORDER BY position, aggregate_id LIMIT 1000",
    )
    .fetch_all(pool)
    .await?;
    for stream in parked {
        let owner = projections.iter_mut().find(|projection| {
            projection.projection == stream.projection && projection.generation == stream.generation
        });
        if let Some(owner) = owner {
            owner.parked_streams.push(stream);
        }
    }
    Ok(projections)
}
