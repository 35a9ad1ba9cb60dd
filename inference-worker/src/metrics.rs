//! What the worker measures beside its batches: OpenTelemetry instruments under the meter
//! `chipq.inference`.
//!
//! Absent: how they are exported, which is the process's choice (`platform::metrics`). Names and units
//! are listed in `docs/inference.md`.

use std::sync::Arc;

use opentelemetry::global;
use opentelemetry::metrics::AsyncInstrument;
use platform::follower::PartitionStatus;

const METER: &str = "chipq.inference";

/// Shows what a worker holds and has under way from now on, for as long as `status` lives, under the process's
/// meter: install `platform::metrics` first.
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

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
