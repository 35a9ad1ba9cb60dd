//! The events of a stream as read models take them: decoded, each following on the one before.

use domain::{Aggregate, Inspection, InspectionEvent, Part, PartEvent};
use platform::event_log::Recorded;
use uuid::Uuid;

use crate::projection::ApplyError;

/// Stands for the actor of an event that another tool appended without saying who it was.
const UNKNOWN_ACTOR: &str = "unknown";

/// An event that read models take.
pub(super) trait ProjectedEvent: Sized + Send + Sync {
    /// Whose stream it belongs to; knows the older versions of its shape.
    type Aggregate: Aggregate<Event = Self>;
    /// What identifies its stream.
    type Id: Send + Sync;

    /// The stream it belongs to. Refuses an event that cannot stand where it stands.
    fn stream_of(&self, recorded: &Recorded) -> Result<Self::Id, ApplyError>;
}

/// An event and where it stands.
pub(super) struct EventRecord<'a, E: ProjectedEvent> {
    /// Whose event it is.
    pub(super) aggregate_id: E::Id,
    /// What happened.
    pub(super) event: E,
    /// The circumstances.
    pub(super) recorded: &'a Recorded,
}

/// An event of an inspection.
pub(super) type InspectionRecord<'a> = EventRecord<'a, InspectionEvent>;

/// An event of a part.
pub(super) type PartRecord<'a> = EventRecord<'a, PartEvent>;

impl<'a, E: ProjectedEvent> EventRecord<'a, E> {
    /// Decodes an event. One that does not decode can never be applied.
    pub(super) fn decode(recorded: &'a Recorded) -> Result<Self, ApplyError> {
        let event = recorded.decode::<E::Aggregate>().map_err(ApplyError::permanent)?;
        Ok(Self { aggregate_id: event.stream_of(recorded)?, event, recorded })
    }

    /// Who asked for it.
    pub(super) fn actor_subject(&self) -> String {
        let actor = self.recorded.metadata.actor.as_ref();
        actor.map_or_else(|| UNKNOWN_ACTOR.to_owned(), |actor| actor.subject.clone())
    }

    /// Whether it is the next of a stream of which `version` events are applied; false when it is
    /// applied already.
    pub(super) fn follows_on(&self, version: u64) -> Result<bool, ApplyError> {
        let sequence = self.recorded.sequence;
        if sequence > version + 1 {
            let message = format!("event {sequence} of the stream follows on event {version}");
            return Err(ApplyError::Permanent(message));
        }
        Ok(sequence == version + 1)
    }
}

impl ProjectedEvent for InspectionEvent {
    type Aggregate = Inspection;
    type Id = Uuid;

    fn stream_of(&self, recorded: &Recorded) -> Result<Uuid, ApplyError> {
        let id = recorded.stream.aggregate_id.parse().map_err(ApplyError::permanent)?;
        let begins_a_stream = match self {
            Self::InspectionCreated { inspection_id, .. } => {
                if inspection_id.0 != id {
                    let message = "the event is in another inspection's stream";
                    return Err(ApplyError::permanent(message));
                }
                true
            }
            _ => false,
        };
        if begins_a_stream != (recorded.sequence == 1) {
            let message = "InspectionCreated is the first event of a stream and no other";
            return Err(ApplyError::permanent(message));
        }
        Ok(id)
    }
}

impl ProjectedEvent for PartEvent {
    type Aggregate = Part;
    type Id = String;

    fn stream_of(&self, recorded: &Recorded) -> Result<String, ApplyError> {
        Ok(recorded.stream.aggregate_id.clone())
    }
}

/// The inspections of these events, each once.
pub(super) fn distinct_inspections(records: &[InspectionRecord<'_>]) -> Vec<Uuid> {
    let mut ids: Vec<_> = records.iter().map(|record| record.aggregate_id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}
