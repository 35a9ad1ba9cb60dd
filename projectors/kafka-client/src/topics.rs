//! Topics: looked at, and made where they are missing.
//!
//! Invariants: a topic that is there is never changed; one that somebody else makes at the same time is as good as
//! ours; what this returns has a leader for every partition. The retention of a topic that is there is not compared:
//! nobody says it.

use std::fmt::Write as _;
use std::time::Duration;

use rskafka::protocol::messages::{
    CreateTopicConfig, CreateTopicRequest, CreateTopicResponse, CreateTopicsRequest,
};
use rskafka::protocol::primitives::{Int16, Int32, NullableString, String_};
use tokio::time::{Instant, sleep};

use crate::answer_code::AnswerCode;
use crate::broker_url::BrokerUrl;
use crate::cluster::{ClusterError, KafkaCluster, TopicMetadata};

/// How long a topic may take until each partition has a leader.
const LEADERS_MAX: Duration = Duration::from_secs(30);
/// How often one looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What a topic should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its whole name.
    pub name: String,
    /// At least 1.
    pub partitions: i32,
    /// -1 is the broker's default.
    pub replication: i16,
    /// Absent where the broker's default is right.
    pub retention: Option<Duration>,
}

impl TopicSpec {
    /// The topics of `url`.
    pub fn all_of(url: &BrokerUrl) -> Vec<Self> {
        let spec = |name| Self {
            name,
            partitions: url.partitions,
            replication: url.replication,
            retention: url.retention,
        };
        url.topic_names().map(spec).collect()
    }

    /// What makes it by hand.
    #[must_use]
    pub fn command(&self, bootstrap: &str) -> String {
        let mut command = format!(
            "kafka-topics --bootstrap-server {bootstrap} --create --if-not-exists --topic {} --partitions {}",
            self.name, self.partitions
        );
        // Writing into a string does not fail.
        if self.replication > 0 {
            let _ = write!(command, " --replication-factor {}", self.replication);
        }
        if let Some(retention) = self.retention {
            let _ = write!(command, " --config retention.ms={}", retention.as_millis());
        }
        command
    }
}

/// A topic that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// How many it has; keys are divided by this, whatever is configured.
    pub partitions: i32,
    /// Whether it was missing.
    pub is_new: bool,
}

impl Topic {
    /// A sentence where the topic has another number of partitions than `spec` wants.
    #[must_use]
    pub fn describe_difference(&self, spec: &TopicSpec) -> Option<String> {
        let (name, has, wanted) = (&self.name, self.partitions, spec.partitions);
        (has != wanted).then(|| {
            format!(
                "topic {name} has {has} partitions, not the {wanted} that are configured: its own number counts; \
                 set partitions={has}, for changing a topic's number moves keys"
            )
        })
    }
}

/// Why a topic cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// The broker does not make it.
    #[error(
        "topic {topic} is missing, and the broker does not make it ({code}: {said}); make it with: {command}"
    )]
    NotMade {
        /// The topic.
        topic: String,
        /// The answer.
        code: AnswerCode,
        /// The broker's own sentence; may be empty.
        said: String,
        /// What somebody who may can enter.
        command: String,
    },
    /// Its partitions have no leader yet.
    #[error("topic {topic} has partitions without a leader after {} s: look at the brokers", LEADERS_MAX.as_secs())]
    NoLeaders {
        /// The topic.
        topic: String,
    },
    /// Nobody answers.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// The topic of `spec`, made where it is missing.
///
/// # Errors
/// It is missing and may not be made, it does not get leaders, or nobody answers.
pub async fn ensure_topic(cluster: &KafkaCluster, spec: &TopicSpec) -> Result<Topic, TopicError> {
    let is_new = match cluster.topic(&spec.name).await {
        // One that is there may have a partition without a leader: the others can be used.
        Ok(TopicMetadata { name, partitions }) if !partitions.is_empty() => {
            let partitions = i32::try_from(partitions.len()).unwrap_or(i32::MAX);
            return Ok(Topic { name, partitions, is_new: false });
        }
        Ok(_) => false,
        // Whether a topic that we may not describe is there, nobody says: the answer to making it does.
        Err(ClusterError::Topic { code: AnswerCode(3 | 29), .. }) => {
            create_topic(cluster, spec).await?
        }
        Err(ClusterError::Topic { code: AnswerCode::LEADER_NOT_AVAILABLE, .. }) => false,
        Err(error) => return Err(error.into()),
    };
    let partitions = wait_for_leaders(cluster, &spec.name).await?;
    Ok(Topic { name: spec.name.clone(), partitions, is_new })
}

/// Whether it was made by us.
async fn create_topic(cluster: &KafkaCluster, spec: &TopicSpec) -> Result<bool, TopicError> {
    let connection = cluster.connect_controller(&spec.name).await?;
    let asked = connection.request(create_request(spec, cluster.limits().request)).await;
    let answer = asked.map_err(ClusterError::from)?.topics.into_iter().next();
    let Some(CreateTopicResponse { error, error_message, .. }) = answer else { return Ok(false) };
    match AnswerCode::from_error(error) {
        // It takes longer than the broker waits, or it is done: whether it is there is looked at next.
        None | Some(AnswerCode::TIMED_OUT) => Ok(true),
        // Somebody was faster.
        Some(AnswerCode::TOPIC_EXISTS) => Ok(false),
        Some(code) => {
            let said = error_message.and_then(|said| said.0).unwrap_or_default();
            let bootstrap = connection.address().to_string();
            let command = spec.command(&bootstrap);
            Err(TopicError::NotMade { topic: spec.name.clone(), code, said, command })
        }
    }
}

fn create_request(spec: &TopicSpec, limit: Duration) -> CreateTopicsRequest {
    let retention = spec.retention.map(|retention| CreateTopicConfig {
        name: String_("retention.ms".to_owned()),
        value: NullableString(Some(retention.as_millis().to_string())),
        tagged_fields: None,
    });
    let topic = CreateTopicRequest {
        name: String_(spec.name.clone()),
        num_partitions: Int32(spec.partitions),
        replication_factor: Int16(spec.replication),
        assignments: Vec::new(),
        configs: retention.into_iter().collect(),
        tagged_fields: None,
    };
    // The broker gives up before we do, so that there is an answer.
    let timeout_ms = i32::try_from(limit.as_millis() * 2 / 3).unwrap_or(i32::MAX);
    CreateTopicsRequest {
        topics: vec![topic],
        timeout_ms: Int32(timeout_ms),
        validate_only: None,
        tagged_fields: None,
    }
}

async fn wait_for_leaders(cluster: &KafkaCluster, topic: &str) -> Result<i32, TopicError> {
    let began = Instant::now();
    loop {
        match cluster.topic(topic).await {
            Ok(TopicMetadata { partitions, .. })
                if !partitions.is_empty() && partitions.values().all(|p| p.leader.is_some()) =>
            {
                return Ok(i32::try_from(partitions.len()).unwrap_or(i32::MAX));
            }
            // Brokers learn of a new topic one after the other.
            Ok(_) | Err(ClusterError::Topic { code: AnswerCode(3 | 5), .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if began.elapsed() > LEADERS_MAX {
            return Err(TopicError::NoLeaders { topic: topic.to_owned() });
        }
        sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_says_what_we_would_have_done() {
        let url: BrokerUrl =
            "kafka://a?partitions=3&replication=2&retention_hours=1&topics=part".parse().unwrap();
        let specs = TopicSpec::all_of(&url);
        assert_eq!(
            specs[0].command("a:9092"),
            "kafka-topics --bootstrap-server a:9092 --create --if-not-exists --topic chipq.part --partitions 3 \
             --replication-factor 2 --config retention.ms=3600000"
        );
    }

    #[test]
    fn another_number_of_partitions_is_said() {
        let url: BrokerUrl = "kafka://a?partitions=3".parse().unwrap();
        let spec = &TopicSpec::all_of(&url)[0];
        let topic = |partitions| Topic { name: spec.name.clone(), partitions, is_new: false };
        assert_eq!(topic(3).describe_difference(spec), None);
        assert!(topic(12).describe_difference(spec).unwrap().contains("set partitions=12"));
    }
}
