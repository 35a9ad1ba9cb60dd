//! Which crops share a batch, and whom a failure concerns; by an engine that remembers.

mod turns;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use vision::CLASS_COUNT;

use super::*;
use crate::test_support::{crop_numbers, numbered_crops};

/// A crop that the engine fails on, a crop at which it is away, one at which its model is gone.
const BAD: i8 = -1;
const AWAY: i8 = -2;
const GONE: i8 = -3;

/// Answers each crop with its number and remembers the numbers of each batch.
struct Echo {
    model: ModelIdentity,
    sizes: BatchSizes,
    batches: Mutex<Vec<Vec<i8>>>,
    /// Each batch takes one.
    permits: Semaphore,
    /// How many batches have come, answered or not.
    come: AtomicUsize,
    /// The server goes away after the first batch.
    away_in_halves: AtomicBool,
}

impl Echo {
    fn built_for(sizes: BatchSizes) -> Arc<Self> {
        let sha256 = domain::Sha256::digest_of(b"echo");
        let model = ModelIdentity { name: "echo".into(), version: "1".into(), sha256 };
        let permits = Semaphore::new(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            model,
            sizes,
            batches: Mutex::default(),
            permits,
            come: AtomicUsize::new(0),
            away_in_halves: AtomicBool::new(false),
        })
    }

    fn any() -> Arc<Self> {
        Self::built_for(BatchSizes::UpTo(1024))
    }

    fn batches(&self) -> Vec<Vec<i8>> {
        self.batches.lock().unwrap().clone()
    }

    fn sizes(&self) -> Vec<usize> {
        self.batches().iter().map(Vec::len).collect()
    }

    /// No batch is answered before permits are added.
    fn hold(&self) {
        self.permits.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Waits until so many batches have come.
    async fn has(&self, batches: usize) {
        while self.come.load(Ordering::Relaxed) < batches {
            tokio::task::yield_now().await;
        }
    }

    fn answer(&self, numbers: &[i8]) -> Result<Vec<CropOutput>, EngineError> {
        self.batches.lock().unwrap().push(numbers.to_vec());
        let detail = || "a bad crop".to_owned();
        let away = self.away_in_halves.load(Ordering::Relaxed) && self.batches().len() > 1;
        if away || numbers.contains(&AWAY) {
            return Err(EngineError::Unavailable { detail: "no answer".into() });
        }
        if numbers.contains(&GONE) {
            return Err(EngineError::Model { detail: "unloaded".into() });
        }
        if numbers.contains(&BAD) {
            return Err(EngineError::Backend { detail: detail() });
        }
        let echo = |&number: &i8| CropOutput {
            probabilities: [0.0; CLASS_COUNT],
            sides: [f32::from(number); 4],
        };
        Ok(numbers.iter().map(echo).collect())
    }
}

impl Engine for Echo {
    fn model(&self) -> &ModelIdentity {
        &self.model
    }

    fn batch_sizes(&self) -> &BatchSizes {
        &self.sizes
    }

    fn infer(&self, crops: CropBatch) -> BoxFuture<'_, Result<Vec<CropOutput>, EngineError>> {
        let numbers = crop_numbers(&crops);
        self.come.fetch_add(1, Ordering::Relaxed);
        async move {
            self.permits.acquire().await.unwrap().forget();
            self.answer(&numbers)
        }
        .boxed()
    }
}

fn crops(numbers: &[i8]) -> CropBatch {
    numbered_crops(numbers)
}

fn numbers(answers: &Answers) -> Vec<i8> {
    answers.outputs.iter().map(|output| output.sides[0] as i8).collect()
}

/// Batches that close when they are full: nobody waits this long.
fn closing_at(size: usize) -> BatchingConfig {
    let delay = Duration::from_secs(600);
    BatchingConfig { size, delay, in_flight: 1, ..BatchingConfig::default() }
}

/// Batches that close when they are full, or soon.
fn closing_soon(size: usize) -> BatchingConfig {
    BatchingConfig { delay: Duration::from_millis(5), ..closing_at(size) }
}

/// Lets everything that can go on without time passing go on.
async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

fn start(echo: &Arc<Echo>, config: BatchingConfig) -> Batcher {
    Batcher::start(Arc::clone(echo) as _, config)
}

/// Asks for all of these at once, in this order.
async fn ask(batcher: &Batcher, requests: &[&[i8]]) -> Vec<Result<Vec<i8>, InferError>> {
    let requests = requests.iter().map(|request| async {
        batcher.infer(&crops(request)).await.map(|answers| numbers(&answers))
    });
    futures::future::join_all(requests).await
}

#[tokio::test]
async fn boards_share_a_batch_and_each_gets_its_own_answers() {
    let echo = Echo::any();
    let batcher = start(&echo, closing_at(5));
    let answers = ask(&batcher, &[&[1, 2], &[3], &[4, 5]]).await;
    assert_eq!(answers, [Ok(vec![1, 2]), Ok(vec![3]), Ok(vec![4, 5])]);
    assert_eq!(echo.batches(), [[1, 2, 3, 4, 5]]);
}

#[tokio::test]
async fn a_board_is_spread_over_batches_when_that_fills_them() {
    let echo = Echo::any();
    let batcher = start(&echo, closing_at(4));
    let answers = ask(&batcher, &[&[1, 2, 3], &[4, 5, 6], &[7, 8]]).await;
    assert_eq!(answers, [Ok(vec![1, 2, 3]), Ok(vec![4, 5, 6]), Ok(vec![7, 8])]);
    assert_eq!(echo.batches(), [[1, 2, 3, 4], [5, 6, 7, 8]]);
}

#[tokio::test]
async fn more_crops_than_fit_a_batch_go_in_several_and_come_back_in_order() {
    let echo = Echo::any();
    let batcher = start(&echo, closing_soon(4));
    let values: Vec<i8> = (0..10).collect();
    assert_eq!(ask(&batcher, &[&values]).await, [Ok(values)]);
    assert_eq!(echo.sizes(), [4, 4, 2]);
}

#[tokio::test]
async fn a_batch_that_is_not_full_closes_when_its_oldest_crop_has_waited_long_enough() {
    let echo = Echo::any();
    let batcher = start(&echo, closing_soon(8));
    let (first, second) = (crops(&[1]), crops(&[2]));
    let later = async {
        settle().await;
        batcher.infer(&second).await.unwrap()
    };
    let (first, second) = tokio::join!(batcher.infer(&first), later);
    let (first, second) = (first.unwrap().queued, second.queued);
    assert_eq!(echo.batches(), [[1, 2]]);
    assert!(first >= Duration::from_millis(5) && second < first, "{first:?}, {second:?}");
}

#[tokio::test]
async fn only_sizes_of_the_model_are_sent_and_what_is_missing_is_blank() {
    let echo = Echo::built_for(BatchSizes::Only(vec![4, 8]));
    let batcher = start(&echo, closing_soon(32));
    let values: Vec<i8> = (1..=21).collect();
    assert_eq!(ask(&batcher, &[&values]).await, [Ok(values)]);
    assert_eq!(echo.sizes(), [8, 8, 8], "5 crops are sent as 8");
    assert_eq!(echo.batches()[2], [17, 18, 19, 20, 21, 0, 0, 0]);
    assert_eq!(ask(&batcher, &[&[9]]).await, [Ok(vec![9])]);
    assert_eq!(echo.batches()[3], [9, 0, 0, 0]);
}

#[tokio::test]
async fn as_many_batches_are_in_flight_as_configured_and_the_next_one_fills_meanwhile() {
    let echo = Echo::any();
    echo.hold();
    let config = BatchingConfig { delay: Duration::ZERO, in_flight: 2, ..closing_at(3) };
    let batcher = start(&echo, config);
    let asking: Vec<_> = (1..=5)
        .map(|number| {
            let batcher = batcher.clone();
            tokio::spawn(async move { batcher.infer(&crops(&[number])).await })
        })
        .collect();
    echo.has(2).await;
    settle().await;
    assert_eq!(echo.come.load(Ordering::Relaxed), 2, "the third batch waits for room");
    echo.permits.add_permits(8);
    for answer in asking {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(echo.batches().concat(), [1, 2, 3, 4, 5]);
    assert!(echo.sizes().len() <= 3, "{:?}", echo.batches());
}

#[tokio::test]
async fn whoever_asks_waits_when_the_queue_is_full() {
    let echo = Echo::any();
    echo.hold();
    let config = BatchingConfig { delay: Duration::ZERO, queue: 2, ..closing_at(1) };
    let batcher = start(&echo, config);
    let ask_one = || {
        let batcher = batcher.clone();
        tokio::spawn(async move { batcher.infer(&crops(&[1])).await })
    };
    let first = ask_one();
    echo.has(1).await;
    let others = [ask_one(), ask_one(), ask_one()];
    settle().await;
    assert_eq!(batcher.queue.capacity(), 0, "two wait in the queue, the third to get in");
    echo.permits.add_permits(4);
    for asked in std::iter::once(first).chain(others) {
        asked.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_bad_board_is_found_by_halving_and_fails_alone() {
    let echo = Echo::any();
    let batcher = start(&echo, closing_at(8));
    let requests: [&[i8]; 7] = [&[1], &[2, 3], &[4], &[5], &[BAD], &[6], &[7]];
    let answers = ask(&batcher, &requests).await;
    for (request, answer) in requests.iter().zip(answers) {
        match answer {
            Ok(numbers) => assert_eq!(numbers, *request),
            Err(InferError::Failed(detail)) => {
                assert_eq!((*request, detail.contains("a bad crop")), (&[BAD][..], true));
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(echo.batches().len() < 2 * requests.len());
    assert!(echo.batches().contains(&vec![BAD]), "it was tried alone");
}

#[tokio::test]
async fn boards_that_all_fail_are_each_refused_after_a_bounded_number_of_calls() {
    let echo = Echo::any();
    let batcher = start(&echo, closing_at(4));
    let answers = ask(&batcher, &[&[BAD], &[BAD], &[BAD], &[BAD]]).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(InferError::Failed(_)))));
    assert_eq!(echo.batches().len(), 7);
}

#[tokio::test]
async fn an_engine_that_is_away_is_asked_once_and_everybody_is_told() {
    for (crop, expected) in [
        (AWAY, InferError::Unavailable("the inference engine is not available: no answer".into())),
        (GONE, InferError::Model("the model cannot be used: unloaded".into())),
    ] {
        let echo = Echo::any();
        let batcher = start(&echo, closing_at(3));
        let answers = ask(&batcher, &[&[1], &[crop], &[3]]).await;
        assert_eq!(answers, [Err(expected.clone()), Err(expected.clone()), Err(expected)]);
        assert_eq!(echo.batches().len(), 1);
    }
}

#[tokio::test]
async fn an_engine_that_goes_away_while_a_batch_is_halved_is_not_asked_for_the_rest() {
    let echo = Echo::any();
    let batcher = start(&echo, closing_at(4));
    // The whole fails by BAD, for the engine sees it first; its first half is where it goes away.
    echo.away_in_halves.store(true, Ordering::Relaxed);
    let answers = ask(&batcher, &[&[BAD], &[1], &[2], &[3]]).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(InferError::Unavailable(_)))));
    assert_eq!(echo.batches(), [vec![BAD, 1, 2, 3], vec![BAD, 1]]);
}

#[tokio::test]
async fn crops_that_nobody_waits_for_any_more_are_not_sent() {
    let echo = Echo::any();
    let batcher = start(&echo, closing_at(2));
    let asking = batcher.clone();
    let given_up = tokio::spawn(async move { asking.infer(&crops(&[1])).await });
    settle().await;
    given_up.abort();
    settle().await;
    assert_eq!(ask(&batcher, &[&[2], &[3]]).await, [Ok(vec![2]), Ok(vec![3])]);
    assert_eq!(echo.batches(), [[2, 3]]);
}

#[tokio::test]
async fn waiting_and_computing_are_told_apart() {
    struct Slow(Arc<Echo>);
    impl Engine for Slow {
        fn model(&self) -> &ModelIdentity {
            self.0.model()
        }
        fn batch_sizes(&self) -> &BatchSizes {
            self.0.batch_sizes()
        }
        fn infer(&self, crops: CropBatch) -> BoxFuture<'_, Result<Vec<CropOutput>, EngineError>> {
            async move {
                tokio::time::sleep(Duration::from_millis(30)).await;
                self.0.infer(crops).await
            }
            .boxed()
        }
    }
    let batcher = Batcher::start(Arc::new(Slow(Echo::any())), closing_soon(2));
    let answers = batcher.infer(&crops(&[1])).await.unwrap();
    assert!(answers.queued >= Duration::from_millis(5), "{:?}", answers.queued);
    assert!(answers.computed >= Duration::from_millis(30), "{:?}", answers.computed);
    assert!(answers.queued < answers.computed, "{answers:?}");
}

#[tokio::test]
async fn a_board_without_crops_needs_no_batch() {
    let echo = Echo::any();
    let batcher = start(&echo, closing_at(8));
    assert_eq!(ask(&batcher, &[&[]]).await, [Ok(vec![])]);
    assert!(echo.batches().is_empty());
}

#[test]
fn a_batch_is_no_larger_than_configured_and_has_a_size_of_the_model() {
    let only = BatchSizes::Only(vec![4, 8, 32]);
    assert_eq!([1, 4, 7, 8, 64].map(|most| batch_limit(&only, most)), [4, 4, 4, 8, 32]);
    let any = BatchSizes::UpTo(32);
    assert_eq!([0, 1, 7, 32, 64].map(|most| batch_limit(&any, most)), [1, 1, 7, 32, 32]);
}
