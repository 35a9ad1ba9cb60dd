//! Where an issuer says that its keys are (OpenID Connect Discovery 1.0, section 4; RFC 8414).

use serde::Deserialize;

use super::fetch::{FetchError, InvalidWebAddress, WebAddress};
use crate::auth::InvalidKeySet;

/// Why an issuer's keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum DiscoveryError {
    /// It does not answer, or not as it must.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// What it answers is no discovery document.
    #[error("its discovery document is none: {0}")]
    Malformed(String),
    /// It is the document of somebody else, who could serve keys for any name.
    #[error("its discovery document is of another issuer, {0:?}")]
    ForeignIssuer(String),
    /// Its keys are where they are not asked for.
    #[error("its keys cannot be asked for: {0}")]
    Address(#[from] InvalidWebAddress),
    /// They are over plain HTTP.
    #[error("its keys are served without TLS")]
    Downgrade,
    /// What it serves for its keys is not taken.
    #[error("its key set is not taken: {0}")]
    Keys(#[from] InvalidKeySet),
}

impl DiscoveryError {
    /// What it is called in metrics.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Fetch(error) => error.name(),
            Self::Malformed(_) => "malformed",
            Self::ForeignIssuer(_) => "foreign-issuer",
            Self::Address(_) | Self::Downgrade => "address",
            Self::Keys(_) => "key-set",
        }
    }
}

#[derive(Deserialize)]
struct DiscoveryDocument {
    issuer: String,
    jwks_uri: String,
}

/// Where the keys of `issuer` are, by its discovery document, which came from `address`.
pub(super) fn read_key_set_url(
    document: &[u8],
    issuer: &str,
    address: &WebAddress,
) -> Result<WebAddress, DiscoveryError> {
    let malformed = |error: serde_json::Error| DiscoveryError::Malformed(error.to_string());
    let document: DiscoveryDocument = serde_json::from_slice(document).map_err(malformed)?;
    if document.issuer != issuer {
        return Err(DiscoveryError::ForeignIssuer(shorten(&document.issuer)));
    }
    let url: WebAddress = document.jwks_uri.parse()?;
    if address.is_secure() && !url.is_secure() {
        return Err(DiscoveryError::Downgrade);
    }
    Ok(url)
}

fn shorten(text: &str) -> String {
    text.chars().take(200).collect()
}
