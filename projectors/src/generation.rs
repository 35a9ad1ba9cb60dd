//! Generations: every projection has one that serves and may have one that is being built. Here are what a
//! process knows of one that it owns, and the locks among those who work on them; in `tables` their tables.
//!
//! Absent: how a page of the log is written into one (`page_writer`).

pub(crate) mod tables;

use std::collections::{HashMap, HashSet};

use domain::GenerationStatus;
use platform::event_log::{Position, StreamId};

use crate::projection::Projection;

/// Advisory lock classes of this crate; 771 and 772 are the event log's.
pub(crate) mod lock {
    /// Whoever creates missing generations.
    pub(crate) const ENSURE: i32 = 773;
    /// Whoever writes a projection's serving generation, with the projection's hash.
    pub(crate) const OWNER: i32 = 774;
    /// Whoever rebuilds or verifies a projection, with the projection's hash.
    pub(crate) const REBUILD: i32 = 775;
    /// Whoever refreshes a projection's continuous aggregates, with the projection's hash.
    pub(crate) const REFRESH: i32 = 777;
    /// Whoever replays the log into a generation, with the hash of its schema.
    pub(crate) const REPLAY: i32 = 778;
}

/// A generation that this process owns, and what it knows of it.
pub(crate) struct Generation {
    pub(crate) projection: &'static dyn Projection,
    pub(crate) number: i32,
    pub(crate) status: GenerationStatus,
    /// Another epoch in the database means that another process owns it now.
    pub(crate) epoch: i64,
    pub(crate) position: Position,
    /// The streams that are passed over.
    pub(crate) parked: HashSet<StreamId>,
    /// What operators gave up, by stream: the event that parks it without being tried.
    pub(crate) discarded: HashMap<StreamId, Position>,
}

impl Generation {
    /// Whether a stream is given up from the event at this position on.
    pub(crate) fn has_discarded(&self, stream: &StreamId, position: Position) -> bool {
        self.discarded.get(stream) == Some(&position)
    }

    /// The schema that holds its tables.
    pub(crate) fn schema(&self) -> String {
        schema(self.projection.name(), self.number)
    }
}

/// The schema of a generation. Names are constants of this crate, so the result needs no quoting.
pub(crate) fn schema(projection: &str, generation: i32) -> String {
    format!("{projection}_g{generation}")
}
