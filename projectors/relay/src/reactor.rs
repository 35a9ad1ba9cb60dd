//! The relay as a reactor: it deals the log's events out to lanes, one for each partition.
//!
//! Invariants: an event goes to the partition that Kafka's own clients find by its key; the lanes of a session end
//! with it, so that an owner that was fenced off sends nothing more than what is under way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kafka_client::{ClusterError, KafkaCluster, partition_of};
use platform::event_log::{EventLog, Page, Position};
use platform::follower::{LogReactor, ReactionError, ReactionSession};
use platform::postgres::{DatabaseConnection, Pool};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::beginning::{BegunTopic, Ground, moved_keys};
use crate::lane::{Given, Lane, LaneShared};
use crate::metrics::SendMetrics;
use crate::partition_state::{forget_topic, is_any_resent, save_done, save_sent};
use crate::progress::Progress;
use crate::troubles::Troubles;

/// How often one looks whether somebody asked for a topic to be sent again.
const REQUESTS_INTERVAL: Duration = Duration::from_secs(3);
/// How often the topics' numbers of partitions are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// Sends the log to Kafka.
pub(crate) struct Relay {
    pub(crate) cluster: Arc<KafkaCluster>,
    pub(crate) pool: Pool,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) source: Arc<str>,
    pub(crate) troubles: Arc<Troubles>,
    pub(crate) metrics: SendMetrics,
}

/// The relay at work.
pub(crate) struct RelaySession {
    /// By aggregate; each topic's lanes by partition.
    lanes: BTreeMap<String, Vec<UnboundedSender<Given>>>,
    /// Their whole names.
    topics: Vec<String>,
    /// Those of which what was known before does not count any more.
    forgotten: Vec<String>,
    progress: Arc<Progress>,
    troubles: Arc<Troubles>,
    _tasks: JoinSet<()>,
}

impl LogReactor for Relay {
    type Session = RelaySession;

    fn name(&self) -> &'static str {
        crate::RELAY
    }

    async fn begin(
        &mut self,
        checkpoint: Position,
    ) -> Result<(RelaySession, Position), ReactionError> {
        let ground = Ground {
            cluster: &self.cluster,
            pool: &self.pool,
            log: &*self.log,
            source: &self.source,
        };
        let beginning = ground.begin(checkpoint).await?;
        let from = beginning.from;
        let progress = Arc::new(Progress::new(from, beginning.list_unsaved()));
        let shared = LaneShared {
            source: Arc::clone(&self.source),
            log: Arc::clone(&self.log),
            progress: Arc::clone(&progress),
            troubles: Arc::clone(&self.troubles),
            metrics: self.metrics.clone(),
        };
        let mut tasks = JoinSet::new();
        let (cluster, counts) = (Arc::clone(&self.cluster), count_partitions(&beginning.topics));
        tasks.spawn(watch_partitions(cluster, counts, Arc::clone(&progress)));
        let topics: Vec<_> = beginning.topics.iter().map(|topic| topic.name.clone()).collect();
        tasks.spawn(watch_requests(self.pool.clone(), topics.clone(), Arc::clone(&progress)));
        let resent = beginning.topics.iter().filter(|topic| topic.is_resent);
        let forgotten = resent.map(|topic| topic.name.clone()).collect();
        let start = |topic: BegunTopic, tasks: &mut JoinSet<()>| {
            let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
            let lanes = topic.partitions.into_iter().map(|begun| {
                let (sender, given) = unbounded_channel();
                tasks.spawn(Lane::new(shared.clone(), (begun, count), given).run());
                sender
            });
            (topic.aggregate, lanes.collect())
        };
        let lanes = beginning.topics.into_iter().map(|topic| start(topic, &mut tasks)).collect();
        let troubles = Arc::clone(&self.troubles);
        let session = RelaySession { lanes, topics, forgotten, progress, troubles, _tasks: tasks };
        Ok((session, from))
    }
}

impl ReactionSession for RelaySession {
    fn has_room(&self) -> bool {
        let has_room = self.progress.has_room();
        self.troubles.set_full(!has_room);
        has_room
    }

    fn take(&mut self, page: &Page) {
        let wanted = page
            .events
            .iter()
            .filter_map(|event| Some((self.lanes.get(&event.stream.aggregate_type)?, event)));
        let wanted: Vec<_> = wanted.collect();
        let positions = wanted.iter().map(|(_, event)| event.position);
        self.progress.take(positions, page.up_to);
        for (lanes, event) in wanted {
            let count = i32::try_from(lanes.len()).unwrap_or(i32::MAX);
            let number = partition_of(event.stream.aggregate_id.as_bytes(), count);
            let lane = usize::try_from(number).ok().and_then(|number| lanes.get(number));
            let given = Given { event: Arc::clone(event), incarnation: page.incarnation };
            // A lane that is over has said why, and the session ends.
            let _ = lane.map(|lane| lane.send(given));
        }
    }

    async fn done(&mut self) -> Result<Position, ReactionError> {
        self.progress.done().await
    }

    async fn save(&mut self, transaction: &mut DatabaseConnection) -> Result<(), sqlx::Error> {
        for topic in std::mem::take(&mut self.forgotten) {
            forget_topic(transaction, &topic).await?;
        }
        let (unsaved, done) = self.progress.take_unsaved();
        for ((topic, partition), sent) in unsaved {
            save_sent(transaction, (&topic, partition), sent).await?;
        }
        save_done(transaction, &self.topics, done).await
    }
}

impl Drop for RelaySession {
    fn drop(&mut self) {
        self.troubles.clear_all();
    }
}

fn count_partitions(topics: &[BegunTopic]) -> Vec<(String, usize)> {
    topics.iter().map(|topic| (topic.name.clone(), topic.partitions.len())).collect()
}

/// Ends the session when a topic has another number of partitions: keys would move.
async fn watch_partitions(
    cluster: Arc<KafkaCluster>,
    counts: Vec<(String, usize)>,
    progress: Arc<Progress>,
) {
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        for (topic, count) in &counts {
            match cluster.topic(topic).await {
                Ok(found) if found.partitions.len() != *count => {
                    let now = i32::try_from(found.partitions.len()).unwrap_or(i32::MAX);
                    progress.fail(moved_keys(topic, *count, now));
                }
                Err(ClusterError::Topic { code, .. }) if code.is_unknown_topic() => {
                    progress.fail(format!("topic {topic} is not there any more"));
                }
                // Whatever else is in the way, the lanes notice and say.
                _ => {}
            }
        }
    }
}

/// Ends the session when somebody asked for a topic to be sent again: the next one begins with that.
async fn watch_requests(pool: Pool, topics: Vec<String>, progress: Arc<Progress>) {
    loop {
        tokio::time::sleep(REQUESTS_INTERVAL).await;
        // A database that does not answer ends the session by itself.
        if is_any_resent(&pool, &topics).await.unwrap_or_default() {
            progress.fail("a topic is to be sent again".to_owned());
        }
    }
}
