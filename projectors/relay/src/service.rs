//! The relay as a service.

use std::sync::Arc;

use anyhow::Context as _;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use kafka_client::KafkaCluster;
use platform::config::ConfigErrors;
use platform::follower::{FollowerStatus, Followers, LogReactorFollower, LogTail, run_follower};
use platform::health::{Check, Probe};
use platform::postgres::Pool;
use platform::shutdown::Shutdown;

use crate::config::RelayConfig;
use crate::metrics::{SendMetrics, observe_troubles};
use crate::reactor::Relay;
use crate::troubles::Troubles;

/// How many events are read from the log at once.
const PAGE_EVENTS: usize = 1_000;

/// A relay that was configured and has not started.
pub struct Service {
    cluster: Arc<KafkaCluster>,
    source: Arc<str>,
    followers: Followers,
    status: FollowerStatus,
    troubles: Arc<Troubles>,
    metrics: SendMetrics,
}

impl Service {
    /// The relay to the Kafka that is configured; none where none is. Measured under the process's meter: install
    /// `platform::metrics` first.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration.
    pub fn new(config: &RelayConfig) -> Result<Option<Self>, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        let cluster = config.open_cluster(&mut errors);
        errors.finish()?;
        let Some(cluster) = cluster else { return Ok(None) };
        let (followers, troubles) = (Followers::new(), Arc::default());
        observe_troubles(&troubles);
        Ok(Some(Self {
            cluster: Arc::new(cluster),
            source: config.event_source.as_str().into(),
            status: followers.register(crate::RELAY),
            followers,
            troubles,
            metrics: SendMetrics::for_process(),
        }))
    }

    /// Whether the log is sent, from now until the service ends. With `is_optional` the process is of use without it.
    #[must_use]
    pub fn probe(&self, is_optional: bool) -> Arc<dyn Probe> {
        let (followers, troubles) = (self.followers.clone(), Arc::clone(&self.troubles));
        Arc::new(RelayProbe { followers, troubles, is_optional })
    }

    /// Sends the log to Kafka until shutdown is requested. Any number of instances may run: one sends, and the
    /// others stand by. A Kafka that is away is waited for.
    ///
    /// # Errors
    /// When its task dies.
    pub async fn run(self, pool: Pool, tail: LogTail, shutdown: Shutdown) -> anyhow::Result<()> {
        let reactor = Relay {
            cluster: self.cluster,
            pool: pool.clone(),
            log: Arc::clone(tail.log()),
            source: self.source,
            troubles: self.troubles,
            metrics: self.metrics,
        };
        let follower = LogReactorFollower { reactor, pool, tail, page_events: PAGE_EVENTS };
        let following = tokio::spawn(run_follower(follower, self.status, shutdown));
        following.await.context("the relay's task died")
    }
}

struct RelayProbe {
    followers: Followers,
    troubles: Arc<Troubles>,
    is_optional: bool,
}

impl Probe for RelayProbe {
    fn name(&self) -> &'static str {
        crate::RELAY
    }

    fn checks(&self) -> BoxFuture<'_, Vec<Check>> {
        async {
            let mut checks = self.followers.checks().await;
            checks.extend(self.troubles.checks());
            let as_asked = |check| Check { optional: self.is_optional, ..check };
            checks.into_iter().map(as_asked).collect()
        }
        .boxed()
    }
}
