//! The worker as a service: configuration, engine, batcher, and the loop that follows the log.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use platform::artifact_store::ArtifactStore;
use platform::event_log::EventLog;
use platform::shutdown::Shutdown;
use sqlx::PgPool;

use crate::batcher::{Batcher, BatchingConfig};
use crate::comparison::Comparer;
use crate::engine::{EmbeddedEngine, Engine as _};
use crate::worker::Worker;

/// How the worker works.
#[derive(Debug, Clone, clap::Args)]
pub struct WorkerConfig {
    /// Most inspections under way at a time.
    #[arg(long, env = "CHIPQ_INFERENCE_CONCURRENCY", default_value_t = 8,
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub inference_concurrency: u16,
    /// Most crops in a batch.
    #[arg(long, env = "CHIPQ_BATCH_SIZE", default_value_t = 32,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub batch_size: u16,
    /// Longest wait in milliseconds of a batch's first crop for company.
    #[arg(long, env = "CHIPQ_BATCH_DELAY_MS", default_value_t = 2)]
    pub batch_delay_ms: u64,
    /// Batches that the engine works on at a time.
    #[arg(long, env = "CHIPQ_BATCHES_IN_FLIGHT", default_value_t = 2,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    pub batches_in_flight: u16,
}

impl WorkerConfig {
    fn batching(&self) -> BatchingConfig {
        BatchingConfig {
            size: self.batch_size.into(),
            delay: Duration::from_millis(self.batch_delay_ms),
            in_flight: self.batches_in_flight.into(),
            ..BatchingConfig::default()
        }
    }
}

/// Follows the log and settles inspections until a shutdown is asked for.
///
/// # Errors
/// When the model does not load or the database is away at the start.
pub async fn run(
    config: WorkerConfig,
    pool: PgPool,
    log: Arc<dyn EventLog>,
    artifacts: ArtifactStore,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let engine = tokio::task::spawn_blocking(EmbeddedEngine::load)
        .await?
        .context("the embedded model does not load")?;
    let model = engine.model();
    tracing::info!(model = model.name, version = model.version, sha256 = %model.sha256, "model loaded");
    let batcher = Batcher::start(Arc::new(engine), config.batching());
    let comparer = Arc::new(Comparer::new(batcher));
    let concurrency = config.inference_concurrency.into();
    Worker::new(pool, log, artifacts, comparer, concurrency)
        .run(shutdown)
        .await
        .context("the inference worker cannot start")
}
