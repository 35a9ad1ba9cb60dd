//! Publishes the event log to Apache Kafka: a topic for each aggregate, events as CloudEvents.
//!
//! Invariants: for each key the order of the log; at least once on the wire, and once in effect for consumers that
//! drop what they have seen (`docs/consumers.md`). Commands never wait for it. Absent: the protocol of Kafka
//! ([`kafka_client`]), and consumers.

mod beginning;
mod cloud_event;
mod config;
mod lane;
mod metrics;
mod partition_state;
mod progress;
mod reactor;
mod service;
mod tail;
mod troubles;

pub use config::RelayConfig;
pub use partition_state::{PartitionState, list_partitions, resend_topic};
pub use service::Service;

/// The follower's name, under which its checkpoint is kept.
const RELAY: &str = "relay";
