//! A row of the table of events, and the event that it is.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::Postgres;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueFormat, PgValueRef};
use uuid::Uuid;

use crate::event_log::payload::StoredPayload;
use crate::event_log::{EventMetadata, Position, Recorded, StoredEvent, StreamId};

/// What is read of a row.
pub(super) const COLUMNS: &str =
    "position, event_id, command_id, aggregate_type, aggregate_id, sequence,
    event_type, event_version, payload, metadata, recorded_at";
/// Of the binary form of `jsonb`, before its text.
const JSONB_VERSION: u8 = 1;

#[derive(sqlx::FromRow)]
pub(super) struct EventRow {
    pub(super) position: i64,
    event_id: Uuid,
    command_id: Option<Uuid>,
    aggregate_type: String,
    aggregate_id: String,
    sequence: i64,
    event_type: String,
    event_version: String,
    payload: JsonText,
    metadata: JsonText,
    recorded_at: DateTime<Utc>,
}

impl From<EventRow> for Recorded {
    fn from(row: EventRow) -> Self {
        let metadata: HashMap<String, String> =
            serde_json::from_str(&row.metadata.0).unwrap_or_default();
        Self {
            position: Position(row.position),
            event_id: row.event_id,
            command_id: row.command_id,
            stream: StreamId { aggregate_type: row.aggregate_type, aggregate_id: row.aggregate_id },
            sequence: row.sequence.unsigned_abs(),
            event_type: row.event_type,
            event_version: row.event_version,
            payload: StoredPayload::from_text(row.payload.0),
            metadata: EventMetadata::from_map(&metadata),
            recorded_at: row.recorded_at,
        }
    }
}

impl From<EventRow> for StoredEvent {
    fn from(row: EventRow) -> Self {
        Self {
            position: Position(row.position),
            event_id: row.event_id,
            command_id: row.command_id,
            stream: StreamId { aggregate_type: row.aggregate_type, aggregate_id: row.aggregate_id },
            sequence: row.sequence.unsigned_abs(),
            event_type: row.event_type,
            event_version: row.event_version,
            payload: row.payload.0.into(),
            metadata: row.metadata.0.into(),
            recorded_at: row.recorded_at,
        }
    }
}

/// A `jsonb` as the server prints it: it is JSON, and is not parsed to be sure of that.
struct JsonText(Box<str>);

impl sqlx::Type<Postgres> for JsonText {
    fn type_info() -> PgTypeInfo {
        <serde_json::Value as sqlx::Type<Postgres>>::type_info()
    }
}

impl<'r> sqlx::Decode<'r, Postgres> for JsonText {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let is_binary = value.format() == PgValueFormat::Binary;
        let bytes = value.as_bytes()?;
        let text = match bytes.split_first() {
            Some((&JSONB_VERSION, text)) if is_binary => text,
            _ if is_binary => return Err("a jsonb of a version that is not known".into()),
            _ => bytes,
        };
        Ok(Self(std::str::from_utf8(text)?.into()))
    }
}
