//! What the tests of the engine share: boards, engines of a server, and patience.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use boards::{BoardOptions, generate_board};
use inference::engine::{Engine, EngineError, EngineUrl, Models, TritonConfig};
use vision::{CropBatch, CropOutput, PreparedGolden, PreparedPicture};

use super::server::TritonServer;

/// Longer than anything takes here; what waits for it polls.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// Asked for its digest again only after all tests have ended.
const NEVER_AGAIN_MS: u64 = 600_000;

/// Quick to give up and quick to try again, so that a test sees both.
pub(crate) fn impatient() -> TritonConfig {
    TritonConfig {
        triton_attempts: 2,
        triton_breaker_pause_ms: 320,
        triton_recheck_ms: NEVER_AGAIN_MS,
        ..TritonConfig::default()
    }
}

/// Asks again for as long as a restart takes.
pub(crate) fn patient() -> TritonConfig {
    TritonConfig { triton_attempts: 60, triton_breaker_failures: 1_000, ..TritonConfig::default() }
}

pub(crate) fn models(server: &TritonServer, config: &TritonConfig) -> Arc<dyn Models> {
    let url: EngineUrl = server.url().parse().unwrap();
    url.connect(config).unwrap()
}

/// The engine of the shipped version.
pub(crate) async fn shipped(models: &Arc<dyn Models>) -> Result<Arc<dyn Engine>, EngineError> {
    let shipped = models.shipped_model().clone();
    models.engine_for(&shipped).await
}

/// Generated boards with flaws, made ready.
pub(crate) fn boards(count: u64) -> Vec<PreparedPicture> {
    let ready = |index| {
        let board = generate_board(20_261_123, index, &BoardOptions::default());
        let golden = PreparedGolden::new(&board.golden).unwrap();
        vision::prepare(&board.test, &golden).unwrap()
    };
    (0..count).map(ready).collect()
}

/// So many crops of a generated board.
pub(crate) fn crops(count: usize) -> CropBatch {
    static BOARD: LazyLock<CropBatch> = LazyLock::new(|| boards(1).remove(0).crops);
    let mut crops = BOARD.clone();
    while crops.len() < count {
        let again = crops.clone();
        crops.extend(&again);
    }
    crops.sub_batch(0..count)
}

/// Asks as the worker does: again, for as long as the engine is not available.
pub(crate) async fn persist(
    engine: &Arc<dyn Engine>,
    crops: CropBatch,
) -> Result<Vec<CropOutput>, EngineError> {
    let started = Instant::now();
    loop {
        match engine.infer(crops.clone()).await {
            Err(EngineError::Unavailable { .. }) if started.elapsed() < PATIENCE => {
                tokio::time::sleep(POLL).await;
            }
            outcome => return outcome,
        }
    }
}

/// Polls until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "still not: {what}");
        tokio::time::sleep(POLL).await;
    }
}
