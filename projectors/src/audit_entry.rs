//! What the audit trail says of one event: who did what, when, from where, with which token, to what, and why.
//!
//! Invariants: an entry is a pure function of the event and of what stood before it in its own stream, so that the read
//! model and `chipq audit trail` never say different things; every event has one, also one that this software does not
//! know or that is damaged: a trail leaves nothing out. Names and reasons of people enter an entry in
//! [`people::people_and_reasons`] alone.

mod concerns;
mod facts;
mod people;
mod replaced;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use platform::event_log::{Position, Recorded};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

pub use concerns::Concerns;
use facts::facts_of;
pub use people::EntryActor;
use people::{PeopleAndReasons, people_and_reasons};
pub use replaced::{ChangedValue, ReplaceableValue, replaceable_values};
use replaced::{changed_values, take_changed};

/// One event, as the audit trail tells of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditEntry {
    /// Its place in the log.
    pub position: Position,
    /// When the command was accepted.
    pub at: DateTime<Utc>,
    /// Its stored name.
    pub event: String,
    /// The version of its stored shape.
    pub event_version: String,
    /// The stream that it belongs to.
    pub stream: EntryStream,
    /// Who did it; absent when another tool appended it without saying so.
    pub actor: Option<EntryActor>,
    /// What led to it, as far as the log says.
    pub caused_by: Option<EntryCause>,
    /// The business transaction that it belongs to.
    pub correlation_id: Option<String>,
    /// The command that it follows from.
    pub command_id: Option<Uuid>,
    /// The address that it was asked from.
    pub address: Option<String>,
    /// The id (`jti`) of the token that it was asked with.
    pub token_id: Option<String>,
    /// Why, in the words of whoever did it, or as the rule's name.
    pub reason: Option<String>,
    /// Everybody whom it is by or about; [`domain::ANYBODY`] where it may be anybody.
    pub subjects: Vec<String>,
    /// The inspection that it is about.
    pub inspection: Option<String>,
    /// What took the place of what.
    pub changed: Vec<ChangedValue>,
    /// Everything else that the event says.
    pub facts: Map<String, Value>,
}

/// Where an event stands among those of its aggregate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntryStream {
    /// The aggregate's stored type.
    #[serde(rename = "type")]
    pub aggregate_type: String,
    /// The aggregate's id.
    pub id: String,
    /// Its place in the stream, from 1.
    pub sequence: u64,
}

/// What led to an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum EntryCause {
    /// An event before it in its stream.
    Event {
        /// Its id.
        event_id: Uuid,
        /// Its place in the log; absent where the stream has no such event.
        position: Option<Position>,
        /// Its stored name; absent where the stream has no such event.
        event: Option<String>,
    },
    /// A request.
    Trace {
        /// Its trace id.
        trace_id: String,
    },
}

/// An event that stands before another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierEvent {
    /// Its place in the log.
    pub position: Position,
    /// Its stored name.
    pub event: String,
}

/// What an entry has to know of what stands before its event in the same stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BeforeEvent {
    /// The event that [`cause_within_stream`] names.
    pub cause: Option<EarlierEvent>,
    /// What [`replaceable_values`] of the events before it put in place, by key.
    pub values: BTreeMap<String, Value>,
}

/// The id of the event that led to this one, when an event did. It stands before it in the same stream: whatever answers
/// an event, the worker, a rule, retention, appends to the stream of that event.
#[must_use]
pub fn cause_within_stream(recorded: &Recorded) -> Option<Uuid> {
    let causation_id = recorded.metadata.causation_id.as_deref()?;
    // A trace id has no hyphens (W3C Trace Context).
    causation_id.contains('-').then(|| causation_id.parse().ok()).flatten()
}

impl AuditEntry {
    /// What the trail says of `recorded`, after `before` in its stream.
    #[must_use]
    pub fn new(recorded: &Recorded, before: &BeforeEvent) -> Self {
        let PeopleAndReasons { actor, reason, display_name } = people_and_reasons(recorded);
        let Concerns { subjects, inspection } = Concerns::named_by(recorded);
        let changed = changed_values(recorded, &before.values);
        let mut facts = facts_of(recorded, display_name);
        take_changed(&mut facts, recorded, &changed);
        let (metadata, stream) = (&recorded.metadata, &recorded.stream);
        let asked_by = metadata.actor.as_ref();
        // Whoever records an attempt is not who made it: what the attempt itself says counts.
        let address = take_text(&mut facts, "address");
        let token_id = take_text(&mut facts, "token_id");
        Self {
            position: recorded.position,
            at: recorded.occurred_at(),
            event: recorded.event_type.clone(),
            event_version: recorded.event_version.clone(),
            stream: EntryStream {
                aggregate_type: stream.aggregate_type.clone(),
                id: stream.aggregate_id.clone(),
                sequence: recorded.sequence,
            },
            actor,
            caused_by: caused_by(recorded, before.cause.as_ref()),
            correlation_id: metadata.correlation_id.clone(),
            command_id: recorded.command_id,
            address: address.or_else(|| Some(asked_by?.address?.to_string())),
            token_id: token_id.or_else(|| asked_by?.token_id.clone()),
            reason,
            subjects: subjects.into_iter().collect(),
            inspection,
            changed,
            facts,
        }
    }
}

fn caused_by(recorded: &Recorded, cause: Option<&EarlierEvent>) -> Option<EntryCause> {
    if let Some(event_id) = cause_within_stream(recorded) {
        let position = cause.map(|cause| cause.position);
        let event = cause.map(|cause| cause.event.clone());
        return Some(EntryCause::Event { event_id, position, event });
    }
    let trace_id = recorded.metadata.causation_id.clone()?;
    Some(EntryCause::Trace { trace_id })
}

/// Takes a text out of the facts. Of the events of attempts alone, which have these fields.
fn take_text(facts: &mut Map<String, Value>, field: &str) -> Option<String> {
    match facts.get(field) {
        Some(Value::String(_)) => match facts.remove(field) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        },
        // It says that nobody knows.
        Some(Value::Null) => {
            facts.remove(field);
            None
        }
        _ => None,
    }
}
