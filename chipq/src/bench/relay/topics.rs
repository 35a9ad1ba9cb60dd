//! Topics that a measurement has to itself, and the relay that sends to them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use kafka_client::{TopicPartition, TopicSpec, ensure_topic};
use platform::config::ConfigErrors;
use platform::foundation::Foundation;
use platform::shutdown::Shutdown;
use relay::RelayConfig;
use tokio::task::JoinHandle;

/// How long it may take until all partitions of new topics answer, and how often one looks.
const LED_WITHIN: Duration = Duration::from_secs(30);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Topics under a prefix that nobody else has. They stay in Kafka.
pub(super) struct OwnTopics {
    config: RelayConfig,
    /// Of each topic, each.
    pub(super) partitions: Vec<TopicPartition>,
}

impl OwnTopics {
    /// Makes the topics that `config` asks for, or those of `aggregates`.
    pub(super) async fn make(
        config: &RelayConfig,
        name: &str,
        aggregates: Option<&[&str]>,
    ) -> anyhow::Result<Self> {
        let mut config = config.clone();
        let url = config.kafka.as_mut().and_then(|url| url.as_mut().ok());
        let url = url.context("--kafka is not set")?;
        url.topic_prefix = format!("{name}-{}.", uuid::Uuid::now_v7().simple());
        if let Some(aggregates) = aggregates {
            url.topics = aggregates.iter().map(ToString::to_string).collect();
        }
        let specs = TopicSpec::all_of(url);
        let mut errors = ConfigErrors::new();
        let cluster = config.open_cluster(&mut errors);
        errors.finish()?;
        let cluster = Arc::new(cluster.context("--kafka is not set")?);
        let mut partitions = Vec::new();
        for spec in &specs {
            let topic = ensure_topic(&cluster, spec).await?;
            let name = topic.name;
            let new = |number| TopicPartition::new(Arc::clone(&cluster), name.clone(), number);
            partitions.extend((0..topic.partitions).map(new));
        }
        let mut topics = Self { config, partitions };
        // A broker that was just made the leader of a partition may not know it yet.
        let begun = Instant::now();
        while let Err(error) = topics.count_records().await {
            ensure!(begun.elapsed() < LED_WITHIN, "{error}");
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        Ok(topics)
    }

    /// A relay that sends to them, in this process.
    pub(super) fn relay(&self, foundation: &Foundation) -> anyhow::Result<RunningRelay> {
        let service = relay::Service::new(&self.config)?.context("--kafka is not set")?;
        let shutdown = Shutdown::new();
        let (pool, tail) = (foundation.pool().clone(), foundation.tail().clone());
        let running = tokio::spawn(service.run(pool, tail, shutdown.clone()));
        Ok(RunningRelay { running, shutdown })
    }

    /// How many records they hold.
    pub(super) async fn count_records(&mut self) -> anyhow::Result<usize> {
        let mut records = 0;
        for partition in &mut self.partitions {
            records += partition.read_end().await?;
        }
        Ok(usize::try_from(records)?)
    }
}

/// A relay that runs until it is stopped.
pub(super) struct RunningRelay {
    running: JoinHandle<anyhow::Result<()>>,
    shutdown: Shutdown,
}

impl RunningRelay {
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.shutdown.request();
        self.running.await?
    }
}
