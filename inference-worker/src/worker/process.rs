//! Processes one inspection: compares every picture that is uploaded and has no result, and records
//! each result once.
//!
//! Invariant: while the engine is away nothing is recorded; only what failed by itself, several
//! times, is recorded as failed. All comparisons of an inspection are by one network.
//!
//! The order is effect first, then checkpoint: a result is in the log before the events that asked
//! for it count as done. A crash in between means that the inspection is processed again, which finds
//! the result there, or records it under the same derived id, and so changes nothing.

mod result;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::inspection::{Artifact, Facts, InferenceResult, ModelIdentity};
use domain::part::GoldenSample;
use domain::{
    ArtifactId, Inspection, InspectionCommand, InspectionEvent, InspectionId, InspectionRejection,
    ModelRoute, NotComparable, Part, PartNumber, Picture,
};
use platform::artifact_store::{ArtifactStore, ArtifactStoreError};
use platform::event_log::{EventLog, EventMetadata};
use platform::execute::{ExecuteError, Request, execute, load};
use platform::shutdown::Shutdown;
use rand::Rng as _;

use super::WORKER;
use super::availability::EngineAvailability;
use crate::comparison::{Comparer, ComparisonError};
use crate::metrics::Metrics;
use result::{completed_result, failed_result, no_golden_sample_result};

/// How often bytes at rest that are missing or altered are looked for, and how often an engine that
/// fails on a picture is asked, before the picture is given up.
const ATTEMPTS_MAX: u32 = 3;
/// How often a network that is no longer in force is looked for: some 3 s.
const MODEL_ATTEMPTS_MAX: u32 = 6;
/// The longest pause before an inspection is tried again.
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// What became of an inspection that was taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Processed {
    /// Nothing is left to do until another event comes.
    Done,
    /// It still waits; whoever holds the partition next takes it up again.
    Left,
}

pub(super) struct InspectionProcessor {
    log: Arc<dyn EventLog>,
    artifacts: ArtifactStore,
    comparer: Arc<Comparer>,
    engine: Arc<EngineAvailability>,
    metrics: Metrics,
}

/// Why an inspection is not done yet.
#[derive(Debug, thiserror::Error)]
enum ProcessingError {
    /// It may be possible later.
    #[error("{0}")]
    Transient(String),
    /// It will be possible when the engine is back.
    #[error("{0}")]
    EngineAway(String),
    /// It never will: the stream cannot be read or refuses the result.
    #[error("{0}")]
    Permanent(String),
}

/// What can go wrong with one picture again and again, and is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum FailureKind {
    Unreadable,
    EngineFailed,
    ModelGone,
}

/// How often each picture failed, and how. It lives for one turn of an inspection: the next owner of
/// the partition counts anew, so a fault of one machine does not give up a picture for all.
#[derive(Debug, Default)]
struct AttemptCounter(HashMap<(ArtifactId, FailureKind), u32>);

impl AttemptCounter {
    /// Counts one more; `true` when it was the last that is allowed.
    fn is_last_attempt(&mut self, artifact_id: ArtifactId, kind: FailureKind) -> bool {
        let attempts = self.0.entry((artifact_id, kind)).or_default();
        *attempts += 1;
        *attempts >= if kind == FailureKind::ModelGone { MODEL_ATTEMPTS_MAX } else { ATTEMPTS_MAX }
    }
}

/// A picture to compare, with all that the comparison depends on.
struct PictureToCompare<'a> {
    artifact_id: ArtifactId,
    picture: &'a Picture,
    golden: &'a GoldenSample,
    model: &'a SelectedModel,
}

/// The network that an inspection is compared by.
struct SelectedModel {
    identity: ModelIdentity,
    /// New inspections are compared by another one.
    is_superseded: bool,
}

impl InspectionProcessor {
    pub(super) fn new(
        log: Arc<dyn EventLog>,
        artifacts: ArtifactStore,
        comparer: Arc<Comparer>,
        engine: Arc<EngineAvailability>,
        metrics: Metrics,
    ) -> Self {
        Self { log, artifacts, comparer, engine, metrics }
    }

    /// Tries until every picture has its result, or until a shutdown is asked for while the
    /// inspection waits. Cancel-safe: what was recorded stays, and whoever takes the inspection up
    /// again does the rest.
    pub(super) async fn process(
        &self,
        inspection_id: InspectionId,
        shutdown: &Shutdown,
    ) -> Processed {
        let mut attempts = AttemptCounter::default();
        let mut attempt = 0_u32;
        loop {
            let turn = tokio::select! {
                turn = self.engine.wait_for_turn() => turn,
                () = shutdown.requested() => return Processed::Left,
            };
            match self.process_once(inspection_id, &mut attempts).await {
                Ok(()) => return Processed::Done,
                Err(ProcessingError::EngineAway(detail)) => turn.report_away(detail),
                Err(ProcessingError::Permanent(error)) => {
                    tracing::error!(%inspection_id, error, "inspection cannot be processed; skipped");
                    return Processed::Done;
                }
                Err(ProcessingError::Transient(error)) => {
                    tracing::warn!(%inspection_id, error, attempt, "inspection waits; trying again");
                    drop(turn);
                    tokio::select! {
                        () = pause(attempt) => {}
                        () = shutdown.requested() => return Processed::Left,
                    }
                    attempt = attempt.saturating_add(1);
                }
            }
        }
    }

    async fn process_once(
        &self,
        inspection_id: InspectionId,
        attempts: &mut AttemptCounter,
    ) -> Result<(), ProcessingError> {
        let inspection = load::<Inspection>(&*self.log, &inspection_id.to_string())
            .await
            .map_err(ProcessingError::from_execute)?
            .state;
        let (facts, closed) = match &inspection {
            Inspection::Open(facts) => (facts, false),
            Inspection::Inferring(facts) => (facts, true),
            Inspection::NotCreated | Inspection::Judged { .. } | Inspection::Voided(_) => {
                return Ok(());
            }
        };
        let golden = self.load_golden_sample(&facts.part).await?;
        let model = self.select_model(facts).await?;
        for (artifact_id, artifact) in &facts.artifacts {
            let Artifact::Uploaded(picture) = artifact else { continue };
            let artifact_id = *artifact_id;
            // Without a golden sample the picture waits: one may be registered before inference is
            // requested. Then there is none, and a person has to look.
            let result = match &golden {
                Some(golden) => {
                    self.compare_picture(
                        &PictureToCompare { artifact_id, picture, golden, model: &model },
                        attempts,
                    )
                    .await?
                }
                None if closed => no_golden_sample_result(artifact_id, picture, &facts.part),
                None => continue,
            };
            self.record_result(inspection_id, result).await?;
        }
        Ok(())
    }

    async fn load_golden_sample(
        &self,
        part: &PartNumber,
    ) -> Result<Option<GoldenSample>, ProcessingError> {
        let part =
            load::<Part>(&*self.log, part.as_str()).await.map_err(ProcessingError::from_execute)?;
        Ok(part.state.golden_sample().cloned())
    }

    /// The network of the inspection's first comparison; before it, the one in force.
    async fn select_model(&self, facts: &Facts) -> Result<SelectedModel, ProcessingError> {
        let shipped = self.comparer.shipped();
        let route = load::<ModelRoute>(&*self.log, &shipped.name).await;
        let route = route.map_err(ProcessingError::from_execute)?.state;
        let in_force = route.model().unwrap_or(shipped);
        Ok(match &facts.model {
            Some(pinned) => {
                SelectedModel { is_superseded: pinned != in_force, identity: pinned.clone() }
            }
            None => SelectedModel { is_superseded: false, identity: in_force.clone() },
        })
    }

    async fn compare_picture(
        &self,
        task: &PictureToCompare<'_>,
        attempts: &mut AttemptCounter,
    ) -> Result<InferenceResult, ProcessingError> {
        let &PictureToCompare { artifact_id, picture, golden, model } = task;
        let started = Instant::now();
        let failed = |reason, detail: String| {
            failed_result(artifact_id, picture, Some(golden.reference()), reason, detail)
        };
        let (test, golden_bytes) = match self.fetch_pictures(task).await {
            Ok(pictures) => pictures,
            Err(error)
                if is_damaged(&error)
                    && attempts.is_last_attempt(artifact_id, FailureKind::Unreadable) =>
            {
                return Ok(failed(NotComparable::Unreadable, error.to_string()));
            }
            Err(error) => return Err(ProcessingError::Transient(error.to_string())),
        };
        let golden_bytes = (golden.picture.sha256, golden_bytes);
        match self.comparer.compare(&model.identity, test, golden_bytes).await {
            Ok(compared) => {
                self.engine.report_answer();
                Ok(completed_result(task, compared, started.elapsed()))
            }
            Err(ComparisonError::NotComparable { reason, detail }) => Ok(failed(reason, detail)),
            Err(ComparisonError::Failed(detail)) => {
                self.engine.report_answer();
                if attempts.is_last_attempt(artifact_id, FailureKind::EngineFailed) {
                    return Ok(failed(NotComparable::InferenceFailed, detail));
                }
                Err(ProcessingError::Transient(detail))
            }
            // A network that was replaced need not come back; the one in force has to.
            Err(ComparisonError::Model(detail)) if model.is_superseded => {
                if attempts.is_last_attempt(artifact_id, FailureKind::ModelGone) {
                    return Ok(failed(NotComparable::InferenceFailed, detail));
                }
                Err(ProcessingError::Transient(detail))
            }
            Err(ComparisonError::Model(detail) | ComparisonError::Unavailable(detail)) => {
                Err(ProcessingError::EngineAway(detail))
            }
        }
    }

    /// The bytes of the picture and of its golden sample.
    async fn fetch_pictures(
        &self,
        task: &PictureToCompare<'_>,
    ) -> Result<(bytes::Bytes, bytes::Bytes), ArtifactStoreError> {
        let golden = task.golden;
        let test = self.artifacts.get_verified(task.artifact_id, &task.picture.sha256).await?;
        let golden =
            self.artifacts.get_verified(golden.artifact_id, &golden.picture.sha256).await?;
        Ok((test, golden))
    }

    async fn record_result(
        &self,
        inspection_id: InspectionId,
        result: InferenceResult,
    ) -> Result<(), ProcessingError> {
        let (InferenceResult::Completed { result_id, .. }
        | InferenceResult::Failed { result_id, .. }) = &result;
        let request = Request::<Inspection> {
            aggregate_id: inspection_id.to_string(),
            metadata: EventMetadata::by_service(WORKER).with_command_id(*result_id),
            command: InspectionCommand::RecordInference(result),
            if_match: None,
        };
        let executed = match execute(&*self.log, request).await {
            // Another worker compared a picture by another network meanwhile: compare by that one.
            Err(ExecuteError::Rejected(rejection @ InspectionRejection::MixedModels { .. })) => {
                return Err(ProcessingError::Transient(rejection.to_string()));
            }
            executed => executed.map_err(ProcessingError::from_execute)?,
        };
        for event in &executed.events {
            if let InspectionEvent::InspectionJudged { judgement, .. } = event {
                self.metrics.judged(*judgement);
                let position = executed.position.0;
                tracing::info!(%inspection_id, %judgement, position, "inspection judged");
            }
        }
        Ok(())
    }
}

impl ProcessingError {
    fn from_execute<R: std::error::Error>(error: ExecuteError<R>) -> Self {
        match error {
            ExecuteError::Log(_) | ExecuteError::Contended | ExecuteError::ClaimLost => {
                Self::Transient(error.to_string())
            }
            ExecuteError::Rejected(_)
            | ExecuteError::VersionMismatch { .. }
            | ExecuteError::Unreadable(_) => Self::Permanent(error.to_string()),
        }
    }
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

async fn pause(attempt: u32) {
    let bound = (Duration::from_millis(100) * 2_u32.pow(attempt.min(8))).min(BACKOFF_MAX);
    let pause = rand::rng().random_range(bound / 2..=bound);
    tokio::time::sleep(pause).await;
}
