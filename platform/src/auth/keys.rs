//! The keys of an installation as an operator looks after them, one file each: some sign, all verify.
//!
//! Invariant: a key is believed in every process before it signs (`key_set`); a key that is retired is deleted, since
//! nobody needs it any more; and where somebody else keeps the keys, nothing is changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::key_error::KeyError;
use super::key_material::{generate_secret, generate_token_key};
use super::key_place::KeyPlace;
use super::key_set::{AgreedKey, KeyAgreement, KeyPurpose, KeySet, NamedKey, SIGNS_AFTER};
use super::tree_head_key::TreeHeadKey;

/// What a key is for at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// It will sign when every process knows it.
    SignsSoon,
    /// It signs.
    Signs,
    /// What was signed with it is believed.
    Verifies,
}

/// A key, without its private half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySummary {
    /// Its id, derived from its public half, or from the secret.
    pub kid: String,
    /// What it is for.
    pub purpose: KeyPurpose,
    /// When it was made, or had by a process first, where its name does not say that.
    pub made_at: DateTime<Utc>,
    /// What it is for now.
    pub used_as: KeyUse,
    /// Until when tokens may be alive that were signed with it; absent where it signs, or has never signed.
    pub alive_until: Option<DateTime<Utc>>,
    /// How many of the processes that serve know it, and how many there are.
    pub known_by: Option<(i64, i64)>,
}

/// The keys of one place, as they were when it was read.
#[derive(Clone)]
pub struct KeyRing {
    place: KeyPlace,
    pub(super) keys: Arc<KeySet>,
}

impl KeyRing {
    /// Reads the keys in the data folder `data_dir`; makes the first ones when there are none.
    ///
    /// # Errors
    /// When a key file is exposed to other users, damaged, or cannot be read or written.
    pub fn open(data_dir: &Path, now: DateTime<Utc>) -> Result<Self, KeyError> {
        Self::open_in(KeyPlace::in_data(data_dir), now)
    }

    /// Reads the keys in `place`; makes the first ones when there are none, unless it is shared.
    ///
    /// # Errors
    /// As [`Self::open`], and when there are none in a shared directory.
    pub fn open_in(place: KeyPlace, now: DateTime<Utc>) -> Result<Self, KeyError> {
        if !place.is_shared() {
            generate_missing(&place, now)?;
        }
        Self::find(place)
    }

    /// Reads the keys in `place`, and makes none.
    ///
    /// # Errors
    /// When there are none, or a key file is exposed to other users, damaged, or cannot be read.
    pub fn find(place: KeyPlace) -> Result<Self, KeyError> {
        let (keys, faults) = KeySet::read(&place, &KeySet::default());
        match faults.into_iter().next() {
            Some(fault) => Err(fault),
            None => Ok(Self { place, keys: Arc::new(keys) }),
        }
    }

    /// Everything that is wrong with the keys in `place`.
    #[must_use]
    pub fn faults_in(place: &KeyPlace) -> Vec<KeyError> {
        let (_, mut faults) = KeySet::read(place, &KeySet::default());
        let is_of_a_file = |fault: &KeyError| {
            !matches!(
                fault,
                KeyError::NoKeys { .. } | KeyError::NoSecret { .. } | KeyError::Folder { .. }
            )
        };
        // Where no file of a kind can be used, each says why, and that there is none says nothing more.
        if faults.iter().any(is_of_a_file) {
            faults.retain(is_of_a_file);
        }
        faults
    }

    /// Makes the first keys of an installation in `place`, which holds none.
    ///
    /// # Errors
    /// When there are keys, or they cannot be made.
    pub fn create(place: KeyPlace, now: DateTime<Utc>) -> Result<Self, KeyError> {
        place.check_writable(|| {
            "make them elsewhere, and add their files to the secret".to_owned()
        })?;
        let folder = place.folder();
        std::fs::create_dir_all(folder)
            .map_err(|source| KeyError::Folder { path: folder.to_owned(), source })?;
        let found = place.read_files()?;
        if !found.tokens.is_empty() || !found.secrets.is_empty() {
            return Err(KeyError::NotEmpty(folder.to_owned()));
        }
        generate_missing(&place, now)?;
        TreeHeadKey::create(&place)?;
        Self::find(place)
    }

    /// The same keys, with what the processes that serve know of them.
    #[must_use]
    pub fn with_agreement(self, agreement: KeyAgreement) -> Self {
        let keys = KeySet { agreement: Some(Arc::new(agreement)), ..(*self.keys).clone() };
        Self { keys: Arc::new(keys), ..self }
    }

    /// Makes a new key, which signs when every process knows it; the old ones still verify. Returns its id.
    ///
    /// # Errors
    /// When it cannot be made or written.
    pub fn rotate(&mut self, purpose: KeyPurpose, now: DateTime<Utc>) -> Result<String, KeyError> {
        self.check_rotation(purpose, now)?;
        let path = match purpose {
            KeyPurpose::Tokens => generate_token_key(self.place.token_folder(), now)?,
            KeyPurpose::Urls => generate_secret(self.place.folder(), Some(now))?,
        };
        self.read_again()?;
        let made = self.files().find(|(_, found)| **found == path).map(|(id, _)| id.clone());
        made.ok_or(KeyError::NotAKey(path))
    }

    /// Whether a key can be made here.
    ///
    /// # Errors
    /// With what to do, where somebody else keeps the keys.
    pub fn check_rotation(&self, purpose: KeyPurpose, now: DateTime<Utc>) -> Result<(), KeyError> {
        let made_at = now.timestamp_millis();
        let (name, command) = match purpose {
            KeyPurpose::Tokens => ("", "openssl genpkey -algorithm ed25519"),
            KeyPurpose::Urls => ("url-signing-key-", "openssl rand -hex 32"),
        };
        let suffix = if purpose == KeyPurpose::Tokens { ".pem" } else { "" };
        self.place.check_writable(|| {
            format!(
                "add what `{command}` prints to the secret as {name}{made_at:015}{suffix} and leave the others in it: it \
                 signs when every process has it"
            )
        })
    }

    /// Deletes a key, so that nothing that was signed with it is believed any more.
    ///
    /// # Errors
    /// When there is no such key, it signs now, or its file cannot be deleted.
    pub fn retire(&mut self, kid: &str, now: DateTime<Utc>) -> Result<(), KeyError> {
        let path = self.check_retirement(kid, now)?;
        let failed = |source| KeyError::Folder { path: path.clone(), source };
        std::fs::remove_file(&path).map_err(failed)?;
        self.read_again()
    }

    /// The file of a key that may be retired.
    ///
    /// # Errors
    /// When there is no such key, it signs now, or somebody else keeps the keys.
    pub fn check_retirement(&self, kid: &str, now: DateTime<Utc>) -> Result<PathBuf, KeyError> {
        let is_signed_with = self.agreed(kid).is_some_and(|agreed| agreed.signed_by > 0);
        if is_signed_with || self.keys.signing_ids(now).iter().any(|signs| signs == kid) {
            return Err(KeyError::StillSigns(kid.to_owned()));
        }
        let found = self.files().find(|(id, _)| *id == kid).map(|(_, path)| path.clone());
        let path = found.ok_or_else(|| KeyError::UnknownKey(kid.to_owned()))?;
        let name = path.file_name().unwrap_or_default().display().to_string();
        self.place.check_writable(|| format!("take {name} out of the secret there"))?;
        Ok(path)
    }

    /// Every key by its id.
    #[must_use]
    pub fn held(&self) -> Vec<NamedKey> {
        self.keys.held()
    }

    /// Every key, oldest first, where access tokens live for `token_lifetime`.
    #[must_use]
    pub fn list(&self, token_lifetime: Duration, now: DateTime<Utc>) -> Vec<KeySummary> {
        let purposes = KeyPurpose::ALL.into_iter();
        purposes.flat_map(|purpose| self.summarise(purpose, token_lifetime, now)).collect()
    }

    /// The keys of one purpose.
    fn summarise(
        &self,
        purpose: KeyPurpose,
        token_lifetime: Duration,
        now: DateTime<Utc>,
    ) -> Vec<KeySummary> {
        let held = self.held().into_iter().filter(|key| key.purpose == purpose);
        let mut keys: Vec<_> = held.map(|key| (self.begun_at(&key, now), key)).collect();
        keys.sort_by(|one, other| (one.0, &one.1.id).cmp(&(other.0, &other.1.id)));
        let signing = self.signing_among(&keys, now);
        let used_as = |n: usize| match signing.last() {
            _ if signing.contains(&n) => KeyUse::Signs,
            Some(last) if n < *last => KeyUse::Verifies,
            Some(_) | None => KeyUse::SignsSoon,
        };
        let summary = |(n, (begun_at, key)): (usize, &(DateTime<Utc>, NamedKey))| {
            let used_as = used_as(n);
            let is_past = used_as == KeyUse::Verifies && purpose == KeyPurpose::Tokens;
            let next = keys.get(n + 1).filter(|_| is_past);
            KeySummary {
                kid: key.id.clone(),
                purpose,
                made_at: if key.made_at == DateTime::UNIX_EPOCH { *begun_at } else { key.made_at },
                used_as,
                alive_until: next.map(|(begun, _)| *begun + SIGNS_AFTER * 2 + token_lifetime),
                known_by: self.agreed(&key.id).map(|agreed| (agreed.known_by, agreed.holders)),
            }
        };
        keys.iter().enumerate().map(summary).collect()
    }

    /// Which of `keys` sign, as the processes that serve say, or, where none does, by their age.
    fn signing_among(&self, keys: &[(DateTime<Utc>, NamedKey)], now: DateTime<Utc>) -> Vec<usize> {
        let is_said = |key: &NamedKey| self.agreed(&key.id).is_some_and(|said| said.signed_by > 0);
        let by_age = self.keys.signing_ids(now);
        let positions = |signs: &dyn Fn(&NamedKey) -> bool| -> Vec<usize> {
            (0..keys.len()).filter(|n| signs(&keys[*n].1)).collect()
        };
        let said = positions(&is_said);
        if said.is_empty() { positions(&|key| by_age.contains(&key.id)) } else { said }
    }

    /// Since when a key is one of the installation's.
    fn begun_at(&self, key: &NamedKey, now: DateTime<Utc>) -> DateTime<Utc> {
        match (&self.keys.agreement, self.agreed(&key.id)) {
            (_, Some(agreed)) => agreed.first_seen_at,
            (Some(_), None) => now,
            (None, None) => key.made_at,
        }
    }

    fn agreed(&self, kid: &str) -> Option<&AgreedKey> {
        self.keys.agreement.as_ref()?.iter().find(|agreed| agreed.id == kid)
    }

    /// Every key with its file.
    fn files(&self) -> impl Iterator<Item = (&String, &PathBuf)> {
        let tokens = self.keys.signing.iter().map(|key| (&key.id, &key.path));
        tokens.chain(self.keys.secrets.iter().map(|key| (&key.id, &key.path)))
    }

    fn read_again(&mut self) -> Result<(), KeyError> {
        let agreement = self.keys.agreement.clone();
        let read = Self::find(self.place.clone())?;
        self.keys = Arc::new(KeySet { agreement, ..(*read.keys).clone() });
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn jwks(&self) -> serde_json::Value {
        self.keys.public.jwks()
    }

    pub(super) const fn place(&self) -> &KeyPlace {
        &self.place
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRing").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Makes a key of tokens and a secret of URLs where there is none.
fn generate_missing(place: &KeyPlace, now: DateTime<Utc>) -> Result<(), KeyError> {
    let found = place.read_files()?;
    if found.tokens.is_empty() {
        generate_token_key(place.token_folder(), now)?;
    }
    if found.secrets.is_empty() {
        generate_secret(place.folder(), None)?;
    }
    Ok(())
}
