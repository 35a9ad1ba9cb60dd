//! Events exactly as they are stored, for whoever proves what the log holds: circumstances that this software does not
//! know are in them, and nothing is decoded.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Incarnation, Position, StreamId};

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the log.
    pub position: Position,
    /// Its id.
    pub event_id: Uuid,
    /// The command that it follows from; absent when another tool appended it.
    pub command_id: Option<Uuid>,
    /// Its stream.
    pub stream: StreamId,
    /// Its place in its stream, from 1.
    pub sequence: u64,
    /// Its stored name.
    pub event_type: String,
    /// The version of its stored shape.
    pub event_version: String,
    /// Its stored shape, as JSON.
    pub payload: String,
    /// The circumstances, as JSON.
    pub metadata: String,
    /// When the log took it.
    pub recorded_at: DateTime<Utc>,
}

/// A complete stretch of the log, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPage {
    /// The events after the position asked for, in order.
    pub events: Vec<StoredEvent>,
    /// Nothing is left out up to here: ask for what comes after it next.
    pub up_to: Position,
    /// Which history of the log it was.
    pub incarnation: Incarnation,
}
