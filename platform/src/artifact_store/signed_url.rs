//! URLs that carry their own permission: HMAC-SHA256 over method, path, parameters and expiry.
//!
//! Invariant: a URL allows exactly the one method and path that it was made for, until it expires.
//! What is signed is the query as it stands, so no two queries share a signature.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac as _};

use super::percent::{decode, encode};
use crate::auth::{SigningKey, hmac_sha256};

/// The purpose that the key of signed URLs is derived for.
const PURPOSE: &str = "signed URLs";
/// The name that separates what is signed from the signature; always last.
const SIGNATURE: &str = "&signature=";
/// The parameter that holds the expiry, in seconds since 1970.
const EXPIRES: &str = "expires";

/// The parameters of a signed URL, without expiry and signature.
pub(super) type UrlParameters = BTreeMap<String, String>;

/// Why a signed URL is not honoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No signature.
    #[error("the URL is not signed; ask for a new one")]
    Missing,
    /// Method, path, parameters, expiry or signature were altered, or another key signed it.
    #[error("the URL was altered or made elsewhere; ask for a new one")]
    Tampered,
    /// Its time is over.
    #[error("the URL has expired; ask for a new one")]
    Expired,
}

/// Makes and checks signed URLs.
#[derive(Clone)]
pub(super) struct UrlSigner {
    key: [u8; 32],
}

impl UrlSigner {
    /// A signer whose key is derived from `key`.
    pub(super) fn new(key: &SigningKey) -> Self {
        Self { key: key.derive_key(PURPOSE) }
    }

    /// Path and query of a URL that allows `method` on `path` until `expires_at`.
    pub(super) fn sign_url(
        &self,
        method: &str,
        path: &str,
        parameters: &UrlParameters,
        expires_at: DateTime<Utc>,
    ) -> String {
        let mut query = format!("{EXPIRES}={}", expires_at.timestamp());
        for (name, value) in parameters {
            query.push_str(&format!("&{}={}", encode(name), encode(value)));
        }
        let signature = self.begin_mac(method, path, &query).finalize().into_bytes();
        format!("{path}?{query}{SIGNATURE}{}", hex::encode(signature))
    }

    /// The parameters of a URL that still allows `method` on `path` at `now`. `query` is what
    /// stands after the question mark, as it was received.
    ///
    /// # Errors
    /// Why it is not honoured. Compares in constant time.
    pub(super) fn verify_url(
        &self,
        method: &str,
        path: &str,
        query: &str,
        now: DateTime<Utc>,
    ) -> Result<UrlParameters, SignatureError> {
        let (signed, signature) = query.rsplit_once(SIGNATURE).ok_or(SignatureError::Missing)?;
        let signature = hex::decode(signature).map_err(|_| SignatureError::Tampered)?;
        self.begin_mac(method, path, signed)
            .verify_slice(&signature)
            .map_err(|_| SignatureError::Tampered)?;
        let mut parameters = parse_query(signed).ok_or(SignatureError::Tampered)?;
        let expires = parameters.remove(EXPIRES).and_then(|text| text.parse::<i64>().ok());
        if expires.ok_or(SignatureError::Tampered)? <= now.timestamp() {
            return Err(SignatureError::Expired);
        }
        Ok(parameters)
    }

    fn begin_mac(&self, method: &str, path: &str, query: &str) -> Hmac<sha2::Sha256> {
        let mut mac = hmac_sha256(&self.key);
        // None of the three holds a line feed in a request, so the parts cannot be shifted.
        mac.update(format!("chipq-url-1\n{method}\n{path}\n{query}").as_bytes());
        mac
    }
}

impl fmt::Debug for UrlSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UrlSigner([redacted])")
    }
}

fn parse_query(query: &str) -> Option<UrlParameters> {
    query
        .split('&')
        .map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((decode(name)?, decode(value)?))
        })
        .collect()
}
