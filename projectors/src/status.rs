//! What operators see: how far every projection is, and which streams are parked.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{GenerationStatus, ProjectionName};
use platform::event_log::{EventLog, EventLogError, Position, StreamId};
use platform::postgres::Pool;
use sqlx::types::Json;

use crate::beyond_log::{BeyondLog, find_beyond_log, find_lost_log};
use crate::poison::Poison;
use crate::schema_version::{SchemaMismatch, find_mismatch};

/// The most parked streams that are listed at once.
const LISTED_MAX: i64 = 1_000;

/// How far a generation is.
#[derive(Debug, Clone)]
pub struct ProjectionStatus {
    /// The projection.
    pub projection: String,
    /// Its generation.
    pub generation: i32,
    /// `building` or `serving`.
    pub status: String,
    /// The version of the projection's schema that built it.
    pub schema_version: i32,
    /// Why this code does not write into it, if it does not.
    pub mismatch: Option<SchemaMismatch>,
    /// Why nothing is written into it, if it is beyond the end of the log.
    pub beyond_log: Option<BeyondLog>,
    /// The event before which it stands still, if this software does not know it.
    pub blocked_by: Option<Poison>,
    /// Everything up to here is applied or parked.
    pub position: Position,
    /// The log is complete up to here.
    pub head: Position,
    /// How many positions it is behind; at most so many events, for rollbacks leave holes.
    pub lag_events: u64,
    /// For how long the oldest event it has not read has been in the log.
    pub lag: TimeDelta,
    /// Events read = applied + parked.
    pub events_read: i64,
    /// Events applied, those that do not concern it included.
    pub events_applied: i64,
    /// Events passed over because their stream is parked.
    pub events_parked: i64,
    /// Streams parked, those that are discarded not among them.
    pub parked_streams: i64,
    /// Streams discarded.
    pub discarded_streams: i64,
    /// When it last moved.
    pub updated_at: DateTime<Utc>,
}

/// A stream that is parked for a projection, or discarded.
#[derive(Debug, Clone)]
pub struct ParkedStream {
    /// The projection.
    pub projection: String,
    /// The generation.
    pub generation: i32,
    /// The stream.
    pub stream: StreamId,
    /// The event that could not be applied.
    pub position: Position,
    /// Its stored name.
    pub event_type: String,
    /// Why it could not be applied.
    pub error: String,
    /// Events of the stream passed over, that one included.
    pub events: i64,
    /// When it was parked.
    pub parked_at: DateTime<Utc>,
    /// Whether somebody decided to go on without it.
    pub is_discarded: bool,
}

/// Why the status is not known.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] EventLogError),
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

#[derive(sqlx::FromRow)]
struct CheckpointRow {
    projection: String,
    generation: i32,
    status: String,
    schema_version: i32,
    position: i64,
    events_read: i64,
    events_applied: i64,
    events_parked: i64,
    parked_streams: i64,
    discarded_streams: i64,
    updated_at: DateTime<Utc>,
    blocked_by: Option<Json<BlockedBy>>,
}

/// The event before which a generation stands still, as its checkpoint keeps it.
#[derive(serde::Deserialize)]
struct BlockedBy {
    position: i64,
    aggregate_type: String,
    aggregate_id: String,
    event_type: String,
    error: String,
}

impl From<BlockedBy> for Poison {
    fn from(blocked: BlockedBy) -> Self {
        let BlockedBy { position, aggregate_type, aggregate_id, event_type, error } = blocked;
        let stream = StreamId { aggregate_type, aggregate_id };
        Self { position: Position(position), stream, event_type, reason: error }
    }
}

/// Every generation that serves or is being built, by name and generation.
///
/// # Errors
/// When the database or the log fails.
pub async fn list_generations(
    pool: &Pool,
    log: &dyn EventLog,
) -> Result<Vec<ProjectionStatus>, StatusError> {
    let rows: Vec<CheckpointRow> = sqlx::query_as(
        "SELECT projection, generation, status, schema_version, c.position, events_read,
                events_applied, events_parked, updated_at, blocked_by,
                count(*) FILTER (WHERE NOT p.discarded) AS parked_streams,
                count(*) FILTER (WHERE p.discarded) AS discarded_streams
         FROM public.projection_checkpoints c
         LEFT JOIN public.parked_streams p USING (projection, generation)
         WHERE status <> 'retired' GROUP BY projection, generation ORDER BY projection, generation",
    )
    .fetch_all(pool)
    .await?;
    let mut statuses = Vec::with_capacity(rows.len());
    for row in rows {
        statuses.push(status_of(row, pool, log).await?);
    }
    Ok(statuses)
}

/// Up to where the generation of a projection that serves is; `None` when none serves.
///
/// # Errors
/// When the database fails.
pub async fn serving_position(
    pool: &Pool,
    projection: &str,
) -> Result<Option<Position>, sqlx::Error> {
    let position: Option<i64> = sqlx::query_scalar(
        // Where the log went back, it is up to there that it still agrees with the log.
        "SELECT least(position, log_lost_after) FROM public.projection_checkpoints
         WHERE projection = $1 AND status = 'serving'",
    )
    .bind(projection)
    .fetch_optional(pool)
    .await?;
    Ok(position.map(Position))
}

async fn status_of(
    row: CheckpointRow,
    pool: &Pool,
    log: &dyn EventLog,
) -> Result<ProjectionStatus, StatusError> {
    let position = Position(row.position);
    let projection = crate::find(&row.projection);
    let beyond_log = match projection {
        Some(projection) => match find_beyond_log(log, projection, position).await? {
            None => find_lost_log(pool, projection, row.generation).await?,
            beyond => beyond,
        },
        None => None,
    };
    // A place that the log has lost may be inside an event by now, and nothing can be read from there.
    let from = beyond_log.as_ref().map_or(position, |beyond| beyond.end.min(position));
    let next = log.read_all(from, 1).await?;
    let oldest = next.events.first();
    let lag_events = oldest.map_or(0, |_| next.head.0.abs_diff(from.0));
    let lag = oldest.map_or(TimeDelta::zero(), |event| Utc::now() - event.recorded_at);
    let mismatch = match projection {
        Some(projection) if row.status == GenerationStatus::Serving.as_str() => {
            find_mismatch(&mut *pool.acquire().await?, projection).await?
        }
        _ => None,
    };
    Ok(ProjectionStatus {
        projection: row.projection,
        generation: row.generation,
        status: row.status,
        schema_version: row.schema_version,
        mismatch,
        beyond_log,
        blocked_by: row.blocked_by.map(|Json(blocked)| blocked.into()),
        position,
        head: next.head,
        lag_events,
        lag: lag.max(TimeDelta::zero()),
        events_read: row.events_read,
        events_applied: row.events_applied,
        events_parked: row.events_parked,
        parked_streams: row.parked_streams,
        discarded_streams: row.discarded_streams,
        updated_at: row.updated_at,
    })
}

/// The rows of a generation that serves.
const SERVING_PARKED: &str = "SELECT p.* FROM public.parked_streams p
    JOIN public.projection_checkpoints c USING (projection, generation) WHERE c.status = 'serving'";

/// The streams that are parked or discarded in the generations that serve, of one projection or of all, at most
/// 1,000: those that somebody has to decide about first, and of them the oldest. [`ProjectionStatus`] counts
/// them all.
///
/// # Errors
/// When the database fails.
pub async fn list_parked_streams(
    pool: &Pool,
    projection: Option<&str>,
) -> Result<Vec<ParkedStream>, sqlx::Error> {
    let sql = format!(
        "{SERVING_PARKED} AND ($1::text IS NULL OR p.projection = $1)
         ORDER BY p.discarded, p.parked_at, p.projection, p.position LIMIT $2"
    );
    let rows: Vec<ParkedRow> =
        sqlx::query_as(&sql).bind(projection).bind(LISTED_MAX).fetch_all(pool).await?;
    Ok(rows.into_iter().map(ParkedStream::from).collect())
}

/// The stream that is parked or discarded since the event at `position`, in the generation that serves.
///
/// # Errors
/// When the database fails.
pub async fn find_parked_stream(
    pool: &Pool,
    projection: &str,
    position: Position,
) -> Result<Option<ParkedStream>, sqlx::Error> {
    let sql = format!("{SERVING_PARKED} AND p.projection = $1 AND p.position = $2");
    let row: Option<ParkedRow> =
        sqlx::query_as(&sql).bind(projection).bind(position.0).fetch_optional(pool).await?;
    Ok(row.map(ParkedStream::from))
}

/// Why a stream is parked or discarded, in the generation that serves; `None` when it is not.
///
/// # Errors
/// When the database fails.
pub async fn read_parked_stream(
    pool: &Pool,
    projection: &str,
    stream: &StreamId,
) -> Result<Option<ParkedStream>, sqlx::Error> {
    let sql = format!(
        "{SERVING_PARKED} AND p.projection = $1 AND p.aggregate_type = $2 AND p.aggregate_id = $3"
    );
    let row: Option<ParkedRow> = sqlx::query_as(&sql)
        .bind(projection)
        .bind(&stream.aggregate_type)
        .bind(&stream.aggregate_id)
        .fetch_optional(pool)
        .await?;
    Ok(row.map(ParkedStream::from))
}

/// The read models that a decision about the event at `position` is for: those that it stops, those of which it
/// has parked a stream, and those that have yet to come there. None when it is in the way of none.
///
/// # Errors
/// When the database fails.
pub async fn list_stopped_by(pool: &Pool, position: Position) -> Result<Vec<String>, sqlx::Error> {
    let rows: Vec<(String, bool)> = sqlx::query_as(
        "SELECT c.projection,
                p.position IS NOT NULL OR coalesce((blocked_by ->> 'position')::bigint = $1, false)
         FROM public.projection_checkpoints c
         LEFT JOIN public.parked_streams p ON p.projection = c.projection
              AND p.generation = c.generation AND p.position = $1 AND NOT p.discarded
         WHERE c.status = 'serving' AND (p.position IS NOT NULL OR c.position < $1)
         ORDER BY c.projection",
    )
    .bind(position.0)
    .fetch_all(pool)
    .await?;
    let is_any_stopped = rows.iter().any(|(_, is_stopped)| *is_stopped);
    let named = rows.into_iter().filter(|_| is_any_stopped).map(|(projection, _)| projection);
    Ok(named.filter(|projection| ProjectionName::may_be_stopped(projection)).collect())
}

#[derive(sqlx::FromRow)]
struct ParkedRow {
    projection: String,
    generation: i32,
    aggregate_type: String,
    aggregate_id: String,
    position: i64,
    event_type: String,
    error: String,
    events: i64,
    parked_at: DateTime<Utc>,
    discarded: bool,
}

impl From<ParkedRow> for ParkedStream {
    fn from(row: ParkedRow) -> Self {
        Self {
            projection: row.projection,
            generation: row.generation,
            stream: StreamId { aggregate_type: row.aggregate_type, aggregate_id: row.aggregate_id },
            position: Position(row.position),
            event_type: row.event_type,
            error: row.error,
            events: row.events,
            parked_at: row.parked_at,
            is_discarded: row.discarded,
        }
    }
}
