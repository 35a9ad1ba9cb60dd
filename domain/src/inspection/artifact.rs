//! One picture of a board: announced, at rest, compared or not comparable.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::vocabulary::vocabulary;
use crate::{
    Coverage, Defect, MediaType, NotComparable, Picture, UnexplainedDifference, is_awaited,
};

/// The state of one picture of the board.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Artifact {
    /// Announced; may be uploaded until `expires_at`.
    Reserved {
        /// The format that was announced.
        media_type: MediaType,
        /// When the upload URL ends.
        expires_at: DateTime<Utc>,
    },
    /// At rest, waiting for inference.
    Uploaded(Picture),
    /// Compared with the golden sample.
    Compared {
        /// The picture.
        picture: Picture,
        /// The findings.
        defects: Vec<Defect>,
        /// What differs and is not explained by them.
        differences: Vec<UnexplainedDifference>,
        /// How much of the picture was compared; not known of the oldest results.
        coverage: Option<Coverage>,
    },
    /// At rest, but not comparable.
    NotComparable {
        /// The picture.
        picture: Picture,
        /// Why.
        reason: NotComparable,
    },
}

vocabulary! {
    /// What has become of a picture.
    pub enum ArtifactState ("state") {
        /// Announced.
        Reserved = "reserved",
        /// At rest, waiting for inference.
        Uploaded = "uploaded",
        /// Compared with its golden sample.
        Compared = "compared",
        /// At rest, but not comparable.
        NotComparable = "not-comparable",
        /// Its announcement was taken back before it came. Only read models keep it.
        Cancelled = "cancelled",
    }
}

impl Artifact {
    /// The state by name.
    #[must_use]
    pub const fn state(&self) -> ArtifactState {
        match self {
            Self::Reserved { .. } => ArtifactState::Reserved,
            Self::Uploaded(_) => ArtifactState::Uploaded,
            Self::Compared { .. } => ArtifactState::Compared,
            Self::NotComparable { .. } => ArtifactState::NotComparable,
        }
    }

    /// Whether it is announced and may still come at `now`.
    #[must_use]
    pub fn is_awaited(&self, now: DateTime<Utc>) -> bool {
        match self {
            Self::Reserved { expires_at, .. } => is_awaited(*expires_at, now),
            Self::Uploaded(_) | Self::Compared { .. } | Self::NotComparable { .. } => false,
        }
    }

    /// The picture at rest, once it is uploaded.
    #[must_use]
    pub const fn picture(&self) -> Option<&Picture> {
        match self {
            Self::Reserved { .. } => None,
            Self::Uploaded(picture)
            | Self::Compared { picture, .. }
            | Self::NotComparable { picture, .. } => Some(picture),
        }
    }
}
