//! A client of Apache Kafka for one purpose: to append to partitions, and to read back what stands at their end.
//!
//! Invariants: nothing is sent twice in here. Every wait has a limit, every outcome is told apart (stored, refused,
//! passing, unknown), and trying again is always the caller's decision. Absent on purpose: consumer groups,
//! transactions, the idempotent producer, batching, retries.
//!
//! The bytes of the protocol are `rskafka`'s (0.6.0, exactly); batches of records, connections, TLS, leaders and time
//! limits are ours.

pub use address::{Address, InvalidAddress};
pub use answer_code::{AnswerClass, AnswerCode};
pub use broker_url::{
    BrokerUrl, BrokerUrlProblem, Credentials, InvalidBrokerUrl, InvalidCredentials, SaslMechanism,
    TOPICS, Tls,
};
pub use cluster::{ClusterError, KafkaCluster, PartitionMetadata, TopicMetadata};
pub use connection::{BrokerConnection, ConnectionError, Connector, InvalidTls, Limits};
pub use partition::{Produced, Tail, TailError, TopicPartition};
pub use partitioner::partition_of;
pub use record_batch::{Record, TailRecord, UnreadableRecords};
pub use topics::{Topic, TopicError, TopicSpec, ensure_topic};

mod address;
mod answer_code;
mod broker_url;
mod cluster;
mod connection;
mod fetch;
mod partition;
mod partitioner;
mod produce;
mod record_batch;
mod topics;
