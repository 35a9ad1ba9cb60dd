//! What the worker measures beside its batches: OpenTelemetry instruments under the meter
//! `chipq.inference`.
//!
//! Absent: how they are exported, which is the process's choice (`platform::metrics`). Names and units
//! are listed in `docs/inference.md`.

use std::sync::Arc;

use domain::Judgement;
use opentelemetry::metrics::{AsyncInstrument, Counter, Meter};
use opentelemetry::{KeyValue, global};
use platform::follower::PartitionStatus;

const METER: &str = "chipq.inference";

/// The instruments. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct Metrics {
    boards: Counter<u64>,
}

impl Metrics {
    /// Instruments of the process's meter; they measure nothing while no exporter was installed.
    #[must_use]
    pub fn of_process() -> Self {
        Self::new(&global::meter(METER))
    }

    /// Instruments of `meter`.
    #[must_use]
    pub fn new(meter: &Meter) -> Self {
        let counter = |name: &'static str, unit: &'static str, description: &'static str| {
            meter.u64_counter(name).with_unit(unit).with_description(description).build()
        };
        Self {
            boards: counter(
                "chipq.inference.boards",
                "{board}",
                "Boards judged by what this worker recorded, by judgement.",
            ),
        }
    }

    /// Shows what a worker holds and has under way from now on, for as long as `status` lives, under
    /// the process's meter.
    pub(crate) fn observe_partitions(status: &Arc<PartitionStatus>) {
        let observe = |count_of: fn(&PartitionStatus) -> usize| {
            let status = Arc::downgrade(status);
            move |observer: &dyn AsyncInstrument<u64>| {
                if let Some(status) = status.upgrade() {
                    observer.observe(count(count_of(&status)), &[]);
                }
            }
        };
        let meter = global::meter(METER);
        meter
            .u64_observable_gauge("chipq.inference.leases.held")
            .with_unit("{partition}")
            .with_description("Partitions of the log that this worker holds.")
            .with_callback(observe(PartitionStatus::held_partitions))
            .build();
        meter
            .u64_observable_gauge("chipq.inference.inspections.under_way")
            .with_unit("{inspection}")
            .with_description("Inspections that this worker is processing.")
            .with_callback(observe(PartitionStatus::streams_under_way))
            .build();
    }

    pub(crate) fn judged(&self, judgement: Judgement) {
        self.boards.add(1, &[KeyValue::new("judgement", judgement.as_str())]);
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
