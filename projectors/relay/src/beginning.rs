//! Where the relay begins: topics are made, and what their partitions hold is compared with what is known of them.
//!
//! Invariants: nothing is sent to a topic that is not as it was left, unless the difference is one that sending again
//! mends; whatever a partition does not hold any more although it was acknowledged is sent again, and is said aloud.
//! Where that cannot be told, the relay does not begin, and says what to do.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt as _, stream};
use kafka_client::{
    ClusterError, KafkaCluster, TopicError, TopicPartition, TopicSpec, ensure_topic,
};
use platform::event_log::{EventLog, EventLogError, LogPlace, Position};
use platform::postgres::Pool;

use crate::partition_state::{Sent, load_topic};
use crate::tail::{EndJudgement, find_end};

/// How many partitions are looked at at a time, each by a connection that is then its lane's.
const LOOKS_MAX: usize = 32;

/// A topic to which events are sent.
pub(crate) struct BegunTopic {
    /// Of which aggregate.
    pub(crate) aggregate: String,
    pub(crate) name: String,
    pub(crate) partitions: Vec<BegunPartition>,
    /// Whether what was known of it is to be forgotten: somebody asked for all of it to be sent again.
    pub(crate) is_resent: bool,
}

impl BegunTopic {
    /// Every event is sent again, behind whatever is there.
    fn send_again(&mut self) {
        for begun in &mut self.partitions {
            begun.sent = Sent { position: Position(0), last: Position(0), ..begun.sent };
        }
    }
}

/// A partition to which events are sent.
pub(crate) struct BegunPartition {
    pub(crate) partition: TopicPartition,
    /// What was known of it.
    known: Option<Sent>,
    pub(crate) sent: Sent,
    /// Whether its end was read; the lane reads it first where it was not.
    pub(crate) is_end_known: bool,
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
        let unsaved = partitions.filter(|(_, begun)| begun.known != Some(begun.sent));
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
    #[error("{}", describe_not_of_this_log(.topics))]
    NotOfThisLog { topics: Vec<String> },
    /// Whatever the topic is.
    #[error(transparent)]
    Cluster(ClusterError),
    /// What is in the way of a topic, or of several.
    #[error("{0}")]
    Topic(String),
}

/// What to do where topics hold more than the log: all of them, for what is done to one alone mends nothing.
fn describe_not_of_this_log(topics: &[String]) -> String {
    let commands = topics.iter().map(|topic| format!("`chipq topics resend {topic}`"));
    let (what, it, commands) = match topics {
        [topic] => (format!("topic {topic} holds"), "the topic", commands.collect::<String>()),
        _ => (
            format!("the topics {} hold", topics.join(", ")),
            "these topics",
            commands.collect::<Vec<_>>().join(", "),
        ),
    };
    format!(
        "{what} events that are not in this log, or not any more: where another installation sends there, give each \
         its own topic_prefix; where an earlier state of the log was put back, give the relay another topic_prefix, \
         where consumers begin anew, or delete {it} and run {commands}"
    )
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
        let (mut topics, mut problems, mut not_ours) = (Vec::new(), Vec::new(), Vec::new());
        for (aggregate, spec) in url.topics.iter().zip(&specs) {
            match self.begin_topic(aggregate, spec).await {
                Ok(topic) => topics.push(topic),
                Err(BeginError::Topic(problem)) => problems.push(problem),
                Err(BeginError::NotOfThisLog { topics }) => not_ours.extend(topics),
                Err(error) => return Err(error),
            }
        }
        if problems.is_empty() && !not_ours.is_empty() {
            return Err(BeginError::NotOfThisLog { topics: not_ours });
        }
        if !not_ours.is_empty() {
            problems.push(describe_not_of_this_log(&not_ours));
        }
        if !problems.is_empty() {
            return Err(BeginError::Topic(problems.join("; ")));
        }
        // A topic that was not sent to for a while, or lost something, is behind the others.
        let partitions = topics.iter().flat_map(|topic: &BegunTopic| &topic.partitions);
        let from = partitions.map(|begun| begun.sent.position).fold(checkpoint, Position::min);
        Ok(Beginning { topics, from })
    }

    async fn begin_topic(
        &self,
        aggregate: &str,
        spec: &TopicSpec,
    ) -> Result<BegunTopic, BeginError> {
        let name = &spec.name;
        let known = load_topic(self.pool, name).await?;
        let is_resent = known.is_resent;
        let count = self.count_partitions(spec, &known.partitions).await?;
        let looks = (0..count).map(|number| {
            let known = known.partitions.get(&number).copied();
            async move {
                let mut partition =
                    TopicPartition::new(Arc::clone(self.cluster), name.clone(), number);
                let found = find_end(&mut partition, (self.source, count), known).await;
                (partition, known, found)
            }
        });
        let mut partitions = Vec::new();
        let mut looks = stream::iter(looks).buffered(LOOKS_MAX);
        while let Some((partition, known, found)) = looks.next().await {
            let (sent, is_end_known) = match found {
                Ok((finding, judgement)) => {
                    let places = finding.places_after(known.unwrap_or(Sent::NOTHING));
                    ensure_in_log(self.log, name, places).await?;
                    (conclude(&partition, judgement)?, true)
                }
                // What is to be sent again is sent behind what is there, so that the end has to be known.
                Err(error) if error.passes() && !is_resent => {
                    (known.unwrap_or(Sent::NOTHING), false)
                }
                Err(error) => return Err(BeginError::Topic(error.to_string())),
            };
            partitions.push(BegunPartition { partition, known, sent, is_end_known });
        }
        let mut topic = BegunTopic {
            aggregate: aggregate.to_owned(),
            name: name.clone(),
            partitions,
            is_resent,
        };
        if is_resent {
            topic.send_again();
        }
        Ok(topic)
    }

    /// How many partitions the topic has: as many as it had.
    async fn count_partitions(
        &self,
        spec: &TopicSpec,
        known: &BTreeMap<i32, Sent>,
    ) -> Result<i32, BeginError> {
        let topic = &spec.name;
        if !known.is_empty() {
            match self.cluster.topic(topic).await {
                Err(ClusterError::Topic { code, .. }) if code.is_unknown_topic() => {
                    return Err(BeginError::Topic(format!(
                        "topic {topic} was deleted, or this is another cluster, and events had been sent to it: take \
                         it out of topics=, or run `chipq topics resend {topic}`, after which it is made \
                         again and gets all of them"
                    )));
                }
                Err(error) => return Err(TopicError::from(error).into()),
                Ok(_) => {}
            }
        }
        let found = ensure_topic(self.cluster, spec).await?;
        if found.is_new {
            tracing::info!(topic, partitions = found.partitions, "the topic was made");
        } else if let Some(difference) = found.describe_difference(spec) {
            tracing::warn!("{difference}");
        }
        if !known.is_empty() && known.len() != usize::try_from(found.partitions).unwrap_or(0) {
            let problem = moved_keys(topic, known.len(), found.partitions);
            return Err(BeginError::Topic(problem));
        }
        Ok(found.partitions)
    }
}

/// What is in the way of one topic is told apart from what is in the way of all.
impl From<TopicError> for BeginError {
    fn from(error: TopicError) -> Self {
        match error {
            TopicError::Cluster(
                error @ (ClusterError::Nobody(_) | ClusterError::Connection(_)),
            ) => Self::Cluster(error),
            error => Self::Topic(error.to_string()),
        }
    }
}

/// Whether the log has what was sent last, from `places`.
pub(crate) async fn ensure_in_log(
    log: &dyn EventLog,
    topic: &str,
    places: Vec<LogPlace>,
) -> Result<(), BeginError> {
    for place in places {
        match log.check_place(place).await {
            Err(EventLogError::Reissued { .. } | EventLogError::EndsBefore { .. }) => {
                return Err(BeginError::NotOfThisLog { topics: vec![topic.to_owned()] });
            }
            checked => checked?,
        }
    }
    Ok(())
}

/// From where on a partition is sent to.
fn conclude(partition: &TopicPartition, judgement: EndJudgement) -> Result<Sent, BeginError> {
    let (topic, number) = (partition.topic(), partition.number());
    match judgement {
        EndJudgement::AsLeft(sent) => Ok(sent),
        EndJudgement::Lost(sent) => {
            let position = sent.position.0;
            tracing::warn!(
                topic,
                partition = number,
                position,
                "the partition ends before what it had acknowledged: it was truncated, or the topic was made anew; \
                 its events behind this position are sent again"
            );
            Ok(sent)
        }
        EndJudgement::Mixed => Err(BeginError::Topic(format!(
            "{topic}/{number} was made anew or truncated, and holds events before others that come first, so that \
             consumers would drop those: delete the topic and run `chipq topics resend {topic}`"
        ))),
    }
}

/// What to do where a topic's number of partitions was changed.
pub(crate) fn moved_keys(topic: &str, before: usize, now: i32) -> String {
    format!(
        "topic {topic} had {before} partitions and has {now} now, so that events of one key would stand in two of \
         them: give the relay another topic_prefix, or delete the topic and run `chipq topics resend {topic}`"
    )
}
