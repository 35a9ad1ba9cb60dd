//! The engine port: where crops become answers. The embedded engine lives here; a served one will
//! implement the same trait. What crosses the port is checked: counts, shapes, and that every
//! number is a number.

use domain::inspection::ModelIdentity;
use futures::future::BoxFuture;

use crate::vision::{CropBatch, CropOutput};

mod embedded;
#[cfg(test)]
mod tests;

pub use embedded::{BATCH_SIZES, EmbeddedEngine};

/// Why an engine gave no answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The model cannot be loaded or planned: a fault of this build, not of any picture.
    #[error("the model cannot be loaded: {detail}")]
    Model {
        /// What the backend said.
        detail: String,
    },
    /// The backend failed while it computed; another attempt may succeed.
    #[error("inference failed: {detail}")]
    Backend {
        /// What the backend said.
        detail: String,
    },
    /// An answer is not what the model promises: wrong shape, wrong type, or not a number.
    #[error("the model's output {output} is invalid: {detail}")]
    Output {
        /// The output's name.
        output: &'static str,
        /// What is wrong.
        detail: String,
    },
}

/// Something that runs the network on crops.
pub trait Engine: Send + Sync {
    /// The network that answers.
    fn model(&self) -> &ModelIdentity;

    /// One answer per crop, in the crops' order. Dropping the future abandons the answers, not the
    /// work.
    fn infer(&self, crops: CropBatch) -> BoxFuture<'_, Result<Vec<CropOutput>, EngineError>>;
}
