//! What a projection cannot take: an event, and why. Absent: what becomes of it (`parked_streams`, `blockade`).

use std::fmt;

use platform::event_log::{Position, Recorded, StreamId};

/// An event that cannot be applied, by this software or ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poison {
    /// Where it is.
    pub position: Position,
    /// Its stream.
    pub stream: StreamId,
    /// Its stored name.
    pub event_type: String,
    /// Why it cannot be applied.
    pub reason: String,
}

impl Poison {
    pub(crate) fn new(event: &Recorded, reason: String) -> Self {
        Self {
            position: event.position,
            stream: event.stream.clone(),
            event_type: event.event_type.clone(),
            reason,
        }
    }
}

impl fmt::Display for Poison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, stream, event_type, reason } = self;
        write!(f, "{event_type} of {stream} at position {position} cannot be applied: {reason}")
    }
}
