//! What became of one picture, and the event that it becomes.

use uuid::Uuid;

use super::event::{GoldenReference, InspectionEvent, ModelIdentity, Registration, Timing};
use crate::{
    ArtifactId, Coverage, Defect, NotComparable, Picture, Sha256, UnexplainedDifference,
    value::replace_nul,
};

/// What became of one picture.
#[expect(
    clippy::large_enum_variant,
    reason = "most are comparisons, and a command carries it in a box"
)]
#[derive(Debug, Clone, PartialEq)]
pub enum InferenceResult {
    /// It was compared.
    Completed {
        /// Derived from picture, golden sample and model.
        result_id: Uuid,
        /// The picture.
        artifact_id: ArtifactId,
        /// Digest of the bytes that were compared.
        artifact_sha256: Sha256,
        /// What it was compared with.
        golden: GoldenReference,
        /// By which network.
        model: ModelIdentity,
        /// How it lay over the golden sample.
        registration: Registration,
        /// What was found.
        defects: Vec<Defect>,
        /// What differs and is not explained by what was found.
        differences: Vec<UnexplainedDifference>,
        /// How much of it was compared.
        coverage: Coverage,
        /// Where the time went.
        timing: Timing,
    },
    /// It could not be compared.
    Failed {
        /// Derived from picture, golden sample and model.
        result_id: Uuid,
        /// The picture.
        artifact_id: ArtifactId,
        /// Digest of the bytes that were to be compared.
        artifact_sha256: Sha256,
        /// What it was to be compared with.
        golden: Option<GoldenReference>,
        /// Why not.
        reason: NotComparable,
        /// Why not, in words.
        detail: String,
    },
}

impl InferenceResult {
    pub(super) const fn artifact_and_digest(&self) -> (ArtifactId, Sha256) {
        match self {
            Self::Completed { artifact_id, artifact_sha256, .. }
            | Self::Failed { artifact_id, artifact_sha256, .. } => (*artifact_id, *artifact_sha256),
        }
    }

    /// The network that a comparison is by.
    pub(super) const fn compared_by(&self) -> Option<&ModelIdentity> {
        match self {
            Self::Completed { model, .. } => Some(model),
            Self::Failed { .. } => None,
        }
    }

    pub(super) fn into_event(self, picture: Picture, recipe_revision: u32) -> InspectionEvent {
        match self {
            // A registration that is not a number is none.
            Self::Completed { result_id, artifact_id, golden, registration, .. }
                if !registration.is_finite() =>
            {
                InspectionEvent::InferenceFailed {
                    result_id,
                    artifact_id,
                    picture,
                    golden: Some(golden),
                    reason: NotComparable::NotRegistered,
                    detail: "the registration gave no finite numbers".to_owned(),
                    recipe_revision,
                }
            }
            Self::Completed {
                result_id,
                artifact_id,
                golden,
                model,
                registration,
                mut defects,
                mut differences,
                coverage,
                timing,
                ..
            } => {
                defects.sort_by(|a, b| b.confidence.get().total_cmp(&a.confidence.get()));
                for difference in &mut differences {
                    *difference = difference.with_storable_strength();
                }
                differences.sort_by(|a, b| b.strength.total_cmp(&a.strength));
                InspectionEvent::InferenceCompleted {
                    result_id,
                    artifact_id,
                    picture,
                    golden,
                    model,
                    recipe_revision,
                    registration,
                    defects,
                    differences,
                    coverage: Some(coverage),
                    timing,
                }
            }
            Self::Failed { result_id, artifact_id, golden, reason, detail, .. } => {
                InspectionEvent::InferenceFailed {
                    result_id,
                    artifact_id,
                    picture,
                    golden,
                    reason,
                    detail: replace_nul(detail),
                    recipe_revision,
                }
            }
        }
    }
}
