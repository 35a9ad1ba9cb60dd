//! The Merkle tree of RFC 6962 (section 2.1), as RFC 9162 words its verification, and how it is kept: in tiles of 256
//! hashes, as C2SP's tlog-tiles has them.
//!
//! A *node* is a level and a number: the complete subtree of 2^level leaves that begins with leaf number × 2^level. A
//! tile of level L keeps the nodes of level 8 L, 256 to a tile; those between follow from them.

use crate::hashes::{Digest32, hash_children, hash_nothing};

/// How many hashes a tile has when it is full.
pub const TILE_HASHES: u64 = 1 << TILE_LEVELS;
const TILE_LEVELS: u32 = 8;

/// Where a hash is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TileEntry {
    /// The tile's level, from 0.
    pub level: u8,
    /// The tile's number in its level.
    pub tile: u64,
    /// Which of the tile's hashes, from 0.
    pub entry: usize,
}

impl TileEntry {
    /// The entry of this number among all of its level.
    fn from_number(level: u8, number: u64) -> Self {
        let entry = usize::try_from(number % TILE_HASHES).unwrap_or(0);
        Self { level, tile: number / TILE_HASHES, entry }
    }
}

/// Where the hashes are kept from which the node of this level and number follows: the first of them, and how many.
/// They are in one tile.
#[must_use]
pub fn locate_node(level: u32, number: u64) -> (TileEntry, usize) {
    let within = level % TILE_LEVELS;
    let tile_level = u8::try_from(level / TILE_LEVELS).unwrap_or(u8::MAX);
    (TileEntry::from_number(tile_level, number << within), 1 << within)
}

/// The root over hashes of complete subtrees of one size, a power of two of them.
#[must_use]
pub fn root_of(hashes: &[Digest32]) -> Digest32 {
    match hashes {
        [] => hash_nothing(),
        [only] => *only,
        more => {
            let (left, right) = more.split_at(split_size(more.len() as u64) as usize);
            hash_children(&root_of(left), &root_of(right))
        }
    }
}

/// What of a tree is needed to go on with it: the roots of its complete subtrees, the largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Digest32>,
}

impl Frontier {
    /// The tree of `size` leaves with these complete subtrees; none when it does not have so many.
    #[must_use]
    pub fn from_peaks(size: u64, peaks: Vec<Digest32>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    /// How many leaves it has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of its complete subtrees, the largest first.
    #[must_use]
    pub fn peaks(&self) -> &[Digest32] {
        &self.peaks
    }

    /// The levels and numbers of the complete subtrees of a tree of `size` leaves, the largest first.
    pub fn peak_nodes(size: u64) -> impl Iterator<Item = (u32, u64)> {
        let levels = (0..u64::BITS).rev().filter(move |level| size >> level & 1 == 1);
        levels.map(move |level| (level, (size >> level) - 1))
    }

    /// Adds a leaf, and gives what is to be kept of it: the leaf, and the nodes that it completes and tiles keep.
    pub fn add_leaf(&mut self, leaf: Digest32, mut keep: impl FnMut(TileEntry, Digest32)) {
        let (mut hash, mut level) = (leaf, 0);
        loop {
            if level % TILE_LEVELS == 0 {
                let tile_level = u8::try_from(level / TILE_LEVELS).unwrap_or(u8::MAX);
                keep(TileEntry::from_number(tile_level, self.size >> level), hash);
            }
            if self.size >> level & 1 == 0 {
                break;
            }
            let Some(left) = self.peaks.pop() else { break };
            hash = hash_children(&left, &hash);
            level += 1;
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Digest32 {
        let mut peaks = self.peaks.iter().rev().copied();
        let Some(last) = peaks.next() else { return hash_nothing() };
        peaks.fold(last, |right, left| hash_children(&left, &right))
    }
}

/// The largest power of two below `size`, which is two at least.
const fn split_size(size: u64) -> u64 {
    1 << (u64::BITS - 1 - (size - 1).leading_zeros())
}

/// The root over the leaves from `begin` on, `count` of them and one at least, of which `node` knows complete subtrees.
fn root_between<E>(
    (begin, count): (u64, u64),
    node: &mut impl FnMut(u32, u64) -> Result<Digest32, E>,
) -> Result<Digest32, E> {
    if count.is_power_of_two() {
        let level = count.trailing_zeros();
        return node(level, begin >> level);
    }
    let left = split_size(count);
    let right = root_between((begin + left, count - left), node)?;
    Ok(hash_children(&node(left.trailing_zeros(), begin / left)?, &right))
}

/// The audit path of leaf `index` in the tree of `size` leaves (RFC 6962, 2.1.1), whose nodes `node` knows.
///
/// # Errors
/// Those of `node`.
pub fn prove_inclusion<E>(
    index: u64,
    size: u64,
    mut node: impl FnMut(u32, u64) -> Result<Digest32, E>,
) -> Result<Vec<Digest32>, E> {
    let (mut begin, mut count, mut path) = (0, size, Vec::new());
    while count > 1 {
        let left = split_size(count);
        if index - begin < left {
            path.push(root_between((begin + left, count - left), &mut node)?);
            count = left;
        } else {
            path.push(root_between((begin, left), &mut node)?);
            (begin, count) = (begin + left, count - left);
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of `size` leaves begins with the one of `old_size` (RFC 6962, 2.1.2), 1 ≤ `old_size` ≤ `size`.
///
/// # Errors
/// Those of `node`.
pub fn prove_consistency<E>(
    old_size: u64,
    size: u64,
    mut node: impl FnMut(u32, u64) -> Result<Digest32, E>,
) -> Result<Vec<Digest32>, E> {
    let (mut begin, mut count, mut path) = (0, size, Vec::new());
    while old_size - begin < count {
        let left = split_size(count);
        if old_size - begin <= left {
            path.push(root_between((begin + left, count - left), &mut node)?);
            count = left;
        } else {
            path.push(root_between((begin, left), &mut node)?);
            (begin, count) = (begin + left, count - left);
        }
    }
    if begin > 0 {
        path.push(root_between((begin, count), &mut node)?);
    }
    path.reverse();
    Ok(path)
}

/// Whether `path` proves that `leaf` is leaf `index` of the tree of `size` leaves with this root (RFC 9162, 2.1.3.2).
#[must_use]
pub fn verify_inclusion(
    leaf: &Digest32,
    (index, size): (u64, u64),
    path: &[Digest32],
    root: &Digest32,
) -> bool {
    if index >= size {
        return false;
    }
    let (mut number, mut last, mut hash) = (index, size - 1, *leaf);
    for step in path {
        if last == 0 {
            return false;
        }
        if number & 1 == 1 || number == last {
            hash = hash_children(step, &hash);
            while number & 1 == 0 && number != 0 {
                (number, last) = (number >> 1, last >> 1);
            }
        } else {
            hash = hash_children(&hash, step);
        }
        (number, last) = (number >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Whether `path` proves that the tree `new` (size and root) begins with the tree `old` (RFC 9162, 2.1.4.2).
#[must_use]
pub fn verify_consistency(
    (old_size, old_root): (u64, &Digest32),
    (size, root): (u64, &Digest32),
    path: &[Digest32],
) -> bool {
    if old_size == size {
        return path.is_empty() && old_root == root;
    }
    if old_size == 0 || old_size > size {
        return false;
    }
    let mut steps = path.iter();
    let first = if old_size.is_power_of_two() { Some(old_root) } else { steps.next() };
    let Some(first) = first else { return false };
    let begun = (old_size - 1).trailing_ones();
    let (mut number, mut last) = ((old_size - 1) >> begun, (size - 1) >> begun);
    let (mut old, mut new) = (*first, *first);
    for step in steps {
        if last == 0 {
            return false;
        }
        if number & 1 == 1 || number == last {
            (old, new) = (hash_children(step, &old), hash_children(step, &new));
            while number & 1 == 0 && number != 0 {
                (number, last) = (number >> 1, last >> 1);
            }
        } else {
            new = hash_children(&new, step);
        }
        (number, last) = (number >> 1, last >> 1);
    }
    last == 0 && old == *old_root && new == *root
}

#[cfg(test)]
mod tests;
