//! Where an inspection and its pictures are in their lives, by name.

use super::{Artifact, Inspection};
use crate::vocabulary::vocabulary;

vocabulary! {
    /// Where an inspection is in its life, once it was created.
    pub enum InspectionState ("state") {
        /// Pictures are announced and uploaded.
        Open = "open",
        /// The set of pictures is closed; the judgement waits for the last result.
        Inferring = "inferring",
        /// Judged by the machine.
        Judged = "judged",
        /// Withdrawn before it was judged.
        Voided = "voided",
    }
}

impl InspectionState {
    /// Whether a result still counts. What is judged or voided takes none, but other events may follow.
    #[must_use]
    pub const fn takes_results(self) -> bool {
        match self {
            Self::Open | Self::Inferring => true,
            Self::Judged | Self::Voided => false,
        }
    }
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
    }
}

impl Inspection {
    /// The state by name; `None` for an inspection that nobody created.
    #[must_use]
    pub const fn state(&self) -> Option<InspectionState> {
        match self {
            Self::NotCreated => None,
            Self::Open(_) => Some(InspectionState::Open),
            Self::Inferring(_) => Some(InspectionState::Inferring),
            Self::Judged { .. } => Some(InspectionState::Judged),
            Self::Voided(_) => Some(InspectionState::Voided),
        }
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
}
