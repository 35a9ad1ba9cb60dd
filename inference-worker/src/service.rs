//! The worker as a service: configuration, engine, and the loop that follows the log.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use inference::batcher::BatchingConfig;
use inference::comparison::Comparer;
use inference::engine::{EngineUrl, TritonConfig};
use inference::metrics::InferenceMetrics;
use platform::artifact_store::ArtifactStore;
use platform::follower::{LogTail, ReactorOptions};
use platform::picture_memory::PictureMemory;
use platform::postgres::Pool;
use platform::shutdown::Shutdown;

use crate::worker::{Worker, WorkerHealth};

/// How the worker works.
#[derive(Debug, Clone, clap::Args)]
pub struct WorkerConfig {
    /// Where pictures are compared: embedded:, or a Triton server at grpc://HOST:8001.
    #[arg(long, env = "CHIPQ_ENGINE", default_value_t = EngineUrl::Embedded, value_name = "URL")]
    pub engine: EngineUrl,
    /// How to ask a Triton server.
    #[command(flatten)]
    pub triton: TritonConfig,
    /// Most inspections under way at a time.
    #[arg(long, env = "CHIPQ_INFERENCE_CONCURRENCY", default_value_t = 8,
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub inference_concurrency: u16,
    /// Most crops in a batch; fewer, when the model is built for fewer.
    #[arg(long, env = "CHIPQ_BATCH_SIZE", default_value_t = 32,
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub batch_size: u16,
    /// Longest wait in milliseconds of a batch's first crop for company.
    #[arg(long, env = "CHIPQ_BATCH_DELAY_MS", default_value_t = 2,
          value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pub batch_delay_ms: u64,
    /// Batches that the engine works on at a time.
    #[arg(long, env = "CHIPQ_BATCHES_IN_FLIGHT", default_value_t = 2,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    pub batches_in_flight: u16,
    /// Milliseconds after which the share of a worker that died is taken over.
    #[arg(long, env = "CHIPQ_WORKER_LEASE_MS", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(500..=600_000))]
    pub worker_lease_ms: u64,
    /// A name of this worker alone, which it keeps when it starts again, such as its pod's: after a
    /// crash it takes up its own share at once.
    #[arg(long, env = "CHIPQ_WORKER_NAME")]
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub worker_name: Option<String>,
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

    fn options(&self) -> ReactorOptions {
        ReactorOptions {
            concurrency: self.inference_concurrency.into(),
            lease: Duration::from_millis(self.worker_lease_ms),
            member_name: self.worker_name.clone(),
        }
    }
}

/// A worker that was configured and has not started.
pub struct Service {
    config: WorkerConfig,
    health: Arc<WorkerHealth>,
    inference_metrics: InferenceMetrics,
}

impl Service {
    /// A worker, measured under the process's meter: install `platform::metrics` first.
    #[must_use]
    pub fn new(config: WorkerConfig) -> Self {
        let inference_metrics = InferenceMetrics::for_process();
        let health = Arc::new(WorkerHealth::new(inference_metrics.clone()));
        Self { config, health, inference_metrics }
    }

    /// Whether it can process inspections, from now until it ends.
    #[must_use]
    pub fn health(&self) -> Arc<WorkerHealth> {
        Arc::clone(&self.health)
    }

    /// Follows the log and processes inspections until a shutdown is asked for. An engine that is away
    /// is waited for.
    ///
    /// # Errors
    /// When the engine cannot be used at all, or the database is away at the start.
    pub async fn run(
        self,
        pool: Pool,
        tail: LogTail,
        (artifacts, memory): (ArtifactStore, PictureMemory),
        shutdown: Shutdown,
    ) -> anyhow::Result<()> {
        let (batching, options) = (self.config.batching(), self.config.options());
        let WorkerConfig { engine, triton, .. } = self.config;
        tracing::info!(%engine, "pictures are compared");
        let models = tokio::task::spawn_blocking(move || engine.connect(&triton))
            .await?
            .context("the inference engine cannot be used")?;
        self.health.set_models(Arc::clone(&models));
        InferenceMetrics::observe_breakers(Arc::clone(&models));
        let comparer = Comparer::new(models, batching, memory, self.inference_metrics);
        let comparer = Arc::new(comparer);
        Worker::new((pool, tail), artifacts, comparer, options, self.health)
            .run(shutdown)
            .await
            .context("the inference worker cannot start")
    }
}
