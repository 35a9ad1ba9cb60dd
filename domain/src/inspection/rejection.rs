//! Why a command on an inspection is refused.

use super::ModelIdentity;
use crate::{ArtifactId, MediaType, Rejection, RetentionClass};

/// A refusal; its message tells a person what is in the way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InspectionRejection {
    /// There is no inspection with this id.
    #[error("there is no such inspection")]
    NotFound,
    /// The id is taken.
    #[error("the inspection exists already")]
    AlreadyExists,
    /// The set of pictures is closed.
    #[error("inference was requested already: the set of pictures is closed")]
    InferenceAlreadyRequested,
    /// The judgement stands.
    #[error("the inspection is judged already; inspect the board again instead")]
    AlreadyJudged,
    /// The inspection was withdrawn.
    #[error("the inspection was voided; create a new one")]
    Voided,
    /// The picture's id is taken.
    #[error("artifact {artifact_id} is reserved already")]
    ArtifactAlreadyReserved {
        /// The picture.
        artifact_id: ArtifactId,
    },
    /// No picture with this id belongs to the inspection.
    #[error("artifact {artifact_id} does not belong to this inspection")]
    NoSuchArtifact {
        /// The picture.
        artifact_id: ArtifactId,
    },
    /// Other bytes are at rest under this id.
    #[error("artifact {artifact_id} is uploaded already with other bytes; reserve a new artifact")]
    ArtifactAlreadyUploaded {
        /// The picture.
        artifact_id: ArtifactId,
    },
    /// The picture has come: there is nothing to renew or to cancel.
    #[error("artifact {artifact_id} is uploaded already; its reservation is used up")]
    ReservationUsed {
        /// The picture.
        artifact_id: ArtifactId,
    },
    /// The picture is announced, not at rest.
    #[error("artifact {artifact_id} is not uploaded yet; PUT it to its upload_url first")]
    ArtifactNotUploaded {
        /// The picture.
        artifact_id: ArtifactId,
    },
    /// The result is about other bytes.
    #[error("the result was computed from other bytes than artifact {artifact_id} has")]
    ArtifactMismatch {
        /// The picture.
        artifact_id: ArtifactId,
    },
    /// The inspection's pictures are compared by one network, the one that compared the first of them.
    #[error(
        "the inspection is compared by {} version {}, and the result is of {} version {}; \
         results of two networks are not mixed",
        pinned.name, pinned.version, found.name, found.version
    )]
    MixedModels {
        /// The network of the inspection's first comparison.
        pinned: Box<ModelIdentity>,
        /// The network of the refused result.
        found: Box<ModelIdentity>,
    },
    /// The bytes are of another format than announced.
    #[error("the artifact was announced as {announced} but is {found}")]
    MediaTypeMismatch {
        /// As announced.
        announced: MediaType,
        /// As sniffed.
        found: MediaType,
    },
    /// Nothing was announced.
    #[error("the inspection has no picture; reserve and upload an artifact first")]
    NoArtifact,
    /// Announced pictures may still come.
    #[error("{} of the announced artifacts are not uploaded yet; upload them first", pending.len())]
    ArtifactsPending {
        /// The pictures that may still come.
        pending: Vec<ArtifactId>,
    },
    /// The limit of pictures is reached.
    #[error("an inspection takes at most {max} artifacts")]
    TooManyArtifacts {
        /// The limit.
        max: usize,
    },
    /// Their retention period is over, and their files are gone.
    #[error("the pictures of this inspection were retired: their retention period is over")]
    PicturesRetired,
    /// Its pictures are kept for another reason, or may still be compared.
    #[error("the inspection is not of the retention class {class}")]
    NotOfRetentionClass {
        /// The class that was meant.
        class: RetentionClass,
    },
    /// The limit of announcements and renewals is reached.
    #[error(
        "pictures of this inspection were announced or renewed {max} times; upload those that are announced, \
         cancel what does not come, and request inference, or void it and create another inspection"
    )]
    TooManyAnnouncements {
        /// The limit.
        max: u32,
    },
}

impl Rejection for InspectionRejection {
    fn name(&self) -> &'static str {
        match self {
            Self::NotFound => "inspection-not-found",
            Self::AlreadyExists => "inspection-already-exists",
            Self::InferenceAlreadyRequested => "inference-already-requested",
            Self::AlreadyJudged => "already-judged",
            Self::Voided => "voided",
            Self::ArtifactAlreadyReserved { .. } => "artifact-already-reserved",
            Self::NoSuchArtifact { .. } => "artifact-not-found",
            Self::ArtifactAlreadyUploaded { .. } => "artifact-already-uploaded",
            Self::ReservationUsed { .. } => "reservation-used",
            Self::ArtifactNotUploaded { .. } => "artifact-not-uploaded",
            Self::ArtifactMismatch { .. } => "artifact-mismatch",
            Self::MixedModels { .. } => "mixed-models",
            Self::MediaTypeMismatch { .. } => "media-type-mismatch",
            Self::NoArtifact => "no-artifact",
            Self::ArtifactsPending { .. } => "artifacts-pending",
            Self::PicturesRetired => "picture-retired",
            Self::NotOfRetentionClass { .. } => "not-of-retention-class",
            Self::TooManyArtifacts { .. } => "too-many-artifacts",
            Self::TooManyAnnouncements { .. } => "too-many-announcements",
        }
    }

    fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound | Self::NoSuchArtifact { .. })
    }
}
