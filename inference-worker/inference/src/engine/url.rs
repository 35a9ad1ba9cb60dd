//! Which engine to use, as one value of the command line: `embedded:` or a Triton server's address.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::triton::{TritonAdmin, TritonConfig, TritonModels};
use super::{EmbeddedModels, EngineError, Models};

#[cfg(test)]
mod tests;

/// The port that Triton speaks gRPC on unless it is told otherwise.
const TRITON_PORT: u16 = 8001;

/// Where engines come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineUrl {
    /// The network that is compiled in: `embedded:`.
    Embedded,
    /// A Triton server: `grpc://host:8001`, or `grpcs://host:8001` for TLS with the system's roots.
    Triton(TritonUrl),
}

/// The address of a Triton server's gRPC port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TritonUrl {
    authority: String,
    tls: bool,
}

/// Text that names no engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} names no engine: write embedded:, grpc://HOST:8001, or grpcs://HOST:8001 for a \
     server with TLS"
)]
pub struct InvalidEngineUrl {
    text: String,
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

impl TritonUrl {
    /// The address in the form that HTTP knows.
    pub(super) fn http_origin(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.authority)
    }

    pub(super) fn has_tls(&self) -> bool {
        self.tls
    }
}

impl FromStr for TritonUrl {
    type Err = InvalidEngineUrl;

    fn from_str(text: &str) -> Result<Self, InvalidEngineUrl> {
        let invalid = || InvalidEngineUrl { text: text.to_owned() };
        let (scheme, rest) = text.split_once("://").ok_or_else(invalid)?;
        let tls = match scheme {
            "grpc" => false,
            "grpcs" => true,
            _ => return Err(invalid()),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match authority.rsplit_once(':') {
            // The colons of a bare IPv6 address are inside its brackets.
            Some((host, port)) if !port.contains(']') => {
                (host, port.parse().map_err(|_| invalid())?)
            }
            _ => (authority, TRITON_PORT),
        };
        let named = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        let is_ipv6 = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
        if port == 0 || host.is_empty() || !(is_ipv6 || host.chars().all(named)) {
            return Err(invalid());
        }
        Ok(Self { authority: format!("{host}:{port}"), tls })
    }
}

impl fmt::Display for TritonUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "grpcs" } else { "grpc" }, self.authority)
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
