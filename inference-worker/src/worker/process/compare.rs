//! One picture to one result: what it is compared with, by which network, and what a failure means.
//!
//! Invariant: the same picture of an inspection, golden sample and network have the same result id, whoever
//! computes it and how often. Recipe and golden set, on which the result depends too, are the inspection's.

use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::inspection::{Facts, GoldenReference, InferenceResult, ModelIdentity, Timing};
use domain::part::{GoldenSample, GoldenSet};
use domain::{
    ArtifactId, ModelRoute, NotComparable, Part, PartNumber, Picture, PixelScale, Recipe,
    check_scale,
};
use inference::comparison::{
    ComparedPicture, ComparisonError, ComparisonFiles, GoldenFacts, LoggedPicture,
};
use platform::artifact_store::ArtifactStoreError;
use platform::execute::load;
use uuid::Uuid;

use super::retries::{FailureCounter, FailureKind};
use super::{InspectionProcessor, ProcessingError};

/// How often the comparison of a picture is begun, by whichever worker, when none of them lives to end
/// it: the last time with nothing else beside it.
const UNENDED_ATTEMPTS_MAX: u32 = 3;
/// What is said of a picture that was begun so often.
const KILLS_WORKERS: &str = "three workers died while they compared this picture, so it is not tried \
     again; look at their logs and memory, and at the picture";

/// A picture to compare, with all that the comparison depends on.
pub(super) struct PictureToCompare<'a> {
    pub(super) artifact_id: ArtifactId,
    pub(super) picture: &'a Picture,
    /// The scale that it was announced with.
    pub(super) scale: Option<PixelScale>,
    /// All golden samples of its view.
    pub(super) golden: &'a GoldenSet<'a>,
    /// The recipe that the inspection was created with.
    pub(super) recipe: &'a Recipe,
    pub(super) model: &'a SelectedModel,
}

/// The network that an inspection is compared by.
pub(super) struct SelectedModel {
    pub(super) identity: ModelIdentity,
    /// New inspections are compared by another one.
    pub(super) is_superseded: bool,
}

impl InspectionProcessor {
    pub(super) async fn load_part(&self, part: &PartNumber) -> Result<Part, ProcessingError> {
        let part = load::<Part>(&*self.log, part.as_str()).await;
        Ok(part.map_err(ProcessingError::from_execute)?.state)
    }

    /// The network of the inspection's first comparison; before it, the one in force.
    pub(super) async fn select_model(
        &self,
        facts: &Facts,
    ) -> Result<SelectedModel, ProcessingError> {
        let in_force = self.load_model_in_force().await?;
        Ok(match &facts.model {
            Some(pinned) => {
                SelectedModel { is_superseded: *pinned != in_force, identity: pinned.clone() }
            }
            None => SelectedModel { is_superseded: false, identity: in_force },
        })
    }

    async fn load_model_in_force(&self) -> Result<ModelIdentity, ProcessingError> {
        let shipped = self.comparer.shipped_model();
        let route = load::<ModelRoute>(&*self.log, &shipped.name).await;
        let route = route.map_err(ProcessingError::from_execute)?.state;
        Ok(route.model().unwrap_or(shipped).clone())
    }

    /// Whether the network in force answers; why it cannot be asked, or nothing when it is not known
    /// which one that is.
    pub(super) async fn probe_engine(&self) -> Result<(), Option<String>> {
        let in_force = self.load_model_in_force().await.map_err(|_| None)?;
        match self.comparer.probe(&in_force).await {
            Ok(()) | Err(ComparisonError::Failed(_)) => Ok(()),
            Err(error) => Err(Some(error.to_string())),
        }
    }

    /// Compares, and counts what failed: a result once there is one to record.
    #[tracing::instrument(skip_all, fields(artifact_id = %task.artifact_id))]
    pub(super) async fn compare_picture(
        &self,
        task: &PictureToCompare<'_>,
        failures: &mut FailureCounter,
    ) -> Result<InferenceResult, ProcessingError> {
        let &PictureToCompare { artifact_id, picture, golden, model, .. } = task;
        let started = Instant::now();
        let failed = |reason, detail: String| {
            failed_result(artifact_id, picture, Some(golden.golden.reference()), reason, detail)
        };
        // Before a byte is read: what may not be compared is not fetched.
        if let Err(conflict) = check_scale(golden.golden.pixels_per_millimetre, task.scale) {
            return Ok(failed(conflict.into(), conflict.to_string()));
        }
        if let Err(detail) = check_size(picture, golden) {
            return Ok(failed(NotComparable::SizeMismatch, detail));
        }
        let (test, golden_facts) = (LoggedPicture::from(picture), golden_facts(task));
        let large = self.comparer.is_large(&test, &golden_facts);
        // Until it is compared, or put off.
        let place = large.then(|| self.large_places.try_acquire());
        let _place = place.transpose().map_err(|_| ProcessingError::NoLargePlace)?;
        let room = match self.comparer.reserve_room(&test, golden_facts).await {
            Ok(room) => room,
            Err(exceeds) => {
                return Ok(failed(NotComparable::InferenceFailed, exceeds.to_string()));
            }
        };
        let files = match self.fetch_files(task, room.is_golden_ready()).await {
            Ok(files) => files,
            Err(error)
                if is_damaged(&error)
                    && failures.exhausted_by(artifact_id, FailureKind::Unreadable) =>
            {
                return Ok(failed(NotComparable::Unreadable, error.to_string()));
            }
            Err(error) => return Err(ProcessingError::Transient(error.to_string())),
        };
        let attempt = self.attempts.begin(artifact_id.0).await;
        let attempt = attempt.map_err(|error| ProcessingError::Transient(error.to_string()))?;
        if attempt.unended_before() >= UNENDED_ATTEMPTS_MAX {
            return Ok(failed(NotComparable::InferenceFailed, KILLS_WORKERS.to_owned()));
        }
        let compared = self.comparer.compare(&model.identity, room, files).await;
        drop(attempt);
        match compared {
            Ok(compared) => {
                self.engine.report_answer();
                Ok(completed_result(task, compared, started.elapsed()))
            }
            Err(ComparisonError::NotComparable { reason, detail }) => Ok(failed(reason, detail)),
            Err(ComparisonError::Failed(detail)) => {
                self.engine.report_answer();
                if failures.exhausted_by(artifact_id, FailureKind::EngineFailed) {
                    return Ok(failed(NotComparable::InferenceFailed, detail));
                }
                Err(ProcessingError::Transient(detail))
            }
            // A network that was replaced need not come back; the one in force has to.
            Err(ComparisonError::Model(detail)) if model.is_superseded => {
                if failures.exhausted_by(artifact_id, FailureKind::ModelGone) {
                    return Ok(failed(NotComparable::InferenceFailed, detail));
                }
                Err(ProcessingError::Transient(detail))
            }
            Err(ComparisonError::Model(detail) | ComparisonError::Unavailable(detail)) => {
                Err(ProcessingError::EngineAway(detail))
            }
        }
    }

    /// The picture, and all that it is compared with unless that is ready, from rest.
    async fn fetch_files(
        &self,
        task: &PictureToCompare<'_>,
        is_golden_ready: bool,
    ) -> Result<ComparisonFiles, ArtifactStoreError> {
        let test = self.artifacts.get_verified(task.artifact_id, &task.picture.sha256).await?;
        let (mut variants, mut accepted) = (Vec::new(), Vec::new());
        if !is_golden_ready {
            let GoldenSet { golden, variants: others, accepted_boards } = task.golden;
            for sample in std::iter::once(golden).chain(others) {
                variants.push(self.fetch_sample(sample).await?);
            }
            for sample in accepted_boards {
                accepted.push(self.fetch_sample(sample).await?);
            }
        }
        Ok(ComparisonFiles { test, variants, accepted })
    }

    async fn fetch_sample(&self, sample: &GoldenSample) -> Result<Bytes, ArtifactStoreError> {
        self.artifacts.get_verified(sample.artifact_id, &sample.picture.sha256).await
    }
}

fn golden_facts(task: &PictureToCompare<'_>) -> GoldenFacts {
    let GoldenSet { golden, variants, accepted_boards } = task.golden;
    let facts = |sample: &GoldenSample| LoggedPicture::from(&sample.picture);
    GoldenFacts {
        variants: std::iter::once(facts(golden)).chain(variants.iter().map(|s| facts(s))).collect(),
        accepted: accepted_boards.iter().map(|s| facts(s)).collect(),
        area: task.recipe.area.clone(),
        bend_max_px: task.recipe.bend_max_px,
    }
}

/// Pictures are compared pixel by pixel, with golden samples of their own size: of the file of any other
/// nothing needs to be known.
fn check_size(picture: &Picture, golden: &GoldenSet<'_>) -> Result<(), String> {
    let variants = golden.variants.iter().map(|sample| &sample.picture);
    let mut samples = std::iter::once(&golden.golden.picture).chain(variants);
    if samples.any(|sample| (sample.width, sample.height) == (picture.width, picture.height)) {
        return Ok(());
    }
    let (sample, Picture { width, height, .. }) = (&golden.golden.picture, picture);
    Err(format!(
        "the picture is {width} × {height} pixels and the golden sample {} × {}",
        sample.width, sample.height
    ))
}

/// Bytes that are missing or altered stay so after a few looks; anything else may pass.
const fn is_damaged(error: &ArtifactStoreError) -> bool {
    matches!(
        error,
        ArtifactStoreError::NotFound(_)
            | ArtifactStoreError::DigestMismatch { .. }
            | ArtifactStoreError::Unreadable { .. }
    )
}

fn completed_result(
    task: &PictureToCompare<'_>,
    compared: ComparedPicture,
    total: Duration,
) -> InferenceResult {
    // The one in force, or the variant that the picture is more like.
    let matched = compared.variant.checked_sub(1).and_then(|at| task.golden.variants.get(at));
    let golden = matched.unwrap_or(&task.golden.golden).reference();
    let (picture, model) = (task.picture, task.model.identity.clone());
    let about = format!("{} {} {}", picture.sha256, golden.sha256, model.sha256);
    InferenceResult::Completed {
        result_id: derive_result_id(task.artifact_id, &about),
        artifact_id: task.artifact_id,
        artifact_sha256: picture.sha256,
        golden,
        model,
        registration: compared.registration,
        defects: compared.defects,
        differences: compared.differences,
        coverage: compared.coverage,
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
    facts: &Facts,
) -> InferenceResult {
    let part = &facts.part;
    let of_view = facts.views.get(&artifact_id);
    let of_view = of_view.map(|view| format!(" of its view {view}")).unwrap_or_default();
    let detail = format!(
        "part {part} has no golden sample{of_view}; register one and inspect the board again"
    );
    failed_result(artifact_id, picture, None, NotComparable::NoGoldenSample, detail)
}

fn failed_result(
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
