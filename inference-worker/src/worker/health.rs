//! Whether a worker can process inspections now, and why not.

use std::sync::{Arc, OnceLock};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use inference::engine::{BreakerState, Models};
use platform::follower::PartitionStatus;
use platform::health::{Check, Probe};

use super::availability::EngineAvailability;
use crate::metrics::Metrics;

/// What a worker tells about itself. It exists before the worker does: then nothing is ready.
pub struct WorkerHealth {
    engine: Arc<EngineAvailability>,
    models: OnceLock<Arc<dyn Models>>,
    partitions: Arc<PartitionStatus>,
}

impl WorkerHealth {
    /// Of a worker that has not started.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        Self {
            engine: Arc::new(EngineAvailability::new(metrics)),
            models: OnceLock::new(),
            partitions: Arc::default(),
        }
    }

    /// Where the worker's networks are, once that is known.
    pub fn set_models(&self, models: Arc<dyn Models>) {
        // The first place stands: a worker has one.
        let _ = self.models.set(models);
    }

    pub(super) fn engine_availability(&self) -> Arc<EngineAvailability> {
        Arc::clone(&self.engine)
    }

    pub(super) fn partitions(&self) -> Arc<PartitionStatus> {
        Arc::clone(&self.partitions)
    }

    async fn check_engine(&self) -> Result<(), String> {
        let models = self.models.get().ok_or("the worker has not started")?;
        models.ready().await.map_err(|error| error.to_string())?;
        let is_open = |(_, state): &(_, BreakerState)| *state == BreakerState::Open;
        if let Some((model, _)) = models.breakers().into_iter().find(is_open) {
            let (name, version) = (model.name, model.version);
            return Err(format!("the circuit breaker of {name} version {version} is open"));
        }
        // A network that is not there keeps inspections waiting although its place answers. When
        // none waits any more, nobody would find out that it is back.
        match self.engine.reason_away() {
            Some(detail) if self.partitions.streams_under_way() > 0 => Err(detail),
            _ => Ok(()),
        }
    }

    fn check_leases(&self) -> Result<(), String> {
        let renewed = self.partitions.leases();
        renewed.unwrap_or_else(|| Err("the worker has not started".to_owned())).map(|_| ())
    }
}

impl Probe for WorkerHealth {
    /// `inference-engine`: it answers and its breaker is closed. `inference-leases`: the last renewal
    /// succeeded; a worker without a share, because there are more workers than partitions, is ready.
    fn checks(&self) -> BoxFuture<'_, Vec<Check>> {
        async {
            let engine = Check::new("inference-engine", self.check_engine().await);
            vec![engine, Check::new("inference-leases", self.check_leases())]
        }
        .boxed()
    }
}
