//! What proves one inspection's report by itself: the events behind it, and that each was in the log when a tree head was
//! signed.
//!
//! It is one JSON object in canonical form: `artifacts` (id, position, digest of each picture that the events announce),
//! `events` (the canonical envelope as a text, its index in the log, its audit path in hexadecimal digits), `format`,
//! `inspection_id` and `tree_head` (a signed note).
//!
//! Invariant: no byte of it is free. Absent: that nothing came after the tree head, which no proof can say.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::artifacts::{ArtifactRecord, note_artifacts};
use crate::canonical::write_canonical;
use crate::envelope::Envelope;
use crate::hashes::{Digest32, hash_leaf};
use crate::signed_note::{SignedNote, VerifyEd25519};
use crate::tree::verify_inclusion;
use crate::tree_head::SignedTreeHead;

const PROOF_FORMAT: &str = "chipq-inspection-proof-1";

/// The aggregates whose events a report follows from, and whether a proof has all of a stream up to some event.
const INSPECTION: &str = "inspection";
const PART: &str = "part";
const WHOLE_STREAMS: [&str; 3] = [INSPECTION, PART, "model-route"];
const PERSONS: &str = "access-control";

/// Why a proof is not believed, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InspectionProofError(String);

/// An event, and that it was in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvedEvent {
    /// The canonical envelope.
    envelope: String,
    /// How many events the log has before it.
    index: u64,
    path: Vec<String>,
}

impl ProvedEvent {
    /// The event with this canonical envelope, and its audit path.
    #[must_use]
    pub fn new(envelope: String, index: u64, path: &[Digest32]) -> Self {
        Self { envelope, index, path: path.iter().map(hex::encode).collect() }
    }
}

/// What proves an inspection's report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InspectionProof {
    artifacts: Vec<ArtifactRecord>,
    events: Vec<ProvedEvent>,
    format: String,
    inspection_id: String,
    tree_head: String,
}

/// What a proof proves.
#[derive(Debug, Clone, PartialEq)]
pub struct ProvedInspection {
    /// Which inspection.
    pub inspection_id: String,
    /// The tree head that its events are proved against.
    pub head: SignedTreeHead,
    /// Its events, and those of what it was judged by, in the log's order.
    pub events: Vec<Envelope>,
    /// The pictures that they announce.
    pub artifacts: Vec<ArtifactRecord>,
    /// Who acted, by subject.
    pub persons: BTreeSet<String>,
}

fn refuse<T>(what: impl Into<String>) -> Result<T, InspectionProofError> {
    Err(InspectionProofError(what.into()))
}

impl InspectionProof {
    /// The proof of this inspection by these events, in the log's order.
    ///
    /// # Errors
    /// When an event does not say which picture it is about.
    pub fn assemble(
        inspection_id: String,
        events: Vec<ProvedEvent>,
        tree_head: &SignedTreeHead,
    ) -> Result<Self, InspectionProofError> {
        let artifacts = list_artifacts(&events)?;
        let format = PROOF_FORMAT.to_owned();
        Ok(Self { artifacts, events, format, inspection_id, tree_head: tree_head.to_text() })
    }

    /// As it is written.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        // What is serialised has a canonical form: strings and numbers of our own.
        let text = serde_json::to_string(self).unwrap_or_default();
        let _ = write_canonical(&text, &mut out);
        out
    }

    /// What the proof in a file proves, if one of the keys signed its tree head.
    ///
    /// # Errors
    /// The first thing in it that is not as it should be.
    pub fn check(
        file: &[u8],
        public_keys: &[[u8; 32]],
        verify: VerifyEd25519<'_>,
    ) -> Result<ProvedInspection, InspectionProofError> {
        let Ok(proof) = serde_json::from_slice::<Self>(file) else {
            return refuse("it is no proof of an inspection: it was altered, or is not whole");
        };
        if proof.format != PROOF_FORMAT || proof.to_bytes() != file {
            return refuse("it is not written as `chipq audit prove` writes it: it was altered");
        }
        let note = SignedNote::parse(&proof.tree_head);
        let head = note.and_then(|note| SignedTreeHead::verify(note, public_keys, verify));
        let head = head.map_err(|error| InspectionProofError(format!("the tree head: {error}")))?;
        let events = check_events(&proof.events, &head)?;
        check_streams(&proof.inspection_id, &events)?;
        if list_artifacts(&proof.events)? != proof.artifacts {
            return refuse("the artifacts are not those that the events announce");
        }
        let persons = events.iter().filter_map(actor_of).map(str::to_owned).collect();
        let Self { inspection_id, artifacts, .. } = proof;
        Ok(ProvedInspection { inspection_id, head, events, artifacts, persons })
    }
}

/// Who asked for what an event follows from.
fn actor_of(event: &Envelope) -> Option<&str> {
    event.metadata.get("actor_subject")?.as_str()
}

fn list_artifacts(events: &[ProvedEvent]) -> Result<Vec<ArtifactRecord>, InspectionProofError> {
    let mut artifacts = BTreeMap::new();
    for event in events {
        let noted = note_artifacts(event.envelope.as_bytes(), &mut artifacts);
        noted.map_err(|error| InspectionProofError(error.to_string()))?;
    }
    Ok(artifacts.into_values().collect())
}

/// Each of them is where it says in the log of the tree head.
fn check_events(
    events: &[ProvedEvent],
    signed: &SignedTreeHead,
) -> Result<Vec<Envelope>, InspectionProofError> {
    let mut read: Vec<Envelope> = Vec::with_capacity(events.len());
    let mut last_index = None;
    for event in events {
        let envelope = match Envelope::parse(&event.envelope) {
            Ok(envelope) => envelope,
            Err(error) => return refuse(format!("an event: {error}")),
        };
        let position = envelope.position;
        let follows = last_index.is_none_or(|last| last < event.index)
            && read.last().is_none_or(|last| last.position < position);
        if !follows {
            return refuse(format!(
                "the event at position {position} does not stand in the log's order"
            ));
        }
        let path = event.path.iter().map(|step| decode_digest(step)).collect::<Option<Vec<_>>>();
        let Some(path) = path else {
            return refuse(format!("the path of the event at position {position} cannot be read"));
        };
        let leaf = hash_leaf(event.envelope.as_bytes());
        let head = &signed.head;
        if !verify_inclusion(&leaf, (event.index, head.size), &path, &head.root) {
            return refuse(format!(
                "the event at position {position} is not proved: it, its place or its path was altered"
            ));
        }
        last_index = Some(event.index);
        read.push(envelope);
    }
    Ok(read)
}

fn decode_digest(text: &str) -> Option<Digest32> {
    let bytes: Digest32 = hex::decode(text).ok()?.try_into().ok()?;
    (hex::encode(bytes) == text).then_some(bytes)
}

/// The events are those of this inspection, whole, and of what it was judged by.
fn check_streams(inspection_id: &str, events: &[Envelope]) -> Result<(), InspectionProofError> {
    let mut next = BTreeMap::<(&str, &str), u64>::new();
    for event in events {
        let (kind, id) = (event.aggregate_type.as_str(), event.aggregate_id.as_str());
        if kind == PERSONS {
            continue;
        }
        if !WHOLE_STREAMS.contains(&kind) {
            return refuse(format!("events of {kind} have no place in it"));
        }
        let sequence = next.entry((kind, id)).or_insert(1);
        if *sequence != event.sequence {
            return refuse(format!(
                "the events of {kind} {id} are not whole: {sequence} is missing"
            ));
        }
        *sequence += 1;
    }
    let created = events.iter().find(|event| event.event_type == "InspectionCreated");
    let part = created.and_then(|created| created.payload.get("part")?.as_str());
    let is_judged = events.iter().any(|event| event.event_type == "InspectionJudged");
    let ids_of = |kind: &str| {
        next.keys().filter(|(of, _)| *of == kind).map(|(_, id)| *id).collect::<Vec<_>>()
    };
    if ids_of(INSPECTION) != [inspection_id] || !is_judged {
        return refuse(format!(
            "the events are not those of the judged inspection {inspection_id}"
        ));
    }
    if part.is_none_or(|part| ids_of(PART) != [part]) {
        return refuse(
            "the events of the part that was inspected are missing, or others are there",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
