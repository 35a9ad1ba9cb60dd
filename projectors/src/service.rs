//! The service: every projection followed at once.

use std::sync::Arc;

use anyhow::Context as _;
use platform::event_log::EventLog;
use platform::follower::LogTail;
use platform::shutdown::Shutdown;
use sqlx::PgPool;
use tokio::task::JoinSet;

use crate::generation::ensure_each;
use crate::hint::Hint;
use crate::projection::Projection;
use crate::runner::Runner;

/// How the projectors work.
#[derive(Debug, Clone, clap::Args)]
pub struct ProjectorsConfig {
    /// Most events applied in one transaction.
    #[arg(long, env = "CHIPQ_PROJECTORS_PAGE_EVENTS", default_value_t = 500,
          value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub projectors_page_events: u16,
}

impl Default for ProjectorsConfig {
    fn default() -> Self {
        Self { projectors_page_events: 500 }
    }
}

/// Keeps every read model up to date until shutdown is requested. The database must be migrated;
/// generations that are missing are created. Any number of instances may run: each projection is
/// written by one of them, and the others stand by.
///
/// # Errors
/// When the generations cannot be created, or a projection's task dies. What happens later, to the
/// database or the log, is waited for.
pub async fn run(
    config: ProjectorsConfig,
    pool: PgPool,
    log: Arc<dyn EventLog>,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    run_each(&crate::ALL, config, pool, log, shutdown).await
}

/// [`run`] for these projections.
///
/// # Errors
/// As [`run`].
pub async fn run_each(
    projections: &[&'static dyn Projection],
    config: ProjectorsConfig,
    pool: PgPool,
    log: Arc<dyn EventLog>,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    ensure_each(&pool, projections).await.context("cannot create the read models")?;
    let hint = Hint::start(pool.clone());
    let tail = LogTail::new(log);
    let mut tasks = JoinSet::new();
    for projection in projections {
        let runner = Runner {
            pool: pool.clone(),
            tail: tail.clone(),
            projection: *projection,
            page_events: config.projectors_page_events.into(),
            hint: hint.clone(),
        };
        tasks.spawn(runner.run(shutdown.child()));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.context("a projection's task died")?;
    }
    Ok(())
}
