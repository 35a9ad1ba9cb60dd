//! How far each generation of each read model has come, and what it had to leave out.

use async_graphql::{Enum, SimpleObject};
use chrono::{DateTime, Utc};
use domain::ProjectionName;
use platform::postgres::Pool;
use platform::projection_repair::{RecordedRepair, RepairAction};
use sqlx::FromRow;

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
    /// Streams that it could not go on with, oldest first and those that were discarded last, at most 1,000 of
    /// all read models.
    #[sqlx(skip)]
    #[graphql(complexity = "100 * child_complexity")]
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
    /// Whether somebody decided to go on without it: the projection's repairs say who, and why.
    discarded: bool,
}

/// A decision about a stream that a projector could not go on with.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(name = "ProjectionRepair")]
pub(crate) struct RepairObject {
    /// Its place in the log: it is carried out once the read model has come here.
    position: LogPosition,
    /// When it was made.
    at: DateTime<Utc>,
    /// Who made it; null when another tool appended it without saying so.
    actor: Option<String>,
    /// What was decided.
    action: RepairActionWord,
    /// Why.
    reason: String,
    /// What kind of stream it is about.
    aggregate_type: String,
    /// Whose stream.
    aggregate_id: String,
    /// The place in the log of the event that could not be applied.
    event_position: LogPosition,
    /// That event's stored name.
    event_type: String,
}

/// What to do about a stream that a projector could not go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "RepairAction")]
pub(crate) enum RepairActionWord {
    /// Apply its events again.
    Retry,
    /// Go on for good without the event, and what comes after it in its stream.
    Discard,
}

impl From<RecordedRepair> for RepairObject {
    fn from(repair: RecordedRepair) -> Self {
        let RecordedRepair { position, at, actor, action, poison, reason } = repair;
        let action = match action {
            RepairAction::Retry => RepairActionWord::Retry,
            RepairAction::Discard => RepairActionWord::Discard,
        };
        Self {
            position: LogPosition(position.0),
            at,
            actor: actor.map(|actor| actor.subject),
            action,
            reason,
            aggregate_type: poison.aggregate_type,
            aggregate_id: poison.aggregate_id,
            event_position: LogPosition(poison.position),
            event_type: poison.event_type,
        }
    }
}

/// Whether the generation of a read model that serves has a stream parked, or discarded, since the event at
/// `position`.
pub(crate) async fn is_parked(
    pool: &Pool,
    projection: ProjectionName,
    position: LogPosition,
) -> Result<bool, QueryError> {
    let found: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM parked_streams p
                        JOIN projection_checkpoints c USING (projection, generation)
                        WHERE c.status = 'serving' AND p.projection = $1 AND p.position = $2)",
    )
    .bind(projection.as_str())
    .bind(position)
    .fetch_one(pool)
    .await?;
    Ok(found)
}

/// Every generation that serves or is being filled, without its parked streams: a few rows, however many
/// streams are parked.
pub(crate) async fn read_generations(pool: &Pool) -> Result<Vec<GenerationObject>, QueryError> {
    let generations = sqlx::query_as(
        "SELECT projection, generation, status, position, events_read, events_applied,
                events_parked, updated_at
         FROM projection_checkpoints WHERE status <> 'retired' ORDER BY projection, generation",
    )
    .fetch_all(pool)
    .await?;
    Ok(generations)
}

/// Gives each generation its parked streams.
pub(crate) async fn add_parked_streams(
    pool: &Pool,
    generations: &mut [GenerationObject],
) -> Result<(), QueryError> {
    let parked: Vec<ParkedStreamObject> = sqlx::query_as(
        "SELECT projection, generation, aggregate_type, aggregate_id, position, event_type, error,
                events, parked_at, discarded
         FROM parked_streams ORDER BY discarded, position, aggregate_id LIMIT 1000",
    )
    .fetch_all(pool)
    .await?;
    for stream in parked {
        let owner = generations.iter_mut().find(|generation| {
            generation.projection == stream.projection && generation.generation == stream.generation
        });
        if let Some(owner) = owner {
            owner.parked_streams.push(stream);
        }
    }
    Ok(())
}
