//! One partition: a batch is appended, or the end is read.
//!
//! Invariants: one batch is under way at most, because [`TopicPartition::produce`] borrows the partition alone. After every
//! failure the leader is looked up anew. A batch is sent once; whether it is sent again is the caller's decision, after
//! a look at the tail where the outcome is unknown.
//!
//! Why a connection outlives a time-out: a broker works on the requests of one connection in their order, and on what
//! it has received of one that was closed, too. A tail that is read by the connection on which a batch is unanswered
//! therefore says what became of the batch; by a new connection it may be read too early, and the batch be sent twice.

use std::sync::Arc;
use std::time::Duration;

use rskafka::protocol::messages::ProduceResponse;
use tokio::time::{Instant, sleep_until};

use crate::answer_code::{AnswerClass, AnswerCode};
use crate::cluster::{ClusterError, KafkaCluster};
use crate::connection::{BrokerConnection, ConnectionError};
use crate::produce::RawProduce;
use crate::record_batch::{Record, encode};
pub use tail::{Tail, TailError};

mod tail;

/// The longest pause that a broker is believed: its quotas are counted over 11 seconds.
const THROTTLE_MAX: Duration = Duration::from_secs(60);
/// How many requests in a row may be unanswered until a connection is given up: it may be one that is dead unnoticed.
const SILENCES_MAX: u32 = 3;

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Produced {
    /// It is stored, as a whole.
    Stored {
        /// The offset of its first record.
        base_offset: i64,
        /// How long the broker wants us to wait; the next batch does so by itself.
        throttle: Duration,
    },
    /// One record, or their sum, is not taken: nothing is stored. Halve the batch to find it.
    Refused {
        /// 2, 10, 18, 32, 76 or 87.
        code: AnswerCode,
    },
    /// The user may not write into the topic: nothing is stored.
    Forbidden {
        /// 29 or 31.
        code: AnswerCode,
    },
    /// It passes by itself.
    Passing {
        /// The answer.
        code: AnswerCode,
        /// Whether the tail must be read before the batch is sent again.
        is_perhaps_stored: bool,
    },
    /// The batch was not sent.
    NotSent(ClusterError),
    /// There is no answer: read the tail, by this same [`TopicPartition`], before the batch is sent again.
    Unknown(ConnectionError),
    /// There was no record, or more than 2³¹.
    NoBatch,
}

/// One partition of one topic.
#[derive(Debug)]
pub struct TopicPartition {
    cluster: Arc<KafkaCluster>,
    topic: String,
    partition: i32,
    connection: Option<BrokerConnection>,
    /// How many requests in a row were not answered by that connection.
    silences: u32,
    /// Before this the broker wants nothing from us.
    throttled_until: Option<Instant>,
}

impl TopicPartition {
    /// The partition of this number; nobody is asked yet.
    #[must_use]
    pub const fn new(cluster: Arc<KafkaCluster>, topic: String, partition: i32) -> Self {
        Self { cluster, topic, partition, connection: None, silences: 0, throttled_until: None }
    }

    /// Its topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> i32 {
        self.partition
    }

    /// Appends `batch`, once: packed by zstd, acknowledged by all replicas that are in sync.
    ///
    /// When this is dropped before it is ready, the outcome is unknown, and the connection is not used again.
    pub async fn produce(&mut self, batch: &[Record]) -> Produced {
        let Some(request) = self.produce_request(batch) else { return Produced::NoBatch };
        self.wait_for_quota().await;
        // Taken out, so that a dropped future takes the connection with it.
        let connection = match self.take_connection().await {
            Ok(connection) => connection,
            Err(error) => return Produced::NotSent(error),
        };
        let answer = match connection.request(request).await {
            Ok(answer) => answer,
            Err(error) => {
                self.keep_if_silent(connection, &error);
                return Produced::Unknown(error);
            }
        };
        self.silences = 0;
        let throttle_ms = answer.throttle_time_ms.map_or(0, |throttle| throttle.0);
        let throttle = self.throttle(throttle_ms);
        let Some((code, base_offset)) = self.find_answer(answer) else {
            let address = connection.address().clone();
            let error = "the answer is not about this partition".to_owned();
            return Produced::Unknown(ConnectionError::Broken { address, error });
        };
        let Some(code) = code else {
            self.connection = Some(connection);
            return Produced::Stored { base_offset, throttle };
        };
        match code.class() {
            AnswerClass::Refused => {
                self.connection = Some(connection);
                Produced::Refused { code }
            }
            AnswerClass::Forbidden => Produced::Forbidden { code },
            AnswerClass::Passing => Produced::Passing { code, is_perhaps_stored: false },
            AnswerClass::PassingPerhapsStored => {
                Produced::Passing { code, is_perhaps_stored: true }
            }
        }
    }

    /// The connection to use. One that owes answers counts as long as its broker leads: behind a new leader's back
    /// nobody can append.
    async fn take_connection(&mut self) -> Result<BrokerConnection, ClusterError> {
        if self.silences > 0 && self.connection.is_some() {
            let leader = self.cluster.find_leader(&self.topic, self.partition).await?;
            self.connection = self.connection.take().filter(|kept| *kept.address() == leader);
        }
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        self.silences = 0;
        self.cluster.connect_leader(&self.topic, self.partition).await
    }

    fn keep_if_silent(&mut self, connection: BrokerConnection, error: &ConnectionError) {
        self.silences += 1;
        let is_silent = matches!(error, ConnectionError::TimedOut { .. });
        self.connection = Some(connection).filter(|_| is_silent && self.silences < SILENCES_MAX);
    }

    async fn wait_for_quota(&mut self) {
        if let Some(until) = self.throttled_until {
            sleep_until(until).await;
            self.throttled_until = None;
        }
    }

    /// Notes the pause that the broker asks for. A throttled batch is stored all the same.
    fn throttle(&mut self, throttle_ms: i32) -> Duration {
        let asked = Duration::from_millis(u64::try_from(throttle_ms).unwrap_or(0));
        let throttle = asked.min(THROTTLE_MAX);
        if !throttle.is_zero() {
            self.throttled_until = Some(Instant::now() + throttle);
        }
        throttle
    }

    fn produce_request(&self, batch: &[Record]) -> Option<RawProduce> {
        let batch = encode(batch)?;
        // The broker gives up before we do, so that there is an answer.
        let timeout_ms = self.cluster.limits().request.as_millis() * 2 / 3;
        let timeout_ms = i32::try_from(timeout_ms).unwrap_or(i32::MAX);
        Some(RawProduce { topic: self.topic.clone(), partition: self.partition, batch, timeout_ms })
    }

    fn find_answer(&self, answer: ProduceResponse) -> Option<(Option<AnswerCode>, i64)> {
        let topic = answer.responses.into_iter().find(|topic| topic.name.0 == self.topic)?;
        let mut partitions = topic.partition_responses.into_iter();
        let found = partitions.find(|found| found.index.0 == self.partition)?;
        Some((AnswerCode::from_error(found.error), found.base_offset.0))
    }
}
