//! Compares the log with what was kept of it: with the tree in the database, event for event, and with signed tree heads.
//!
//! Invariant: everything is computed again from the events themselves, as they are stored now. The tree in the database
//! only names what differs; what proves anything are the tree heads. The first difference ends it.

use std::collections::BTreeMap;

use platform::event_log::{EventLog, EventLogError, Position, StoredEvent};
use platform::postgres::Pool;
use transparency::{
    Digest32, EMPTY_CHAIN, Frontier, SignedTreeHead, TILE_HASHES, TileEntry, link_chain,
};
use uuid::Uuid;

use crate::growth::{LeafError, hash_stored};
use crate::tree_tables::{LeafTile, TreeError, load_tree, read_inner_tiles, read_leaves};

/// How many events are read at once.
const READ_EVENTS: usize = 1_000;

/// Why nothing can be said of the log.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] EventLogError),
    /// The tree cannot be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// What was read of a log in which nothing differs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifiedLog {
    /// How many events were read that the tree has.
    pub events: u64,
    /// The positions of the first and the last of them.
    pub positions: Option<(i64, i64)>,
    /// How many of them the largest tree head covers, and its position.
    pub proved: (u64, i64),
    /// How many tree heads were compared.
    pub heads: u64,
    /// Of origins that were given up: how many tree heads fit, and how many do not.
    pub given_up: (u64, u64),
    /// How many events come after them that the tree does not have yet.
    pub beyond: u64,
}

/// The outcome of comparing: what was read, or the first difference, in a sentence.
pub type LogVerdict = Result<VerifiedLog, String>;

/// Compares the log with its tree and with `heads`, which were read before; `see` is given the canonical envelope of
/// every event. Those of `given_up` origins are only counted.
///
/// # Errors
/// When the log or the tree cannot be read.
pub async fn verify_log(
    (pool, log): (&Pool, &dyn EventLog),
    (heads, given_up): (Vec<SignedTreeHead>, Vec<SignedTreeHead>),
    see: &mut (dyn FnMut(&[u8]) + Send),
) -> Result<LogVerdict, VerifyError> {
    let tree = load_tree(pool).await?;
    let end = log.head().await?;
    let by_size = |mut heads: Vec<SignedTreeHead>| {
        heads.sort_by_key(|signed| std::cmp::Reverse(signed.head.size));
        heads.dedup();
        heads
    };
    let mut comparison = LogComparison {
        size: tree.frontier.size(),
        position: tree.position,
        frontier: Frontier::default(),
        chain: EMPTY_CHAIN,
        inner: BTreeMap::new(),
        heads: by_size(heads),
        given_up: by_size(given_up),
        found: Vec::new(),
        fits: (0, 0),
        verified: VerifiedLog::default(),
    };
    let mut after = Position(0);
    while after < tree.position.min(end) {
        let page = log.read_stored(after, tree.position.min(end), READ_EVENTS).await?;
        for event in &page.events {
            let (envelope, leaf) = match hash_stored(event) {
                Ok(hashed) => hashed,
                Err(error) => return Ok(Err(describe_unreadable(&error))),
            };
            see(&envelope);
            comparison.found.push(FoundLeaf::new(event, leaf));
            if comparison.found.len() as u64 == TILE_HASHES
                && let Err(what) = comparison.compare_tile(pool, false).await?
            {
                return Ok(Err(what));
            }
        }
        after = page.up_to;
    }
    if let Err(what) = comparison.compare_rest(pool).await? {
        return Ok(Err(what));
    }
    if let Err(what) = comparison.finish(pool, (&tree.frontier, &tree.chain)).await? {
        return Ok(Err(what));
    }
    let mut verified = comparison.verified;
    while after < end {
        let page = log.read_stored(after, end, READ_EVENTS).await?;
        verified.beyond += page.events.len() as u64;
        after = page.up_to;
    }
    Ok(Ok(verified))
}

fn describe_unreadable(error: &LeafError) -> String {
    format!("{error}: it was altered")
}

/// An event as it is now.
struct FoundLeaf {
    position: i64,
    event_id: Uuid,
    leaf: Digest32,
}

impl FoundLeaf {
    const fn new(event: &StoredEvent, leaf: Digest32) -> Self {
        Self { position: event.position.0, event_id: event.event_id, leaf }
    }
}

/// The log as far as it was compared.
struct LogComparison {
    /// Of the tree in the database.
    size: u64,
    position: Position,
    frontier: Frontier,
    chain: Digest32,
    /// Every hash of the tiles above the leaves.
    inner: BTreeMap<(u8, u64), Vec<Digest32>>,
    /// Those that are not compared yet, the smallest last.
    heads: Vec<SignedTreeHead>,
    given_up: Vec<SignedTreeHead>,
    /// Those of the tile under way.
    found: Vec<FoundLeaf>,
    /// The size and the position of the last head that fits.
    fits: (u64, i64),
    verified: VerifiedLog,
}

type CompareStep = Result<(), String>;

impl LogComparison {
    /// Compares what was found with the tile that it should be, of which the log has no more when `is_over`.
    async fn compare_tile(
        &mut self,
        pool: &Pool,
        is_over: bool,
    ) -> Result<CompareStep, VerifyError> {
        let number = self.frontier.size() / TILE_HASHES;
        let mut tile = read_leaves(pool, number).await?;
        let count =
            usize::try_from((self.size - self.frontier.size()).min(TILE_HASHES)).unwrap_or(0);
        tile.hashes.truncate(count);
        if let Some(what) = describe_difference(&tile, &self.found, is_over) {
            return Ok(Err(what));
        }
        for found in std::mem::take(&mut self.found) {
            if let Err(what) = self.add_found(&found) {
                return Ok(Err(what));
            }
        }
        Ok(Ok(()))
    }

    /// The same of what is left, once the log has no more events that the tree should have.
    async fn compare_rest(&mut self, pool: &Pool) -> Result<CompareStep, VerifyError> {
        if self.frontier.size() == self.size && self.found.is_empty() {
            return Ok(Ok(()));
        }
        self.compare_tile(pool, true).await
    }

    fn add_found(&mut self, found: &FoundLeaf) -> CompareStep {
        let inner = &mut self.inner;
        self.frontier.add_leaf(found.leaf, |at: TileEntry, hash| {
            if at.level > 0 {
                inner.entry((at.level, at.tile)).or_default().push(hash);
            }
        });
        self.chain = link_chain(&self.chain, &found.leaf);
        self.verified.events += 1;
        let first = self.verified.positions.map_or(found.position, |(first, _)| first);
        self.verified.positions = Some((first, found.position));
        let size = self.frontier.size();
        while self.given_up.last().is_some_and(|signed| signed.head.size <= size) {
            let Some(signed) = self.given_up.pop() else { break };
            let fits = signed.head.size == size && signed.head.root == self.frontier.root();
            let counted = &mut self.verified.given_up;
            *if fits { &mut counted.0 } else { &mut counted.1 } += 1;
        }
        while self.heads.last().is_some_and(|signed| signed.head.size <= size) {
            let Some(signed) = self.heads.pop() else { break };
            let head = &signed.head;
            let is_same = head.size == size
                && head.root == self.frontier.root()
                && head.chain == self.chain
                && head.position == found.position;
            if !is_same {
                return Err(self.describe_misfit(&signed));
            }
            self.fits = (size, found.position);
            self.verified.heads += 1;
            self.verified.proved = self.fits;
        }
        Ok(())
    }

    fn describe_misfit(&self, signed: &SignedTreeHead) -> String {
        let (head, (size, position)) = (&signed.head, self.fits);
        format!(
            "the events up to position {} are not those of the tree head of {} events that was signed at {}, although the \
             tree in the database agrees with them: both were changed, between position {position} (event {size} of the \
             log), up to which everything is proved, and that one",
            head.position,
            head.size,
            head.signed_at.format("%FT%TZ"),
        )
    }

    /// What remains to be said when all events were compared.
    async fn finish(
        &mut self,
        pool: &Pool,
        (frontier, chain): (&Frontier, &Digest32),
    ) -> Result<CompareStep, VerifyError> {
        self.verified.given_up.1 += self.given_up.len() as u64;
        if let Some(signed) = self.heads.last() {
            let head = &signed.head;
            return Ok(Err(format!(
                "the log is truncated: it has {} events up to position {}, and a tree head of {} events up to position {} was \
                 signed at {}",
                self.size,
                self.position,
                head.size,
                head.position,
                head.signed_at.format("%FT%TZ"),
            )));
        }
        for ((level, tile), hashes) in read_inner_tiles(pool).await? {
            let computed = self.inner.get(&(level, tile)).map(Vec::as_slice).unwrap_or_default();
            let is_same = hashes.len() >= computed.len() && hashes[..computed.len()] == *computed;
            if !is_same {
                return Ok(Err(format!(
                    "tile {tile} of level {level} of the tree in the database does not follow from its leaves: it was changed"
                )));
            }
        }
        if self.frontier != *frontier || self.chain != *chain {
            let what = "the tree in the database does not follow from its own leaves: its upper hashes or its chain were changed";
            return Ok(Err(what.to_owned()));
        }
        Ok(Ok(()))
    }
}

/// What became of the first event that is not what the tile says.
fn describe_difference(tile: &LeafTile, found: &[FoundLeaf], is_over: bool) -> Option<String> {
    let same =
        tile.hashes.iter().zip(found).take_while(|(leaf, found)| **leaf == found.leaf).count();
    let expected = tile.hashes.get(same).map(|_| {
        let position = tile.positions.get(same).copied().unwrap_or_default();
        (position, tile.event_ids.get(same).copied().unwrap_or_default())
    });
    let is_found = |id: Uuid| found[same..].iter().any(|found| found.event_id == id);
    let is_expected = |id: Uuid| tile.event_ids[same.min(tile.event_ids.len())..].contains(&id);
    Some(match (expected, found.get(same)) {
        (None, None) => return None,
        // What comes behind the tile's end may be in the next one, or in none.
        (None, Some(added)) => format!(
            "the event {} at position {} was added: the tree does not have it",
            added.event_id, added.position
        ),
        (Some((position, id)), None) if is_over && same == found.len() => {
            let left = tile.hashes.len() - same;
            if left == 1 {
                format!(
                    "the event {id} at position {position} is missing, the last of the log's tree"
                )
            } else {
                format!(
                    "the log is truncated: the event {id} at position {position} is missing, and all after it"
                )
            }
        }
        (Some((position, id)), None) => format!("the event {id} at position {position} is missing"),
        (Some((position, id)), Some(instead)) => {
            let FoundLeaf { position: at, event_id, .. } = instead;
            if (position, id) == (*at, *event_id) {
                format!(
                    "the event {id} at position {position} was altered: it is not what it was when it came into the log's tree"
                )
            } else if is_found(id) && (is_expected(*event_id) || position == *at) {
                format!(
                    "events were reordered: at position {at} is the event {event_id}, where {id} was at {position}"
                )
            } else if is_found(id) {
                format!(
                    "the event {event_id} at position {at} was added: the tree does not have it"
                )
            } else if position == *at {
                format!("the event {id} at position {position} was altered: it is {event_id} now")
            } else {
                format!("the event {id} at position {position} is missing")
            }
        }
    })
}
