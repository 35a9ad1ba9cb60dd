//! One batcher for each network in use.
//!
//! Invariant: a batcher's engine is exactly the network that was asked for. What nobody has asked for
//! lately is let go; work under way on it is finished all the same.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::inspection::ModelIdentity;
use tokio::sync::OnceCell;

use crate::batcher::{Batcher, BatchingConfig};
use crate::engine::{EngineError, Models};
use crate::metrics::InferenceMetrics;

/// How long a network that nobody asks for is kept ready.
const IDLE_MAX: Duration = Duration::from_secs(120);

pub(super) struct Batchers {
    models: Arc<dyn Models>,
    config: BatchingConfig,
    metrics: InferenceMetrics,
    kept: Mutex<Vec<Kept>>,
}

struct Kept {
    model: ModelIdentity,
    /// Filled by the first who asks, once the engine is ready; the others wait for that.
    batcher: Arc<OnceCell<Batcher>>,
    used: Instant,
}

impl Batchers {
    pub(super) fn new(
        models: Arc<dyn Models>,
        config: BatchingConfig,
        metrics: InferenceMetrics,
    ) -> Self {
        Self { models, config, metrics, kept: Mutex::default() }
    }

    pub(super) fn shipped_model(&self) -> &ModelIdentity {
        self.models.shipped_model()
    }

    /// The batcher of `model`, whose engine is made ready when it is not.
    pub(super) async fn batcher_for(&self, model: &ModelIdentity) -> Result<Batcher, EngineError> {
        let batcher = self.batcher_cell(model);
        let ready = batcher.get_or_try_init(|| async {
            let engine = self.models.engine_for(model).await?;
            if engine.model() != model {
                let found = engine.model();
                let detail = format!("asked for {} and was given {}", model.sha256, found.sha256);
                return Err(EngineError::Model { detail });
            }
            let (name, version) = (&model.name, &model.version);
            tracing::info!(model = name, version, sha256 = %model.sha256, "model ready");
            Ok(Batcher::start_measured(engine, self.config, self.metrics.clone()))
        });
        ready.await.cloned()
    }

    /// Asks for `model` anew the next time: it is not where it was.
    pub(super) fn forget_model(&self, model: &ModelIdentity) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.model != *model);
    }

    fn batcher_cell(&self, model: &ModelIdentity) -> Arc<OnceCell<Batcher>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.model == *model || kept.used.elapsed() < IDLE_MAX);
        if let Some(known) = kept.iter_mut().find(|kept| kept.model == *model) {
            known.used = Instant::now();
            return Arc::clone(&known.batcher);
        }
        let batcher = Arc::<OnceCell<Batcher>>::default();
        let used = Instant::now();
        kept.push(Kept { model: model.clone(), batcher: Arc::clone(&batcher), used });
        batcher
    }
}
