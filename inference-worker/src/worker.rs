//! Follows the log and processes inspections: every uploaded picture gets one result, however often its
//! event is delivered and however many workers there are.
//!
//! Invariant: the checkpoint of a partition never passes an event whose work is not recorded in the
//! log. What is done twice after a crash changes nothing, because results have ids derived from what
//! was compared. Absent: agreement among workers but by the leases in the database.

mod availability;
mod backlog;
mod consumer;
mod health;
pub mod lease;
mod partition;
mod process;

use std::sync::Arc;
use std::time::Duration;

use inference::comparison::Comparer;
use platform::artifact_store::ArtifactStore;
use platform::event_log::EventLog;
use platform::follower::LogTail;
use platform::shutdown::Shutdown;
use sqlx::PgPool;

pub use health::WorkerHealth;
pub use partition::{PARTITIONS, Partition};

use crate::metrics::Metrics;
use consumer::PartitionConsumer;
use lease::Leases;
use process::InspectionProcessor;

/// The worker's name as an actor in the log.
pub const WORKER: &str = "inference-worker";

/// How a worker works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerOptions {
    /// Most inspections under way at a time.
    pub concurrency: usize,
    /// How long a lease on a partition lasts unless it is renewed.
    pub lease: Duration,
    /// A name that the worker keeps when it starts again: it then need not wait for its own leases.
    pub name: Option<String>,
}

impl Default for WorkerOptions {
    /// 8 inspections, 10 s, no name.
    fn default() -> Self {
        Self { concurrency: 8, lease: Duration::from_secs(10), name: None }
    }
}

/// What the worker works with.
pub struct Worker {
    tail: LogTail,
    leases: Leases,
    processor: Arc<InspectionProcessor>,
    /// Told how it is.
    health: Arc<WorkerHealth>,
    metrics: Metrics,
    concurrency: usize,
}

impl Worker {
    /// A worker of its own name, which tells `health` how it is.
    #[must_use]
    pub fn new(
        (pool, log): (PgPool, Arc<dyn EventLog>),
        artifacts: ArtifactStore,
        comparer: Arc<Comparer>,
        options: WorkerOptions,
        (health, metrics): (Arc<WorkerHealth>, Metrics),
    ) -> Self {
        let engine = health.engine_availability();
        let (own_log, own_metrics) = (Arc::clone(&log), metrics.clone());
        let processor = InspectionProcessor::new(own_log, artifacts, comparer, engine, own_metrics);
        Self {
            tail: LogTail::new(log),
            leases: Leases::new(pool, options.lease, options.name.as_deref()),
            processor: Arc::new(processor),
            health,
            metrics,
            concurrency: options.concurrency.max(1),
        }
    }

    /// Follows the log until a shutdown is asked for. When the future is dropped, the leases run on
    /// until they expire.
    ///
    /// # Errors
    /// When the database cannot be used at the start.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), sqlx::Error> {
        let mut consumer = PartitionConsumer::start(self, shutdown.clone()).await?;
        let requested = shutdown.requested();
        tokio::pin!(requested);
        loop {
            consumer.start_next();
            let wakeup = tokio::select! {
                () = &mut requested => break,
                wakeup = consumer.next_wakeup() => wakeup,
            };
            consumer.handle(wakeup).await;
        }
        consumer.drain().await;
        Ok(())
    }
}
