//! The repair of a projection: what operators decided about the streams that it could not apply.
//!
//! Invariants: every decision has a reason; what is discarded is one event, by its place in the log, and
//! with it what comes after it in its stream. A retry takes back what was discarded of a stream. Absent:
//! whether a stream is parked, and what became of a retry, which only the projection knows.

mod command;
mod event;
mod rejection;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use command::ProjectionRepairCommand;
pub use event::{PoisonedEvent, ProjectionRepairEvent};
pub use rejection::ProjectionRepairRejection;

use crate::{Aggregate, StoredEvent};

/// What is discarded of a projection; the stream's id is the projection's stored name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectionRepair {
    /// The event that was given up, by the stream that it is of: type and id.
    discarded: BTreeMap<String, BTreeMap<String, PoisonedEvent>>,
}

impl ProjectionRepair {
    /// Every event that is given up.
    pub fn discarded(&self) -> impl Iterator<Item = &PoisonedEvent> {
        self.discarded.values().flat_map(BTreeMap::values)
    }

    /// What is given up of the stream that this event is of.
    fn discarded_of(&self, event: &PoisonedEvent) -> Option<&PoisonedEvent> {
        self.discarded.get(&event.aggregate_type)?.get(&event.aggregate_id)
    }
}

impl Aggregate for ProjectionRepair {
    const TYPE: &'static str = "projection";
    const EVENTS: &'static [StoredEvent] = ProjectionRepairEvent::STORED;
    type Command = ProjectionRepairCommand;
    type Event = ProjectionRepairEvent;
    type Rejection = ProjectionRepairRejection;

    fn decide(
        &self,
        command: ProjectionRepairCommand,
    ) -> Result<Vec<ProjectionRepairEvent>, ProjectionRepairRejection> {
        command::decide(self, command)
    }

    fn evolve(&mut self, event: &ProjectionRepairEvent) {
        match event {
            ProjectionRepairEvent::StreamRetryRequested { poison, .. } => {
                if let Some(streams) = self.discarded.get_mut(&poison.aggregate_type) {
                    streams.remove(&poison.aggregate_id);
                }
            }
            ProjectionRepairEvent::StreamDiscarded { poison, .. } => {
                let streams = self.discarded.entry(poison.aggregate_type.clone()).or_default();
                streams.insert(poison.aggregate_id.clone(), poison.clone());
            }
        }
    }
}
