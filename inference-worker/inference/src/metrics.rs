//! What batches and engines measure: OpenTelemetry instruments under the meter `chipq.inference`.
//!
//! Absent: how they are exported, which is the process's choice. Names and units are listed in
//! `docs/inference.md`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::inspection::ModelIdentity;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter};
use opentelemetry::{KeyValue, global};

use crate::engine::{BreakerState, EngineError, Models};

const METER: &str = "chipq.inference";

/// Upper bounds of the classes of crops per batch.
const SIZES: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
/// Upper bounds of the classes of durations, in seconds.
const SECONDS: [f64; 13] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The instruments of batches and engines. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct InferenceMetrics {
    batch_size: Histogram<u64>,
    queue_s: Histogram<f64>,
    compute_s: Histogram<f64>,
    in_flight: UpDownCounter<i64>,
    crops: Counter<u64>,
    padding: Counter<u64>,
    errors: Counter<u64>,
    engine_available: Gauge<u64>,
}

impl InferenceMetrics {
    /// Instruments of the process's meter; they measure nothing while no exporter was installed.
    #[must_use]
    pub fn for_process() -> Self {
        Self::new(&global::meter(METER))
    }

    /// Instruments of `meter`.
    #[must_use]
    pub fn new(meter: &Meter) -> Self {
        let seconds = |name: &'static str, description: &'static str| {
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(description);
            histogram.with_boundaries(SECONDS.to_vec()).build()
        };
        let counter = |name: &'static str, unit: &'static str, description: &'static str| {
            meter.u64_counter(name).with_unit(unit).with_description(description).build()
        };
        Self {
            batch_size: meter
                .u64_histogram("chipq.inference.batch.size")
                .with_unit("{crop}")
                .with_description("Crops of boards in a batch, without padding.")
                .with_boundaries(SIZES.to_vec())
                .build(),
            queue_s: seconds(
                "chipq.inference.queue.duration",
                "How long crops of a board waited for their batch to be sent.",
            ),
            compute_s: seconds(
                "chipq.inference.compute.duration",
                "How long the engine took to answer a batch.",
            ),
            in_flight: meter
                .i64_up_down_counter("chipq.inference.batches.in_flight")
                .with_unit("{batch}")
                .with_description("Batches that the engine works on.")
                .build(),
            crops: counter("chipq.inference.crops", "{crop}", "Crops that the engine answered."),
            padding: counter(
                "chipq.inference.crops.padding",
                "{crop}",
                "Blank crops sent to fill batches to a size of the model.",
            ),
            errors: counter(
                "chipq.inference.engine.errors",
                "{error}",
                "Batches that the engine did not answer, by error.type.",
            ),
            engine_available: meter
                .u64_gauge("chipq.inference.engine.available")
                .with_unit("{engine}")
                .with_description("1 while the engine answers, 0 while boards wait for it.")
                .build(),
        }
    }

    /// Shows the circuit breakers of `models` from now on, under the process's meter.
    pub fn observe_breakers(models: Arc<dyn Models>) {
        let meter = global::meter(METER);
        let gauge = meter
            .u64_observable_gauge("chipq.inference.breaker.state")
            .with_description("Circuit breaker of a model: 0 closed, 1 half open, 2 open.")
            .with_callback(move |observer| {
                for (model, state) in models.breakers() {
                    let state = match state {
                        BreakerState::Closed => 0,
                        BreakerState::HalfOpen => 1,
                        BreakerState::Open => 2,
                    };
                    observer.observe(state, &model_labels(&model));
                }
            });
        gauge.build();
    }

    /// A batch of `wanted` crops was sent, filled to `size`.
    pub(crate) fn batch_sent(
        &self,
        model: &ModelIdentity,
        wanted: usize,
        size: usize,
    ) -> SentBatch {
        let model = model_labels(model);
        self.batch_size.record(as_count(wanted), &model);
        self.padding.add(as_count(size.saturating_sub(wanted)), &model);
        self.in_flight.add(1, &model);
        SentBatch { metrics: self.clone(), model, crops: as_count(wanted), started: Instant::now() }
    }

    pub(crate) fn engine_available(&self, available: bool) {
        self.engine_available.record(available.into(), &[]);
    }

    pub(crate) fn record_queue_time(&self, model: &ModelIdentity, queued: Duration) {
        self.queue_s.record(queued.as_secs_f64(), &model_labels(model));
    }
}

/// A batch under way; it is counted as in flight until this is dropped.
pub(crate) struct SentBatch {
    metrics: InferenceMetrics,
    model: [KeyValue; 2],
    crops: u64,
    started: Instant,
}

impl SentBatch {
    pub(crate) fn record_answer(self, error: Option<&EngineError>) {
        let metrics = &self.metrics;
        metrics.compute_s.record(self.started.elapsed().as_secs_f64(), &self.model);
        match error {
            None => metrics.crops.add(self.crops, &self.model),
            Some(error) => {
                let [name, version] = self.model.clone();
                let kind = KeyValue::new("error.type", error_kind(error));
                metrics.errors.add(1, &[name, version, kind]);
            }
        }
    }
}

impl Drop for SentBatch {
    fn drop(&mut self) {
        self.metrics.in_flight.add(-1, &self.model);
    }
}

fn model_labels(model: &ModelIdentity) -> [KeyValue; 2] {
    [
        KeyValue::new("model.name", model.name.clone()),
        KeyValue::new("model.version", model.version.clone()),
    ]
}

const fn error_kind(error: &EngineError) -> &'static str {
    match error {
        EngineError::Model { .. } => "model",
        EngineError::Unavailable { .. } => "unavailable",
        EngineError::Backend { .. } => "backend",
        EngineError::Output { .. } => "output",
    }
}

fn as_count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
