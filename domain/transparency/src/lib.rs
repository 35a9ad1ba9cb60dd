//! What proves the log to somebody who does not trust its database: every event has one canonical form, whose hashes
//! are the leaves of an RFC 6962 tree and the links of a chain; signed tree heads say what both were.
//!
//! Invariants: the same input gives the same bytes for ever, and whatever is malformed is refused, so that no byte of
//! what is verified is free. Absent: I/O, clocks, keys. Who signs and who verifies hands the signature in.

mod artifacts;
mod canonical;
mod difference;
mod envelope;
mod export;
mod export_lines;
mod export_outcome;
mod hashes;
mod inspection_proof;
mod signed_note;
mod tree;
mod tree_head;

pub use artifacts::{ArtifactRecord, UnreadableArtifacts, note_artifacts};
pub use canonical::{CanonicalError, write_canonical};
pub use difference::{EventDifference, find_difference};
pub use envelope::{Envelope, EnvelopeError, EnvelopeFields};
pub use export::ExportVerifier;
pub use export_lines::{
    EXPORT_FORMAT, ExportBlock, ExportEnd, ExportHeader, write_artifact_line, write_head_line,
};
pub use export_outcome::{ExportDifference, ExportSummary};
pub use hashes::{Digest32, EMPTY_CHAIN, hash_leaf, link_chain};
pub use inspection_proof::{InspectionProof, InspectionProofError, ProvedEvent, ProvedInspection};
pub use signed_note::{NoteError, SignedNote, VerifyEd25519, note_key_id};
pub use tree::{
    Frontier, TILE_HASHES, TileEntry, locate_node, prove_consistency, prove_inclusion, root_of,
    verify_consistency, verify_inclusion,
};
pub use tree_head::{SignedTreeHead, TreeHead};
