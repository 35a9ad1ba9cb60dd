//! Which engine to use, as one value of the command line: `embedded:` or a Triton server's address.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::triton::{InvalidEngineUrl, TritonAdmin, TritonConfig, TritonModels, TritonUrl};
use super::{EmbeddedModels, EngineError, Models};

#[cfg(test)]
mod tests;

/// Where engines come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineUrl {
    /// The network that is compiled in: `embedded:`.
    Embedded,
    /// A Triton server: `grpc://host:8001`, or `grpcs://host:8001` for TLS with the system's roots.
    Triton(TritonUrl),
}

impl EngineUrl {
    /// The models there. A Triton server need not be up yet.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the compiled-in network, or the address, cannot be used at all.
    pub fn connect(&self, triton: &TritonConfig) -> Result<Arc<dyn Models>, EngineError> {
        Ok(match self {
            Self::Embedded => Arc::new(EmbeddedModels::load()?),
            Self::Triton(url) => Arc::new(TritonModels::connect(url, triton)?),
        })
    }

    /// The Triton server's administration; `None` when it is the embedded engine.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the address cannot be used at all.
    pub fn connect_admin(&self, triton: &TritonConfig) -> Result<Option<TritonAdmin>, EngineError> {
        match self {
            Self::Embedded => Ok(None),
            Self::Triton(url) => TritonAdmin::connect(url, triton).map(Some),
        }
    }
}

impl FromStr for EngineUrl {
    type Err = InvalidEngineUrl;

    fn from_str(text: &str) -> Result<Self, InvalidEngineUrl> {
        match text {
            "embedded:" | "embedded" => Ok(Self::Embedded),
            _ => text.parse().map(Self::Triton),
        }
    }
}

impl fmt::Display for EngineUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded:"),
            Self::Triton(url) => url.fmt(f),
        }
    }
}
