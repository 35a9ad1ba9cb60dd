//! What can have been decided about a projection's parked streams, and under which names it is stored.

use serde::{Deserialize, Serialize};

use crate::aggregate::stored_events;

/// An event that a projection cannot apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoisonedEvent {
    /// The stored type of the aggregate whose event it is.
    pub aggregate_type: String,
    /// That aggregate's id.
    pub aggregate_id: String,
    /// Its place in the log.
    pub position: i64,
    /// Its stored name.
    pub event_type: String,
}

/// The events of a projection's repair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum ProjectionRepairEvent {
    /// The projection is to apply a parked stream again.
    #[serde(rename = "StreamRetryRequested")]
    StreamRetryRequested {
        /// The event that parked it.
        poison: PoisonedEvent,
        /// Why, in the words of whoever asked.
        reason: String,
    },
    /// The projection goes on for good without an event that it cannot apply, and without what comes after
    /// it in its stream.
    #[serde(rename = "StreamDiscarded")]
    StreamDiscarded {
        /// The event.
        poison: PoisonedEvent,
        /// Why, in the words of whoever asked.
        reason: String,
    },
}

stored_events!(ProjectionRepairEvent {
    STREAM_RETRY_REQUESTED: StreamRetryRequested = "StreamRetryRequested",
    STREAM_DISCARDED: StreamDiscarded = "StreamDiscarded",
});
