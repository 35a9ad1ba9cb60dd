//! What the relay measures: OpenTelemetry's metrics of messaging clients, and how many partitions are stopped.
//!
//! <https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/>

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::{KeyValue, global};

use crate::troubles::Troubles;

const METER: &str = "chipq.relay";
/// As the conventions advise.
const DURATION_BOUNDARIES_S: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// What is measured of batches.
#[derive(Clone)]
pub(crate) struct SendMetrics {
    sent_messages: Counter<u64>,
    duration: Histogram<f64>,
}

impl SendMetrics {
    /// Under the process's meter: install `platform::metrics` first.
    pub(crate) fn for_process() -> Self {
        let meter = global::meter(METER);
        let sent_messages = meter
            .u64_counter("messaging.client.sent.messages")
            .with_unit("{message}")
            .with_description("Records that were sent to Kafka, whether it took them or not.")
            .build();
        let duration = meter
            .f64_histogram("messaging.client.operation.duration")
            .with_unit("s")
            .with_description(
                "How long a batch took until Kafka answered, or until that was given up.",
            )
            .with_boundaries(DURATION_BOUNDARIES_S.to_vec())
            .build();
        Self { sent_messages, duration }
    }

    /// A batch of so many records for `topic` took so long.
    pub(crate) fn record_send(
        &self,
        topic: &str,
        (records, took): (usize, Duration),
        is_stored: bool,
    ) {
        let mut attributes = vec![
            KeyValue::new("messaging.system", "kafka"),
            KeyValue::new("messaging.operation.name", "send"),
            KeyValue::new("messaging.destination.name", topic.to_owned()),
        ];
        if !is_stored {
            attributes.push(KeyValue::new("error.type", "not_stored"));
        }
        self.sent_messages.add(u64::try_from(records).unwrap_or(u64::MAX), &attributes);
        self.duration.record(took.as_secs_f64(), &attributes);
    }
}

/// Shows how many partitions are stopped, for as long as `troubles` lives.
pub(crate) fn observe_troubles(troubles: &Arc<Troubles>) {
    let troubles = Arc::downgrade(troubles);
    global::meter(METER)
        .u64_observable_gauge("chipq.relay.stopped_partitions")
        .with_unit("{partition}")
        .with_description("Partitions of topics that wait for a person: a record is refused, or may not be written.")
        .with_callback(move |observer| {
            if let Some(troubles) = troubles.upgrade() {
                observer.observe(u64::try_from(troubles.count_stopped()).unwrap_or(u64::MAX), &[]);
            }
        })
        .build();
}
