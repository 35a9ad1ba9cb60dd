//! Where the relay begins: topics are made, and what their partitions hold is compared with what is known of them.
//!
//! Invariants: nothing is sent to a topic that is not as it was left, unless the difference is one that sending again
//! mends; whatever a partition does not hold any more although it was acknowledged is sent again, and is said aloud.
//! Where that cannot be told, the relay does not begin, and says what to do.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt as _, stream};
use kafka_client::{ClusterError, KafkaCluster, TopicPartition, TopicSpec, ensure_topic};
use platform::event_log::{EventLog, EventLogError, LogPlace, Position};
use platform::postgres::Pool;

use crate::partition_state::{Sent, load_sent};
use crate::tail::{TailFinding, find_place};

/// How many partitions are looked at at a time, each by a connection that is then its lane's.
const LOOKS_MAX: usize = 32;

/// A topic to which events are sent.
pub(crate) struct BegunTopic {
    /// Of which aggregate.
    pub(crate) aggregate: String,
    pub(crate) name: String,
    pub(crate) partitions: Vec<BegunPartition>,
}

/// A partition to which events are sent.
pub(crate) struct BegunPartition {
    pub(crate) partition: TopicPartition,
    pub(crate) sent: Sent,
    /// Whether its end was read; the lane reads it first where it was not.
    pub(crate) is_end_known: bool,
    /// Whether what is known of it is to be written down before anything is sent.
    is_unsaved: bool,
}

/// From where on the relay sends, to which topics.
pub(crate) struct Beginning {
    pub(crate) topics: Vec<BegunTopic>,
    /// Everything up to here is where it belongs.
    pub(crate) from: Position,
}

impl Beginning {
    /// What is to be written down before anything is sent.
    pub(crate) fn list_unsaved(&self) -> BTreeMap<(String, i32), Sent> {
        let partitions = self.topics.iter().flat_map(|topic| {
            let name = |begun: &BegunPartition| (topic.name.clone(), begun.partition.number());
            topic.partitions.iter().map(move |begun| (name(begun), begun))
        });
        let unsaved = partitions.filter(|(_, begun)| begun.is_unsaved);
        unsaved.map(|(name, begun)| (name, begun.sent)).collect()
    }
}

/// Why the relay does not begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BeginError {
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Log(#[from] EventLogError),
    #[error(
        "topic {topic} holds events of the log behind {after} which are not in the log any more, because an earlier \
         state of it was put back: give the relay another topic_prefix, where consumers begin anew, or delete the \
         topic and run `chipq topics resend {topic}`"
    )]
    PutBack { topic: String, after: Position },
    /// What is in the way of a topic, or of several.
    #[error("{0}")]
    Topic(String),
}

/// What the beginning is found with.
pub(crate) struct Ground<'a> {
    pub(crate) cluster: &'a Arc<KafkaCluster>,
    pub(crate) pool: &'a Pool,
    pub(crate) log: &'a dyn EventLog,
    pub(crate) source: &'a str,
}

impl Ground<'_> {
    /// Looks at every topic; makes those that are missing.
    pub(crate) async fn begin(&self, checkpoint: Position) -> Result<Beginning, BeginError> {
        let url = self.cluster.url();
        let specs = TopicSpec::all_of(url);
        let mut beginning = Beginning { topics: Vec::new(), from: checkpoint };
        let mut problems = Vec::new();
        for (aggregate, spec) in url.topics.iter().zip(&specs) {
            match self.begin_topic(aggregate, spec).await {
                Ok((topic, is_behind)) => {
                    if is_behind {
                        beginning.from = Position(0);
                    }
                    beginning.topics.push(topic);
                }
                Err(BeginError::Topic(problem)) => problems.push(problem),
                Err(error) => return Err(error),
            }
        }
        // One sentence for what is the same for every topic, such as a broker that is away.
        problems.dedup();
        if problems.is_empty() {
            Ok(beginning)
        } else {
            Err(BeginError::Topic(problems.join("; ")))
        }
    }

    /// A topic, and whether any partition of it lacks what the log has before the checkpoint.
    async fn begin_topic(
        &self,
        aggregate: &str,
        spec: &TopicSpec,
    ) -> Result<(BegunTopic, bool), BeginError> {
        let name = &spec.name;
        let known = load_sent(self.pool, name).await?;
        let count = self.count_partitions(spec, &known).await.map_err(BeginError::Topic)?;
        let looks = (0..count).map(|number| async move {
            let mut partition = TopicPartition::new(Arc::clone(self.cluster), name.clone(), number);
            let found = find_place(&mut partition, (self.source, count)).await;
            (partition, found)
        });
        let (mut partitions, mut is_behind) = (Vec::new(), known.is_empty());
        let mut looks = stream::iter(looks).buffered(LOOKS_MAX);
        while let Some((partition, found)) = looks.next().await {
            let known = known.get(&partition.number()).copied();
            let (sent, is_end_known) = match found {
                Ok(finding) => {
                    let (sent, was_lost) = judge_end(&finding, known);
                    is_behind |= was_lost && say_lost(&partition);
                    ensure_in_log(self.log, name, finding.place_after(known.as_ref())).await?;
                    (sent, true)
                }
                Err(error) if error.passes() => (known.unwrap_or(Sent::NOTHING), false),
                Err(error) => return Err(BeginError::Topic(error.to_string())),
            };
            let is_unsaved = known != Some(sent);
            partitions.push(BegunPartition { partition, sent, is_end_known, is_unsaved });
        }
        let aggregate = aggregate.to_owned();
        Ok((BegunTopic { aggregate, name: name.clone(), partitions }, is_behind))
    }

    /// How many partitions the topic has: as many as it had.
    async fn count_partitions(
        &self,
        spec: &TopicSpec,
        known: &BTreeMap<i32, Sent>,
    ) -> Result<i32, String> {
        let topic = &spec.name;
        if !known.is_empty() {
            match self.cluster.topic(topic).await {
                Err(ClusterError::Topic { code, .. }) if code.is_unknown_topic() => {
                    return Err(format!(
                        "topic {topic} was deleted, or this is another cluster, and events had been sent to it: take \
                         it out of topics=, or run `chipq topics resend {topic}`, after which it is made \
                         again and gets all of them"
                    ));
                }
                Err(error) => return Err(error.to_string()),
                Ok(_) => {}
            }
        }
        let found = ensure_topic(self.cluster, spec).await.map_err(|error| error.to_string())?;
        if found.is_new {
            tracing::info!(topic, partitions = found.partitions, "the topic was made");
        } else if let Some(difference) = found.describe_difference(spec) {
            tracing::warn!("{difference}");
        }
        if !known.is_empty() && known.len() != usize::try_from(found.partitions).unwrap_or(0) {
            return Err(moved_keys(topic, known.len(), found.partitions));
        }
        Ok(found.partitions)
    }
}

/// Whether the log still has what was sent last, from `place`, if anything was.
pub(crate) async fn ensure_in_log(
    log: &dyn EventLog,
    topic: &str,
    place: Option<LogPlace>,
) -> Result<(), BeginError> {
    let Some(place) = place else { return Ok(()) };
    match log.check_place(place).await {
        Err(EventLogError::Reissued { after } | EventLogError::EndsBefore { end: after, .. }) => {
            Err(BeginError::PutBack { topic: topic.to_owned(), after })
        }
        checked => Ok(checked?),
    }
}

fn say_lost(partition: &TopicPartition) -> bool {
    let (topic, number) = (partition.topic(), partition.number());
    tracing::warn!(
        topic,
        partition = number,
        "the partition ends before what it had acknowledged: it was truncated, or the topic was made anew; every \
         event of it is sent again"
    );
    true
}

/// What to do where a topic's number of partitions was changed.
pub(crate) fn moved_keys(topic: &str, before: usize, now: i32) -> String {
    format!(
        "topic {topic} had {before} partitions and has {now} now, so that events of one key would stand in two of \
         them: give the relay another topic_prefix, or delete the topic and run `chipq topics resend {topic}`"
    )
}

/// Up to where a partition was sent, by what it holds and what was `known` of it; and whether it lost something.
fn judge_end(finding: &TailFinding, known: Option<Sent>) -> (Sent, bool) {
    match known {
        Some(known) if finding.latest <= known.offset => (Sent::NOTHING, true),
        known => (finding.sent_after(known.unwrap_or(Sent::NOTHING)), false),
    }
}

#[cfg(test)]
mod tests;
