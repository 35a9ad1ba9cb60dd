//! Whether a worker can process inspections now, and why not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use inference::engine::{BreakerState, Models};
use platform::health::{Check, Probe};

use super::availability::EngineAvailability;
use crate::metrics::Metrics;

/// What a worker tells about itself. It exists before the worker does: then nothing is ready.
pub struct WorkerHealth {
    engine: Arc<EngineAvailability>,
    models: OnceLock<Arc<dyn Models>>,
    leases: Mutex<Result<usize, String>>,
    under_way: AtomicUsize,
}

impl WorkerHealth {
    /// Of a worker that has not started.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        Self {
            engine: Arc::new(EngineAvailability::new(metrics)),
            models: OnceLock::new(),
            leases: Mutex::new(Err("the worker has not started".to_owned())),
            under_way: AtomicUsize::new(0),
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

    pub(super) fn report_leases(&self, outcome: Result<usize, String>) {
        *self.leases.lock().unwrap_or_else(PoisonError::into_inner) = outcome;
    }

    pub(super) fn report_under_way(&self, inspections: usize) {
        self.under_way.store(inspections, Ordering::Relaxed);
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
            Some(detail) if self.under_way.load(Ordering::Relaxed) > 0 => Err(detail),
            _ => Ok(()),
        }
    }

    fn check_leases(&self) -> Result<(), String> {
        let leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.as_ref().map(|_| ()).map_err(Clone::clone)
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
