//! Why a command on a part is refused.

use super::GoldenSampleUse;
use crate::{ArtifactId, MediaType, PixelScale, Rejection};

/// A refusal; its message tells a person what is in the way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartRejection {
    /// Nobody registered the part.
    #[error("the part is not registered; POST /v1/parts first")]
    NotFound,
    /// The part number is taken.
    #[error("the part is registered already")]
    AlreadyRegistered,
    /// The picture's id is taken.
    #[error("artifact {artifact_id} is reserved already")]
    ArtifactAlreadyReserved {
        /// The picture.
        artifact_id: ArtifactId,
    },
    /// No golden sample with this id was announced for the part.
    #[error("artifact {artifact_id} is not a golden sample of this part")]
    NoSuchArtifact {
        /// The picture.
        artifact_id: ArtifactId,
    },
    /// Other bytes are at rest under this id.
    #[error("golden sample {artifact_id} is uploaded already with other bytes; reserve a new one")]
    ArtifactAlreadyUploaded {
        /// The picture.
        artifact_id: ArtifactId,
    },
    /// The golden sample has come: there is nothing to renew or to cancel.
    #[error("golden sample {artifact_id} is uploaded already; its reservation is used up")]
    ReservationUsed {
        /// The picture.
        artifact_id: ArtifactId,
    },
    /// Its retention period is over, and its file is gone.
    #[error("golden sample {artifact_id} was retired: its retention period is over")]
    GoldenSampleRetired {
        /// The picture.
        artifact_id: ArtifactId,
    },
    /// No golden sample of this number took the place of others.
    #[error("golden sample {revision} of this part took no other's place")]
    NotAReplacement {
        /// The number that was meant.
        revision: u32,
    },
    /// The bytes are of another format than announced.
    #[error("the golden sample was announced as {announced} but is {found}")]
    MediaTypeMismatch {
        /// As announced.
        announced: MediaType,
        /// As sniffed.
        found: MediaType,
    },
    /// Nothing is in force that it could stand beside.
    #[error("the view has no golden sample that a {usage} could stand beside; announce one first")]
    NoGoldenSample {
        /// What was announced.
        usage: GoldenSampleUse,
    },
    /// It would stand beside a golden sample of another scale.
    #[error(
        "a {usage} is of the golden sample's scale: this one states {}, the golden sample in force {}; \
         announce it with the same pixels_per_millimetre, or begin anew with one of the use replacement",
        stated(*sample), stated(*golden)
    )]
    ScaleMismatch {
        /// What was announced.
        usage: GoldenSampleUse,
        /// The scale of the golden sample in force.
        golden: Option<PixelScale>,
        /// The scale that was announced.
        sample: Option<PixelScale>,
    },
    /// The limit of samples beside a golden sample is reached.
    #[error(
        "at most {max} of the use {usage} stand beside a golden sample; one of the use replacement \
         begins anew"
    )]
    TooManyGoldenSamples {
        /// What was announced.
        usage: GoldenSampleUse,
        /// The limit.
        max: usize,
    },
    /// The limit of pending golden samples is reached.
    #[error("at most {max} golden samples may wait for their upload")]
    TooManyReservations {
        /// The limit.
        max: usize,
    },
    /// The limit of announcements and renewals is reached.
    #[error(
        "golden samples of this part were announced or renewed {max} times; upload those that are announced, \
         and register the part under another number for more"
    )]
    TooManyAnnouncements {
        /// The limit.
        max: u32,
    },
    /// The limit of recipes is reached.
    #[error(
        "the part has had {max} recipes, and the last one stays in force; register it under another number \
         for another"
    )]
    TooManyRevisions {
        /// The limit.
        max: u32,
    },
}

fn stated(scale: Option<PixelScale>) -> String {
    scale.map_or_else(|| "no scale".to_owned(), |scale| scale.to_string())
}

impl Rejection for PartRejection {
    fn name(&self) -> &'static str {
        match self {
            Self::NotFound => "part-not-found",
            Self::AlreadyRegistered => "part-already-registered",
            Self::ArtifactAlreadyReserved { .. } => "artifact-already-reserved",
            Self::NoSuchArtifact { .. } => "artifact-not-found",
            Self::ArtifactAlreadyUploaded { .. } => "artifact-already-uploaded",
            Self::ReservationUsed { .. } => "reservation-used",
            Self::GoldenSampleRetired { .. } => "picture-retired",
            Self::NotAReplacement { .. } => "not-a-replacement",
            Self::MediaTypeMismatch { .. } => "media-type-mismatch",
            Self::NoGoldenSample { .. } => "no-golden-sample",
            Self::ScaleMismatch { .. } => "scale-mismatch",
            Self::TooManyGoldenSamples { .. } => "too-many-golden-samples",
            Self::TooManyReservations { .. } => "too-many-reservations",
            Self::TooManyAnnouncements { .. } => "too-many-announcements",
            Self::TooManyRevisions { .. } => "too-many-revisions",
        }
    }

    fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound | Self::NoSuchArtifact { .. })
    }
}
