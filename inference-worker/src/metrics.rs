//! What the worker measures beside its batches: OpenTelemetry instruments under the meter
//! `chipq.inference`.
//!
//! Absent: how they are exported, which is the process's choice (`platform::metrics`). Names and units
//! are listed in `docs/inference.md`.

use domain::Judgement;
use opentelemetry::metrics::{Counter, Gauge, Meter};
use opentelemetry::{KeyValue, global};

const METER: &str = "chipq.inference";

/// The instruments. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct Metrics {
    engine_available: Gauge<u64>,
    leases: Gauge<u64>,
    under_way: Gauge<u64>,
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
        let gauge = |name: &'static str, unit: &'static str, description: &'static str| {
            meter.u64_gauge(name).with_unit(unit).with_description(description).build()
        };
        Self {
            engine_available: gauge(
                "chipq.inference.engine.available",
                "{engine}",
                "1 while the engine answers, 0 while boards wait for it.",
            ),
            leases: gauge(
                "chipq.inference.leases.held",
                "{partition}",
                "Partitions of the log that this worker holds.",
            ),
            under_way: gauge(
                "chipq.inference.inspections.under_way",
                "{inspection}",
                "Inspections that this worker is processing.",
            ),
            boards: counter(
                "chipq.inference.boards",
                "{board}",
                "Boards judged by what this worker recorded, by judgement.",
            ),
        }
    }

    pub(crate) fn engine_available(&self, available: bool) {
        self.engine_available.record(available.into(), &[]);
    }

    pub(crate) fn leases_held(&self, partitions: usize) {
        self.leases.record(count(partitions), &[]);
    }

    pub(crate) fn under_way(&self, inspections: usize) {
        self.under_way.record(count(inspections), &[]);
    }

    pub(crate) fn judged(&self, judgement: Judgement) {
        self.boards.add(1, &[KeyValue::new("judgement", judgement.as_str())]);
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
