//! The circumstances of an event. Stored as a flat map of strings, so that cqrs-es reads it too.
//!
//! Invariant: there are two beginnings, a client's command ([`EventMetadata::by_actor`]) and a command of
//! the platform's own ([`EventMetadata::by_service`]), and what answers an event says which
//! ([`EventMetadata::caused_by`]). So every event can be followed back to the request it began with.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Recorded;
use crate::telemetry::TraceContext;

/// Who asked for a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorRef {
    /// The token's subject.
    pub subject: String,
    /// The roles it had.
    pub roles: Vec<String>,
}

/// The circumstances of an event. Whatever is unknown is absent.
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
const ACTOR_SUBJECT: &str = "actor_subject";
const ACTOR_ROLES: &str = "actor_roles";
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
        let actor = ActorRef { subject: name.to_owned(), roles: vec!["service".to_owned()] };
        Self { actor: Some(actor), ..Self::unknown() }
    }

    /// The command belongs to a request, whose trace goes on in what answers its events.
    #[must_use]
    pub fn requested_in(mut self, trace: &TraceContext) -> Self {
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
            (ACTOR_SUBJECT, self.actor.as_ref().map(|actor| actor.subject.clone())),
            (ACTOR_ROLES, self.actor.as_ref().map(|actor| actor.roles.join(" "))),
            (TRACEPARENT, self.traceparent.clone()),
            (OCCURRED_AT, self.occurred_at.map(occurred_at)),
        ]
        .into_iter()
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
            actor: text(ACTOR_SUBJECT).map(|subject| ActorRef {
                subject,
                roles: map
                    .get(ACTOR_ROLES)
                    .map(|roles| roles.split_whitespace().map(str::to_owned).collect())
                    .unwrap_or_default(),
            }),
            traceparent: text(TRACEPARENT),
            occurred_at: map.get(OCCURRED_AT).and_then(|at| at.parse().ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::StreamId;
    use super::*;

    #[test]
    fn metadata_survives_its_stored_form() {
        let metadata = EventMetadata {
            command_id: Some(Uuid::from_u128(7)),
            request_fingerprint: Some("ab".into()),
            correlation_id: Some("c".into()),
            causation_id: Some("d".into()),
            actor: Some(ActorRef { subject: "demo".into(), roles: vec!["a".into(), "b".into()] }),
            traceparent: Some("00-1-2-01".into()),
            occurred_at: Some("2026-01-02T03:04:05.000006Z".parse().unwrap()),
        };
        assert_eq!(EventMetadata::from_map(&metadata.to_map()), metadata);
        assert_eq!(EventMetadata::from_map(&HashMap::new()), EventMetadata::unknown());
    }

    #[test]
    fn what_answers_an_event_belongs_to_its_transaction_and_trace_and_names_it() {
        let trace = TraceContext::new(None);
        let actor = ActorRef { subject: "demo".into(), roles: vec![] };
        let mut event = Recorded {
            position: super::super::Position(7),
            event_id: Uuid::from_u128(8),
            command_id: None,
            stream: StreamId { aggregate_type: "test".into(), aggregate_id: "a".into() },
            sequence: 1,
            event_type: "Happened".into(),
            event_version: "1".into(),
            payload: serde_json::Value::Null,
            metadata: EventMetadata::by_actor(actor, &trace),
            recorded_at: Utc::now(),
        };
        assert_eq!(event.metadata.causation_id, Some(trace.trace_id));
        let answer = EventMetadata::by_service("worker").caused_by(&event);
        assert_eq!(answer.causation_id, Some(event.event_id.to_string()));
        assert_eq!(answer.traceparent, Some(trace.traceparent));
        assert_eq!(answer.correlation_id.as_deref(), Some("a"));
        event.metadata.correlation_id = Some("order".into());
        let answer = EventMetadata::by_service("worker").caused_by(&event).completed_for("b");
        assert_eq!(answer.correlation_id.as_deref(), Some("order"));
    }
}
