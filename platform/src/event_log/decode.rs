//! From stored JSON to an event of the domain.
//!
//! Invariant: an event is decoded by its stored name and version, through the upcasters of its aggregate.
//! What this software does not know is refused, and never read as something that it knows.

use cqrs_es::DomainEvent as _;
use domain::{Aggregate, UnknownStoredEvent};
use serde::Deserialize as _;

use super::{Position, Recorded};

impl Recorded {
    /// The event as the aggregate `A` knows it today.
    ///
    /// # Errors
    /// When no event of `A` that this software knows has this name, version and shape.
    pub fn decode<A: Aggregate>(&self) -> Result<A::Event, UndecodableEvent> {
        let payload = A::upcast(&self.event_type, &self.event_version, &self.payload)
            .map_err(|unknown| self.undecodable(Undecodable::Unknown(unknown)))?;
        let event = A::Event::deserialize(&*payload)
            .map_err(|error| self.undecodable(Undecodable::Shape(error)))?;
        // The payload is tagged as well: one that says something else is no event of this name.
        let found = event.event_type();
        if found != self.event_type {
            return Err(self.undecodable(Undecodable::Name { found }));
        }
        Ok(event)
    }

    fn undecodable(&self, reason: Undecodable) -> UndecodableEvent {
        UndecodableEvent {
            position: self.position,
            event_type: self.event_type.clone(),
            event_version: self.event_version.clone(),
            reason,
        }
    }
}

/// A stored event that this software cannot read.
#[derive(Debug, thiserror::Error)]
#[error(
    "event {event_type} version {event_version} at position {position} cannot be read: {reason}"
)]
pub struct UndecodableEvent {
    /// Where it is.
    pub position: Position,
    /// Its stored name.
    pub event_type: String,
    /// The version of its stored shape.
    pub event_version: String,
    /// Why not.
    #[source]
    pub reason: Undecodable,
}

/// Why a stored event cannot be read, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Undecodable {
    /// The name or the version is not known here.
    #[error("{0}; if a newer version of the software wrote it, run that version or a newer one")]
    Unknown(UnknownStoredEvent),
    /// The JSON has not the shape of that version.
    #[error("{0}; compare it with schemas/events, and mend whatever wrote it")]
    Shape(serde_json::Error),
    /// The JSON says that it is another event.
    #[error("its payload is tagged {found}; mend whatever wrote it")]
    Name {
        /// What it is tagged with.
        found: String,
    },
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use domain::{Inspection, InspectionEvent, Part};
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::event_log::{EventMetadata, StreamId};

    fn voided() -> Value {
        json!({"type": InspectionEvent::INSPECTION_VOIDED, "reason": "dropped"})
    }

    fn recorded(event_type: &str, event_version: &str, payload: Value) -> Recorded {
        Recorded {
            position: Position(7),
            event_id: Uuid::nil(),
            command_id: None,
            stream: StreamId {
                aggregate_type: Inspection::TYPE.to_owned(),
                aggregate_id: Uuid::nil().to_string(),
            },
            sequence: 1,
            event_type: event_type.to_owned(),
            event_version: event_version.to_owned(),
            payload,
            metadata: EventMetadata::by_service("test"),
            recorded_at: Utc::now(),
        }
    }

    #[test]
    fn an_event_of_the_current_version_is_read() {
        let stored = recorded(InspectionEvent::INSPECTION_VOIDED, "1", voided());
        let expected = InspectionEvent::InspectionVoided { reason: "dropped".into() };
        assert_eq!(stored.decode::<Inspection>().unwrap(), expected);
    }

    #[test]
    fn what_is_not_known_is_refused_by_name_version_position_and_with_what_to_do() {
        let newer = recorded(InspectionEvent::INSPECTION_VOIDED, "2", voided());
        assert_eq!(
            newer.decode::<Inspection>().unwrap_err().to_string(),
            "event InspectionVoided version 2 at position 7 cannot be read: this software knows its \
             versions up to 1; if a newer version of the software wrote it, run that version or a \
             newer one"
        );
        let elsewhere = recorded(InspectionEvent::INSPECTION_VOIDED, "1", voided());
        let refused = elsewhere.decode::<Part>().unwrap_err();
        assert!(matches!(refused.reason, Undecodable::Unknown(_)), "{refused}");
    }

    #[test]
    fn a_payload_of_another_shape_or_another_event_is_refused() {
        let empty = json!({"type": InspectionEvent::INSPECTION_VOIDED});
        let misshapen = recorded(InspectionEvent::INSPECTION_VOIDED, "1", empty);
        let refused = misshapen.decode::<Inspection>().unwrap_err();
        assert!(matches!(refused.reason, Undecodable::Shape(_)), "{refused}");
        let mistagged = recorded(InspectionEvent::INFERENCE_REQUESTED, "1", voided());
        let refused = mistagged.decode::<Inspection>().unwrap_err();
        assert!(matches!(refused.reason, Undecodable::Name { .. }), "{refused}");
    }
}
