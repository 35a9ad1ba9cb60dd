//! SHA-256 with a prefix for each purpose, as RFC 6962 (section 2.1) separates leaves from nodes, and the chain's links
//! from both.

use sha2::{Digest as _, Sha256};

/// A SHA-256.
pub type Digest32 = [u8; 32];

/// The chain before its first link.
pub const EMPTY_CHAIN: Digest32 = [0; 32];

const LEAF: u8 = 0;
const NODE: u8 = 1;
const LINK: u8 = 2;

/// SHA-256(0x00 ‖ data): the leaf of an event whose canonical envelope is `data`.
#[must_use]
pub fn hash_leaf(data: &[u8]) -> Digest32 {
    Sha256::new().chain_update([LEAF]).chain_update(data).finalize().into()
}

/// SHA-256(0x01 ‖ left ‖ right).
pub(crate) fn hash_children(left: &Digest32, right: &Digest32) -> Digest32 {
    hash_pair(NODE, left, right)
}

/// SHA-256(0x02 ‖ chain before ‖ leaf): the chain with one event more.
#[must_use]
pub fn link_chain(before: &Digest32, leaf: &Digest32) -> Digest32 {
    hash_pair(LINK, before, leaf)
}

/// The root of the tree without leaves.
pub(crate) fn hash_nothing() -> Digest32 {
    Sha256::new().finalize().into()
}

fn hash_pair(purpose: u8, left: &Digest32, right: &Digest32) -> Digest32 {
    let mut bytes = [purpose; 65];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    Sha256::digest(bytes).into()
}
