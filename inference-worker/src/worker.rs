//! Follows the log and processes inspections: every uploaded picture gets one result, however often its
//! event is delivered and however many workers there are.
//!
//! The worker is a reactor (`platform::follower`): leases, shares, checkpoints and back-pressure are
//! there; here is what one inspection asks for. What is done twice after a crash changes nothing,
//! because results have ids derived from what was compared.

mod health;
mod process;

use std::sync::Arc;

use domain::{Aggregate as _, Inspection, InspectionEvent, InspectionId};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use inference::comparison::Comparer;
use platform::artifact_store::ArtifactStore;
use platform::event_log::{Recorded, StreamId};
use platform::follower::{
    AttemptLedger, Handled, LeaseError, LogTail, ReactorOptions, StreamReactor, run_reactor,
};
use platform::postgres::Pool;
use platform::shutdown::Shutdown;

pub use health::WorkerHealth;

use crate::metrics::observe_partitions;
use process::InspectionProcessor;

/// The worker's name: as an actor in the log, and as a follower of it.
pub const WORKER: &str = "inference-worker";

/// The most workers that can share the inspections. Checkpoints are stored by partition: another
/// number needs a migration.
pub const PARTITIONS: u16 = 16;

/// What the worker works with.
pub struct Worker {
    pool: Pool,
    tail: LogTail,
    processor: Arc<InspectionProcessor>,
    attempts: Arc<AttemptLedger>,
    options: ReactorOptions,
    /// Told how it is.
    health: Arc<WorkerHealth>,
}

impl Worker {
    /// A worker of its own name, which tells `health` how it is.
    #[must_use]
    pub fn new(
        (pool, tail): (Pool, LogTail),
        artifacts: ArtifactStore,
        comparer: Arc<Comparer>,
        options: ReactorOptions,
        health: Arc<WorkerHealth>,
    ) -> Self {
        let engine = health.engine_availability();
        let log = Arc::clone(tail.log());
        let attempts = Arc::new(AttemptLedger::new(pool.clone(), WORKER));
        let stores = (log, artifacts, Arc::clone(&attempts));
        let places = options.concurrency;
        let processor = InspectionProcessor::new(stores, comparer, engine, places);
        Self { pool, tail, processor: Arc::new(processor), attempts, options, health }
    }

    /// Follows the log until a shutdown is asked for. When the future is dropped, the leases run on
    /// until they expire.
    ///
    /// # Errors
    /// When the leases cannot be used at the start.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), LeaseError> {
        let status = self.health.partitions();
        observe_partitions(&status);
        let probing = Arc::clone(&self.processor);
        let log = (self.pool, self.tail);
        let ended = tokio::select! {
            ended = run_reactor(self.processor, log, self.options, status, shutdown) => ended,
            never = probing.keep_probing() => match never {},
            never = self.attempts.keep_saving() => match never {},
        };
        self.attempts.save_ended().await;
        ended
    }
}

impl StreamReactor for InspectionProcessor {
    fn name(&self) -> &'static str {
        WORKER
    }

    fn partitions(&self) -> u16 {
        PARTITIONS
    }

    fn gives_work(&self, event: &Recorded) -> bool {
        let asks_for_results = matches!(
            event.event_type.as_str(),
            InspectionEvent::ARTIFACT_UPLOADED | InspectionEvent::INFERENCE_REQUESTED
        );
        asks_for_results && inspection_of(&event.stream).is_some()
    }

    fn is_able(&self) -> bool {
        self.is_engine_available()
    }

    /// The inspection's whole stream says what is left to do, whichever of its events came.
    fn handle<'a>(
        &'a self,
        stream: &'a StreamId,
        _events: &'a [Arc<Recorded>],
        shutdown: &'a Shutdown,
    ) -> BoxFuture<'a, Handled> {
        async move {
            match inspection_of(stream) {
                Some(inspection_id) => self.process(inspection_id, shutdown).await,
                None => Handled::Done,
            }
        }
        .boxed()
    }
}

fn inspection_of(stream: &StreamId) -> Option<InspectionId> {
    let is_inspection = stream.aggregate_type == Inspection::TYPE;
    stream.aggregate_id.parse().ok().filter(|_| is_inspection).map(InspectionId)
}
