//! An export of the log, and how it is verified without anything else but a key: line after line, in bounded memory.
//!
//! An export is text of one JSON object a line, each in canonical form:
//!
//! 1. the *header*: which log, after which event it begins, and what the tree and the chain were there;
//! 2. every *tree head* that was kept of a size that the export reaches, the smallest first;
//! 3. the events, as their canonical envelopes, and behind every 256 (counted from the log's first) and the last of
//!    them a *block* with their leaf hashes, by which the first event that was altered is named;
//! 4. the *artifacts* that these events announce, with their digests;
//! 5. the *end*, without which the export was truncated.
//!
//! Invariant: nothing that an export says of itself is believed. Blocks and artifacts are computed again, and only a
//! tree head that the key signed proves anything: up to its size.

use std::collections::BTreeMap;

use crate::artifacts::{ArtifactRecord, note_artifacts};
use crate::difference::{EventDifference, find_difference};
use crate::export_lines::{EXPORT_FORMAT, ExportEnd, ExportHeader, ExportLine, write_line};
use crate::export_outcome::{ExportDifference, ExportSummary};
use crate::hashes::{Digest32, EMPTY_CHAIN, hash_leaf, link_chain};
use crate::signed_note::{SignedNote, VerifyEd25519};
use crate::tree::Frontier;
use crate::tree_head::SignedTreeHead;

/// Where the position stands at the latest, from the end of an envelope: two numbers and a time come after its name.
const POSITION_WITHIN: usize = 160;

/// What comes next in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    Heads,
    Events,
    Artifacts,
    Over,
}

/// Verifies an export.
pub struct ExportVerifier<'a> {
    public_keys: &'a [[u8; 32]],
    verify: VerifyEd25519<'a>,
    line: u64,
    section: Section,
    frontier: Frontier,
    chain: Digest32,
    block: Vec<Digest32>,
    /// The positions of the block's events.
    places: Vec<i64>,
    /// By size; those that are not compared yet.
    heads: Vec<SignedTreeHead>,
    heads_listed: u64,
    /// The size of the largest of them.
    listed_size: u64,
    heads_before: u64,
    /// The last head that fits: size and position; or where the export begins.
    fits: (u64, Option<i64>),
    /// A head that does not fit; reported where the block does not say which event it is.
    misfit: Option<String>,
    artifacts_listed: Vec<ArtifactRecord>,
    summary: ExportSummary,
}

type LineOutcome = Result<(), String>;

impl<'a> ExportVerifier<'a> {
    /// Begins with the first line. Whoever has tree heads from elsewhere hands them in: they have to fit, too.
    ///
    /// # Errors
    /// When it is no header.
    pub fn begin(
        header: &str,
        elsewhere: Vec<SignedTreeHead>,
        (public_keys, verify): (&'a [[u8; 32]], VerifyEd25519<'a>),
    ) -> Result<Self, ExportDifference> {
        let no_header = || ExportDifference {
            line: 1,
            what: format!(
                "it is no header of an export ({EXPORT_FORMAT}): name a file that `chipq audit export` wrote"
            ),
        };
        let parsed: ExportHeader = serde_json::from_str(header).map_err(|_| no_header())?;
        if parsed.format != EXPORT_FORMAT || parsed.to_line() != format!("{header}\n").as_bytes() {
            return Err(no_header());
        }
        let peaks: Option<Vec<_>> = parsed.peaks.iter().map(|peak| decode_digest(peak)).collect();
        let frontier = peaks.and_then(|peaks| Frontier::from_peaks(parsed.index, peaks));
        let chain = decode_digest(&parsed.chain);
        let (Some(frontier), Some(chain)) = (frontier, chain) else { return Err(no_header()) };
        let ExportHeader { origin, index, .. } = parsed;
        if index == 0 && chain != EMPTY_CHAIN {
            return Err(no_header());
        }
        let mut verifier = Self {
            public_keys,
            verify,
            line: 1,
            section: Section::Heads,
            frontier,
            chain,
            block: Vec::new(),
            places: vec![],
            heads: elsewhere,
            heads_listed: 0,
            listed_size: 0,
            heads_before: 0,
            fits: (index, None),
            misfit: None,
            artifacts_listed: Vec::new(),
            summary: ExportSummary {
                origin,
                index,
                positions: None,
                events: 0,
                proved_events: 0,
                heads: 0,
                heads_beyond: 0,
                artifacts: BTreeMap::new(),
            },
        };
        let foreign =
            verifier.heads.iter().find(|signed| signed.head.origin != verifier.summary.origin);
        if let Some(foreign) = foreign {
            let what = another_log(&foreign.head.origin, &verifier.summary.origin);
            return Err(verifier.difference(what));
        }
        verifier.begin_events();
        verifier.section = Section::Heads;
        Ok(verifier)
    }

    const fn difference(&self, what: String) -> ExportDifference {
        ExportDifference { line: self.line, what }
    }

    /// Takes the next line, without its newline.
    ///
    /// # Errors
    /// The first thing that is not as it should be. What comes after it says nothing.
    pub fn take_line(&mut self, line: &[u8]) -> Result<(), ExportDifference> {
        self.line += 1;
        let step = if line.starts_with(b"{\"aggregate_id\":") {
            self.take_event(line)
        } else {
            self.take_other(line)
        };
        step.map_err(|what| self.difference(what))
    }

    fn enter(&mut self, section: Section) -> LineOutcome {
        if section < self.section {
            return Err(
                "it stands where nothing of its kind may: lines were moved, or added".to_owned()
            );
        }
        if self.section == Section::Heads && section > Section::Heads {
            self.begin_events();
        }
        self.section = section;
        Ok(())
    }

    /// Those of sizes before the first event cannot be compared.
    fn begin_events(&mut self) {
        self.heads.sort_by_key(|signed| std::cmp::Reverse(signed.head.size));
        self.heads.dedup();
        let begun = self.summary.index;
        while self
            .heads
            .last()
            .is_some_and(|signed| signed.head.size < begun || signed.head.size == 0)
        {
            self.heads.pop();
            self.heads_before += 1;
        }
        self.section = Section::Events;
    }

    fn take_event(&mut self, line: &[u8]) -> LineOutcome {
        self.enter(Section::Events)?;
        if self.frontier.size() == self.summary.index {
            // One of the size with which the export begins.
            self.compare_heads();
        }
        let unreadable = || "it is no envelope of an event: it was altered".to_owned();
        let position = read_position(line).ok_or_else(unreadable)?;
        let before = self.places.last().copied().or(self.summary.positions.map(|(_, last)| last));
        if let Some(before) = before.filter(|before| *before >= position) {
            return Err(format!(
                "the event at position {position} stands behind the one at {before}: events were reordered"
            ));
        }
        let leaf = hash_leaf(line);
        self.block.push(leaf);
        self.places.push(position);
        self.frontier.add_leaf(leaf, |_, _| ());
        self.chain = link_chain(&self.chain, &leaf);
        let first = self.summary.positions.map_or(position, |(first, _)| first);
        self.summary.positions = Some((first, position));
        self.summary.events += 1;
        note_artifacts(line, &mut self.summary.artifacts).map_err(|_| unreadable())?;
        self.compare_heads();
        Ok(())
    }

    /// Compares the heads of the size that was reached.
    fn compare_heads(&mut self) {
        let size = self.frontier.size();
        while self.heads.last().is_some_and(|signed| signed.head.size == size) {
            let Some(signed) = self.heads.pop() else { return };
            if self.misfit.is_some() {
                continue;
            }
            let last = self.summary.positions.map(|(_, last)| last);
            let is_same = self.frontier.root() == signed.head.root
                && self.chain == signed.head.chain
                && last.is_none_or(|last| last == signed.head.position);
            if is_same {
                self.fits = (size, Some(signed.head.position));
                self.summary.heads += 1;
                self.summary.proved_events = size - self.summary.index;
            } else {
                self.misfit = Some(describe_misfit(&signed, self.fits));
            }
        }
    }

    fn take_other(&mut self, line: &[u8]) -> LineOutcome {
        let unreadable =
            || "it is none of the lines of an export: it was altered, or is not whole".to_owned();
        let parsed: ExportLine = serde_json::from_slice(line).map_err(|_| unreadable())?;
        if write_line(&parsed).strip_suffix(b"\n") != Some(line) {
            return Err("it is not written in canonical form: it was altered".to_owned());
        }
        match parsed {
            ExportLine::Head(note) => self.take_head(&note),
            ExportLine::Leaves(leaves) => self.take_leaves(&leaves),
            ExportLine::Artifact(artifact) => {
                self.enter_artifacts()?;
                self.artifacts_listed.push(artifact);
                Ok(())
            }
            ExportLine::End(end) => self.take_end(&end),
        }
    }

    fn take_head(&mut self, note: &str) -> LineOutcome {
        self.enter(Section::Heads)?;
        let note = SignedNote::parse(note).map_err(|error| format!("the tree head: {error}"))?;
        let signed = SignedTreeHead::verify(note, self.public_keys, self.verify);
        let signed = signed.map_err(|error| format!("the tree head: {error}"))?;
        if signed.head.origin != self.summary.origin {
            return Err(another_log(&signed.head.origin, &self.summary.origin));
        }
        self.heads_listed += 1;
        self.listed_size = self.listed_size.max(signed.head.size);
        self.heads.push(signed);
        Ok(())
    }

    fn take_leaves(&mut self, leaves: &str) -> LineOutcome {
        self.enter(Section::Events)?;
        let unreadable = || "the leaf hashes cannot be read: they were altered".to_owned();
        let bytes = decode_hex(leaves).ok_or_else(unreadable)?;
        let (chunks, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() {
            return Err("the leaf hashes are not whole".to_owned());
        }
        if let Some((at, kind)) = find_difference(chunks, &self.block) {
            let place = |n: usize| self.places.get(n).copied();
            let named = match (place(at), kind) {
                (Some(at), EventDifference::Missing) => {
                    format!("an event before position {at} is missing")
                }
                (None, _) => format!(
                    "the events after position {} are missing",
                    self.summary.positions.map_or(0, |p| p.1)
                ),
                (Some(at), EventDifference::Added) => {
                    format!("the event at position {at} was added")
                }
                (Some(at), EventDifference::Moved) => {
                    format!("the event at position {at} was moved")
                }
                (Some(at), EventDifference::Altered) => {
                    format!("the event at position {at} was altered")
                }
            };
            return Err(format!("{named}: it is not what its leaf hash says"));
        }
        self.block.clear();
        self.places.clear();
        self.misfit.take().map_or(Ok(()), Err)
    }

    fn enter_artifacts(&mut self) -> LineOutcome {
        self.enter(Section::Artifacts)?;
        if self.block.is_empty() {
            Ok(())
        } else {
            Err("the leaf hashes of the last events are missing".to_owned())
        }
    }

    fn take_end(&mut self, end: &ExportEnd) -> LineOutcome {
        self.enter_artifacts()?;
        self.section = Section::Over;
        let found: Vec<_> = self.summary.artifacts.values().cloned().collect();
        if found != self.artifacts_listed {
            return Err("the artifacts are not those that the events announce".to_owned());
        }
        let counted = ExportEnd {
            artifacts: self.artifacts_listed.len() as u64,
            events: self.summary.events,
            heads: self.heads_listed,
        };
        if counted == *end {
            Ok(())
        } else {
            Err("the end counts other lines than there are".to_owned())
        }
    }

    /// What was read, once every line was taken.
    ///
    /// # Errors
    /// When the export was truncated, or a tree head says that the log has more events than it.
    pub fn finish(mut self) -> Result<ExportSummary, ExportDifference> {
        if self.section != Section::Over {
            self.line += 1;
            return Err(self.difference(
                "the export ends here, without its last line: it was truncated".to_owned(),
            ));
        }
        let size = self.frontier.size();
        if self.listed_size > size {
            return Err(self.difference(format!(
                "the export ends after event {size} of the log, and has a tree head of {}: it was truncated",
                self.listed_size
            )));
        }
        self.summary.heads_beyond = self.heads.len() as u64 + self.heads_before;
        Ok(self.summary)
    }
}

fn another_log(found: &str, expected: &str) -> String {
    format!("the tree head is of another log: {found}, and the export is of {expected}")
}

fn describe_misfit(signed: &SignedTreeHead, (size, position): (u64, Option<i64>)) -> String {
    let head = &signed.head;
    let begin = match position {
        Some(position) => {
            format!(
                "after position {position} (event {size} of the log), up to which all is proved"
            )
        }
        None => "in them, or in what the export begins with".to_owned(),
    };
    format!(
        "the events up to position {} are not those of the tree head of {} events ({}): the first difference is \
         {begin}",
        head.position,
        head.size,
        head.signed_at.format("%FT%TZ")
    )
}

fn decode_digest(text: &str) -> Option<Digest32> {
    decode_hex(text)?.try_into().ok()
}

/// Hexadecimal digits in lower case.
fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let bytes = hex::decode(text).ok()?;
    (hex::encode(&bytes) == text).then_some(bytes)
}

/// The position in an envelope, without reading the rest.
fn read_position(line: &[u8]) -> Option<i64> {
    const NAME: &[u8] = b",\"position\":";
    let begin = line.len().saturating_sub(POSITION_WITHIN);
    let at = line[begin..].windows(NAME.len()).rposition(|window| window == NAME)?;
    let rest = &line[begin + at + NAME.len()..];
    let digits = rest.iter().position(|byte| *byte == b',')?;
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
