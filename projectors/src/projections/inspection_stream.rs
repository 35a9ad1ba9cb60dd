//! The events of inspections as projections take them: decoded, each following on the one before.

use domain::InspectionEvent;
use platform::event_log::Recorded;
use uuid::Uuid;

use crate::projection::ApplyError;

/// Stands for the actor of an event that another tool appended without saying who it was.
const UNKNOWN_ACTOR: &str = "unknown";

/// An event of an inspection.
pub(crate) struct Fact<'a> {
    /// The inspection.
    pub(crate) inspection_id: Uuid,
    /// What happened.
    pub(crate) event: InspectionEvent,
    /// The circumstances.
    pub(crate) recorded: &'a Recorded,
}

impl Fact<'_> {
    /// Who asked for it.
    pub(crate) fn actor(&self) -> String {
        let actor = self.recorded.metadata.actor.as_ref();
        actor.map_or_else(|| UNKNOWN_ACTOR.to_owned(), |actor| actor.subject.clone())
    }
}

/// Decodes events of inspections.
pub(crate) fn facts<'a>(events: &[&'a Recorded]) -> Result<Vec<Fact<'a>>, ApplyError> {
    events.iter().map(|recorded| fact(recorded)).collect()
}

fn fact(recorded: &Recorded) -> Result<Fact<'_>, ApplyError> {
    let event: InspectionEvent = recorded.decode().map_err(ApplyError::permanent)?;
    let inspection_id = recorded.stream.aggregate_id.parse().map_err(ApplyError::permanent)?;
    let created = match &event {
        InspectionEvent::InspectionCreated { inspection_id: created, .. } => {
            if created.0 != inspection_id {
                return Err(ApplyError::permanent("the event is in another inspection's stream"));
            }
            true
        }
        _ => false,
    };
    if created != (recorded.sequence == 1) {
        let message = "InspectionCreated is the first event of a stream and no other";
        return Err(ApplyError::permanent(message));
    }
    Ok(Fact { inspection_id, event, recorded })
}

/// The inspections of these events, each once.
pub(crate) fn inspections(facts: &[Fact<'_>]) -> Vec<Uuid> {
    let mut ids: Vec<_> = facts.iter().map(|fact| fact.inspection_id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Whether the event is the next of a stream of which `version` events are applied; false when it
/// is applied already.
pub(crate) fn is_next(version: u64, recorded: &Recorded) -> Result<bool, ApplyError> {
    let sequence = recorded.sequence;
    if sequence > version + 1 {
        let message = format!("event {sequence} of the stream follows on event {version}");
        return Err(ApplyError::Permanent(message));
    }
    Ok(sequence == version + 1)
}
