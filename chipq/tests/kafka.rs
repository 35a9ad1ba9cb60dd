//! The relay, a real Kafka, and consumers that are not ours. `deploy/ensure-kafka` and `deploy/ensure-kafka-consumers`
//! install them, and `CHIPQ_KAFKA_RUNTIME` and `CHIPQ_KAFKA_CONSUMERS` name them; without these, the tests say so and
//! do nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "kafka/broker.rs"]
mod broker;
#[path = "kafka/consumers.rs"]
mod consumers;
#[path = "asyncapi/document.rs"]
mod document;
#[path = "kafka/faults.rs"]
mod faults;
#[path = "kafka/hammer.rs"]
mod hammer;
#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;
#[path = "kafka/prefixes.rs"]
mod prefixes;
#[path = "kafka/relay_process.rs"]
mod relay_process;
#[path = "support/server_process.rs"]
mod server_process;
#[path = "support/station.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod station;
#[path = "kafka/wire.rs"]
mod wire;

use std::time::{Duration, Instant};

/// How long something may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "it never comes: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
