//! The lines of an export, as they are written.

use serde::{Deserialize, Serialize};

use crate::artifacts::ArtifactRecord;
use crate::canonical::write_canonical;
use crate::hashes::Digest32;
use crate::signed_note::SignedNote;
use crate::tree::Frontier;

/// What the first line says that it is.
pub const EXPORT_FORMAT: &str = "chipq-audit-export-1";
/// After how many events of the log, counted from its first, their leaf hashes stand.
const EXPORT_BLOCK: u64 = 256;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportHeader {
    /// The chain there, in hexadecimal digits.
    pub chain: String,
    /// [`EXPORT_FORMAT`].
    pub format: String,
    /// How many events the log has before.
    pub index: u64,
    /// Which log.
    pub origin: String,
    /// The complete subtrees of the tree there, the largest first, in hexadecimal digits.
    pub peaks: Vec<String>,
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportEnd {
    /// How many artifacts.
    pub artifacts: u64,
    /// How many events.
    pub events: u64,
    /// How many tree heads.
    pub heads: u64,
}

/// Any line but the header and the envelopes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum ExportLine {
    Head(String),
    Leaves(String),
    Artifact(ArtifactRecord),
    End(ExportEnd),
}

/// A line of its kind, with its newline.
pub(crate) fn write_line(line: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    // What is serialised has a canonical form: strings and numbers of our own.
    let text = serde_json::to_string(line).unwrap_or_default();
    let _ = write_canonical(&text, &mut out);
    out.push(b'\n');
    out
}

impl ExportHeader {
    /// The header of an export that goes on where `frontier` and `chain` are.
    #[must_use]
    pub fn new(origin: String, frontier: &Frontier, chain: &Digest32) -> Self {
        Self {
            chain: hex::encode(chain),
            format: EXPORT_FORMAT.to_owned(),
            index: frontier.size(),
            origin,
            peaks: frontier.peaks().iter().map(hex::encode).collect(),
        }
    }

    /// As it is written.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        write_line(self)
    }
}

/// Leaf hashes until they are written down behind their events.
#[derive(Debug, Default)]
pub struct ExportBlock(Vec<Digest32>);

impl ExportBlock {
    /// Adds the leaf of event `index`; the line of the block where that fills it.
    pub fn add_leaf(&mut self, index: u64, leaf: Digest32) -> Option<Vec<u8>> {
        self.0.push(leaf);
        if (index + 1).is_multiple_of(EXPORT_BLOCK) { self.take_line() } else { None }
    }

    /// The line of what was added since the last.
    pub fn take_line(&mut self) -> Option<Vec<u8>> {
        let leaves = std::mem::take(&mut self.0);
        let line = ExportLine::Leaves(hex::encode(leaves.concat()));
        (!leaves.is_empty()).then(|| write_line(&line))
    }
}

/// The line of a tree head.
#[must_use]
pub fn write_head_line(note: &SignedNote) -> Vec<u8> {
    write_line(&ExportLine::Head(note.to_text()))
}

/// The line of an artifact.
#[must_use]
pub fn write_artifact_line(artifact: &ArtifactRecord) -> Vec<u8> {
    write_line(&ExportLine::Artifact(artifact.clone()))
}

impl ExportEnd {
    /// As it is written.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        write_line(&ExportLine::End(self.clone()))
    }
}
