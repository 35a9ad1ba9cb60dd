//! Settles one inspection: compares what is uploaded and has no result, and records each result once.
//!
//! Invariant: an engine that is away settles nothing; only what failed by itself, several times, is
//! recorded as failed. All comparisons of an inspection are by one network.

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
use platform::event_log::{ActorRef, EventLog, EventMetadata};
use platform::execute::{ExecuteError, Request, execute, load};
use platform::shutdown::Shutdown;
use rand::Rng as _;

use super::WORKER;
use super::gate::Gate;
use crate::comparison::{Comparer, ComparisonError};
use crate::metrics::Metrics;
use result::{completed, failed, no_golden_sample};

/// How often bytes at rest that are missing or altered are looked for, and how often an engine that
/// fails on a picture is asked, before the picture is given up.
const ATTEMPTS_MAX: u32 = 3;
/// How often a network that is no longer in force is looked for: some 3 s.
const MODEL_ATTEMPTS_MAX: u32 = 6;
/// The longest pause before an inspection is tried again.
const BACKOFF_MAX: Duration = Duration::from_secs(10);

pub(super) struct Settler {
    log: Arc<dyn EventLog>,
    artifacts: ArtifactStore,
    comparer: Arc<Comparer>,
    gate: Arc<Gate>,
    metrics: Metrics,
}

/// Why an inspection is not settled yet.
#[derive(Debug, thiserror::Error)]
enum Unsettled {
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

/// What can go wrong with one picture, and is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Trouble {
    Unreadable,
    EngineFailed,
    ModelGone,
}

/// How often what went wrong.
#[derive(Debug, Default)]
struct Tries(HashMap<(ArtifactId, Trouble), u32>);

impl Tries {
    /// Counts one more; true when it was the last that is allowed.
    fn exhausted(&mut self, artifact_id: ArtifactId, trouble: Trouble) -> bool {
        let tries = self.0.entry((artifact_id, trouble)).or_default();
        *tries += 1;
        *tries >= if trouble == Trouble::ModelGone { MODEL_ATTEMPTS_MAX } else { ATTEMPTS_MAX }
    }
}

/// A picture to compare.
struct Job<'a> {
    artifact_id: ArtifactId,
    picture: &'a Picture,
    golden: &'a GoldenSample,
    by: &'a By,
}

/// The network that an inspection is compared by.
struct By {
    model: ModelIdentity,
    /// New inspections are compared by another one.
    superseded: bool,
}

impl Settler {
    pub(super) fn new(
        log: Arc<dyn EventLog>,
        artifacts: ArtifactStore,
        comparer: Arc<Comparer>,
        gate: Arc<Gate>,
        metrics: Metrics,
    ) -> Self {
        Self { log, artifacts, comparer, gate, metrics }
    }

    /// Tries until the inspection is settled (`true`), or a shutdown is asked for while it waits
    /// (`false`). Cancel-safe: what was recorded stays, whoever takes it up again does the rest.
    pub(super) async fn settle(&self, inspection_id: InspectionId, shutdown: &Shutdown) -> bool {
        let mut tries = Tries::default();
        let mut attempt = 0_u32;
        loop {
            let pass = tokio::select! {
                pass = self.gate.admit() => pass,
                () = shutdown.requested() => return false,
            };
            match self.try_settle(inspection_id, &mut tries).await {
                Ok(()) => return true,
                Err(Unsettled::EngineAway(detail)) => pass.close(detail),
                Err(Unsettled::Permanent(error)) => {
                    tracing::error!(%inspection_id, error, "inspection cannot be settled; skipped");
                    return true;
                }
                Err(Unsettled::Transient(error)) => {
                    tracing::warn!(%inspection_id, error, attempt, "inspection waits; trying again");
                    drop(pass);
                    tokio::select! {
                        () = pause(attempt) => {}
                        () = shutdown.requested() => return false,
                    }
                    attempt = attempt.saturating_add(1);
                }
            }
        }
    }

    async fn try_settle(
        &self,
        inspection_id: InspectionId,
        tries: &mut Tries,
    ) -> Result<(), Unsettled> {
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
        let by = self.network(facts).await?;
        for (artifact_id, artifact) in &facts.artifacts {
            let Artifact::Uploaded(picture) = artifact else { continue };
            let artifact_id = *artifact_id;
            // Without a golden sample the picture waits: one may be registered before inference is
            // requested. Then there is none, and a person has to look.
            let result = match &golden {
                Some(golden) => {
                    self.compare(&Job { artifact_id, picture, golden, by: &by }, tries).await?
                }
                None if closed => no_golden_sample(artifact_id, picture, &facts.part),
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

    /// The network of the inspection's first comparison; before it, the one in force.
    async fn network(&self, facts: &Facts) -> Result<By, Unsettled> {
        let shipped = self.comparer.shipped();
        let route = load::<ModelRoute>(&*self.log, &shipped.name).await;
        let route = route.map_err(Unsettled::of_log)?.state;
        let in_force = route.model().unwrap_or(shipped);
        Ok(match &facts.model {
            Some(pinned) => By { superseded: pinned != in_force, model: pinned.clone() },
            None => By { superseded: false, model: in_force.clone() },
        })
    }

    async fn compare(
        &self,
        job: &Job<'_>,
        tries: &mut Tries,
    ) -> Result<InferenceResult, Unsettled> {
        let &Job { artifact_id, picture, golden, by } = job;
        let started = Instant::now();
        let failed = |reason, detail: String| {
            failed(artifact_id, picture, Some(golden.reference()), reason, detail)
        };
        let (test, golden_bytes) = match self.pictures(job).await {
            Ok(pictures) => pictures,
            Err(error)
                if is_damage(&error) && tries.exhausted(artifact_id, Trouble::Unreadable) =>
            {
                return Ok(failed(NotComparable::Unreadable, error.to_string()));
            }
            Err(error) => return Err(Unsettled::Transient(error.to_string())),
        };
        let golden_bytes = (golden.picture.sha256, golden_bytes);
        match self.comparer.compare(&by.model, test, golden_bytes).await {
            Ok(compared) => {
                self.gate.open();
                Ok(completed(job, compared, started.elapsed()))
            }
            Err(ComparisonError::NotComparable { reason, detail }) => Ok(failed(reason, detail)),
            Err(ComparisonError::Failed(detail)) => {
                self.gate.open();
                if tries.exhausted(artifact_id, Trouble::EngineFailed) {
                    return Ok(failed(NotComparable::InferenceFailed, detail));
                }
                Err(Unsettled::Transient(detail))
            }
            // A network that was replaced need not come back; the one in force has to.
            Err(ComparisonError::Model(detail)) if by.superseded => {
                if tries.exhausted(artifact_id, Trouble::ModelGone) {
                    return Ok(failed(NotComparable::InferenceFailed, detail));
                }
                Err(Unsettled::Transient(detail))
            }
            Err(ComparisonError::Model(detail) | ComparisonError::Unavailable(detail)) => {
                Err(Unsettled::EngineAway(detail))
            }
        }
    }

    /// The bytes of the picture and of its golden sample.
    async fn pictures(
        &self,
        job: &Job<'_>,
    ) -> Result<(bytes::Bytes, bytes::Bytes), ArtifactStoreError> {
        let golden = job.golden;
        let test = self.artifacts.get_verified(job.artifact_id, &job.picture.sha256).await?;
        let golden =
            self.artifacts.get_verified(golden.artifact_id, &golden.picture.sha256).await?;
        Ok((test, golden))
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
        let executed = match execute(&*self.log, request).await {
            // Another worker compared a picture by another network meanwhile: compare by that one.
            Err(ExecuteError::Rejected(rejection @ InspectionRejection::MixedModels { .. })) => {
                return Err(Unsettled::Transient(rejection.to_string()));
            }
            executed => executed.map_err(Unsettled::of_log)?,
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
const fn is_damage(error: &ArtifactStoreError) -> bool {
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
