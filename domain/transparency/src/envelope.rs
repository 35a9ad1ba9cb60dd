//! The canonical envelope of an event: everything that the log keeps of it, as one JSON object in canonical form.
//!
//! Its members are `aggregate_id`, `aggregate_type`, `command_id` (null where another tool appended it), `event_id`,
//! `event_type`, `event_version`, `metadata` (every entry that is stored, known or not), `payload`, `position`,
//! `recorded_at` (RFC 3339 in UTC with nine digits behind the second) and `sequence`. UUIDs are in lower case.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use uuid::Uuid;

use crate::canonical::{CanonicalError, write_canonical, write_string};

/// What the log keeps of an event, as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct EnvelopeFields<'a> {
    /// Its place in the log.
    pub position: i64,
    /// Its id.
    pub event_id: Uuid,
    /// The command that it follows from.
    pub command_id: Option<Uuid>,
    /// Its stream's aggregate.
    pub aggregate_type: &'a str,
    /// The aggregate's id.
    pub aggregate_id: &'a str,
    /// Its place in its stream, from 1.
    pub sequence: u64,
    /// Its stored name.
    pub event_type: &'a str,
    /// The version of its stored shape.
    pub event_version: &'a str,
    /// Its stored shape, as JSON.
    pub payload: &'a str,
    /// The circumstances, as JSON.
    pub metadata: &'a str,
    /// When the log took it.
    pub recorded_at: DateTime<Utc>,
}

impl EnvelopeFields<'_> {
    /// The canonical envelope.
    ///
    /// # Errors
    /// When payload or metadata are no JSON with one meaning.
    pub fn to_canonical(&self) -> Result<Vec<u8>, CanonicalError> {
        let mut out = Vec::with_capacity(384 + self.payload.len() + self.metadata.len());
        let text = |name: &str, value: &str, out: &mut Vec<u8>| {
            out.extend(name.as_bytes());
            write_string(value, out);
        };
        text("{\"aggregate_id\":", self.aggregate_id, &mut out);
        text(",\"aggregate_type\":", self.aggregate_type, &mut out);
        out.extend(b",\"command_id\":");
        match self.command_id {
            Some(id) => out.extend(format!("\"{id}\"").as_bytes()),
            None => out.extend(b"null"),
        }
        out.extend(format!(",\"event_id\":\"{}\"", self.event_id).as_bytes());
        text(",\"event_type\":", self.event_type, &mut out);
        text(",\"event_version\":", self.event_version, &mut out);
        out.extend(b",\"metadata\":");
        write_canonical(self.metadata, &mut out)?;
        out.extend(b",\"payload\":");
        write_canonical(self.payload, &mut out)?;
        let at = self.recorded_at.to_rfc3339_opts(SecondsFormat::Nanos, true);
        let (position, sequence) = (self.position, self.sequence);
        let rest =
            format!(",\"position\":{position},\"recorded_at\":\"{at}\",\"sequence\":{sequence}}}");
        out.extend(rest.as_bytes());
        Ok(out)
    }
}

/// Why a text is no canonical envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// It has no canonical form, or other members.
    #[error("it is no envelope of an event: {0}")]
    Shape(String),
    /// It is written in another way.
    #[error("it is not written in canonical form")]
    NotCanonical,
}

/// An envelope that was read.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// The aggregate's id.
    pub aggregate_id: String,
    /// Its stream's aggregate.
    pub aggregate_type: String,
    /// The command that it follows from.
    pub command_id: Option<Uuid>,
    /// Its id.
    pub event_id: Uuid,
    /// Its stored name.
    pub event_type: String,
    /// The version of its stored shape.
    pub event_version: String,
    /// The circumstances.
    pub metadata: serde_json::Value,
    /// Its stored shape.
    pub payload: serde_json::Value,
    /// Its place in the log.
    pub position: i64,
    /// When the log took it.
    pub recorded_at: DateTime<Utc>,
    /// Its place in its stream, from 1.
    pub sequence: u64,
}

impl Envelope {
    /// The envelope that `text` is.
    ///
    /// # Errors
    /// When it is none, or not canonical.
    pub fn parse(text: &str) -> Result<Self, EnvelopeError> {
        let shape = |error: &dyn std::fmt::Display| EnvelopeError::Shape(error.to_string());
        let mut canonical = Vec::with_capacity(text.len());
        write_canonical(text, &mut canonical).map_err(|error| shape(&error))?;
        if canonical != text.as_bytes() {
            return Err(EnvelopeError::NotCanonical);
        }
        serde_json::from_str(text).map_err(|error| shape(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hashes::{EMPTY_CHAIN, hash_leaf, link_chain};

    fn fields() -> EnvelopeFields<'static> {
        EnvelopeFields {
            position: 4711,
            event_id: "01992f6e-2a31-5d02-8c11-6f2b9c4e7d21".parse().unwrap(),
            command_id: Some("01992F6E-2A31-7D02-8C11-6F2B9C4E7D21".parse().unwrap()),
            aggregate_type: "part",
            aggregate_id: "PCB \"7\"",
            sequence: 3,
            event_type: "PartRegistered",
            event_version: "1",
            payload: r#"{ "type": "PartRegistered", "name": "Prüfling", "limit": 0.250, "zero": 1e2 }"#,
            metadata: r#"{"unknown":"kept","actor_subject":"ada"}"#,
            recorded_at: DateTime::from_timestamp(1_790_000_000, 123_456_000).unwrap(),
        }
    }

    /// The form is for ever: what was hashed once has to be found again.
    const VECTOR: &str = concat!(
        r#"{"aggregate_id":"PCB \"7\"","aggregate_type":"part","#,
        r#""command_id":"01992f6e-2a31-7d02-8c11-6f2b9c4e7d21","event_id":"01992f6e-2a31-5d02-8c11-6f2b9c4e7d21","#,
        r#""event_type":"PartRegistered","event_version":"1","metadata":{"actor_subject":"ada","unknown":"kept"},"#,
        r#""payload":{"limit":0.25,"name":"Prüfling","type":"PartRegistered","zero":100},"position":4711,"#,
        r#""recorded_at":"2026-09-21T14:13:20.123456000Z","sequence":3}"#
    );

    #[test]
    fn the_envelope_of_a_given_event_never_changes() {
        let canonical = fields().to_canonical().unwrap();
        assert_eq!(String::from_utf8(canonical).unwrap(), VECTOR);
        let leaf = hash_leaf(VECTOR.as_bytes());
        assert_eq!(hex::encode(leaf), LEAF);
        assert_eq!(hex::encode(link_chain(&EMPTY_CHAIN, &leaf)), LINK);
        let other_tool = EnvelopeFields { command_id: None, ..fields() }.to_canonical().unwrap();
        assert!(String::from_utf8(other_tool).unwrap().contains(",\"command_id\":null,"));
    }

    const LEAF: &str = "5231e31894c23d8a9bec375745b5947b9d7aa8fbfc8780b48912ac7cae706e95";
    const LINK: &str = "6f11f97d71319a1b0cb9d635a985e4ff8cc95920d270430c3952e16d25688aeb";

    #[test]
    fn an_envelope_is_read_in_its_one_form_alone() {
        let read = Envelope::parse(VECTOR).unwrap();
        assert_eq!((read.position, read.sequence, &*read.aggregate_id), (4711, 3, "PCB \"7\""));
        assert_eq!(read.recorded_at, fields().recorded_at);
        let spaced = VECTOR.replace(",\"position\"", ", \"position\"");
        assert_eq!(Envelope::parse(&spaced), Err(EnvelopeError::NotCanonical));
        for broken in [
            VECTOR.replace("\"sequence\":3", "\"sequence\":3,\"tail\":1"),
            VECTOR.replace(",\"sequence\":3", ""),
            VECTOR.replace("\"sequence\":3", "\"sequence\":-3"),
            VECTOR.replace('}', ""),
        ] {
            assert!(matches!(Envelope::parse(&broken), Err(EnvelopeError::Shape(_))), "{broken}");
        }
    }
}
