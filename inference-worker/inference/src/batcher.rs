//! Fills the engine's batches with crops of many boards.
//!
//! Invariant: every request gets exactly its own crops' answers, in order, or an error. A batch closes
//! when it is full or when its oldest crop has waited [`BatchingConfig::delay`], and has one of the
//! sizes that the model is built for. A batch that fails is halved until the request that fails is
//! alone; an engine that is away is not asked again. Absent: trying again, which is whoever asked's.
//!
//! One task fills (`fill`), because what shares a batch depends on order; each closed batch is answered
//! by a task of its own (`dispatch`), as many at a time as [`BatchingConfig::in_flight`] allows. A batch
//! serves several boards, so its span has none of theirs for a parent: it follows from each of them.

mod dispatch;
mod fill;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use domain::inspection::ModelIdentity;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::Span;
use vision::{CropBatch, CropOutput};

use crate::engine::{Engine, EngineError};
use crate::metrics::InferenceMetrics;

/// How crops are batched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchingConfig {
    /// The most crops in a batch; fewer, when the model is built for fewer.
    pub size: usize,
    /// The longest wait of a batch's first crop for company.
    pub delay: Duration,
    /// How many batches the engine works on at a time.
    pub in_flight: usize,
    /// How many requests may wait; more wait for room.
    pub queue: usize,
}

impl Default for BatchingConfig {
    /// 32 crops, 2 ms, 2 batches in flight, 64 requests waiting.
    fn default() -> Self {
        Self { size: 32, delay: Duration::from_millis(2), in_flight: 2, queue: 64 }
    }
}

/// Hands crops to an engine in batches. Clones share the engine and the batches.
#[derive(Clone)]
pub struct Batcher {
    model: ModelIdentity,
    queue: mpsc::Sender<RequestPiece>,
    _task: Arc<AbortOnDropHandle<()>>,
}

/// The answers to one request.
#[derive(Debug, Clone)]
pub struct Answers {
    /// One per crop, in order.
    pub outputs: Vec<CropOutput>,
    /// The longest that a crop of the request waited for its batch.
    pub queued: Duration,
    /// The longest that a batch with a crop of the request took, repetitions of it included.
    pub computed: Duration,
}

/// Why there are no answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InferError {
    /// The engine cannot be asked now; nothing is wrong with the crops.
    #[error("{0}")]
    Unavailable(String),
    /// The model is not there or not what its name says; nothing is wrong with the crops.
    #[error("{0}")]
    Model(String),
    /// The engine failed on the request's crops, also when they were sent alone.
    #[error("{0}")]
    Failed(String),
}

impl From<EngineError> for InferError {
    fn from(error: EngineError) -> Self {
        let detail = error.to_string();
        match error {
            EngineError::Unavailable { .. } => Self::Unavailable(detail),
            EngineError::Model { .. } => Self::Model(detail),
            EngineError::Backend { .. } | EngineError::Output { .. } => Self::Failed(detail),
        }
    }
}

/// Consecutive crops of one request, which may be spread over several batches.
struct RequestPiece {
    crops: Arc<CropBatch>,
    range: Range<usize>,
    since: Instant,
    /// The span of whoever asked, which the batch's span follows from.
    asked_by: Span,
    /// Holds as many answers as the request has crops: sending never waits.
    answer: mpsc::Sender<PieceAnswer>,
}

/// What became of a piece.
struct PieceAnswer {
    range: Range<usize>,
    outcome: Result<Answers, InferError>,
}

impl Batcher {
    /// Starts batching for `engine`; it ends with the last clone, and what the engine works on then
    /// is finished. Measured under the process's meter.
    #[must_use]
    pub fn start(engine: Arc<dyn Engine>, config: BatchingConfig) -> Self {
        Self::start_measured(engine, config, InferenceMetrics::for_process())
    }

    /// [`Batcher::start`], measured by `metrics`.
    #[must_use]
    pub fn start_measured(
        engine: Arc<dyn Engine>,
        config: BatchingConfig,
        metrics: InferenceMetrics,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(config.queue.max(1));
        let model = engine.model().clone();
        let run = fill::fill_batches(engine, waiting, config, metrics);
        Self { model, queue, _task: Arc::new(AbortOnDropHandle::new(tokio::spawn(run))) }
    }

    /// The engine's network.
    #[must_use]
    pub const fn model(&self) -> &ModelIdentity {
        &self.model
    }

    /// The answers to `crops`, which may be spread over several batches. Dropping the future
    /// withdraws the crops that wait.
    ///
    /// # Errors
    /// When the engine is away, or failed on these crops.
    pub async fn infer(&self, crops: &CropBatch) -> Result<Answers, InferError> {
        let mut outputs = vec![None; crops.len()];
        let (mut queued, mut computed) = (Duration::ZERO, Duration::ZERO);
        if !crops.is_empty() {
            let (answer, mut answers) = mpsc::channel(crops.len());
            let range = 0..crops.len();
            let (crops, since) = (Arc::new(crops.clone()), Instant::now());
            let piece = RequestPiece { crops, range, since, asked_by: Span::current(), answer };
            self.queue.send(piece).await.map_err(|_| batcher_stopped())?;
            while let Some(PieceAnswer { range, outcome }) = answers.recv().await {
                let part = outcome?;
                for (place, output) in outputs[range].iter_mut().zip(part.outputs) {
                    *place = Some(output);
                }
                queued = queued.max(part.queued);
                computed = computed.max(part.computed);
            }
        }
        let outputs = outputs.into_iter().collect::<Option<_>>().ok_or_else(batcher_stopped)?;
        Ok(Answers { outputs, queued, computed })
    }
}

/// The batcher's task ended before its callers: it panicked.
fn batcher_stopped() -> InferError {
    InferError::Failed("the batcher has stopped".to_owned())
}
