//! One event of the log: as it is appended, as it is stored with its circumstances, and how it becomes an
//! event of the domain again.
//!
//! Invariants: an event is decoded by its stored name and version, through the upcasters of its aggregate;
//! what this software does not know is refused, and never read as something that it knows. There are two
//! beginnings, a client's command ([`EventMetadata::by_actor`]) and a command of the platform's own
//! ([`EventMetadata::by_service`]), and what answers an event says which ([`EventMetadata::caused_by`]): so
//! every event can be followed back to the request it began with.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use cqrs_es::DomainEvent;
use domain::{Aggregate, EventLabels, UnknownStoredEvent, UpcastError};
use serde::Deserialize as _;
use uuid::Uuid;

use super::{ActorRef, EventLogError, Position, StoredPayload, StreamId};
use crate::telemetry::TraceContext;

/// An event to append.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// Its stored name.
    pub event_type: String,
    /// The version of its stored shape.
    pub event_version: String,
    /// Its stored shape.
    pub payload: serde_json::Value,
    /// What its shape does not say.
    pub labels: EventLabels,
}

impl NewEvent {
    /// The stored shape of a domain event.
    ///
    /// # Errors
    /// When the event has no JSON shape, which is a fault of its type.
    pub fn from_domain<A: Aggregate>(event: &A::Event) -> Result<Self, EventLogError> {
        Ok(Self {
            event_type: event.event_type(),
            event_version: event.event_version(),
            payload: serde_json::to_value(event)
                .map_err(|error| EventLogError::Failed(Box::new(error)))?,
            labels: A::labels(event),
        })
    }
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its place in the log.
    pub position: Position,
    /// Its id; derived from the command's id, so that a command is appended once.
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
    /// Its stored shape.
    pub payload: StoredPayload,
    /// The circumstances.
    pub metadata: EventMetadata,
    /// When the log took it.
    pub recorded_at: DateTime<Utc>,
}

impl Recorded {
    /// When the command was accepted; when the log took the event, if another tool appended it.
    #[must_use]
    pub fn occurred_at(&self) -> DateTime<Utc> {
        self.metadata.occurred_at.unwrap_or(self.recorded_at)
    }

    /// The event as the aggregate `A` knows it today.
    ///
    /// # Errors
    /// When no event of `A` that this software knows has this name, version and shape.
    pub fn decode<A: Aggregate>(&self) -> Result<A::Event, UndecodableEvent> {
        let payload = self.payload.value().map_err(|error| UndecodableEvent {
            position: self.position,
            event_type: self.event_type.clone(),
            event_version: self.event_version.clone(),
            reason: Undecodable::Shape(error.to_string()),
        })?;
        let stored = (&*self.event_type, &*self.event_version);
        decode_stored::<A>(self.position, stored, payload)
    }
}

/// A stored event, of this name and version, as the aggregate `A` knows it today.
///
/// # Errors
/// When no event of `A` that this software knows has this name, version and shape.
pub fn decode_stored<A: Aggregate>(
    position: Position,
    (event_type, event_version): (&str, &str),
    payload: &serde_json::Value,
) -> Result<A::Event, UndecodableEvent> {
    let undecodable = |reason| UndecodableEvent {
        position,
        event_type: event_type.to_owned(),
        event_version: event_version.to_owned(),
        reason,
    };
    let payload =
        A::upcast(event_type, event_version, payload).map_err(|error| undecodable(error.into()))?;
    let event = A::Event::deserialize(&*payload)
        .map_err(|error| undecodable(Undecodable::Shape(error.to_string())))?;
    // The payload is tagged as well: one that says something else is no event of this name.
    let found = event.event_type();
    if found != event_type {
        return Err(undecodable(Undecodable::Name { found }));
    }
    Ok(event)
}

/// A stored event that this software cannot read.
#[derive(Debug, Clone, thiserror::Error)]
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
#[derive(Debug, Clone, thiserror::Error)]
pub enum Undecodable {
    /// The name or the version is not known here.
    #[error("{0}; if a newer version of the software wrote it, run that version or a newer one")]
    Unknown(UnknownStoredEvent),
    /// The JSON has not the shape of that version.
    #[error("{0}; compare it with schemas/events, and mend whatever wrote it")]
    Shape(String),
    /// The JSON says that it is another event.
    #[error("its payload is tagged {found}; mend whatever wrote it")]
    Name {
        /// What it is tagged with.
        found: String,
    },
}

impl From<UpcastError> for Undecodable {
    fn from(error: UpcastError) -> Self {
        match error {
            UpcastError::Unknown(unknown) => Self::Unknown(unknown),
            UpcastError::NotAnObject => Self::Shape(error.to_string()),
        }
    }
}

/// The circumstances of an event, stored as a flat map of strings, so that cqrs-es reads it too. Whatever
/// is unknown is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventMetadata {
    /// The command that the event follows from; event ids are derived from it.
    pub command_id: Option<Uuid>,
    /// Hexadecimal SHA-256 of the request.
    pub request_fingerprint: Option<String>,
    /// The business transaction it belongs to: the id of the aggregate whose command began it, so that
    /// everything about one inspection shares one. Filled in when the event is appended, unless the
    /// event that caused it had one.
    pub correlation_id: Option<String>,
    /// What caused the command: the trace id of a request, or the `event_id` of an event.
    pub causation_id: Option<String>,
    /// Who asked for it.
    pub actor: Option<ActorRef>,
    /// W3C trace context of the request.
    pub traceparent: Option<String>,
    /// When the command was accepted.
    pub occurred_at: Option<DateTime<Utc>>,
}

const COMMAND_ID: &str = "command_id";
const REQUEST_FINGERPRINT: &str = "request_fingerprint";
const CORRELATION_ID: &str = "correlation_id";
const CAUSATION_ID: &str = "causation_id";
const TRACEPARENT: &str = "traceparent";
const OCCURRED_AT: &str = "occurred_at";

impl EventMetadata {
    /// Of a client's command, asked for by `actor` in the request that `trace` stands for.
    #[must_use]
    pub fn by_actor(actor: ActorRef, trace: &TraceContext) -> Self {
        Self { actor: Some(actor), ..Self::unknown() }.requested_in(trace)
    }

    /// Of a command that a part of the platform, such as `inference-worker`, gives by itself.
    #[must_use]
    pub fn by_service(name: &str) -> Self {
        Self { actor: Some(ActorRef::for_service(name)), ..Self::unknown() }
    }

    /// The circumstances of an event that the platform's part `name` decided by itself in consequence of
    /// `cause`, an event that stands before it in the same command.
    #[must_use]
    pub(super) fn decided_by(mut self, name: &str, cause: Option<Uuid>) -> Self {
        self.actor = Some(ActorRef::for_service(name));
        self.causation_id = cause.map(|id| id.to_string()).or(self.causation_id);
        self
    }

    /// The command belongs to a request, whose trace goes on in what answers its events.
    #[must_use]
    fn requested_in(mut self, trace: &TraceContext) -> Self {
        self.causation_id = Some(trace.trace_id.clone());
        self.traceparent = Some(trace.traceparent.clone());
        self
    }

    /// The command answers `event`: it belongs to the same transaction and the same trace.
    #[must_use]
    pub fn caused_by(mut self, event: &Recorded) -> Self {
        let correlation_id = event.metadata.correlation_id.as_ref();
        self.correlation_id = Some(correlation_id.unwrap_or(&event.stream.aggregate_id).to_owned());
        self.causation_id = Some(event.event_id.to_string());
        self.traceparent.clone_from(&event.metadata.traceparent);
        self
    }

    /// With the command's id, from which event ids are derived.
    #[must_use]
    pub fn with_command_id(mut self, command_id: Uuid) -> Self {
        self.command_id = Some(command_id);
        self
    }

    /// With the request's fingerprint in hexadecimal digits.
    #[must_use]
    pub fn with_fingerprint(mut self, fingerprint: impl ToString) -> Self {
        self.request_fingerprint = Some(fingerprint.to_string());
        self
    }

    /// With the time when the command was accepted.
    #[must_use]
    pub fn with_occurred_at(mut self, at: DateTime<Utc>) -> Self {
        self.occurred_at = Some(at);
        self
    }

    /// What is absent and follows from the append itself is filled in: the time, and the transaction
    /// that a command on `aggregate_id` begins.
    pub(crate) fn completed_for(mut self, aggregate_id: &str) -> Self {
        self.occurred_at.get_or_insert_with(Utc::now);
        self.correlation_id.get_or_insert_with(|| aggregate_id.to_owned());
        self
    }

    const fn unknown() -> Self {
        Self {
            command_id: None,
            request_fingerprint: None,
            correlation_id: None,
            causation_id: None,
            actor: None,
            traceparent: None,
            occurred_at: None,
        }
    }

    /// The flat map that is stored.
    #[must_use]
    pub fn to_map(&self) -> HashMap<String, String> {
        let occurred_at = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
        [
            (COMMAND_ID, self.command_id.map(|id| id.to_string())),
            (REQUEST_FINGERPRINT, self.request_fingerprint.clone()),
            (CORRELATION_ID, self.correlation_id.clone()),
            (CAUSATION_ID, self.causation_id.clone()),
            (TRACEPARENT, self.traceparent.clone()),
            (OCCURRED_AT, self.occurred_at.map(occurred_at)),
        ]
        .into_iter()
        .chain(self.actor.iter().flat_map(ActorRef::entries))
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect()
    }

    /// What a stored map says; entries that another tool wrote otherwise count as absent.
    #[must_use]
    pub fn from_map(map: &HashMap<String, String>) -> Self {
        let text = |key: &str| map.get(key).cloned();
        Self {
            command_id: map.get(COMMAND_ID).and_then(|id| id.parse().ok()),
            request_fingerprint: text(REQUEST_FINGERPRINT),
            correlation_id: text(CORRELATION_ID),
            causation_id: text(CAUSATION_ID),
            actor: ActorRef::from_map(map),
            traceparent: text(TRACEPARENT),
            occurred_at: map.get(OCCURRED_AT).and_then(|at| at.parse().ok()),
        }
    }
}
