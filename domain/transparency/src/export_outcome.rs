//! What verifying an export comes to.

use std::collections::BTreeMap;
use std::fmt;

use crate::artifacts::ArtifactRecord;

/// The first thing in an export that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportDifference {
    /// In which line, from 1.
    pub line: u64,
    /// What, in a sentence.
    pub what: String,
}

impl fmt::Display for ExportDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// What was read of an export, and what of it is proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportSummary {
    /// Which log.
    pub origin: String,
    /// How many events the log has before the first.
    pub index: u64,
    /// The positions of the first and the last event; none without any.
    pub positions: Option<(i64, i64)>,
    /// How many events were read.
    pub events: u64,
    /// How many of them the largest tree head covers.
    pub proved_events: u64,
    /// The tree heads that were compared, whose sizes were reached.
    pub heads: u64,
    /// Tree heads of other sizes, or handed in, that were not compared.
    pub heads_beyond: u64,
    /// The artifacts that the events announce.
    pub artifacts: BTreeMap<String, ArtifactRecord>,
}
