//! Pictures in a folder. They come in through this service, by URLs that carry their own permission:
//! HMAC-SHA256 over method, path, parameters and expiry.
//!
//! Invariant: a URL allows exactly the one method and path that it was made for, until it expires.
//! What is signed is what the query means, its names and values decoded and in order: clients and proxies
//! may write the same query in another way (RFC 3986, 6.2; WHATWG URL's form encoding).

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::future::{BoxFuture, FutureExt as _, ready};
use hmac::{Hmac, Mac as _};
use object_store::local::LocalFileSystem;

use super::arrivals::{add_expected, take_expected};
use super::percent::{decode, encode};
use super::staging::Staging;
use super::{
    AnnouncedUpload, ArtifactStore, ArtifactStoreError, NoUploads, SignatureError, UploadPermit,
    UploadRoute, UploadTarget,
};
use crate::auth::{SigningKey, hmac_sha256};
use crate::disk;

/// Where this service receives pictures: this path, and the picture's id below it.
const UPLOADS_PATH: &str = "/v1/uploads/";
const METHOD: &str = "PUT";
/// The purpose that the key of signed URLs is derived for.
const PURPOSE: &str = "signed URLs";
/// The parameter that holds the signature, in hexadecimal.
const SIGNATURE: &str = "signature";
/// The parameter that holds the expiry, in seconds since 1970.
const EXPIRES: &str = "expires";

/// A store in `folder`, which is made when missing, and is closed to other users. Every write reaches the
/// disk before it counts.
pub(super) fn open(folder: &Path, key: &SigningKey) -> Result<ArtifactStore, ArtifactStoreError> {
    let failed = |source| ArtifactStoreError::Open { path: folder.to_owned(), source };
    disk::make_private(folder).map_err(failed)?;
    let staging = Staging::open(folder).map_err(failed)?;
    let files = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
    Ok(ArtifactStore::new(Arc::new(files), Arc::new(SignedUploads::new(key)), staging))
}

/// The same store for whoever only reads; leaves unfinished uploads alone.
pub(super) fn open_to_read(folder: &Path) -> Result<ArtifactStore, ArtifactStoreError> {
    let failed = |source| ArtifactStoreError::Open { path: folder.to_owned(), source };
    disk::make_private(folder).map_err(failed)?;
    let files = LocalFileSystem::new_with_prefix(folder)?;
    Ok(ArtifactStore::new(
        Arc::new(files),
        Arc::new(NoUploads { is_remote: false }),
        Staging::elsewhere(),
    ))
}

/// Uploads through this service: the URL carries the permission, so the sender needs no token.
#[derive(Debug)]
pub(super) struct SignedUploads {
    signer: UrlSigner,
}

impl SignedUploads {
    pub(super) fn new(key: &SigningKey) -> Self {
        Self { signer: UrlSigner::new(key) }
    }
}

impl UploadRoute for SignedUploads {
    fn make_target(
        &self,
        upload: AnnouncedUpload,
    ) -> BoxFuture<'_, Result<UploadTarget, ArtifactStoreError>> {
        let AnnouncedUpload { artifact_id, expected, until, notes } = upload;
        let mut parameters = notes;
        add_expected(&mut parameters, &expected);
        let path = format!("{UPLOADS_PATH}{artifact_id}");
        let mut headers = BTreeMap::from([("Content-Type", expected.media_type.to_string())]);
        headers.extend(expected.bytes.map(|bytes| ("Content-Length", bytes.to_string())));
        let target = UploadTarget {
            method: METHOD,
            url: self.signer.sign_url(METHOD, &path, &parameters, until),
            headers,
            expires_at: until,
        };
        ready(Ok(target)).boxed()
    }

    fn verify_permit(
        &self,
        path: &str,
        query: &str,
        now: DateTime<Utc>,
    ) -> Result<UploadPermit, SignatureError> {
        let mut notes = self.signer.verify_url(METHOD, path, query, now)?;
        let artifact_id = path.strip_prefix(UPLOADS_PATH).and_then(|id| id.parse().ok());
        match (artifact_id, take_expected(&mut notes)) {
            (Some(artifact_id), Some(expected)) => {
                Ok(UploadPermit { artifact_id, expected, notes })
            }
            // Signed by our key, and not by `make_target`: nothing that this version gave out.
            _ => Err(SignatureError::Tampered),
        }
    }
}

/// The parameters of a signed URL, without expiry and signature.
pub(super) type UrlParameters = BTreeMap<String, String>;

/// Makes and checks signed URLs.
#[derive(Clone)]
pub(super) struct UrlSigner {
    key: SigningKey,
}

impl UrlSigner {
    /// A signer whose keys are derived from `key`, as it is rotated.
    pub(super) fn new(key: &SigningKey) -> Self {
        Self { key: key.clone() }
    }

    /// Path and query of a URL that allows `method` on `path` until `expires_at`.
    pub(super) fn sign_url(
        &self,
        method: &str,
        path: &str,
        parameters: &UrlParameters,
        expires_at: DateTime<Utc>,
    ) -> String {
        let mut signed = parameters.clone();
        signed.insert(EXPIRES.to_owned(), expires_at.timestamp().to_string());
        let query = write_query(&signed);
        let key = self.key.derive_key(PURPOSE);
        let signature = begin_mac(&key, method, path, &query).finalize().into_bytes();
        format!("{path}?{query}&{SIGNATURE}={}", hex::encode(signature))
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
        let mut parameters = parse_query(query).ok_or(SignatureError::Tampered)?;
        let signature = parameters.remove(SIGNATURE).ok_or(SignatureError::Missing)?;
        let signature = hex::decode(signature).map_err(|_| SignatureError::Tampered)?;
        let query = write_query(&parameters);
        let is_by =
            |key: &[u8; 32]| begin_mac(key, method, path, &query).verify_slice(&signature).is_ok();
        if !self.key.derive_keys(PURPOSE).iter().any(is_by) {
            return Err(SignatureError::Tampered);
        }
        let expires = parameters.remove(EXPIRES).and_then(|text| text.parse::<i64>().ok());
        if expires.ok_or(SignatureError::Tampered)? <= now.timestamp() {
            return Err(SignatureError::Expired);
        }
        Ok(parameters)
    }
}

fn begin_mac(key: &[u8; 32], method: &str, path: &str, query: &str) -> Hmac<sha2::Sha256> {
    let mut mac = hmac_sha256(key);
    // None of the three holds a line feed in a request, so the parts cannot be shifted.
    mac.update(format!("chipq-url-2\n{method}\n{path}\n{query}").as_bytes());
    mac
}

impl fmt::Debug for UrlSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UrlSigner([redacted])")
    }
}

/// The one way in which these parameters are written; no others are written so.
fn write_query(parameters: &UrlParameters) -> String {
    let pairs =
        parameters.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// The parameters of a query however it is written; `None` when one is there twice or is no text.
fn parse_query(query: &str) -> Option<UrlParameters> {
    let mut parameters = UrlParameters::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if parameters.insert(decode_form(name)?, decode_form(value)?).is_some() {
            return None;
        }
    }
    Some(parameters)
}

/// Form encoding writes a space as `+`; `sign_url` writes a plus as `%2B`, as does who encodes it again.
fn decode_form(text: &str) -> Option<String> {
    decode(&text.replace('+', " "))
}
