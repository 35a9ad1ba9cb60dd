//! An event as KurrentDB stores it: its shape is the data; the circumstances, and the version of the shape, are the
//! metadata beside it, as the flat map of strings that PostgreSQL holds.

use std::collections::HashMap;

use chrono::DateTime;
use kurrentdb_client::{KurrentEvent, ProposedEvent};
use serde::de::IgnoredAny;

use super::failure::{Attempt, AttemptError};
use super::names::parse_stream;
use crate::event_log::{
    Append, EventLogError, EventMetadata, Position, Recorded, StoredEvent, StoredPayload,
};

/// The entry of the metadata that says of which version the shape is.
const EVENT_VERSION: &str = "event_version";
/// Of the time that KurrentDB gives.
const NANOSECONDS_PER_TICK: i64 = 100;

/// The events of an append, as they are given to KurrentDB.
pub(super) fn propose_events(append: &Append) -> Result<Vec<ProposedEvent>, EventLogError> {
    let circumstances = append.circumstances();
    let events = append.events.iter().zip(&append.event_ids).zip(circumstances);
    events
        .map(|((event, id), circumstances)| {
            let mut metadata = circumstances.to_map();
            metadata.insert(EVENT_VERSION.to_owned(), event.event_version.clone());
            Ok(ProposedEvent {
                id: *id,
                event_type: event.event_type.clone(),
                data: to_json(&event.payload)?,
                metadata: to_json(&metadata)?,
            })
        })
        .collect()
}

fn to_json(value: &impl serde::Serialize) -> Result<Vec<u8>, EventLogError> {
    serde_json::to_vec(value).map_err(|error| EventLogError::Failed(error.into()))
}

/// The position of a stored event.
pub(super) fn position_of(event: &KurrentEvent) -> Attempt<Position> {
    let position = event.position.and_then(|position| i64::try_from(position).ok());
    position.map(Position).ok_or_else(|| {
        AttemptError::unusable(
            "KurrentDB does not say where the events of a stream are in its log: it must be version 22.6 or newer",
        )
    })
}

/// A stored event, exactly as it is stored.
pub(super) fn to_stored(event: KurrentEvent) -> Attempt<StoredEvent> {
    let (data, circumstances) = (event.data.clone(), event.metadata.clone());
    let recorded = to_recorded(event)?;
    let text = |bytes| {
        String::from_utf8(bytes).map_err(|_| {
            AttemptError::unusable(format!(
                "the event at position {} is no text",
                recorded.position
            ))
        })
    };
    Ok(StoredEvent {
        position: recorded.position,
        event_id: recorded.event_id,
        command_id: recorded.command_id,
        sequence: recorded.sequence,
        recorded_at: recorded.recorded_at,
        payload: text(data)?,
        metadata: text(circumstances)?,
        stream: recorded.stream,
        event_type: recorded.event_type,
        event_version: recorded.event_version,
    })
}

/// A stored event, as the platform knows it.
pub(super) fn to_recorded(event: KurrentEvent) -> Attempt<Recorded> {
    let position = position_of(&event)?;
    let not_ours = || {
        AttemptError::unusable(format!(
            "event {} of the stream {} was not written by chipq: nothing else may write streams that begin with \
             \"chipq.\"",
            event.revision, event.stream
        ))
    };
    let stream = parse_stream(&event.stream).ok_or_else(not_ours)?;
    let metadata: HashMap<String, String> =
        serde_json::from_slice(&event.metadata).map_err(|_| not_ours())?;
    let event_version = metadata.get(EVENT_VERSION).ok_or_else(not_ours)?.clone();
    let nanoseconds = event.created_ticks.and_then(|n| n.checked_mul(NANOSECONDS_PER_TICK));
    let recorded_at = nanoseconds.map(DateTime::from_timestamp_nanos).ok_or_else(not_ours)?;
    let payload = String::from_utf8(event.data).map_err(|_| not_ours())?;
    serde_json::from_str::<IgnoredAny>(&payload).map_err(|_| not_ours())?;
    let metadata = EventMetadata::from_map(&metadata);
    Ok(Recorded {
        position,
        event_id: event.id,
        command_id: metadata.command_id,
        stream,
        sequence: event.revision + 1,
        event_type: event.event_type,
        event_version,
        payload: StoredPayload::from_text(payload),
        metadata,
        recorded_at,
    })
}
