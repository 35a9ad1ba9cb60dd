//! Whether a worker can process inspections now, and why not.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use inference::availability::EngineAvailability;
use inference::engine::Models;
use inference::metrics::InferenceMetrics;
use platform::follower::{Followers, PartitionStatus};
use platform::health::{Check, Probe};

use super::WORKER;

const NOT_STARTED: &str = "the worker has not started";

/// What a worker tells about itself. It exists before the worker does: then nothing is ready.
pub struct WorkerHealth {
    engine: Arc<EngineAvailability>,
    partitions: Arc<PartitionStatus>,
    /// The worker as a follower, measured for as long as this lives.
    followers: Followers,
}

impl WorkerHealth {
    /// Of a worker that has not started.
    #[must_use]
    pub fn new(metrics: InferenceMetrics) -> Self {
        let followers = Followers::new();
        Self {
            engine: Arc::new(EngineAvailability::new(metrics)),
            partitions: Arc::new(PartitionStatus::new(followers.register(WORKER))),
            followers,
        }
    }

    /// Where the worker's networks are, once that is known.
    pub fn set_models(&self, models: Arc<dyn Models>) {
        self.engine.set_models(models);
    }

    pub(super) fn engine_availability(&self) -> Arc<EngineAvailability> {
        Arc::clone(&self.engine)
    }

    pub(super) fn partitions(&self) -> Arc<PartitionStatus> {
        Arc::clone(&self.partitions)
    }

    async fn check_engine(&self) -> Result<(), String> {
        let checked = self.engine.check().await;
        checked.map_err(|reason| reason.unwrap_or_else(|| NOT_STARTED.to_owned()))
    }

    fn check_leases(&self) -> Result<(), String> {
        let renewed = self.partitions.leases();
        renewed.unwrap_or_else(|| Err(NOT_STARTED.to_owned())).map(|_| ())
    }
}

impl Probe for WorkerHealth {
    fn name(&self) -> &'static str {
        WORKER
    }

    /// `inference-engine`: it answers and its breaker is closed. `inference-leases`: the last renewal
    /// succeeded; a worker without a share, because there are more workers than partitions, is ready.
    /// `follower:inference-worker`: it follows the log.
    fn checks(&self) -> BoxFuture<'_, Vec<Check>> {
        async {
            let engine = Check::new("inference-engine", self.check_engine().await);
            let mut checks = vec![engine, Check::new("inference-leases", self.check_leases())];
            checks.extend(self.followers.checks().await);
            checks
        }
        .boxed()
    }
}
