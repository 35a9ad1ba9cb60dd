//! The tree as it grows in memory, until what is new is written down.

use std::collections::BTreeMap;

use platform::event_log::{Position, StoredEvent};
use transparency::{
    CanonicalError, Digest32, EnvelopeFields, Frontier, TileEntry, hash_leaf, link_chain,
};
use uuid::Uuid;

/// An event that has no canonical envelope: what somebody stored in it is no JSON with one meaning.
#[derive(Debug, thiserror::Error)]
#[error("the event at position {position} has no canonical form: {source}")]
pub struct LeafError {
    position: Position,
    source: CanonicalError,
}

/// The canonical envelope of an event, and its leaf hash.
///
/// # Errors
/// When it has none.
pub fn hash_stored(event: &StoredEvent) -> Result<(Vec<u8>, Digest32), LeafError> {
    let fields = EnvelopeFields {
        position: event.position.0,
        event_id: event.event_id,
        command_id: event.command_id,
        aggregate_type: &event.stream.aggregate_type,
        aggregate_id: &event.stream.aggregate_id,
        sequence: event.sequence,
        event_type: &event.event_type,
        event_version: &event.event_version,
        payload: &event.payload,
        metadata: &event.metadata,
        recorded_at: event.recorded_at,
    };
    let canonical = fields.to_canonical();
    let envelope = canonical.map_err(|source| LeafError { position: event.position, source })?;
    let leaf = hash_leaf(&envelope);
    Ok((envelope, leaf))
}

/// What is new in a tile: its hashes from `from` on.
#[derive(Debug, Default)]
pub(crate) struct NewHashes {
    /// How many it had before.
    pub(crate) from: usize,
    pub(crate) hashes: Vec<Digest32>,
    /// Of level 0.
    pub(crate) positions: Vec<i64>,
    pub(crate) event_ids: Vec<Uuid>,
}

/// What a tree has that is not written down, and how far it is with that.
#[derive(Debug)]
pub(crate) struct UnwrittenGrowth {
    /// By level and number.
    pub(crate) tiles: BTreeMap<(u8, u64), NewHashes>,
    pub(crate) size: u64,
    pub(crate) position: Position,
    pub(crate) chain: Digest32,
}

/// The tree, and what of it is not written down.
#[derive(Debug)]
pub(crate) struct GrowingTree {
    pub(crate) frontier: Frontier,
    pub(crate) chain: Digest32,
    /// Of the last event.
    pub(crate) position: Position,
    unwritten: BTreeMap<(u8, u64), NewHashes>,
}

impl GrowingTree {
    pub(crate) const fn new(frontier: Frontier, chain: Digest32, position: Position) -> Self {
        Self { frontier, chain, position, unwritten: BTreeMap::new() }
    }

    /// Adds the next event of the log.
    pub(crate) fn add_event(&mut self, event: &StoredEvent, leaf: Digest32) {
        let unwritten = &mut self.unwritten;
        self.frontier.add_leaf(leaf, |at, hash| {
            let TileEntry { level, tile, entry } = at;
            let new = unwritten
                .entry((level, tile))
                .or_insert_with(|| NewHashes { from: entry, ..NewHashes::default() });
            new.hashes.push(hash);
            if level == 0 {
                new.positions.push(event.position.0);
                new.event_ids.push(event.event_id);
            }
        });
        self.chain = link_chain(&self.chain, &leaf);
        self.position = event.position;
    }

    /// What is to be written down, which counts as written then.
    pub(crate) fn take_unwritten(&mut self) -> UnwrittenGrowth {
        UnwrittenGrowth {
            tiles: std::mem::take(&mut self.unwritten),
            size: self.frontier.size(),
            position: self.position,
            chain: self.chain,
        }
    }
}
