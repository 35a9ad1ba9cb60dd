//! Processes one inspection: compares every picture that is uploaded and has no result, and records
//! each result once.
//!
//! Invariant: while the engine is away nothing is recorded; only what failed by itself, several
//! times, is recorded as failed. All comparisons of an inspection are by one network.
//!
//! The order is effect first, then checkpoint: a result is in the log before the events that asked
//! for it count as done. A crash in between means that the inspection is processed again, which finds
//! the result there, or records it under the same derived id, and so changes nothing.
//!
//! Every result names its cause: the upload of its picture, or, where there is nothing to compare
//! with, the request for inference after which no golden sample is waited for any more. Correlation
//! and trace go on from there.

mod compare;
mod retries;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use domain::inspection::{Artifact, InferenceResult};
use domain::{
    Aggregate as _, ArtifactId, Inspection, InspectionCommand, InspectionEvent, InspectionId,
    InspectionRejection,
};
use inference::availability::EngineAvailability;
use inference::comparison::Comparer;
use platform::artifact_store::ArtifactStore;
use platform::event_log::{
    EventLog, EventMetadata, Recorded, StreamId, Undecodable, UndecodableEvent,
};
use platform::execute::{ExecuteError, Request, execute};
use platform::follower::{AttemptLedger, Handled};
use platform::shutdown::Shutdown;
use tokio::sync::Semaphore;

use super::WORKER;
use compare::{PictureToCompare, no_golden_sample_result};
use retries::{FailureCounter, Retries, Retry};

pub(super) struct InspectionProcessor {
    log: Arc<dyn EventLog>,
    artifacts: ArtifactStore,
    attempts: Arc<AttemptLedger>,
    comparer: Arc<Comparer>,
    engine: Arc<EngineAvailability>,
    retries: Retries,
    /// Of the places for inspections, those that large pictures may have: they wait for memory in them, and
    /// small ones always find another.
    large_places: Semaphore,
}

/// When an inspection of large pictures looks again for a place.
const LARGE_PAUSE: Duration = Duration::from_secs(1);

/// Why an inspection is not done yet.
#[derive(Debug, thiserror::Error)]
enum ProcessingError {
    /// It may be possible later, here or for a newer version of the software.
    #[error("{0}")]
    Transient(String),
    /// It will be possible when other large pictures are done.
    #[error("large pictures have all places that they may have")]
    NoLargePlace,
    /// It will be possible when the engine is back.
    #[error("{0}")]
    EngineAway(String),
    /// It never will: the stream is damaged or refuses the result.
    #[error("{0}")]
    Permanent(String),
}

impl InspectionProcessor {
    pub(super) fn new(
        (log, artifacts, attempts): (Arc<dyn EventLog>, ArtifactStore, Arc<AttemptLedger>),
        comparer: Arc<Comparer>,
        engine: Arc<EngineAvailability>,
        places: usize,
    ) -> Self {
        let large_places = Semaphore::new((places / 2).max(1));
        let retries = Retries::default();
        Self { log, artifacts, attempts, comparer, engine, retries, large_places }
    }

    /// Whether nothing bad is known of the engine.
    pub(super) fn is_engine_available(&self) -> bool {
        self.engine.is_available()
    }

    /// Asks an engine that is away by the network in force, for as long as the worker runs: a worker that
    /// has left its share to others has no inspection that would ask.
    pub(super) async fn keep_probing(&self) -> Infallible {
        self.engine.keep_probing(|| self.probe_engine()).await
    }

    /// Goes over the pictures until every one has its result, something else than the engine is in the
    /// way, or a shutdown is asked for while the inspection waits for the engine. Cancel-safe: what was
    /// recorded stays, and whoever takes the inspection up again does the rest.
    ///
    /// What waits for the engine keeps its place: another inspection in it would only wait as well. What
    /// waits for anything else (bytes that cannot be read now, a newer version of this software) leaves
    /// its place to the others and comes again when its pause is over.
    pub(super) async fn process(
        &self,
        inspection_id: InspectionId,
        shutdown: &Shutdown,
    ) -> Handled {
        let mut retry = self.retries.take(inspection_id);
        if retry.needs_large_place && self.large_places.available_permits() == 0 {
            return self.put_off(inspection_id, retry);
        }
        loop {
            let turn = tokio::select! {
                turn = self.engine.wait_for_turn() => turn,
                () = shutdown.requested() => return Handled::Left,
            };
            match self.process_once(inspection_id, &mut retry.failures).await {
                Ok(()) => return Handled::Done,
                Err(ProcessingError::EngineAway(detail)) => turn.report_away(detail),
                Err(ProcessingError::NoLargePlace) => return self.put_off(inspection_id, retry),
                Err(ProcessingError::Permanent(error)) => {
                    tracing::error!(%inspection_id, error, "inspection cannot be processed; skipped");
                    return Handled::Done;
                }
                Err(ProcessingError::Transient(error)) => {
                    let attempt = retry.attempt;
                    let pause = self.retries.keep(inspection_id, retry);
                    tracing::warn!(%inspection_id, error, attempt, ?pause, "inspection waits; trying again");
                    return Handled::Later { pause };
                }
            }
        }
    }

    /// Until there is a place for large pictures: it leaves its own to the others, and looks before it reads
    /// anything when it comes again.
    fn put_off(&self, inspection_id: InspectionId, retry: Retry) -> Handled {
        tracing::debug!(%inspection_id, "large pictures have all places that they may have");
        self.retries.put_back(inspection_id, Retry { needs_large_place: true, ..retry });
        Handled::Later { pause: LARGE_PAUSE }
    }

    /// Goes over all pictures once.
    async fn process_once(
        &self,
        inspection_id: InspectionId,
        failures: &mut FailureCounter,
    ) -> Result<(), ProcessingError> {
        let history = self.read_history(inspection_id).await?;
        let facts = match &history.state {
            Inspection::Open(facts) | Inspection::Inferring(facts) => facts,
            // Judged means no more results, which is all that is made here.
            Inspection::NotCreated | Inspection::Judged { .. } | Inspection::Voided(_) => {
                return Ok(());
            }
        };
        let part = self.load_part(&facts.part).await?;
        let model = self.select_model(facts).await?;
        for (&artifact_id, artifact) in &facts.artifacts {
            let (Artifact::Uploaded(picture), Some(uploaded)) =
                (artifact, history.uploaded.get(&artifact_id))
            else {
                continue;
            };
            let view = facts.views.get(&artifact_id);
            let golden = part.golden_set(view, facts.golden_sample_revision);
            // Without a golden sample the picture waits: one may be registered before inference is
            // requested. Then there is none, and a person has to look.
            let (result, cause) = match (golden, &history.inference_requested) {
                (Some(golden), _) => {
                    let scale = facts.scales.get(&artifact_id).copied();
                    let (golden, recipe, model) = (&golden, &facts.recipe, &model);
                    let task =
                        PictureToCompare { artifact_id, picture, scale, golden, recipe, model };
                    (self.compare_picture(&task, failures).await?, uploaded)
                }
                (None, Some(requested)) => {
                    (no_golden_sample_result(artifact_id, picture, facts), requested)
                }
                (None, None) => continue,
            };
            self.record_result(inspection_id, result, cause).await?;
        }
        Ok(())
    }

    async fn read_history(
        &self,
        inspection_id: InspectionId,
    ) -> Result<InspectionHistory, ProcessingError> {
        let stream = StreamId::for_aggregate::<Inspection>(inspection_id);
        let events = self.log.read_stream(&stream, 0).await;
        let events = events.map_err(|error| ProcessingError::Transient(error.to_string()))?.events;
        InspectionHistory::from_events(events).map_err(ProcessingError::from_undecodable)
    }

    /// Records a result under its own id as the command's, so that it is appended once.
    async fn record_result(
        &self,
        inspection_id: InspectionId,
        result: InferenceResult,
        cause: &Recorded,
    ) -> Result<(), ProcessingError> {
        let (InferenceResult::Completed { result_id, .. }
        | InferenceResult::Failed { result_id, .. }) = &result;
        let request = Request::<Inspection> {
            aggregate_id: inspection_id.to_string(),
            metadata: EventMetadata::by_service(WORKER)
                .caused_by(cause)
                .with_command_id(*result_id),
            command: InspectionCommand::RecordInference(Box::new(result)),
            is_new: false,
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
                let position = executed.position.0;
                tracing::info!(%inspection_id, %judgement, position, "inspection judged");
            }
        }
        Ok(())
    }
}

/// What an inspection's stream says. It is read once, so that state and causes are of the same moment:
/// every picture that the state knows as uploaded has its event here.
#[derive(Debug, Default)]
struct InspectionHistory {
    state: Inspection,
    /// The events that ask for the comparison of a picture.
    uploaded: HashMap<ArtifactId, Recorded>,
    /// The event after which no golden sample is waited for any more.
    inference_requested: Option<Recorded>,
}

impl InspectionHistory {
    /// Folds the events of one stream, from its beginning.
    fn from_events(events: Vec<Recorded>) -> Result<Self, UndecodableEvent> {
        let mut history = Self::default();
        for recorded in events {
            let event = recorded.decode::<Inspection>()?;
            history.state.evolve(&event);
            match event {
                InspectionEvent::ArtifactUploaded { artifact_id, .. } => {
                    history.uploaded.insert(artifact_id, recorded);
                }
                InspectionEvent::InferenceRequested { .. } => {
                    history.inference_requested = Some(recorded);
                }
                _ => {}
            }
        }
        Ok(history)
    }
}

impl ProcessingError {
    /// Of a command or a load.
    fn from_execute<R: std::error::Error>(error: ExecuteError<R>) -> Self {
        match error {
            ExecuteError::Log(_) | ExecuteError::Contended | ExecuteError::ClaimLost => {
                Self::Transient(error.to_string())
            }
            ExecuteError::Unreadable(undecodable) => Self::from_undecodable(undecodable),
            ExecuteError::Rejected(_)
            | ExecuteError::OutOfReach
            | ExecuteError::VersionMismatch { .. } => Self::Permanent(error.to_string()),
        }
    }

    /// A name or a version that this software does not know is a newer one's, which can do what this one
    /// cannot: the events stay open until it takes the partition over. What is damaged stays damaged.
    fn from_undecodable(error: UndecodableEvent) -> Self {
        match error.reason {
            Undecodable::Unknown(_) => Self::Transient(error.to_string()),
            Undecodable::Shape(_) | Undecodable::Name { .. } => Self::Permanent(error.to_string()),
        }
    }
}
