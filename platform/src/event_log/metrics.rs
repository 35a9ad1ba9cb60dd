//! What the log measures of its appends.

use std::time::Duration;

use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::{KeyValue, global};

use super::{AppendError, Appended, NewEvent, StreamId};

/// From a fraction of a local commit to what a client still waits for, in seconds.
const DURATION_BOUNDARIES_S: [f64; 12] =
    [0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The instruments. Clones share them.
#[derive(Clone)]
pub(super) struct EventLogMetrics {
    events: Counter<u64>,
    append_duration: Histogram<f64>,
}

/// What is going to be counted once it is appended.
pub(super) struct CountedEvents(Vec<[KeyValue; 3]>);

impl CountedEvents {
    pub(super) fn new(stream: &StreamId, events: &[NewEvent]) -> Self {
        let counted = |event: &NewEvent| {
            [
                KeyValue::new("aggregate", stream.aggregate_type.clone()),
                KeyValue::new("event", event.event_type.clone()),
                KeyValue::new("outcome", event.labels.outcome.unwrap_or_default()),
            ]
        };
        Self(events.iter().map(counted).collect())
    }
}

impl EventLogMetrics {
    /// Instruments of the process's meter: install [`crate::metrics`] first.
    pub(super) fn for_process() -> Self {
        let meter = global::meter("chipq.event_log");
        Self {
            events: meter
                .u64_counter("chipq.event_log.events")
                .with_unit("{event}")
                .with_description("Events that this process appended; of judgements, the outcome.")
                .build(),
            append_duration: meter
                .f64_histogram("chipq.event_log.append.duration")
                .with_unit("s")
                .with_description("From asking for a connection to the end of the transaction.")
                .with_boundaries(DURATION_BOUNDARIES_S.to_vec())
                .build(),
        }
    }

    pub(super) fn record_append(
        &self,
        took: Duration,
        outcome: &Result<Appended, AppendError>,
        events: &CountedEvents,
    ) {
        let error = match outcome {
            Ok(_) => None,
            Err(AppendError::Conflict { .. }) => Some("conflict"),
            Err(AppendError::DuplicateCommand { .. }) => Some("duplicate-command"),
            Err(AppendError::NotKept { .. }) => Some("not-kept"),
            Err(AppendError::Log(_)) => Some("log"),
        };
        let error = error.map(|error| KeyValue::new("error.type", error));
        self.append_duration.record(took.as_secs_f64(), error.as_slice());
        if outcome.is_ok() {
            events.0.iter().for_each(|attributes| self.events.add(1, attributes));
        }
    }
}
