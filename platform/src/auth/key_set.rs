//! The keys that a process knows, and which of them sign.
//!
//! Invariant: a key signs when every process that serves is known to believe it, and the newest of these does; where
//! nothing is known of others, when it is so old that all have read their folder again. All that are there verify.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use jsonwebtoken::{DecodingKey, EncodingKey};

use super::key_error::KeyError;
use super::key_material::{SECRET_BYTES, parse_secret, parse_token_key, time_in_name};
use super::key_place::{FoundFile, KeyPlace};
use super::public_keys::PublicKeys;
use super::secret_key::derive_key;

/// How long a key is published before it signs, unless it is the only one.
pub(crate) const SIGNS_AFTER: Duration = Duration::from_secs(30);
/// What the id of a secret is derived as.
const SECRET_ID: &str = "the id of this secret";
/// Bytes of an id.
const ID_BYTES: usize = 8;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum KeyPurpose {
    /// Access tokens.
    Tokens,
    /// Upload URLs, cursors, and whatever else an installation signs for itself.
    Urls,
}

impl KeyPurpose {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Tokens, Self::Urls];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Urls => "urls",
        }
    }
}

/// A key that a process has, by its id: nothing of the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedKey {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub purpose: KeyPurpose,
    /// When it was made, as the name of its file says; long ago where that does not.
    pub made_at: DateTime<Utc>,
}

/// What the processes of an installation know of a key together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreedKey {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub purpose: KeyPurpose,
    /// When one of them had it first.
    pub first_seen_at: DateTime<Utc>,
    /// Whether that was long enough ago for those who keep a key set for a while.
    pub is_published: bool,
    /// How many of those that serve have it.
    pub known_by: i64,
    /// How many of them signed with it when they said something last.
    pub signed_by: i64,
    /// How many serve.
    pub holders: i64,
}

impl AgreedKey {
    /// Whether nobody would refuse what it signs.
    #[must_use]
    pub const fn may_sign(&self) -> bool {
        self.is_published && self.known_by == self.holders
    }
}

/// What they know of all keys, the oldest first.
pub type KeyAgreement = Vec<AgreedKey>;

/// A key, where it lies, and when it was made.
#[derive(Clone)]
pub(super) struct KeyFile<M> {
    pub(super) id: String,
    pub(super) material: M,
    pub(super) made_at: DateTime<Utc>,
    pub(super) path: PathBuf,
}

/// Keys that sign, and keys that verify.
#[derive(Clone, Default)]
pub(super) struct KeySet {
    /// By the time they were made; nobody signs where there are none.
    pub(super) signing: Vec<KeyFile<EncodingKey>>,
    pub(super) secrets: Vec<KeyFile<[u8; SECRET_BYTES]>>,
    pub(super) public: PublicKeys,
    /// Absent as long as nobody has asked the others.
    pub(super) agreement: Option<Arc<KeyAgreement>>,
}

impl KeySet {
    /// Of another issuer: nobody here signs with them.
    pub(super) fn of_public(public: PublicKeys) -> Self {
        Self { public, ..Self::default() }
    }

    #[cfg(test)]
    pub(super) fn of_secret(secret: [u8; SECRET_BYTES]) -> Self {
        Self { secrets: vec![secret_key(PathBuf::from("test"), secret)], ..Self::default() }
    }

    /// The keys in `place`, and what is wrong there. What cannot be used is as it was in `before`: a file that holds
    /// half a key, a purpose for which there is nothing, or all of it where the folder cannot be read.
    pub(super) fn read(place: &KeyPlace, before: &Self) -> (Self, Vec<KeyError>) {
        let found = match place.read_files() {
            Ok(found) => found,
            Err(error) => return (before.clone(), vec![error]),
        };
        let mut faults = Vec::new();
        let mut public = PublicKeys::default();
        let mut read_pair = |path: PathBuf, bytes| {
            let key = parse_token_key(&path, bytes)?;
            let (id, made_at) = (public.insert(&key.public), time_in_name(&path));
            Ok(KeyFile { id, material: EncodingKey::from_ed_der(&key.pkcs8), made_at, path })
        };
        let mut signing =
            collect_keys(found.tokens, &before.signing, &mut faults, |path, bytes| {
                read_pair(path, bytes)
            });
        let mut secrets =
            collect_keys(found.secrets, &before.secrets, &mut faults, |path, bytes| {
                let secret = parse_secret(&path, bytes)?;
                Ok(secret_key(path, secret))
            });
        if signing.is_empty() {
            let folder = place.token_folder().to_owned();
            faults.push(KeyError::NoKeys { folder, remedy: place.remedy_without_keys() });
            signing.clone_from(&before.signing);
        }
        if secrets.is_empty() {
            let folder = place.folder().to_owned();
            faults.push(KeyError::NoSecret { folder, remedy: place.remedy_without_keys() });
            secrets.clone_from(&before.secrets);
        }
        for kept in &signing {
            public.copy_from(&before.public, &kept.id);
        }
        (Self { signing, secrets, public, agreement: before.agreement.clone() }, faults)
    }

    /// The key of tokens that signs at `now`.
    pub(super) fn signing_at(&self, now: DateTime<Utc>) -> Option<&KeyFile<EncodingKey>> {
        choose_signing(&self.signing, self.agreement.as_deref(), now)
    }

    /// The secret that signs at `now`.
    pub(super) fn secret_at(&self, now: DateTime<Utc>) -> Option<&KeyFile<[u8; SECRET_BYTES]>> {
        choose_signing(&self.secrets, self.agreement.as_deref(), now)
    }

    /// The keys that sign at `now`: one of tokens, one of URLs.
    pub(super) fn signing_ids(&self, now: DateTime<Utc>) -> Vec<String> {
        let token = self.signing_at(now).map(|key| key.id.clone());
        token.into_iter().chain(self.secret_at(now).map(|key| key.id.clone())).collect()
    }

    pub(super) fn find(&self, kid: &str) -> Option<&DecodingKey> {
        self.public.get(kid)
    }

    /// Every key, oldest first.
    pub(super) fn held(&self) -> Vec<NamedKey> {
        let tokens = self.signing.iter().map(|key| named_key(key, KeyPurpose::Tokens));
        let secrets = self.secrets.iter().map(|key| named_key(key, KeyPurpose::Urls));
        tokens.chain(secrets).collect()
    }
}

fn named_key<M>(key: &KeyFile<M>, purpose: KeyPurpose) -> NamedKey {
    NamedKey { id: key.id.clone(), purpose, made_at: key.made_at }
}

fn secret_key(path: PathBuf, secret: [u8; SECRET_BYTES]) -> KeyFile<[u8; SECRET_BYTES]> {
    let id = hex::encode(&derive_key(&secret, SECRET_ID)[..ID_BYTES]);
    KeyFile { id, material: secret, made_at: time_in_name(&path), path }
}

/// The keys in `files`; in the place of one that cannot be used, the one that was there `before`.
fn collect_keys<M: Clone>(
    files: Vec<FoundFile>,
    before: &[KeyFile<M>],
    faults: &mut Vec<KeyError>,
    mut parse: impl FnMut(PathBuf, Vec<u8>) -> Result<KeyFile<M>, KeyError>,
) -> Vec<KeyFile<M>> {
    let mut keys: Vec<KeyFile<M>> = Vec::new();
    for file in files {
        let path = file.path.clone();
        match file.bytes.and_then(|bytes| parse(file.path, bytes)) {
            Ok(key) => keys.push(key),
            Err(error) => {
                faults.push(error);
                keys.extend(before.iter().find(|kept| kept.path == path).cloned());
            }
        }
    }
    // One key may lie there under two names.
    keys.sort_by(|one, other| (one.made_at, &one.path).cmp(&(other.made_at, &other.path)));
    let mut ids = std::collections::BTreeSet::new();
    keys.retain(|key| ids.insert(key.id.clone()));
    keys
}

/// The key of `keys` that signs: the newest that every process knows, or else the oldest.
fn choose_signing<'k, M>(
    keys: &'k [KeyFile<M>],
    agreement: Option<&KeyAgreement>,
    now: DateTime<Utc>,
) -> Option<&'k KeyFile<M>> {
    let known_by_all = match agreement {
        Some(agreement) => {
            let may_sign = agreement.iter().rev().filter(|agreed| agreed.may_sign());
            may_sign.filter_map(|agreed| keys.iter().find(|key| key.id == agreed.id)).next()
        }
        None => keys.iter().rev().find(|key| key.made_at + SIGNS_AFTER <= now),
    };
    known_by_all.or_else(|| keys.first())
}
