//! The results of comparisons, as the domain takes them.
//!
//! Invariant: the same picture, golden sample and network have the same result id, whoever computes it
//! and how often.

use std::time::Duration;

use domain::inspection::{GoldenReference, InferenceResult, Timing};
use domain::{ArtifactId, NotComparable, PartNumber, Picture};
use inference::comparison::ComparedPicture;
use uuid::Uuid;

use super::task::PictureToCompare;

pub(super) fn completed_result(
    task: &PictureToCompare<'_>,
    compared: ComparedPicture,
    total: Duration,
) -> InferenceResult {
    let (picture, golden, model) =
        (task.picture, task.golden.reference(), task.model.identity.clone());
    let about = format!("{} {} {}", picture.sha256, golden.sha256, model.sha256);
    InferenceResult::Completed {
        result_id: derive_result_id(task.artifact_id, &about),
        artifact_id: task.artifact_id,
        artifact_sha256: picture.sha256,
        golden,
        model,
        registration: compared.registration,
        defects: compared.defects,
        timing: Timing {
            queue_ms: to_milliseconds(compared.queued),
            compute_ms: to_milliseconds(compared.computed),
            total_ms: to_milliseconds(total),
        },
    }
}

pub(super) fn no_golden_sample_result(
    artifact_id: ArtifactId,
    picture: &Picture,
    part: &PartNumber,
) -> InferenceResult {
    let detail =
        format!("part {part} has no golden sample; register one and inspect the board again");
    failed_result(artifact_id, picture, None, NotComparable::NoGoldenSample, detail)
}

pub(super) fn failed_result(
    artifact_id: ArtifactId,
    picture: &Picture,
    golden: Option<GoldenReference>,
    reason: NotComparable,
    detail: String,
) -> InferenceResult {
    let about = golden.as_ref().map_or_else(String::new, |golden| golden.sha256.to_string());
    InferenceResult::Failed {
        result_id: derive_result_id(artifact_id, &format!("{} {about} {reason}", picture.sha256)),
        artifact_id,
        artifact_sha256: picture.sha256,
        golden,
        reason,
        detail,
    }
}

fn derive_result_id(artifact_id: ArtifactId, about: &str) -> Uuid {
    Uuid::new_v5(&artifact_id.0, about.as_bytes())
}

fn to_milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
