//! How far each generation of each read model has come, and what it had to leave out.

use async_graphql::{ComplexObject, Enum, SimpleObject};
use chrono::{DateTime, Utc};
use domain::ProjectionName;
use platform::postgres::Pool;
use platform::projection_repair::{ReadRepair, RecordedRepair, RepairAction};
use serde::Deserialize;
use sqlx::FromRow;
use sqlx::types::Json;

use super::LogPosition;
use super::words::GenerationStatusWord;
use crate::error::QueryError;

/// One generation of a read model.
#[derive(Debug, Clone, FromRow, SimpleObject)]
#[graphql(name = "Projection", complex)]
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
    #[graphql(skip)]
    pub(crate) blocked_by: Option<Json<BlockingEventObject>>,
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

#[ComplexObject]
impl GenerationObject {
    /// The event before which it stands still, since its projector does not know it; null when it moves.
    async fn blocked_by(&self) -> Option<BlockingEventObject> {
        self.blocked_by.as_ref().map(|Json(event)| event.clone())
    }
}

/// An event of a name or version that the projector does not know. Nothing is skipped without a decision, so the
/// read model stands still before it.
#[derive(Debug, Clone, Deserialize, SimpleObject)]
#[graphql(name = "BlockingEvent", complex)]
pub(crate) struct BlockingEventObject {
    /// Its place in the log.
    position: LogPosition,
    /// What kind of stream it is of.
    aggregate_type: String,
    /// Whose stream.
    aggregate_id: String,
    /// Its stored name.
    event_type: String,
    /// Why it could not be applied.
    error: String,
    /// Since when.
    since: DateTime<Utc>,
}

#[ComplexObject]
impl BlockingEventObject {
    /// What to do.
    async fn next(&self) -> String {
        format!(
            "run the version that wrote it, or a newer one; or let every read model go on without it: \
             discardEvent(position: \"{0}\", reason: …), or chipq projections discard all {0} --reason …",
            self.position.0
        )
    }
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
    /// Why; of an unreadable one, why it cannot be read.
    reason: String,
    /// What kind of stream it is about; null of an unreadable one.
    aggregate_type: Option<String>,
    /// Whose stream; null of an unreadable one.
    aggregate_id: Option<String>,
    /// The place in the log of the event that could not be applied; null of an unreadable one.
    event_position: Option<LogPosition>,
    /// That event's stored name; null of an unreadable one.
    event_type: Option<String>,
}

/// What to do about a stream that a projector could not go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "RepairAction")]
pub(crate) enum RepairActionWord {
    /// Apply its events again.
    Retry,
    /// Go on for good without the event, and what comes after it in its stream.
    Discard,
    /// Nobody can tell: the decision is damaged, or newer than this software. It counts as not made.
    Unreadable,
}

impl From<RecordedRepair> for RepairObject {
    fn from(repair: RecordedRepair) -> Self {
        let RecordedRepair { position, at, actor, decision } = repair;
        let (action, reason, poison) = match decision {
            Ok(ReadRepair { action: RepairAction::Retry, reason, poison }) => {
                (RepairActionWord::Retry, reason, Some(poison))
            }
            Ok(ReadRepair { action: RepairAction::Discard, reason, poison }) => {
                (RepairActionWord::Discard, reason, Some(poison))
            }
            Err(error) => (RepairActionWord::Unreadable, error.to_string(), None),
        };
        let about = poison.as_ref();
        Self {
            position: LogPosition(position.0),
            at,
            actor: actor.map(|actor| actor.subject),
            action,
            reason,
            aggregate_type: about.map(|poison| poison.aggregate_type.clone()),
            aggregate_id: about.map(|poison| poison.aggregate_id.clone()),
            event_position: about.map(|poison| LogPosition(poison.position)),
            event_type: about.map(|poison| poison.event_type.clone()),
        }
    }
}

/// Whether the generation of a read model that serves has a stream parked, or discarded, since the event at
/// `position`, or stands still before that event.
pub(crate) async fn is_stopped_by(
    pool: &Pool,
    projection: ProjectionName,
    position: LogPosition,
) -> Result<bool, QueryError> {
    let found: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM projection_checkpoints c
                        LEFT JOIN parked_streams p ON p.projection = c.projection
                             AND p.generation = c.generation AND p.position = $2
                        WHERE c.status = 'serving' AND c.projection = $1
                          AND (p.position IS NOT NULL
                               OR (blocked_by ->> 'position')::bigint = $2))",
    )
    .bind(projection.as_str())
    .bind(position)
    .fetch_one(pool)
    .await?;
    Ok(found)
}

/// The read models that a decision about the event at `position` is for: those that it stops, those of which it
/// has parked a stream, and those that have yet to come there. None when it is in the way of none.
pub(crate) async fn list_stopped_by(
    pool: &Pool,
    position: LogPosition,
) -> Result<Vec<String>, QueryError> {
    let rows: Vec<(String, bool)> = sqlx::query_as(
        "SELECT c.projection,
                p.position IS NOT NULL OR coalesce((blocked_by ->> 'position')::bigint = $1, false)
         FROM projection_checkpoints c
         LEFT JOIN parked_streams p ON p.projection = c.projection
              AND p.generation = c.generation AND p.position = $1 AND NOT p.discarded
         WHERE c.status = 'serving' AND (p.position IS NOT NULL OR c.position < $1)
         ORDER BY c.projection",
    )
    .bind(position)
    .fetch_all(pool)
    .await?;
    let is_any_stopped = rows.iter().any(|(_, is_stopped)| *is_stopped);
    let named = rows.into_iter().filter(|_| is_any_stopped).map(|(projection, _)| projection);
    Ok(named.filter(|projection| ProjectionName::may_be_stopped(projection)).collect())
}

/// Every generation that serves or is being filled, without its parked streams: a few rows, however many
/// streams are parked.
pub(crate) async fn read_generations(pool: &Pool) -> Result<Vec<GenerationObject>, QueryError> {
    let generations = sqlx::query_as(
        "SELECT projection, generation, status, position, events_read, events_applied,
                events_parked, updated_at, blocked_by
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
