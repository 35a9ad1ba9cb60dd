//! The brokers of one cluster: who they are, and who leads which partition.
//!
//! Invariants: a leader is looked up anew each time, so that nothing stale is believed; a wrong password is shown
//! once in [`REFUSED_PAUSE`] at most, because accounts get locked. One connection is kept for questions about the
//! cluster; partitions have theirs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rskafka::protocol::messages::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use rskafka::protocol::primitives::{Boolean, String_};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::address::Address;
use crate::answer_code::AnswerCode;
use crate::broker_url::{BrokerUrl, Credentials};
use crate::connection::{BrokerConnection, ConnectionError, Connector, InvalidTls, Limits};

/// How long nobody is asked after a user or a password was refused.
const REFUSED_PAUSE: Duration = Duration::from_secs(10);
/// How often a question about the cluster is asked: the kept connection may have been closed for being idle.
const ASK_MAX: usize = 2;

/// Why the cluster does not answer, or not as needed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// Each known address has failed.
    #[error("no broker can be used: {}", join_sentences(.0))]
    Nobody(Vec<ConnectionError>),
    /// A question about the cluster was not answered.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// What the brokers say about each other does not work from here.
    #[error(
        "the leader of {topic}/{partition} cannot be used by the address that the brokers give ({error}); if that is \
         not one for us, change advertised.listeners"
    )]
    Leader {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What is wrong.
        error: ConnectionError,
    },
    /// The broker says nothing about it.
    #[error("topic {topic}: {code}")]
    Topic {
        /// The topic.
        topic: String,
        /// The answer.
        code: AnswerCode,
    },
    /// Nobody leads it at the moment.
    #[error("{topic}/{partition} has no leader at the moment")]
    NoLeader {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// It has fewer.
    #[error("topic {topic} has {count} partitions, and no partition {partition}")]
    NoPartition {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// How many there are.
        count: usize,
    },
}

fn join_sentences(errors: &[ConnectionError]) -> String {
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    errors.join("; ")
}

/// A topic, as brokers describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Its name.
    pub name: String,
    /// By number.
    pub partitions: BTreeMap<i32, PartitionMetadata>,
}

/// A partition, as brokers describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// Who leads it; absent where nobody does, or nobody knows.
    pub leader: Option<Address>,
}

/// The brokers of one cluster.
#[derive(Debug)]
pub struct KafkaCluster {
    url: BrokerUrl,
    connector: Connector,
    /// Whom one asks about the cluster. Locked while it is made, so that one connection is made for all who wait.
    asked: Mutex<Option<Arc<BrokerConnection>>>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    brokers: BTreeMap<i32, Address>,
    controller: Option<i32>,
    refused: Option<(Instant, ConnectionError)>,
}

impl KafkaCluster {
    /// The cluster at `url`; nobody is asked yet.
    ///
    /// # Errors
    /// [`InvalidTls`] when certificates cannot be read.
    pub fn open(
        url: BrokerUrl,
        credentials: Option<Credentials>,
        client_id: &str,
        limits: Limits,
    ) -> Result<Self, InvalidTls> {
        let connector = Connector::open(&url, credentials, client_id, limits)?;
        Ok(Self { url, connector, asked: Mutex::default(), known: Mutex::default() })
    }

    /// Where it is.
    #[must_use]
    pub const fn url(&self) -> &BrokerUrl {
        &self.url
    }

    /// How long things may take.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.connector.limits()
    }

    /// What brokers say about `topic` now.
    ///
    /// # Errors
    /// [`ClusterError::Topic`] with the broker's code, or that nobody answers.
    pub async fn topic(&self, topic: &str) -> Result<TopicMetadata, ClusterError> {
        let answer = self.ask_metadata(topic).await?;
        let unknown =
            || ClusterError::Topic { topic: topic.to_owned(), code: AnswerCode::UNKNOWN_TOPIC };
        let found = answer.topics.into_iter().find(|found| found.name.0 == topic);
        let found = found.ok_or_else(unknown)?;
        if let Some(code) = AnswerCode::from_error(found.error) {
            return Err(ClusterError::Topic { topic: topic.to_owned(), code });
        }
        let brokers = &self.known.lock().await.brokers;
        let partitions = found.partitions.into_iter().map(|partition| {
            let leader = brokers.get(&partition.leader_id.0).cloned();
            (partition.partition_index.0, PartitionMetadata { leader })
        });
        Ok(TopicMetadata { name: topic.to_owned(), partitions: partitions.collect() })
    }

    /// Where the leader of `partition` is, looked up now.
    ///
    /// # Errors
    /// There is no leader, or nobody answers.
    pub async fn find_leader(&self, topic: &str, partition: i32) -> Result<Address, ClusterError> {
        let mut found = self.topic(topic).await?;
        let (topic, count) = (topic.to_owned(), found.partitions.len());
        match found.partitions.remove(&partition) {
            None => Err(ClusterError::NoPartition { topic, partition, count }),
            Some(PartitionMetadata { leader: None }) => {
                Err(ClusterError::NoLeader { topic, partition })
            }
            Some(PartitionMetadata { leader: Some(address) }) => Ok(address),
        }
    }

    /// A new connection to the leader of `partition`, looked up now.
    ///
    /// # Errors
    /// There is no leader, it cannot be used, or nobody answers.
    pub async fn connect_leader(
        &self,
        topic: &str,
        partition: i32,
    ) -> Result<BrokerConnection, ClusterError> {
        let address = self.find_leader(topic, partition).await?;
        let connected = self.connect(&address).await;
        connected.map_err(|error| match error {
            // The same for every broker.
            error if error.is_refusal() => error.into(),
            error => ClusterError::Leader { topic: topic.to_owned(), partition, error },
        })
    }

    /// A new connection to the broker that makes topics; to any where brokers pass that on.
    pub(crate) async fn connect_controller(
        &self,
        topic: &str,
    ) -> Result<BrokerConnection, ClusterError> {
        self.ask_metadata(topic).await?;
        let address = {
            let known = self.known.lock().await;
            let controller = known.controller.and_then(|id| known.brokers.get(&id));
            controller.or_else(|| known.brokers.values().next()).cloned()
        };
        let address = address.ok_or_else(|| ClusterError::Nobody(Vec::new()))?;
        Ok(self.connect(&address).await?)
    }

    async fn ask_metadata(&self, topic: &str) -> Result<MetadataResponse, ClusterError> {
        // What is in the broker's memory needs no time: a broker that is silent is left for the next one.
        let limit = self.limits().connect;
        let mut tried = 0;
        loop {
            let connection = self.open_asked().await?;
            let topics = vec![MetadataRequestTopic { name: String_(topic.to_owned()) }];
            let request = MetadataRequest {
                topics: Some(topics),
                allow_auto_topic_creation: Some(Boolean(false)),
            };
            tried += 1;
            match connection.request_within(limit, request).await {
                Ok(answer) => {
                    self.learn_brokers(&answer).await;
                    return Ok(answer);
                }
                Err(error) => {
                    self.forget_connection(&connection).await;
                    if tried == ASK_MAX {
                        return Err(error.into());
                    }
                }
            }
        }
    }

    async fn learn_brokers(&self, answer: &MetadataResponse) {
        let address = |host: &str, port: i32| {
            let port = u16::try_from(port).ok()?;
            Some(Address { host: host.to_owned(), port })
        };
        let brokers = answer.brokers.iter();
        let brokers = brokers.filter_map(|b| Some((b.node_id.0, address(&b.host.0, b.port.0)?)));
        let mut known = self.known.lock().await;
        known.brokers = brokers.collect();
        known.controller = answer.controller_id.map(|id| id.0);
    }

    async fn forget_connection(&self, connection: &Arc<BrokerConnection>) {
        let mut asked = self.asked.lock().await;
        if asked.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, connection)) {
            *asked = None;
        }
    }

    /// The connection for questions: the one that is kept, or the first that can be made.
    async fn open_asked(&self) -> Result<Arc<BrokerConnection>, ClusterError> {
        let mut asked = self.asked.lock().await;
        if let Some(connection) = &*asked {
            return Ok(Arc::clone(connection));
        }
        let mut addresses = self.url.addresses.clone();
        for address in self.known.lock().await.brokers.values() {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        let mut failed = Vec::new();
        for address in &addresses {
            match self.connect(address).await {
                Ok(connection) => return Ok(Arc::clone(asked.insert(Arc::new(connection)))),
                Err(error) if error.is_refusal() => return Err(error.into()),
                Err(error) => failed.push(error),
            }
        }
        Err(ClusterError::Nobody(failed))
    }

    async fn connect(&self, address: &Address) -> Result<BrokerConnection, ConnectionError> {
        if let Some((at, error)) = &self.known.lock().await.refused
            && at.elapsed() < REFUSED_PAUSE
        {
            return Err(error.clone());
        }
        let connected = self.connector.connect(address).await;
        if let Err(error @ ConnectionError::SaslRefused { .. }) = &connected {
            self.known.lock().await.refused = Some((Instant::now(), error.clone()));
        }
        connected
    }
}
