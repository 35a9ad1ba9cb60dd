//! Settles one inspection: compares what is uploaded and has no result, and records each result once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::inspection::{Artifact, GoldenReference, InferenceResult, Timing};
use domain::part::GoldenSample;
use domain::{
    ArtifactId, Inspection, InspectionCommand, InspectionId, NotComparable, Part, PartNumber,
    Picture,
};
use platform::artifact_store::{ArtifactStore, ArtifactStoreError};
use platform::event_log::{ActorRef, EventLog, EventMetadata};
use platform::execute::{ExecuteError, Request, execute, load};
use platform::shutdown::Shutdown;
use rand::Rng as _;
use uuid::Uuid;

use super::checkpoint::WORKER;
use crate::comparison::{Compared, Comparer, ComparisonError};

/// How often bytes at rest that are missing or altered are looked for before the board is given up.
const READ_ATTEMPTS_MAX: u32 = 3;
/// The longest pause before an inspection is tried again.
const BACKOFF_MAX: Duration = Duration::from_secs(10);

pub(super) struct Settler {
    log: Arc<dyn EventLog>,
    artifacts: ArtifactStore,
    comparer: Arc<Comparer>,
}

/// Why an inspection is not settled yet.
#[derive(Debug, thiserror::Error)]
enum Unsettled {
    /// It may be possible later.
    #[error("{0}")]
    Transient(String),
    /// It never will: the stream cannot be read or refuses the result.
    #[error("{0}")]
    Permanent(String),
}

impl Settler {
    pub(super) fn new(
        log: Arc<dyn EventLog>,
        artifacts: ArtifactStore,
        comparer: Arc<Comparer>,
    ) -> Self {
        Self { log, artifacts, comparer }
    }

    /// Tries until the inspection is settled (`true`) or a shutdown is asked for (`false`: somebody has
    /// to take it up again).
    pub(super) async fn settle(&self, inspection_id: InspectionId, shutdown: &Shutdown) -> bool {
        for attempt in 0_u32.. {
            match self.try_settle(inspection_id, attempt).await {
                Ok(()) => return true,
                Err(Unsettled::Permanent(error)) => {
                    tracing::error!(%inspection_id, error, "inspection cannot be settled; skipped");
                    return true;
                }
                Err(Unsettled::Transient(error)) => {
                    tracing::warn!(%inspection_id, error, attempt, "inspection waits; trying again");
                    let bound =
                        (Duration::from_millis(100) * 2_u32.pow(attempt.min(8))).min(BACKOFF_MAX);
                    let pause = rand::rng().random_range(bound / 2..=bound);
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = shutdown.requested() => return false,
                    }
                }
            }
        }
        false
    }

    async fn try_settle(&self, inspection_id: InspectionId, attempt: u32) -> Result<(), Unsettled> {
        let inspection = load::<Inspection>(&*self.log, &inspection_id.to_string())
            .await
            .map_err(Unsettled::of_log)?
            .state;
        let (facts, closed) = match &inspection {
            Inspection::Open(facts) => (facts, false),
            Inspection::Inferring(facts) => (facts, true),
            Inspection::NotCreated | Inspection::Judged { .. } | Inspection::Voided(_) => {
                return Ok(());
            }
        };
        let golden = self.golden_sample(&facts.part).await?;
        for (artifact_id, artifact) in &facts.artifacts {
            let Artifact::Uploaded(picture) = artifact else { continue };
            // Without a golden sample the picture waits: one may be registered before inference is
            // requested. Then there is none, and a person has to look.
            let result = match &golden {
                Some(golden) => self.compare(*artifact_id, picture, golden, attempt).await?,
                None if closed => no_golden_sample(*artifact_id, picture, &facts.part),
                None => continue,
            };
            self.record(inspection_id, result).await?;
        }
        Ok(())
    }

    async fn golden_sample(&self, part: &PartNumber) -> Result<Option<GoldenSample>, Unsettled> {
        let part = load::<Part>(&*self.log, part.as_str()).await.map_err(Unsettled::of_log)?;
        Ok(part.state.golden_sample().cloned())
    }

    async fn compare(
        &self,
        artifact_id: ArtifactId,
        picture: &Picture,
        golden: &GoldenSample,
        attempt: u32,
    ) -> Result<InferenceResult, Unsettled> {
        let started = Instant::now();
        let failed =
            |reason, detail| failed(artifact_id, picture, Some(golden.reference()), reason, detail);
        let test = match self.artifacts.get_verified(artifact_id, &picture.sha256).await {
            Ok(bytes) => bytes,
            Err(error) => {
                return unreadable(error, attempt)
                    .map(|detail| failed(NotComparable::Unreadable, detail));
            }
        };
        let golden_bytes = self.artifacts.get_verified(golden.artifact_id, &golden.picture.sha256);
        let golden_bytes = match golden_bytes.await {
            Ok(bytes) => bytes,
            Err(error) => {
                return unreadable(error, attempt)
                    .map(|detail| failed(NotComparable::Unreadable, detail));
            }
        };
        match self.comparer.compare(test, golden.picture.sha256, golden_bytes).await {
            Ok(compared) => {
                let outcome = (compared, started.elapsed());
                Ok(self.completed(artifact_id, picture, golden.reference(), outcome))
            }
            Err(ComparisonError::NotComparable { reason, detail }) => Ok(failed(reason, detail)),
            Err(ComparisonError::Engine(detail)) if attempt + 1 >= READ_ATTEMPTS_MAX => {
                Ok(failed(NotComparable::InferenceFailed, detail))
            }
            Err(ComparisonError::Engine(detail)) => Err(Unsettled::Transient(detail)),
        }
    }

    fn completed(
        &self,
        artifact_id: ArtifactId,
        picture: &Picture,
        golden: GoldenReference,
        (compared, total): (Compared, Duration),
    ) -> InferenceResult {
        let model = self.comparer.model().clone();
        let about = format!("{} {} {}", picture.sha256, golden.sha256, model.sha256);
        InferenceResult::Completed {
            result_id: result_id(artifact_id, &about),
            artifact_id,
            artifact_sha256: picture.sha256,
            golden,
            model,
            registration: compared.registration,
            defects: compared.defects,
            timing: Timing {
                queue_ms: milliseconds(compared.queued),
                compute_ms: milliseconds(compared.computed),
                total_ms: milliseconds(total),
            },
        }
    }

    async fn record(
        &self,
        inspection_id: InspectionId,
        result: InferenceResult,
    ) -> Result<(), Unsettled> {
        let (InferenceResult::Completed { result_id, .. }
        | InferenceResult::Failed { result_id, .. }) = &result;
        let request = Request::<Inspection> {
            aggregate_id: inspection_id.to_string(),
            metadata: EventMetadata {
                command_id: Some(*result_id),
                correlation_id: Some(inspection_id.to_string()),
                actor: Some(ActorRef::service(WORKER)),
                ..EventMetadata::default()
            },
            command: InspectionCommand::RecordInference(result),
            if_match: None,
        };
        let executed = execute(&*self.log, request).await.map_err(Unsettled::of_log)?;
        if let Inspection::Judged { judgement, .. } = executed.state {
            tracing::info!(%inspection_id, %judgement, position = executed.position.0, "inspection judged");
        }
        Ok(())
    }
}

impl Unsettled {
    fn of_log<R: std::error::Error>(error: ExecuteError<R>) -> Self {
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
fn unreadable(error: ArtifactStoreError, attempt: u32) -> Result<String, Unsettled> {
    let damaged = matches!(
        error,
        ArtifactStoreError::NotFound(_)
            | ArtifactStoreError::DigestMismatch { .. }
            | ArtifactStoreError::Unreadable { .. }
    );
    if damaged && attempt + 1 >= READ_ATTEMPTS_MAX {
        Ok(error.to_string())
    } else {
        Err(Unsettled::Transient(error.to_string()))
    }
}

fn no_golden_sample(
    artifact_id: ArtifactId,
    picture: &Picture,
    part: &PartNumber,
) -> InferenceResult {
    let detail =
        format!("part {part} has no golden sample; register one and inspect the board again");
    failed(artifact_id, picture, None, NotComparable::NoGoldenSample, detail)
}

fn failed(
    artifact_id: ArtifactId,
    picture: &Picture,
    golden: Option<GoldenReference>,
    reason: NotComparable,
    detail: String,
) -> InferenceResult {
    let about = golden.as_ref().map_or_else(String::new, |golden| golden.sha256.to_string());
    InferenceResult::Failed {
        result_id: result_id(artifact_id, &format!("{} {about} {reason}", picture.sha256)),
        artifact_id,
        artifact_sha256: picture.sha256,
        golden,
        reason,
        detail,
    }
}

/// The same picture, golden sample and model have the same result id, whoever computes it and how often.
fn result_id(artifact_id: ArtifactId, about: &str) -> Uuid {
    Uuid::new_v5(&artifact_id.0, about.as_bytes())
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
