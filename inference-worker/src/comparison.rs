//! Compares one picture with its golden sample: decode and register on a thread for computing, infer
//! in a batch shared with other boards, merge.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use domain::inspection::{ModelIdentity, Registration};
use domain::{Defect, NotComparable, Sha256};

use crate::batcher::{Batcher, InferError};
use crate::vision::{Golden, Incomparable, Prepared, decode, prepare};

/// How many golden samples are kept ready; a line inspects few parts at a time.
const GOLDEN_SAMPLES_KEPT: usize = 16;

/// The outcome of a comparison.
#[derive(Debug, Clone)]
pub struct Compared {
    /// How the picture lay over the golden sample.
    pub registration: Registration,
    /// The findings, most confident first.
    pub defects: Vec<Defect>,
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
    /// The engine failed; it may work later.
    #[error("inference failed: {0}")]
    Engine(String),
}

/// Compares pictures, several at a time, by one engine.
pub struct Comparer {
    batcher: Batcher,
    golden: Mutex<VecDeque<(Sha256, Arc<Golden>)>>,
}

impl Comparer {
    /// A comparer whose crops go through `batcher`.
    #[must_use]
    pub fn new(batcher: Batcher) -> Self {
        Self { batcher, golden: Mutex::default() }
    }

    /// The network that compares.
    #[must_use]
    pub fn model(&self) -> &ModelIdentity {
        self.batcher.model()
    }

    /// Compares the picture `test` with the golden sample whose bytes have the digest `golden_sha256`.
    ///
    /// # Errors
    /// When the picture is not comparable, or the engine failed.
    pub async fn compare(
        self: &Arc<Self>,
        test: Bytes,
        golden_sha256: Sha256,
        golden: Bytes,
    ) -> Result<Compared, ComparisonError> {
        let comparer = Arc::clone(self);
        let prepared = tokio::task::spawn_blocking(move || {
            let golden = comparer.golden(golden_sha256, &golden)?;
            let picture = decode(&test).map_err(unreadable("picture"))?;
            prepare(&picture, &golden).map_err(incomparable)
        })
        .await
        .map_err(|error| ComparisonError::Engine(error.to_string()))??;
        self.infer(prepared).await
    }

    async fn infer(&self, prepared: Prepared) -> Result<Compared, ComparisonError> {
        let engine = |error: InferError| ComparisonError::Engine(error.to_string());
        let answers = self.batcher.infer(&prepared.crops).await.map_err(engine)?;
        let defects = prepared
            .finish(&answers.outputs)
            .map_err(|error| ComparisonError::Engine(error.to_string()))?;
        Ok(Compared {
            registration: prepared.registration,
            defects,
            queued: answers.queued,
            computed: answers.computed,
        })
    }

    fn golden(&self, sha256: Sha256, bytes: &[u8]) -> Result<Arc<Golden>, ComparisonError> {
        if let Some(kept) = self.kept(sha256) {
            return Ok(kept);
        }
        let picture = decode(bytes).map_err(unreadable("golden sample"))?;
        let golden = Arc::new(Golden::new(&picture).map_err(incomparable)?);
        let mut kept = self.golden.lock().unwrap_or_else(PoisonError::into_inner);
        kept.truncate(GOLDEN_SAMPLES_KEPT - 1);
        kept.push_front((sha256, Arc::clone(&golden)));
        Ok(golden)
    }

    /// A golden sample that is ready; it moves to the front, the last is the first to go.
    fn kept(&self, sha256: Sha256) -> Option<Arc<Golden>> {
        let mut kept = self.golden.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(known, _)| *known == sha256)?;
        let found = kept.remove(at)?;
        let golden = Arc::clone(&found.1);
        kept.push_front(found);
        Some(golden)
    }
}

fn unreadable<E: std::fmt::Display>(which: &'static str) -> impl Fn(E) -> ComparisonError {
    move |error| ComparisonError::NotComparable {
        reason: NotComparable::Unreadable,
        detail: format!("{which}: {error}"),
    }
}

fn incomparable(error: Incomparable) -> ComparisonError {
    ComparisonError::NotComparable { reason: error.reason(), detail: error.to_string() }
}
