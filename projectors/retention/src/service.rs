//! Retention as a service.

use std::sync::Arc;

use anyhow::Context as _;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use opentelemetry::global;
use opentelemetry::metrics::Counter;
use platform::artifact_store::ArtifactStore;
use platform::follower::{FollowerStatus, Followers, LogReactorFollower, LogTail, run_follower};
use platform::health::{Check, Probe};
use platform::postgres::Pool;
use platform::shutdown::Shutdown;

use crate::reactor::Retention;
use crate::work::EventClock;

/// How many events are read from the log at once.
const PAGE_EVENTS: usize = 1_000;

/// Retention that has not started.
pub struct Service {
    followers: Followers,
    status: FollowerStatus,
}

impl Default for Service {
    fn default() -> Self {
        Self::new()
    }
}

impl Service {
    /// Retention by the policy in the log; without one it keeps everything.
    #[must_use]
    pub fn new() -> Self {
        let followers = Followers::new();
        let status = followers.register(crate::PICTURE_RETENTION);
        Self { followers, status }
    }

    /// Whether pictures are retired, from now until the service ends. With `is_optional` the process is of use without
    /// it.
    #[must_use]
    pub fn probe(&self, is_optional: bool) -> Arc<dyn Probe> {
        Arc::new(RetentionProbe { followers: self.followers.clone(), is_optional })
    }

    /// Retires pictures until shutdown is requested. Any number of instances may run: one works, and the others stand
    /// by.
    ///
    /// # Errors
    /// When its task dies.
    pub async fn run(
        self,
        pool: Pool,
        tail: LogTail,
        artifacts: ArtifactStore,
        shutdown: Shutdown,
    ) -> anyhow::Result<()> {
        let reactor = Retention {
            clock: database_clock(pool.clone()),
            pool: pool.clone(),
            log: Arc::clone(tail.log()),
            artifacts,
            deleted: deleted_files(),
        };
        let follower = LogReactorFollower { reactor, pool, tail, page_events: PAGE_EVENTS };
        let following = tokio::spawn(run_follower(follower, self.status, shutdown));
        following.await.context("the task of picture retention died")
    }
}

/// Counts the files that were deleted.
pub(crate) fn deleted_files() -> Counter<u64> {
    global::meter("chipq.retention")
        .u64_counter("chipq.retention.deleted_files")
        .with_unit("{file}")
        .with_description("Files of retired pictures that were deleted.")
        .build()
}

/// The clock of the database that dates events, whatever the clock of this machine says.
fn database_clock(pool: Pool) -> EventClock {
    Arc::new(move || {
        let pool = pool.clone();
        async move { sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&pool).await }.boxed()
    })
}

struct RetentionProbe {
    followers: Followers,
    is_optional: bool,
}

impl Probe for RetentionProbe {
    fn name(&self) -> &'static str {
        crate::PICTURE_RETENTION
    }

    fn checks(&self) -> BoxFuture<'_, Vec<Check>> {
        async {
            let checks = self.followers.checks().await;
            checks.into_iter().map(|check| Check { optional: self.is_optional, ..check }).collect()
        }
        .boxed()
    }
}
