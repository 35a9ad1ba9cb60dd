//! The address of a Triton server: `grpc://host:8001`, or `grpcs://` for TLS.

use std::fmt;
use std::str::FromStr;

/// The port that Triton speaks gRPC on unless it is told otherwise.
const TRITON_PORT: u16 = 8001;

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

impl TritonUrl {
    /// The address in the form that HTTP knows.
    pub(in crate::engine) fn http_origin(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.authority)
    }

    pub(in crate::engine) fn has_tls(&self) -> bool {
        self.tls
    }
}

impl FromStr for TritonUrl {
    type Err = InvalidEngineUrl;

    fn from_str(text: &str) -> Result<Self, InvalidEngineUrl> {
        let invalid = || InvalidEngineUrl { text: text.to_owned() };
        let (scheme, rest) = text.split_once("://").ok_or_else(invalid)?;
        // Schemes are the same in capitals (RFC 3986, section 3.1).
        let tls = match &*scheme.to_ascii_lowercase() {
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
