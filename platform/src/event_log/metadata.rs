//! The circumstances of an event. Stored as a flat map of strings, so that cqrs-es reads it too.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Who asked for a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorRef {
    /// The token's subject.
    pub subject: String,
    /// The roles it had.
    pub roles: Vec<String>,
}

impl ActorRef {
    /// A part of the platform that acts by itself, such as `inference-worker`.
    #[must_use]
    pub fn service(name: &str) -> Self {
        Self { subject: name.to_owned(), roles: vec!["service".to_owned()] }
    }
}

/// The circumstances of an event. Whatever is unknown is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventMetadata {
    /// The command that the event follows from; event ids are derived from it.
    pub command_id: Option<Uuid>,
    /// Hexadecimal SHA-256 of the request.
    pub request_fingerprint: Option<String>,
    /// The business transaction it belongs to.
    pub correlation_id: Option<String>,
    /// The event or request that caused the command.
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
        assert_eq!(EventMetadata::from_map(&HashMap::new()), EventMetadata::default());
    }
}
