//! Compares one picture with its golden sample: decode and register on a thread for computing, infer
//! in a batch shared with other boards, merge.
//!
//! Invariant: a comparison is by the network that was asked for, and by no other. Each network in use has
//! a batcher of its own. What nobody has asked for lately is let go; work under way on it is finished all
//! the same.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::inspection::{ModelIdentity, Registration};
use domain::{Coverage, Defect, NotComparable, Sha256, UnexplainedDifference};
use tokio::sync::OnceCell;
use tracing::Span;
use vision::{
    CropBatch, DecodeError, DecodedImage, Findings, Incomparable, Panel, PreparedGolden,
    PreparedPicture, decode, prepare, prepare_panel,
};

use crate::batcher::{Answers, Batcher, BatchingConfig, InferError};
use crate::engine::{EngineError, Models};
use crate::memory::MemoryBudget;
use crate::metrics::InferenceMetrics;

/// How many golden samples are kept ready; a line inspects few parts at a time.
const GOLDEN_SAMPLES_KEPT: usize = 16;
/// The most pixels of all golden samples that are kept ready; the last one is kept whatever its size.
const GOLDEN_PIXELS_KEPT: u64 = 48_000_000;
/// How long a network that nobody asks for is kept ready.
const NETWORK_IDLE_MAX: Duration = Duration::from_secs(120);

/// A picture at rest: its bytes are those of its digest, and its size is what its file declares.
#[derive(Debug, Clone)]
pub struct StoredPicture {
    /// Digest of the bytes.
    pub sha256: Sha256,
    /// Width × height.
    pub pixels: u64,
    /// The file.
    pub bytes: Bytes,
}

/// The outcome of a comparison.
#[derive(Debug, Clone)]
pub struct ComparedPicture {
    /// How the picture lay over the golden sample.
    pub registration: Registration,
    /// The findings, most confident first.
    pub defects: Vec<Defect>,
    /// What differs and is not explained by the findings.
    pub differences: Vec<UnexplainedDifference>,
    /// How much of the picture was compared.
    pub coverage: Coverage,
    /// Waiting for a batch.
    pub queued: Duration,
    /// In the network.
    pub computed: Duration,
}

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum ComparisonError {
    /// The picture is not comparable and never will be.
    #[error("{detail}")]
    NotComparable {
        /// As a rule's name.
        reason: NotComparable,
        /// In words.
        detail: String,
    },
    /// The engine cannot be asked now; nothing is wrong with the picture.
    #[error("{0}")]
    Unavailable(String),
    /// The network is not there, or not what its name says; nothing is wrong with the picture.
    #[error("{0}")]
    Model(String),
    /// The engine failed on this picture; it may work another time.
    #[error("{0}")]
    Failed(String),
}

impl From<EngineError> for ComparisonError {
    fn from(error: EngineError) -> Self {
        InferError::from(error).into()
    }
}

impl From<InferError> for ComparisonError {
    fn from(error: InferError) -> Self {
        match error {
            InferError::Unavailable(detail) => Self::Unavailable(detail),
            InferError::Model(detail) => Self::Model(detail),
            InferError::Failed(detail) => Self::Failed(detail),
        }
    }
}

/// Compares pictures, several at a time, by the networks of one place.
pub struct Comparer {
    batchers: Batchers,
    memory: MemoryBudget,
    golden: Mutex<VecDeque<KeptGolden>>,
}

/// A golden sample that is ready.
struct KeptGolden {
    sha256: Sha256,
    pixels: u64,
    golden: Arc<PreparedGolden>,
}

impl Comparer {
    /// A comparer by the networks of `models`, whose crops share batches, one batcher per network, and
    /// whose pixels share `memory`.
    #[must_use]
    pub fn new(
        models: Arc<dyn Models>,
        batching: BatchingConfig,
        memory: MemoryBudget,
        metrics: InferenceMetrics,
    ) -> Self {
        let batchers = Batchers::new(models, batching, metrics);
        Self { batchers, memory, golden: Mutex::default() }
    }

    /// The network to compare by until another one is routed to.
    #[must_use]
    pub fn shipped_model(&self) -> &ModelIdentity {
        self.batchers.models.shipped_model()
    }

    /// Compares the picture `test` by `model` with the golden sample `golden`.
    ///
    /// # Errors
    /// When the picture is not comparable, the network cannot be asked, or the engine failed.
    #[tracing::instrument(skip_all, fields(
        model = %model.name, version = %model.version, golden_sha256 = %golden.sha256,
    ))]
    pub async fn compare(
        self: &Arc<Self>,
        model: &ModelIdentity,
        test: StoredPicture,
        golden: StoredPicture,
    ) -> Result<ComparedPicture, ComparisonError> {
        let comparer = Arc::clone(self);
        let span = Span::current();
        let reserved = self.memory.reserve([test.pixels, golden.pixels]).await;
        let prepared = tokio::task::spawn_blocking(move || {
            let _entered = span.enter();
            // Until the pixels are gone, also when nobody waits for the outcome any more.
            let _reserved = reserved;
            let golden = comparer.prepared_golden(&golden)?;
            let picture = ComparablePicture::decode_bytes(&test.bytes);
            match picture.map_err(unreadable_picture("picture"))? {
                ComparablePicture::Whole(picture) => prepare(&picture, &golden),
                ComparablePicture::Panel(panel) => prepare_panel(panel, &golden, &mut ()),
            }
            .map_err(not_comparable)
        })
        .await
        .map_err(|error| ComparisonError::Failed(error.to_string()))??;
        self.infer(model, prepared).await
    }

    async fn infer(
        &self,
        model: &ModelIdentity,
        prepared: PreparedPicture,
    ) -> Result<ComparedPicture, ComparisonError> {
        let answers = self.ask(model, &prepared.crops).await?;
        let Findings { defects, differences } = prepared
            .merge_answers(&answers.outputs)
            .map_err(|error| ComparisonError::Failed(error.to_string()))?;
        Ok(ComparedPicture {
            registration: prepared.registration,
            defects,
            differences,
            coverage: prepared.coverage,
            queued: answers.queued,
            computed: answers.computed,
        })
    }

    /// Asks `model` about a blank crop: whether it answers at all.
    ///
    /// # Errors
    /// When the network cannot be asked, or the engine failed.
    pub async fn probe(&self, model: &ModelIdentity) -> Result<(), ComparisonError> {
        let mut blank = CropBatch::default();
        blank.pad_to(1);
        self.ask(model, &blank).await.map(|_| ())
    }

    async fn ask(
        &self,
        model: &ModelIdentity,
        crops: &CropBatch,
    ) -> Result<Answers, ComparisonError> {
        let batcher = self.batchers.batcher_for(model).await?;
        let answers = batcher.infer(crops).await.inspect_err(|error| {
            if let InferError::Model(_) = error {
                self.batchers.forget_model(model);
            }
        });
        Ok(answers?)
    }

    fn prepared_golden(
        &self,
        stored: &StoredPicture,
    ) -> Result<Arc<PreparedGolden>, ComparisonError> {
        if let Some(kept) = self.kept_golden(stored.sha256) {
            return Ok(kept);
        }
        let golden = match ComparablePicture::decode_bytes(&stored.bytes)
            .map_err(unreadable_picture("golden sample"))?
        {
            ComparablePicture::Whole(picture) => {
                Arc::new(PreparedGolden::new(&picture).map_err(not_comparable)?)
            }
            // Too large to keep: it is read again in a tenth of the time that it is compared in.
            ComparablePicture::Panel(panel) => {
                return PreparedGolden::from_panel(panel).map(Arc::new).map_err(not_comparable);
            }
        };
        let StoredPicture { sha256, pixels, .. } = *stored;
        let mut kept = self.golden.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_front(KeptGolden { sha256, pixels, golden: Arc::clone(&golden) });
        let fitting = count_fitting(kept.iter().map(|kept| kept.pixels));
        kept.truncate(fitting);
        Ok(golden)
    }

    /// A golden sample that is ready; it moves to the front, the last is the first to go.
    fn kept_golden(&self, sha256: Sha256) -> Option<Arc<PreparedGolden>> {
        let mut kept = self.golden.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|known| known.sha256 == sha256)?;
        let found = kept.remove(at)?;
        let golden = Arc::clone(&found.golden);
        kept.push_front(found);
        Some(golden)
    }
}

/// How many golden samples of these sizes in pixels are kept, from the first on.
fn count_fitting(sizes: impl Iterator<Item = u64>) -> usize {
    let mut sum = 0_u64;
    let fits = |pixels: &u64| {
        sum = sum.saturating_add(*pixels);
        sum <= GOLDEN_PIXELS_KEPT
    };
    sizes.take(GOLDEN_SAMPLES_KEPT).take_while(fits).count().max(1)
}

/// One batcher for each network in use.
struct Batchers {
    models: Arc<dyn Models>,
    config: BatchingConfig,
    metrics: InferenceMetrics,
    kept: Mutex<Vec<KeptBatcher>>,
}

struct KeptBatcher {
    model: ModelIdentity,
    /// Filled by the first who asks, once the engine is ready; the others wait for that.
    batcher: Arc<OnceCell<Batcher>>,
    used: Instant,
}

impl Batchers {
    fn new(models: Arc<dyn Models>, config: BatchingConfig, metrics: InferenceMetrics) -> Self {
        Self { models, config, metrics, kept: Mutex::default() }
    }

    /// The batcher of `model`, whose engine is made ready when it is not.
    async fn batcher_for(&self, model: &ModelIdentity) -> Result<Batcher, EngineError> {
        let batcher = self.batcher_cell(model);
        let ready = batcher.get_or_try_init(|| async {
            let engine = self.models.engine_for(model).await?;
            if engine.model() != model {
                let found = engine.model();
                let detail = format!("asked for {} and was given {}", model.sha256, found.sha256);
                return Err(EngineError::Model { detail });
            }
            let (name, version) = (&model.name, &model.version);
            tracing::info!(model = name, version, sha256 = %model.sha256, "model ready");
            Ok(Batcher::start_measured(engine, self.config, self.metrics.clone()))
        });
        ready.await.cloned()
    }

    /// Asks for `model` anew the next time: it is not where it was.
    fn forget_model(&self, model: &ModelIdentity) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.model != *model);
    }

    fn batcher_cell(&self, model: &ModelIdentity) -> Arc<OnceCell<Batcher>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.model == *model || kept.used.elapsed() < NETWORK_IDLE_MAX);
        if let Some(known) = kept.iter_mut().find(|kept| kept.model == *model) {
            known.used = Instant::now();
            return Arc::clone(&known.batcher);
        }
        let batcher = Arc::<OnceCell<Batcher>>::default();
        let used = Instant::now();
        kept.push(KeptBatcher { model: model.clone(), batcher: Arc::clone(&batcher), used });
        batcher
    }
}

/// A picture as it is compared.
enum ComparablePicture {
    Whole(DecodedImage),
    /// Binarised and too large to be decoded as a whole.
    Panel(Panel),
}

impl ComparablePicture {
    fn decode_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        match decode(bytes) {
            Err(DecodeError::TooLarge { .. }) => Panel::decode(bytes).map(Self::Panel),
            decoded => decoded.map(Self::Whole),
        }
    }
}

fn unreadable_picture<E: std::fmt::Display>(which: &'static str) -> impl Fn(E) -> ComparisonError {
    move |error| ComparisonError::NotComparable {
        reason: NotComparable::Unreadable,
        detail: format!("{which}: {error}"),
    }
}

fn not_comparable(error: Incomparable) -> ComparisonError {
    ComparisonError::NotComparable { reason: error.reason(), detail: error.to_string() }
}
