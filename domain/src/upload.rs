//! Where an uploaded picture may go.
//!
//! Invariant: whether a slot is free is said in one place for each aggregate. Its `decide` asks here,
//! and so does whoever would like to know it before a byte is received.

use crate::{Aggregate, ArtifactId, MediaType, Picture};

/// The slot that was announced for a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadSlot<'a> {
    /// Announced, and may be filled with a picture of this format.
    Free {
        /// The announced format.
        announced: MediaType,
    },
    /// Filled: a repeated upload of the same bytes changes nothing, other bytes are refused.
    Taken(&'a Picture),
}

/// An aggregate that pictures belong to.
pub trait PictureOwner: Aggregate {
    /// The slot of a picture.
    ///
    /// # Errors
    /// When the picture was never announced, or can no longer be uploaded.
    fn upload_slot(&self, artifact_id: ArtifactId) -> Result<UploadSlot<'_>, Self::Rejection>;

    /// The command that says that the picture is at rest.
    fn upload_command(artifact_id: ArtifactId, picture: Picture) -> Self::Command;
}
