//! Proves the log: builds the RFC 6962 tree over its events, and signs tree heads, which it keeps outside the database
//! and hands to a witness.
//!
//! Invariants: an event is in the tree once, in the log's order; in one name (*origin*) no two tree heads are signed
//! that contradict each other, whatever became of the database; what cannot be signed or handed on is said aloud and
//! tried again, and holds up neither the tree nor a command. Absent: verifying, which whoever does not trust this
//! process does elsewhere.

#[cfg(test)]
mod tests;

mod believed_heads;
mod config;
mod growth;
mod head_folder;
mod origins;
mod reactor;
mod service;
mod signer;
mod tree_tables;
mod troubles;
mod verify;
mod witness;

pub use believed_heads::{BelievedHeads, believe_heads};
pub use config::{ProofConfig, WitnessPlace};
pub use growth::{LeafError, hash_stored};
pub use head_folder::{HeadFolder, HeadFolderError};
pub use origins::{LogOrigin, begin_origin, list_origins};
pub use service::Service;
pub use tree_tables::{
    LeafTile, StoredTree, TreeError, find_index, load_frontier, load_tree, prove_with_tiles,
    read_leaves,
};
pub use verify::{LogVerdict, VerifiedLog, VerifyError, verify_log};

/// The follower's name, under which its checkpoint is kept.
const LOG_PROOF: &str = "log-proof";
