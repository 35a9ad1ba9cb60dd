//! Ed25519 keys for tokens, one PKCS #8 file each (mode 0600): one signs, all verify.
//!
//! Invariant: a key is believed in every process before one signs with it. It signs when it is old enough for all
//! to have read the folder again (`followed_keys`), and the newest of these does. A key that is retired is
//! deleted: nobody needs it any more.

mod public;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use chrono::{DateTime, Utc};
use jsonwebtoken::{DecodingKey, EncodingKey};

use crate::config::{SecretFileError, read_or_create_secret, read_secret};
pub(super) use public::PublicKeys;

/// The folder of the keys in the data folder.
const KEY_FOLDER: &str = "jwt-keys";
/// How old a key is before it signs, unless it is the only one.
const SIGNS_AFTER: Duration = Duration::from_secs(30);

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A key file is exposed, unreadable or cannot be written.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// A key file holds something else.
    #[error("{} is not an Ed25519 key in PKCS #8; move it away", .0.display())]
    NotAKey(PathBuf),
    /// The folder cannot be listed, or a key in it not deleted.
    #[error("cannot change or list the key folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The key set of another issuer does not parse.
    #[error("the key set holds no usable Ed25519 key")]
    EmptySet,
    /// There are none.
    #[error("there are no keys of tokens in {}", .0.display())]
    NoKeys(PathBuf),
    /// There is no key of that id.
    #[error("there is no key {0}; `chipq keys list` shows those that there are")]
    UnknownKey(String),
    /// Nobody could sign in any more.
    #[error(
        "tokens are signed with the key {0}; `chipq keys rotate` makes another one, wait a minute"
    )]
    StillSigns(String),
}

/// What a key is for at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// It will sign when every process knows it.
    SignsSoon,
    /// Tokens are signed with it.
    Signs,
    /// Tokens that were signed with it are believed.
    Verifies,
}

/// A key, without its private half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySummary {
    /// Its id in tokens, derived from the public half.
    pub kid: String,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// What it is for now.
    pub used_as: KeyUse,
    /// Until when tokens may be alive that were signed with it; absent where it signs, or has never signed.
    pub alive_until: Option<DateTime<Utc>>,
}

/// The keys of one folder, as they were when it was read.
#[derive(Clone)]
pub struct KeyRing {
    folder: PathBuf,
    pub(super) keys: Arc<KeySet>,
}

/// Keys that sign, and keys that verify.
#[derive(Default)]
pub(super) struct KeySet {
    /// By the time they were made; nobody signs where there are none.
    signing: Vec<SigningPair>,
    pub(super) public: PublicKeys,
}

/// A key that signs, and its id.
pub(super) struct SigningPair {
    pub(super) kid: String,
    pub(super) key: EncodingKey,
    made_at: DateTime<Utc>,
    path: PathBuf,
}

impl KeyRing {
    /// Reads the keys in `<data_dir>/jwt-keys`; makes the first one when there is none.
    ///
    /// # Errors
    /// When a key file is exposed to other users, damaged, or cannot be read or written.
    pub fn open(data_dir: &Path, now: DateTime<Utc>) -> Result<Self, KeyError> {
        let folder = data_dir.join(KEY_FOLDER);
        if key_files(&folder)?.is_empty() {
            generate_key(&folder, now)?;
        }
        Self::read(folder)
    }

    /// Reads the keys in `<data_dir>/jwt-keys`, and makes none.
    ///
    /// # Errors
    /// When there are none, or a key file is exposed to other users, damaged, or cannot be read.
    pub fn find(data_dir: &Path) -> Result<Self, KeyError> {
        Self::read(data_dir.join(KEY_FOLDER))
    }

    /// Makes a new key, which signs when every process knows it; the old ones still verify. Returns its id.
    ///
    /// # Errors
    /// When it cannot be made or written.
    pub fn rotate(&mut self, now: DateTime<Utc>) -> Result<String, KeyError> {
        let path = generate_key(&self.folder, now)?;
        *self = Self::read(self.folder.clone())?;
        let made = self.keys.signing.iter().find(|pair| pair.path == path);
        Ok(made.ok_or(KeyError::NotAKey(path))?.kid.clone())
    }

    /// Deletes a key, so that no token that was signed with it is believed any more.
    ///
    /// # Errors
    /// When there is no such key, tokens are signed with it now, or its file cannot be deleted.
    pub fn retire(&mut self, kid: &str, now: DateTime<Utc>) -> Result<(), KeyError> {
        let path = self.check_retirement(kid, now)?.to_owned();
        let failed = |source| KeyError::Folder { path: path.clone(), source };
        std::fs::remove_file(&path).map_err(failed)?;
        *self = Self::read(self.folder.clone())?;
        Ok(())
    }

    /// The file of a key that may be retired.
    ///
    /// # Errors
    /// When there is no such key, or tokens are signed with it now.
    pub fn check_retirement(&self, kid: &str, now: DateTime<Utc>) -> Result<&Path, KeyError> {
        if self.keys.signing_at(now).is_some_and(|pair| pair.kid == kid) {
            return Err(KeyError::StillSigns(kid.to_owned()));
        }
        let found = self.keys.signing.iter().find(|pair| pair.kid == kid);
        Ok(&found.ok_or_else(|| KeyError::UnknownKey(kid.to_owned()))?.path)
    }

    /// Every key, oldest first, where access tokens live for `token_lifetime`.
    #[must_use]
    pub fn list(&self, token_lifetime: Duration, now: DateTime<Utc>) -> Vec<KeySummary> {
        let signing = &self.keys.signing;
        let signs_now = self.keys.signing_at(now).map(|pair| pair.made_at);
        let summary = |(n, pair): (usize, &SigningPair)| {
            let used_as = match signs_now.map(|now| pair.made_at.cmp(&now)) {
                Some(std::cmp::Ordering::Equal) => KeyUse::Signs,
                Some(std::cmp::Ordering::Less) => KeyUse::Verifies,
                Some(std::cmp::Ordering::Greater) | None => KeyUse::SignsSoon,
            };
            let next = signing.get(n + 1).filter(|_| used_as == KeyUse::Verifies);
            let alive_until = next.map(|next| next.made_at + SIGNS_AFTER * 2 + token_lifetime);
            KeySummary { kid: pair.kid.clone(), made_at: pair.made_at, used_as, alive_until }
        };
        signing.iter().enumerate().map(summary).collect()
    }

    #[cfg(test)]
    pub(super) fn jwks(&self) -> serde_json::Value {
        self.keys.public.jwks()
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn read(folder: PathBuf) -> Result<Self, KeyError> {
        let mut keys = KeySet::default();
        for path in key_files(&folder)? {
            let Some(pkcs8) = read_secret(&path)? else { continue };
            let pair =
                Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| KeyError::NotAKey(path.clone()))?;
            let kid = keys.public.insert(pair.public_key().as_ref());
            let key = EncodingKey::from_ed_der(&pkcs8);
            keys.signing.push(SigningPair { kid, key, made_at: made_at(&path), path });
        }
        if keys.signing.is_empty() {
            return Err(KeyError::NoKeys(folder));
        }
        Ok(Self { folder, keys: Arc::new(keys) })
    }
}

impl KeySet {
    /// Of another issuer: nobody here signs with them.
    pub(super) fn of_public(public: PublicKeys) -> Self {
        Self { signing: Vec::new(), public }
    }

    /// The key that signs at `now`: the newest that every process knows by then, or else the oldest.
    pub(super) fn signing_at(&self, now: DateTime<Utc>) -> Option<&SigningPair> {
        let is_known = |pair: &&SigningPair| pair.made_at + SIGNS_AFTER <= now;
        self.signing.iter().rev().find(is_known).or_else(|| self.signing.first())
    }

    pub(super) fn find(&self, kid: &str) -> Option<&DecodingKey> {
        self.public.get(kid)
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRing").field("folder", &self.folder).finish_non_exhaustive()
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

/// When the key in this file was made, in milliseconds of its name; long ago where it has another one.
fn made_at(path: &Path) -> DateTime<Utc> {
    let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    name.parse().ok().and_then(DateTime::from_timestamp_millis).unwrap_or_default()
}

fn generate_key(folder: &Path, now: DateTime<Utc>) -> Result<PathBuf, KeyError> {
    let path = folder.join(format!("{:015}.pk8", now.timestamp_millis()));
    let failed =
        |reason: &str| SecretFileError::Generate { path: path.clone(), reason: reason.to_owned() };
    read_or_create_secret(&path, || {
        let pair = Ed25519KeyPair::generate().map_err(|_| failed("no randomness available"))?;
        let pkcs8 = pair.to_pkcs8().map_err(|_| failed("the key cannot be encoded"))?;
        Ok(pkcs8.as_ref().to_vec())
    })?;
    Ok(path)
}
