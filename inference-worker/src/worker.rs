//! Follows the log and settles inspections: every uploaded picture gets one result, however often its
//! event is delivered and however many workers there are.
//!
//! Invariant: the checkpoint of a partition never passes an event whose work is not recorded in the
//! log. What is done twice after a crash changes nothing, because results have ids derived from what
//! was compared. Absent: agreement among workers but by the leases in the database.

mod desk;
mod gate;
mod health;
pub mod lease;
mod partition;
mod settle;
mod shift;

use std::sync::Arc;
use std::time::Duration;

use platform::artifact_store::ArtifactStore;
use platform::event_log::EventLog;
use platform::shutdown::Shutdown;
use sqlx::PgPool;

pub use health::WorkerHealth;
pub use partition::{PARTITIONS, Partition};

use crate::comparison::Comparer;
use crate::metrics::Metrics;
use lease::Leases;
use settle::Settler;
use shift::Shift;

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
    log: Arc<dyn EventLog>,
    leases: Leases,
    settler: Arc<Settler>,
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
        let gate = health.gate();
        let settler = Settler::new(Arc::clone(&log), artifacts, comparer, gate, metrics.clone());
        Self {
            log,
            leases: Leases::new(pool, options.lease, options.name.as_deref()),
            settler: Arc::new(settler),
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
        let mut shift = Shift::begin(self, shutdown.clone()).await?;
        let requested = shutdown.requested();
        tokio::pin!(requested);
        loop {
            shift.take_up();
            let happened = tokio::select! {
                () = &mut requested => break,
                happened = shift.next() => happened,
            };
            shift.see_to(happened).await;
        }
        shift.end().await;
        Ok(())
    }
}
