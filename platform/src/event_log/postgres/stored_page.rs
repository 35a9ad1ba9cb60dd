//! Reading the log exactly as it is stored.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{find_session_incarnation, log_error};
use crate::event_log::{EventLogError, Position, StoredEvent, StoredPage, StreamId};
use crate::postgres::Pool;

/// At most `limit` events after `after`, and none after `up_to`, up to where the log is known to be complete. From the
/// beginning on they are all, also at positions that the log never gave out: who put one there must not be passed over.
pub(super) async fn read_stored_page(
    pool: &Pool,
    (after, up_to): (Position, Position),
    limit: usize,
) -> Result<StoredPage, EventLogError> {
    let mut connection = pool.acquire().await.map_err(log_error)?;
    let incarnation = find_session_incarnation(&mut connection).await?;
    let rows: Vec<StoredRow> = sqlx::query_as(
        "SELECT position, event_id, command_id, aggregate_type, aggregate_id, sequence,
             event_type, event_version, payload::text AS payload, metadata::text AS metadata, recorded_at
         FROM events WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3",
    )
    .bind(if after == Position(0) { i64::MIN } else { after.0 })
    .bind(up_to.0)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(&mut *connection)
    .await
    .map_err(log_error)?;
    let full = rows.len() == limit;
    let up_to = rows.last().filter(|_| full).map_or(up_to, |row| Position(row.position));
    Ok(StoredPage { events: rows.into_iter().map(StoredEvent::from).collect(), up_to, incarnation })
}

#[derive(sqlx::FromRow)]
struct StoredRow {
    position: i64,
    event_id: Uuid,
    command_id: Option<Uuid>,
    aggregate_type: String,
    aggregate_id: String,
    sequence: i64,
    event_type: String,
    event_version: String,
    payload: String,
    metadata: String,
    recorded_at: DateTime<Utc>,
}

impl From<StoredRow> for StoredEvent {
    fn from(row: StoredRow) -> Self {
        Self {
            position: Position(row.position),
            event_id: row.event_id,
            command_id: row.command_id,
            stream: StreamId { aggregate_type: row.aggregate_type, aggregate_id: row.aggregate_id },
            sequence: row.sequence.unsigned_abs(),
            event_type: row.event_type,
            event_version: row.event_version,
            payload: row.payload,
            metadata: row.metadata,
            recorded_at: row.recorded_at,
        }
    }
}
