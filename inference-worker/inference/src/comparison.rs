//! Compares one picture with its golden sample: decode and register on a thread for computing, infer
//! in a batch shared with other boards, merge.
//!
//! Invariant: a comparison is by the network that was asked for, and by no other. Each network in use has
//! a batcher of its own. What nobody has asked for lately is let go; work under way on it is finished all
//! the same.

mod facts;
mod golden_sets;
mod room;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::inspection::{ModelIdentity, Registration};
use domain::{Coverage, Defect, NotComparable, UnexplainedDifference};
use platform::picture_memory::{IdleMemory, PictureMemory};
use tokio::sync::OnceCell;
use tracing::Span;
use vision::{
    ComparablePicture, CropBatch, DecodeError, Findings, Incomparable, PreparedPicture,
    UnusableGolden,
};

pub use facts::{GoldenFacts, LoggedPicture};
pub use room::ComparisonRoom;

use golden_sets::KeptSets;

use crate::batcher::{Answers, Batcher, BatchingConfig, InferError};
use crate::engine::{EngineError, Models};
use crate::metrics::InferenceMetrics;

/// How long a network that nobody asks for is kept ready.
const NETWORK_IDLE_MAX: Duration = Duration::from_secs(120);

/// The files of a comparison, as they are at rest.
#[derive(Debug, Clone)]
pub struct ComparisonFiles {
    /// The picture.
    pub test: Bytes,
    /// Of what it is compared with, in the order of [`GoldenFacts`]; none when that is ready.
    pub variants: Vec<Bytes>,
    /// The same.
    pub accepted: Vec<Bytes>,
}

/// The outcome of a comparison.
#[derive(Debug, Clone)]
pub struct ComparedPicture {
    /// Which of the golden samples it was compared with, from 0.
    pub variant: usize,
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

impl From<Incomparable> for ComparisonError {
    fn from(error: Incomparable) -> Self {
        Self::NotComparable { reason: error.reason(), detail: error.to_string() }
    }
}

impl From<UnusableGolden> for ComparisonError {
    fn from(error: UnusableGolden) -> Self {
        match error {
            UnusableGolden::Missing => Self::Failed(error.to_string()),
            UnusableGolden::Unreadable { .. } => {
                Self::NotComparable { reason: NotComparable::Unreadable, detail: error.to_string() }
            }
            UnusableGolden::Incomparable(error) => error.into(),
        }
    }
}

/// Compares pictures, several at a time, by the networks of one place.
pub struct Comparer {
    batchers: Batchers,
    memory: PictureMemory,
    golden_sets: Arc<KeptSets>,
}

impl Comparer {
    /// A comparer by the networks of `models`, whose crops share batches, one batcher per network, and
    /// whose pictures share `memory` with all others of the process.
    #[must_use]
    pub fn new(
        models: Arc<dyn Models>,
        batching: BatchingConfig,
        memory: PictureMemory,
        metrics: InferenceMetrics,
    ) -> Self {
        let batchers = Batchers::new(models, batching, metrics);
        let golden_sets = Arc::<KeptSets>::default();
        let keeper: Arc<dyn IdleMemory> = golden_sets.clone();
        memory.add_keeper(Arc::downgrade(&keeper));
        Self { batchers, memory, golden_sets }
    }

    /// The network to compare by until another one is routed to.
    #[must_use]
    pub fn shipped_model(&self) -> &ModelIdentity {
        self.batchers.models.shipped_model()
    }

    /// Compares a picture by `model` with that golden sample that it is most like, in the room that was
    /// reserved for the two.
    ///
    /// # Errors
    /// When the picture is not comparable, the network cannot be asked, or the engine failed.
    #[tracing::instrument(skip_all, fields(
        model = %model.name, version = %model.version, variants = room.golden.variants.len(),
    ))]
    pub async fn compare(
        self: &Arc<Self>,
        model: &ModelIdentity,
        room: ComparisonRoom,
        files: ComparisonFiles,
    ) -> Result<ComparedPicture, ComparisonError> {
        let comparer = Arc::clone(self);
        let span = Span::current();
        let prepared = tokio::task::spawn_blocking(move || {
            let _entered = span.enter();
            comparer.prepare_picture(room, files)
        })
        .await
        .map_err(|error| ComparisonError::Failed(error.to_string()))??;
        self.infer(model, prepared).await
    }

    /// Registers the picture and cuts it into crops. Its room is given back when the pixels are gone, also
    /// when nobody waits for the outcome any more.
    fn prepare_picture(
        &self,
        mut room: ComparisonRoom,
        files: ComparisonFiles,
    ) -> Result<PreparedPicture, ComparisonError> {
        let ComparisonFiles { test, variants, accepted } = files;
        let ready = match room.ready.take() {
            Some(ready) => ready,
            // While this one waited for its files, another may have made the set ready.
            None => match self.golden_sets.find_ready(&room.golden) {
                Some(ready) => ready,
                None => {
                    let kept = room.share.split_off(room.golden.kept_bytes());
                    self.golden_sets.make_ready(&room.golden, (&variants, &accepted), kept)?
                }
            },
        };
        drop((variants, accepted));
        let set = &room.ready.insert(ready).set;
        let picture = ComparablePicture::decode(&test).map_err(unreadable_picture)?;
        Ok(picture.compare_with(set)?)
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
            variant: prepared.variant,
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

fn unreadable_picture(error: DecodeError) -> ComparisonError {
    let detail = format!("picture: {error}");
    ComparisonError::NotComparable { reason: NotComparable::Unreadable, detail }
}
