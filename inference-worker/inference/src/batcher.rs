//! Fills the engine's batches with crops of many boards.
//!
//! Invariant: every request gets exactly its own crops' answers, in order, or an error. A batch closes
//! when it is full or when its oldest crop has waited [`BatchingConfig::delay`], and has one of the
//! sizes that the model is built for. A batch that fails is halved until the request that fails is
//! alone; an engine that is away is not asked again. Absent: trying again, which is whoever asked's.
//!
//! One task fills, because what shares a batch depends on order: crops in the order of their requests, a
//! request over several batches when that fills them. Requests take turns: in its turn one has at most a
//! batch's worth of crops sent, then it goes behind those that wait (deficit round-robin with the batch as
//! quantum; Shreedhar and Varghese, 1995). So a panel of thousands of crops keeps a board waiting for one
//! batch, and not for all of its own. The oldest request sets a batch's closing time; what comes later
//! never moves it, so that nobody waits longer than the configured delay for company.
//! While every place in flight is taken the batch goes on filling: under load the delay costs nothing and
//! batches become full by themselves.
//!
//! Each closed batch is answered by a task of its own (`dispatch`), as many at a time as
//! [`BatchingConfig::in_flight`] allows. A batch serves several boards, so its span has none of theirs for
//! a parent: it follows from each of them.

mod dispatch;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use domain::inspection::ModelIdentity;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::Span;
use vision::{CropBatch, CropOutput};

use crate::engine::{BatchSizes, Engine, EngineError};
use crate::metrics::InferenceMetrics;
use dispatch::Dispatch;

/// How crops are batched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchingConfig {
    /// The most crops in a batch; fewer, when the model is built for fewer.
    pub size: usize,
    /// The longest wait of a batch's first crop for company.
    pub delay: Duration,
    /// How many batches the engine works on at a time.
    pub in_flight: usize,
    /// How many requests may take turns, and how many may wait for that; more wait for room.
    pub queue: usize,
}

impl Default for BatchingConfig {
    /// 32 crops, 2 ms, 2 batches in flight, 64 requests taking turns.
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
    /// How many crops of the request were sent in its present turn: fewer than a batch holds.
    spent: usize,
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
        let run = fill_batches(engine, waiting, config, metrics);
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
            let asked_by = Span::current();
            let piece = RequestPiece { crops, range, spent: 0, since, asked_by, answer };
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

/// Batches until nobody can ask any more.
async fn fill_batches(
    engine: Arc<dyn Engine>,
    mut queue: mpsc::Receiver<RequestPiece>,
    config: BatchingConfig,
    metrics: InferenceMetrics,
) {
    let limit = batch_limit(engine.batch_sizes(), config.size);
    let dispatch = Arc::new(Dispatch::new(engine, metrics));
    let in_flight = Arc::new(Semaphore::new(config.in_flight.max(1)));
    let mut waiting = WaitingPieces::default();
    loop {
        // Room first: while the engine is busy, the batch goes on filling.
        let Ok(permit) = Arc::clone(&in_flight).acquire_owned().await else { return };
        if !waiting.fill_batch(&mut queue, limit, config).await {
            return;
        }
        let batch = waiting.take_batch(limit);
        let dispatch = Arc::clone(&dispatch);
        tokio::spawn(async move {
            dispatch.answer_batch(batch).await;
            drop(permit);
        });
    }
}

/// The most crops in a batch: the largest size of the model within what is configured.
fn batch_limit(sizes: &BatchSizes, configured: usize) -> usize {
    match sizes {
        BatchSizes::UpTo(most) => configured.min(*most).max(1),
        BatchSizes::Only(sizes) => {
            let within = sizes.iter().rev().find(|&&size| size <= configured);
            within.or(sizes.first()).copied().unwrap_or(1)
        }
    }
}

/// The requests that take turns, the next one first: as many as [`BatchingConfig::queue`], or as a batch
/// takes.
#[derive(Default)]
struct WaitingPieces(VecDeque<RequestPiece>);

impl WaitingPieces {
    /// Waits until a batch is full or its time has come; `false` when there is nothing and nobody
    /// will ask any more.
    async fn fill_batch(
        &mut self,
        queue: &mut mpsc::Receiver<RequestPiece>,
        limit: usize,
        config: BatchingConfig,
    ) -> bool {
        loop {
            self.forget_withdrawn();
            let Some(oldest) = self.0.iter().map(|piece| piece.since).min() else {
                let Some(next) = queue.recv().await else { return false };
                self.0.push_back(next);
                continue;
            };
            let is_full = self.crop_count() >= limit;
            // What is there comes along, however late it is: also to a full batch, for its turn.
            let takes_more = !is_full || self.0.len() < config.queue;
            if takes_more && let Ok(next) = queue.try_recv() {
                self.0.push_back(next);
                continue;
            }
            if is_full {
                return true;
            }
            match tokio::time::timeout_at(oldest + config.delay, queue.recv()).await {
                Ok(Some(next)) => self.0.push_back(next),
                Ok(None) | Err(_) => return true,
            }
        }
    }

    /// Nobody waits for the answer any more.
    fn forget_withdrawn(&mut self) {
        self.0.retain(|piece| !piece.answer.is_closed());
    }

    fn crop_count(&self) -> usize {
        self.0.iter().map(|piece| piece.range.len()).sum()
    }

    /// The next crops, at most `limit`, of one request after the other in their turns.
    fn take_batch(&mut self, limit: usize) -> Vec<RequestPiece> {
        let mut room = limit;
        let mut batch = Vec::new();
        while room > 0
            && let Some(mut piece) = self.0.pop_front()
        {
            // With nobody else there, there are no turns.
            let most = if self.0.is_empty() { room } else { room.min(limit - piece.spent) };
            if piece.range.len() > most {
                let rest = piece.split_off(most);
                if rest.spent < limit {
                    self.0.push_front(rest);
                } else {
                    self.0.push_back(RequestPiece { spent: 0, ..rest });
                }
            }
            room -= piece.range.len();
            batch.push(piece);
        }
        batch
    }
}

impl RequestPiece {
    /// Keeps the first `crops`, and returns the others.
    fn split_off(&mut self, crops: usize) -> Self {
        let cut = self.range.start + crops;
        let rest = Self {
            crops: Arc::clone(&self.crops),
            range: cut..self.range.end,
            spent: self.spent + crops,
            since: self.since,
            asked_by: self.asked_by.clone(),
            answer: self.answer.clone(),
        };
        self.range.end = cut;
        rest
    }
}
