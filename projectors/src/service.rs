//! The service: every projection followed at once.

use std::sync::Arc;

use anyhow::Context as _;
use platform::follower::{FollowerStatus, Followers, LogTail, ProjectorFollower, run_follower};
use platform::health::Probe;
use platform::postgres::Pool;
use platform::postgres::channel::{HintSender, PROJECTED_CHANNEL};
use platform::shutdown::Shutdown;
use tokio::task::JoinSet;

use crate::generation::tables::ensure_each;
use crate::projection::Projection;
use crate::serving_projector::ServingProjector;
use crate::summaries::keep_refreshed;

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

/// Projectors that were configured and have not started.
pub struct Service {
    config: ProjectorsConfig,
    followers: Followers,
    projections: Vec<(&'static dyn Projection, FollowerStatus)>,
}

impl Service {
    /// Every projection, measured under the process's meter: install `platform::metrics` first.
    #[must_use]
    pub fn new(config: ProjectorsConfig) -> Self {
        let followers = Followers::new();
        let register = |projection: &'static dyn Projection| {
            (projection, followers.register(projection.name()))
        };
        let projections = crate::ALL.into_iter().map(register).collect();
        Self { config, followers, projections }
    }

    /// Whether every projection is followed, from now until the service ends.
    #[must_use]
    pub fn probe(&self) -> Arc<dyn Probe> {
        Arc::new(self.followers.clone())
    }

    /// Keeps every read model up to date until shutdown is requested. The database must be
    /// migrated; generations that are missing are created. Any number of instances may run: each
    /// projection is written by one of them, and the others stand by.
    ///
    /// # Errors
    /// When the generations cannot be created, or a projection's task dies. What happens later, to
    /// the database or the log, is waited for.
    pub async fn run(self, pool: Pool, tail: LogTail, shutdown: Shutdown) -> anyhow::Result<()> {
        ensure_each(&pool, &crate::ALL).await.context("cannot create the read models")?;
        let hint = HintSender::start(pool.clone(), PROJECTED_CHANNEL);
        let mut tasks = JoinSet::new();
        for (projection, status) in self.projections {
            let projector = ServingProjector::new(projection, Arc::clone(tail.log()));
            let follower = ProjectorFollower {
                projector: projector.reporting_to(status.clone()),
                pool: pool.clone(),
                tail: tail.clone(),
                page_events: self.config.projectors_page_events.into(),
                hint: hint.clone(),
            };
            tasks.spawn(run_follower(follower, status, shutdown.child()));
        }
        tasks.spawn(keep_refreshed(pool, crate::ALL.to_vec(), shutdown));
        while let Some(ended) = tasks.join_next().await {
            ended.context("a projection's task died")?;
        }
        Ok(())
    }
}
