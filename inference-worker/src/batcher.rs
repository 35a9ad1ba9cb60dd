//! Fills the engine's batches with crops of many boards.
//!
//! Invariant: every request gets exactly its own crops' answers, in order, or an error. A batch closes
//! when it is full or when its first crop has waited [`BatchingConfig::delay`]. A batch that fails is
//! sent again request by request, so that one bad board does not fail its neighbours.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::inspection::ModelIdentity;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use crate::engine::Engine;
use crate::vision::{CropBatch, CropOutput};

/// How crops are batched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchingConfig {
    /// The most crops in a batch.
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
    queue: mpsc::Sender<Waiting>,
    size: usize,
    _task: Arc<AbortOnDropHandle<()>>,
}

/// The answers to one request.
#[derive(Debug, Clone)]
pub struct Answers {
    /// One per crop, in order.
    pub outputs: Vec<CropOutput>,
    /// The longest that a crop of the request waited for its batch.
    pub queued: Duration,
    /// The longest that a batch with a crop of the request took.
    pub computed: Duration,
}

/// The engine failed on a request's crops, also when they were sent alone.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct InferenceFailed(String);

struct Waiting {
    crops: CropBatch,
    since: Instant,
    answer: oneshot::Sender<Result<Answers, InferenceFailed>>,
}

impl Batcher {
    /// Starts batching for `engine`; it ends with the last clone.
    #[must_use]
    pub fn start(engine: Arc<dyn Engine>, config: BatchingConfig) -> Self {
        let (queue, waiting) = mpsc::channel(config.queue.max(1));
        let model = engine.model().clone();
        let task = AbortOnDropHandle::new(tokio::spawn(run(engine, waiting, config)));
        Self { model, queue, size: config.size.max(1), _task: Arc::new(task) }
    }

    /// The engine's network.
    #[must_use]
    pub const fn model(&self) -> &ModelIdentity {
        &self.model
    }

    /// The answers to `crops`; more than fit a batch go in several.
    ///
    /// # Errors
    /// When the engine failed on these crops.
    pub async fn infer(&self, crops: &CropBatch) -> Result<Answers, InferenceFailed> {
        let mut all =
            Answers { outputs: Vec::new(), queued: Duration::ZERO, computed: Duration::ZERO };
        let mut pending = Vec::new();
        for start in (0..crops.len()).step_by(self.size) {
            let (answer, answered) = oneshot::channel();
            let crops = crops.part(start..start + self.size);
            let waiting = Waiting { crops, since: Instant::now(), answer };
            self.queue.send(waiting).await.map_err(|_| stopped())?;
            pending.push(answered);
        }
        for answered in pending {
            let part = answered.await.map_err(|_| stopped())??;
            all.outputs.extend(part.outputs);
            all.queued = all.queued.max(part.queued);
            all.computed = all.computed.max(part.computed);
        }
        Ok(all)
    }
}

fn stopped() -> InferenceFailed {
    InferenceFailed("the batcher has stopped".to_owned())
}

async fn run(engine: Arc<dyn Engine>, mut queue: mpsc::Receiver<Waiting>, config: BatchingConfig) {
    let in_flight = Arc::new(Semaphore::new(config.in_flight.max(1)));
    let mut left_over = None;
    loop {
        // Room first: while the engine is busy, the batch goes on filling.
        let Ok(permit) = Arc::clone(&in_flight).acquire_owned().await else { return };
        let Some(batch) = fill(&mut queue, &mut left_over, config).await else { return };
        let engine = Arc::clone(&engine);
        tokio::spawn(async move {
            answer(&*engine, batch).await;
            drop(permit);
        });
    }
}

/// The next batch: whole requests, in order, as many as fit. `None` when nobody will ask any more.
async fn fill(
    queue: &mut mpsc::Receiver<Waiting>,
    left_over: &mut Option<Waiting>,
    config: BatchingConfig,
) -> Option<Vec<Waiting>> {
    let first = match left_over.take() {
        Some(waiting) => waiting,
        None => queue.recv().await?,
    };
    let closes = tokio::time::Instant::from_std(first.since + config.delay);
    let mut crops = first.crops.len();
    let mut batch = vec![first];
    while crops < config.size {
        let next = match queue.try_recv() {
            Ok(next) => next,
            Err(_) => match tokio::time::timeout_at(closes, queue.recv()).await {
                Ok(Some(next)) => next,
                Ok(None) | Err(_) => break,
            },
        };
        if crops + next.crops.len() > config.size {
            *left_over = Some(next);
            break;
        }
        crops += next.crops.len();
        batch.push(next);
    }
    Some(batch)
}

async fn answer(engine: &dyn Engine, batch: Vec<Waiting>) {
    let mut crops = CropBatch::default();
    batch.iter().for_each(|waiting| crops.extend(&waiting.crops));
    let started = Instant::now();
    match engine.infer(crops).await {
        Ok(outputs) => {
            let computed = started.elapsed();
            let mut outputs = outputs.into_iter();
            for waiting in batch {
                let own = outputs.by_ref().take(waiting.crops.len()).collect();
                waiting.finish(started, computed, Ok(own));
            }
        }
        Err(error) if batch.len() == 1 => {
            for waiting in batch {
                waiting.finish(started, started.elapsed(), Err(error.to_string()));
            }
        }
        Err(error) => {
            tracing::warn!(%error, requests = batch.len(), "batch failed; sending its requests singly");
            for waiting in batch {
                let started = Instant::now();
                let outcome = engine.infer(waiting.crops.clone()).await.map_err(|e| e.to_string());
                waiting.finish(started, started.elapsed(), outcome);
            }
        }
    }
}

impl Waiting {
    fn finish(
        self,
        started: Instant,
        computed: Duration,
        outcome: Result<Vec<CropOutput>, String>,
    ) {
        let queued = started.saturating_duration_since(self.since);
        let answers =
            outcome.map(|outputs| Answers { outputs, queued, computed }).map_err(InferenceFailed);
        // Whoever asked may be gone; then nobody waits for the answer.
        let _ = self.answer.send(answers);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::FutureExt as _;
    use futures::future::BoxFuture;

    use super::*;
    use crate::engine::{BatchSizes, EngineError};
    use crate::vision::{CLASS_COUNT, CROP_LEN};

    /// Answers each crop with its number, remembers the batches, and fails on a number below zero.
    struct Echo {
        model: ModelIdentity,
        batches: Mutex<Vec<usize>>,
    }

    impl Echo {
        fn new() -> Arc<Self> {
            let sha256 = domain::Sha256::of(b"echo");
            let model = ModelIdentity { name: "echo".into(), version: "1".into(), sha256 };
            Arc::new(Self { model, batches: Mutex::default() })
        }
    }

    impl Engine for Echo {
        fn model(&self) -> &ModelIdentity {
            &self.model
        }

        fn batch_sizes(&self) -> &BatchSizes {
            static ANY: BatchSizes = BatchSizes::UpTo(1024);
            &ANY
        }

        fn infer(&self, crops: CropBatch) -> BoxFuture<'_, Result<Vec<CropOutput>, EngineError>> {
            self.batches.lock().unwrap().push(crops.len());
            let echo = |crop: &[f32]| CropOutput {
                probabilities: [0.0; CLASS_COUNT],
                sides: [f32::from(CropBatch::number(crop)); 4],
            };
            let outputs: Vec<_> = crops.pixels().chunks(CROP_LEN).map(echo).collect();
            let bad = outputs.iter().any(|output| output.sides[0] < 0.0);
            let outcome = if bad {
                Err(EngineError::Backend { detail: "a bad crop".into() })
            } else {
                Ok(outputs)
            };
            async move { outcome }.boxed()
        }
    }

    fn crops(values: &[f32]) -> CropBatch {
        let numbers: Vec<i8> = values.iter().map(|&value| value as i8).collect();
        CropBatch::numbered(&numbers)
    }

    fn sides(answers: &Answers) -> Vec<f32> {
        answers.outputs.iter().map(|output| output.sides[0]).collect()
    }

    /// Batches that close when they are full: nobody waits this long.
    fn closing_at(size: usize) -> BatchingConfig {
        let delay = Duration::from_secs(600);
        BatchingConfig { size, delay, in_flight: 1, ..BatchingConfig::default() }
    }

    #[tokio::test]
    async fn boards_share_a_batch_and_each_gets_its_own_answers() {
        let echo = Echo::new();
        let batcher = Batcher::start(Arc::clone(&echo) as _, closing_at(5));
        let (a, b, c) = (crops(&[1.0, 2.0]), crops(&[3.0]), crops(&[4.0, 5.0]));
        let (a, b, c) = tokio::join!(batcher.infer(&a), batcher.infer(&b), batcher.infer(&c));
        assert_eq!(sides(&a.unwrap()), [1.0, 2.0]);
        assert_eq!(sides(&b.unwrap()), [3.0]);
        assert_eq!(sides(&c.unwrap()), [4.0, 5.0]);
        assert_eq!(*echo.batches.lock().unwrap(), [5]);
    }

    #[tokio::test]
    async fn more_crops_than_fit_a_batch_go_in_several_and_come_back_in_order() {
        let echo = Echo::new();
        let config = BatchingConfig { delay: Duration::ZERO, ..closing_at(4) };
        let batcher = Batcher::start(Arc::clone(&echo) as _, config);
        let values: Vec<f32> = (0..10_u8).map(f32::from).collect();
        assert_eq!(sides(&batcher.infer(&crops(&values)).await.unwrap()), values);
        assert_eq!(*echo.batches.lock().unwrap(), [4, 4, 2]);
    }

    #[tokio::test]
    async fn a_bad_board_does_not_fail_its_neighbours() {
        let echo = Echo::new();
        let batcher = Batcher::start(Arc::clone(&echo) as _, closing_at(2));
        let (good, bad) = (crops(&[1.0]), crops(&[-1.0]));
        let (good, bad) = tokio::join!(batcher.infer(&good), batcher.infer(&bad));
        assert_eq!(sides(&good.unwrap()), [1.0]);
        assert!(bad.unwrap_err().to_string().contains("a bad crop"));
    }

    #[tokio::test]
    async fn a_board_without_crops_needs_no_batch() {
        let echo = Echo::new();
        let batcher = Batcher::start(Arc::clone(&echo) as _, closing_at(8));
        assert_eq!(sides(&batcher.infer(&crops(&[])).await.unwrap()), [0.0; 0]);
        assert!(echo.batches.lock().unwrap().is_empty());
    }
}
