//! Closed-loop load on the worker's batcher: many boards, each handing over its crops again as soon as
//! it has the answers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use boards::BoardOptions;
use inference::batcher::{Batcher, BatchingConfig};
use inference::engine::Engine;
use serde::Serialize;
use tokio::task::JoinSet;
use vision::{CropBatch, PreparedGolden};

/// Boards whose crops are handed over again and again.
const BOARDS: u64 = 48;
/// Boards under way for each batch in flight: enough that the next batch is always waiting.
const BOARDS_PER_BATCH: usize = 8;
/// The seed of the boards.
const SEED: u64 = 1_907;
/// What is answered before this is not counted.
const WARM_UP: Duration = Duration::from_millis(500);

/// How the batcher asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct BatcherSetting {
    /// Most crops in a batch.
    pub(super) batch: u32,
    /// Batches under way.
    pub(super) in_flight: u32,
}

impl fmt::Display for BatcherSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batch {} x {} in flight", self.batch, self.in_flight)
    }
}

pub(super) struct BatcherLoad {
    engine: Arc<dyn Engine>,
    boards: Vec<Arc<CropBatch>>,
}

impl BatcherLoad {
    /// Prepares the boards, about two seconds.
    pub(super) async fn new(engine: Arc<dyn Engine>) -> anyhow::Result<Self> {
        let boards = tokio::task::spawn_blocking(prepare_boards).await??;
        Ok(Self { engine, boards })
    }

    /// What is handed over, in words.
    pub(super) fn describe_boards(&self) -> String {
        let crops: usize = self.boards.iter().map(|crops| crops.len()).sum();
        format!("{} generated boards of seed {SEED} with {crops} crops", self.boards.len())
    }

    /// One crop as little-endian floats.
    pub(super) fn first_crop_bytes(&self) -> Vec<u8> {
        let first = self.boards.first().map(|crops| crops.sub_batch(0..1)).unwrap_or_default();
        first.to_pixels().iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    /// Crops a second over `window`, through a batcher of this setting.
    pub(super) async fn measure_throughput(
        &self,
        setting: BatcherSetting,
        window: Duration,
    ) -> anyhow::Result<f64> {
        let config = BatchingConfig {
            size: setting.batch as usize,
            in_flight: setting.in_flight as usize,
            ..BatchingConfig::default()
        };
        let batcher = Batcher::start(Arc::clone(&self.engine), config);
        let answered = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for client in 0..BOARDS_PER_BATCH * (config.in_flight + 1) {
            let (batcher, boards) = (batcher.clone(), self.boards.clone());
            let (answered, stop) = (Arc::clone(&answered), Arc::clone(&stop));
            clients.spawn(async move {
                let mut next = client;
                while !stop.load(Ordering::Relaxed) {
                    let crops = &boards[next % boards.len()];
                    let answers = batcher.infer(crops).await?;
                    ensure!(answers.outputs.len() == crops.len(), "answers are missing");
                    answered.fetch_add(crops.len() as u64, Ordering::Relaxed);
                    next += 1;
                }
                anyhow::Ok(())
            });
        }
        tokio::time::sleep(WARM_UP).await;
        let (started, before) = (Instant::now(), answered.load(Ordering::Relaxed));
        tokio::time::sleep(window).await;
        let (took, after) = (started.elapsed(), answered.load(Ordering::Relaxed));
        stop.store(true, Ordering::Relaxed);
        while let Some(ended) = clients.join_next().await {
            ended??;
        }
        if after == before {
            bail!("no crop was answered in {} s", took.as_secs());
        }
        Ok((after - before) as f64 / took.as_secs_f64())
    }
}

fn prepare_boards() -> anyhow::Result<Vec<Arc<CropBatch>>> {
    let options = BoardOptions::default();
    let mut all = Vec::new();
    for index in 0..BOARDS {
        let board = boards::generate_board(SEED, index, &options);
        let prepared = PreparedGolden::new(&board.golden)
            .and_then(|golden| vision::prepare(&board.test, &golden));
        // One that cannot be compared gives no crops to measure with.
        if let Ok(prepared) = prepared
            && !prepared.crops.is_empty()
        {
            all.push(Arc::new(prepared.crops));
        }
    }
    ensure!(!all.is_empty(), "no generated board can be compared");
    Ok(all)
}
