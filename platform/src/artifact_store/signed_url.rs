//! URLs that carry their own permission: HMAC-SHA256 over method, path, parameters and expiry.
//!
//! Invariant: a URL allows exactly the one method and path that it was made for, until it expires.
//! What is signed is the query as it stands, so no two queries share a signature.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::{SecretFileError, random_bytes, read_or_create_secret};

/// Bytes of a generated key.
const KEY_BYTES: usize = 32;
/// The name that separates what is signed from the signature; always last.
const SIGNATURE: &str = "&signature=";
/// The parameter that holds the expiry, in seconds since 1970.
const EXPIRES: &str = "expires";

/// The parameters of a signed URL, without expiry and signature.
pub type Params = BTreeMap<String, String>;

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

/// The secret behind signed URLs; all processes that make or honour them share it.
#[derive(Clone)]
pub struct SigningKey([u8; KEY_BYTES]);

impl SigningKey {
    /// The key derived from a configured secret of at least 32 characters.
    ///
    /// # Errors
    /// When the secret is shorter.
    pub fn from_secret(secret: &SecretString) -> Result<Self, domain::Invalid> {
        let secret = secret.expose_secret();
        if secret.len() < KEY_BYTES {
            let must = "must be at least 32 characters long; make one: openssl rand -hex 32";
            return Err(domain::Invalid { field: "signing key", must });
        }
        Ok(Self(*domain::Sha256::of(secret.as_bytes()).as_bytes()))
    }

    /// The key in `<data_dir>/url-signing-key` (mode 0600), made on first use.
    ///
    /// # Errors
    /// When the file is exposed to other users, damaged, or cannot be read or written.
    pub fn open(data_dir: &Path) -> Result<Self, SecretFileError> {
        let path = data_dir.join("url-signing-key");
        let failed = |reason| SecretFileError::Generate { path: path.clone(), reason };
        let bytes = read_or_create_secret(&path, || {
            random_bytes::<KEY_BYTES>().map(Vec::from).map_err(failed)
        })?;
        let damaged = |_| failed("it is damaged; delete it and a new one is made".to_owned());
        Ok(Self(bytes.try_into().map_err(damaged)?))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey([redacted])")
    }
}

/// Makes and checks signed URLs.
#[derive(Debug, Clone)]
pub struct UrlSigner {
    key: SigningKey,
}

impl UrlSigner {
    /// A signer with `key`.
    #[must_use]
    pub fn new(key: SigningKey) -> Self {
        Self { key }
    }

    /// Path and query of a URL that allows `method` on `path` until `expires_at`.
    #[must_use]
    pub fn sign(
        &self,
        method: &str,
        path: &str,
        params: &Params,
        expires_at: DateTime<Utc>,
    ) -> String {
        let mut query = format!("{EXPIRES}={}", expires_at.timestamp());
        for (name, value) in params {
            query.push_str(&format!("&{}={}", encode(name), encode(value)));
        }
        let signature = hex::encode(self.mac(method, path, &query).finalize().into_bytes());
        format!("{path}?{query}{SIGNATURE}{signature}")
    }

    /// The parameters of a URL that still allows `method` on `path` at `now`. `query` is what
    /// stands after the question mark, as it was received.
    ///
    /// # Errors
    /// Why it is not honoured. Compares in constant time.
    pub fn verify(
        &self,
        method: &str,
        path: &str,
        query: &str,
        now: DateTime<Utc>,
    ) -> Result<Params, SignatureError> {
        let (signed, signature) = query.rsplit_once(SIGNATURE).ok_or(SignatureError::Missing)?;
        let signature = hex::decode(signature).map_err(|_| SignatureError::Tampered)?;
        self.mac(method, path, signed)
            .verify_slice(&signature)
            .map_err(|_| SignatureError::Tampered)?;
        let mut params = parse(signed).ok_or(SignatureError::Tampered)?;
        let expires = params.remove(EXPIRES).and_then(|text| text.parse::<i64>().ok());
        if expires.ok_or(SignatureError::Tampered)? <= now.timestamp() {
            return Err(SignatureError::Expired);
        }
        Ok(params)
    }

    fn mac(&self, method: &str, path: &str, query: &str) -> Hmac<sha2::Sha256> {
        // HMAC pads a short key with zeros to one block; doing it here leaves nothing that can
        // fail.
        let mut block = [0; 64];
        block[..KEY_BYTES].copy_from_slice(&self.key.0);
        let mut mac = Hmac::<sha2::Sha256>::new(&block.into());
        // None of the three holds a line feed in a request, so the parts cannot be shifted.
        mac.update(format!("chipq-url-1\n{method}\n{path}\n{query}").as_bytes());
        mac
    }
}

/// Percent-encodes everything but RFC 3986's unreserved characters and the slash.
fn encode(text: &str) -> String {
    let encode_byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode_byte).collect()
}

fn parse(query: &str) -> Option<Params> {
    query
        .split('&')
        .map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((decode(name)?, decode(value)?))
        })
        .collect()
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            bytes.extend(hex::decode(digits).ok()?);
            rest = after;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
