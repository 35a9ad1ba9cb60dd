//! The engine port: where crops become answers. Two adapters: the network compiled in, and a Triton
//! server. What crosses the port is checked: counts, shapes, and that an answer is one (`answers.rs`).

use std::sync::Arc;

use domain::inspection::ModelIdentity;
use futures::future::BoxFuture;
use vision::{CropBatch, CropOutput};

mod answers;
mod embedded;
#[cfg(test)]
mod tests;
mod triton;
mod url;

pub use embedded::{EmbeddedEngine, EmbeddedModels};
pub use triton::{
    BreakerState, InvalidEngineUrl, ServedVersion, TritonAdmin, TritonConfig, TritonModels,
    TritonUrl,
};
pub use url::EngineUrl;

/// Why an engine gave no answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The model is not there, cannot be loaded, or is not what its name says: a fault of the
    /// deployment, not of any picture.
    #[error("the model cannot be used: {detail}")]
    Model {
        /// What the backend said.
        detail: String,
    },
    /// The engine cannot be asked now: away, draining, overloaded or too slow. Nothing is wrong
    /// with the crops; whoever asks waits and asks again.
    #[error("the inference engine is not available: {detail}")]
    Unavailable {
        /// What happened.
        detail: String,
    },
    /// The backend failed on these crops.
    #[error("inference failed: {detail}")]
    Backend {
        /// What the backend said.
        detail: String,
    },
    /// An answer is not what the model promises: wrong shape, wrong type, or no probabilities.
    #[error("the model's output {output} is invalid: {detail}")]
    Output {
        /// The output's name.
        output: &'static str,
        /// What is wrong.
        detail: String,
    },
}

/// The numbers of crops that a model is built to take at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchSizes {
    /// Every number from one up to this.
    UpTo(usize),
    /// These only, ascending.
    Only(Vec<usize>),
}

impl BatchSizes {
    /// The largest number.
    #[must_use]
    pub fn largest_size(&self) -> usize {
        match self {
            Self::UpTo(most) => *most,
            Self::Only(sizes) => sizes.last().copied().unwrap_or(1),
        }
    }

    /// The size that takes `crops` crops with the least padding; the largest when none takes them
    /// all.
    #[must_use]
    pub fn smallest_fitting(&self, crops: usize) -> usize {
        match self {
            Self::UpTo(most) => crops.clamp(1, (*most).max(1)),
            Self::Only(sizes) => {
                let fits = sizes.iter().copied().find(|&size| size >= crops);
                fits.unwrap_or_else(|| self.largest_size())
            }
        }
    }
}

/// Something that runs one network, of one version, on crops.
pub trait Engine: Send + Sync {
    /// The network that answers.
    fn model(&self) -> &ModelIdentity;

    /// How many crops may be handed over at once.
    fn batch_sizes(&self) -> &BatchSizes;

    /// One answer per crop, in the crops' order; as many crops as one of
    /// [`batch_sizes`](Self::batch_sizes) says. Dropping the future abandons the answers, not
    /// always the work.
    fn infer(&self, crops: CropBatch) -> BoxFuture<'_, Result<Vec<CropOutput>, EngineError>>;
}

/// Where engines come from: one place that serves one or more versions of networks.
pub trait Models: Send + Sync {
    /// The network to use until another one is routed to.
    fn shipped_model(&self) -> &ModelIdentity;

    /// The engine of exactly this network, name, version and digest, ready to answer.
    fn engine_for(
        &self,
        model: &ModelIdentity,
    ) -> BoxFuture<'_, Result<Arc<dyn Engine>, EngineError>>;

    /// Whether the place can be asked now: it answers, and keeps nobody off by a circuit breaker.
    fn ready(&self) -> BoxFuture<'_, Result<(), EngineError>>;

    /// The circuit breaker of every engine in use; none where nothing can be away.
    fn breakers(&self) -> Vec<(ModelIdentity, BreakerState)> {
        Vec::new()
    }
}
