//! Ed25519 keys for tokens, one PKCS #8 file each (mode 0600); the newest signs, all verify.
//!
//! To rotate: put a newer file beside the old ones. Verifiers look again when they meet an unknown
//! key id. Delete the old file once its last token has expired.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde_json::json;

use crate::config::{SecretFileError, read_or_create_secret, read_secret};
use domain::Sha256;

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A key file is exposed, unreadable or cannot be written.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// A key file holds something else.
    #[error("{} is not an Ed25519 key in PKCS #8; move it away", .0.display())]
    NotAKey(PathBuf),
    /// The folder cannot be listed.
    #[error("cannot list the key folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The key set of another issuer does not parse.
    #[error("the key set holds no usable Ed25519 key")]
    EmptySet,
}

/// The keys of one folder, as they were when it was read.
pub struct KeyRing {
    folder: PathBuf,
    pub(super) signing: SigningPair,
    pub(super) public: PublicKeys,
}

/// The key that signs, and its id.
pub(super) struct SigningPair {
    pub(super) kid: String,
    pub(super) key: EncodingKey,
}

/// Public keys by id.
#[derive(Clone, Default)]
pub(super) struct PublicKeys(BTreeMap<String, PublicKey>);

#[derive(Clone)]
struct PublicKey {
    x: String,
    key: DecodingKey,
}

impl KeyRing {
    /// Reads the keys in `<data_dir>/jwt-keys`; makes the first one when there is none.
    ///
    /// # Errors
    /// When a key file is exposed to other users, damaged, or cannot be read or written.
    pub fn open(data_dir: &Path, now: DateTime<Utc>) -> Result<Self, KeyError> {
        let folder = data_dir.join("jwt-keys");
        if key_files(&folder)?.is_empty() {
            generate_key(&folder, now)?;
        }
        Self::read(folder)
    }

    /// Makes a new key, which signs from now on; the old ones still verify.
    #[cfg(test)]
    pub(super) fn rotate_keys(&mut self, now: DateTime<Utc>) -> Result<(), KeyError> {
        generate_key(&self.folder, now)?;
        *self = Self::read(self.folder.clone())?;
        Ok(())
    }

    /// The key set (RFC 7517), public halves only.
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        self.public.jwks()
    }

    pub(super) fn key_folder(&self) -> &Path {
        &self.folder
    }

    fn read(folder: PathBuf) -> Result<Self, KeyError> {
        let mut public = PublicKeys::default();
        let mut signing = None;
        for path in key_files(&folder)? {
            let Some(pkcs8) = read_secret(&path)? else { continue };
            let pair =
                Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| KeyError::NotAKey(path.clone()))?;
            let kid = public.insert(pair.public_key().as_ref());
            signing = Some(SigningPair { kid, key: EncodingKey::from_ed_der(&pkcs8) });
        }
        let signing = signing.ok_or(KeyError::EmptySet)?;
        Ok(Self { folder, signing, public })
    }
}

impl PublicKeys {
    /// All keys in `folder`, without making one.
    pub(super) fn read(folder: &Path) -> Result<Self, KeyError> {
        KeyRing::read(folder.to_owned()).map(|ring| ring.public)
    }

    /// The Ed25519 signing keys of a key set (RFC 8037).
    pub(super) fn from_jwks(set: &serde_json::Value) -> Result<Self, KeyError> {
        let mut keys = Self::default();
        for entry in set["keys"].as_array().into_iter().flatten() {
            let usable = entry["kty"] == "OKP" && entry["crv"] == "Ed25519";
            let (Some(kid), Some(x), true) = (entry["kid"].as_str(), entry["x"].as_str(), usable)
            else {
                continue;
            };
            if let Ok(key) = DecodingKey::from_ed_components(x) {
                keys.0.insert(kid.to_owned(), PublicKey { x: x.to_owned(), key });
            }
        }
        if keys.0.is_empty() { Err(KeyError::EmptySet) } else { Ok(keys) }
    }

    pub(super) fn get(&self, kid: &str) -> Option<&DecodingKey> {
        self.0.get(kid).map(|public| &public.key)
    }

    pub(super) fn jwks(&self) -> serde_json::Value {
        let entry = |(kid, public): (&String, &PublicKey)| {
            json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
                   "kid": kid, "x": public.x})
        };
        json!({ "keys": self.0.iter().map(entry).collect::<Vec<_>>() })
    }

    /// Adds a raw public key; returns its id, which is derived from it.
    fn insert(&mut self, raw: &[u8]) -> String {
        let kid = hex::encode(&Sha256::digest_of(raw).as_bytes()[..8]);
        let x = URL_SAFE_NO_PAD.encode(raw);
        let key = DecodingKey::from_ed_der(raw);
        self.0.insert(kid.clone(), PublicKey { x, key });
        kid
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRing").field("signing", &self.signing.kid).finish_non_exhaustive()
    }
}

/// The key files of `folder`, oldest first: their names begin with the time they were made.
fn key_files(folder: &Path) -> Result<Vec<PathBuf>, KeyError> {
    let failed = |source| KeyError::Folder { path: folder.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "pk8") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn generate_key(folder: &Path, now: DateTime<Utc>) -> Result<(), KeyError> {
    let path = folder.join(format!("{:015}.pk8", now.timestamp_millis()));
    let failed =
        |reason: &str| SecretFileError::Generate { path: path.clone(), reason: reason.to_owned() };
    read_or_create_secret(&path, || {
        let pair = Ed25519KeyPair::generate().map_err(|_| failed("no randomness available"))?;
        let pkcs8 = pair.to_pkcs8().map_err(|_| failed("the key cannot be encoded"))?;
        Ok(pkcs8.as_ref().to_vec())
    })?;
    Ok(())
}
