//! The secret behind everything that this installation signs for itself.
//!
//! Invariant: every use has a key of its own, derived under the name of its purpose, so that what
//! was signed for one can never pass for another. Absent: tokens, which others verify and which have
//! key pairs.

use std::fmt;

use chrono::Utc;

use super::installation_keys::InstallationKeys;
use super::key_material::SECRET_BYTES;
use super::secret_key::derive_key;

/// The secrets that all processes of an installation share: one signs, all verify, and each is followed as it is
/// rotated.
#[derive(Clone)]
pub struct SigningKey(InstallationKeys);

impl SigningKey {
    /// The secrets among these keys.
    #[must_use]
    pub fn new(keys: &InstallationKeys) -> Self {
        Self(keys.clone())
    }

    /// The key for one purpose that signs now. Derived from a secret that nobody has, where there is none.
    #[must_use]
    pub fn derive_key(&self, purpose: &str) -> [u8; SECRET_BYTES] {
        let keys = self.0.current();
        let secret = keys.secret_at(Utc::now()).map(|secret| secret.material);
        derive_key(&secret.unwrap_or_else(|| *self.0.secret_of_nobody()), purpose)
    }

    /// Every key for one purpose that may have signed what is believed, the newest first.
    #[must_use]
    pub fn derive_keys(&self, purpose: &str) -> Vec<[u8; SECRET_BYTES]> {
        let keys = self.0.current();
        keys.secrets.iter().rev().map(|secret| derive_key(&secret.material, purpose)).collect()
    }

    /// The key for one purpose that stays the same for as long as possible: of the oldest secret.
    #[must_use]
    pub fn derive_lasting_key(&self, purpose: &str) -> [u8; SECRET_BYTES] {
        let keys = self.derive_keys(purpose);
        keys.last().copied().unwrap_or_else(|| self.derive_key(purpose))
    }
}

#[cfg(test)]
impl SigningKey {
    pub(crate) fn from_bytes(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(InstallationKeys::of_set(super::key_set::KeySet::of_secret(bytes)))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::auth::{KeyPurpose, KeyRing};

    fn open(folder: &std::path::Path) -> SigningKey {
        SigningKey::new(&InstallationKeys::new(&KeyRing::open(folder, Utc::now()).unwrap()))
    }

    #[test]
    fn the_key_is_made_once_and_every_purpose_has_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let (first, again) = (open(folder.path()), open(folder.path()));
        assert_eq!(first.derive_key("a"), again.derive_key("a"));
        assert_ne!(first.derive_key("a"), first.derive_key("b"));
        let elsewhere = tempfile::tempdir().unwrap();
        assert_ne!(first.derive_key("a"), open(elsewhere.path()).derive_key("a"));
        assert_eq!(format!("{first:?}"), "SigningKey([redacted])");
    }

    #[test]
    fn a_damaged_key_is_told_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        crate::config::write_private(&folder.path().join("url-signing-key"), b"short").unwrap();
        let error = KeyRing::open(folder.path(), Utc::now()).unwrap_err().to_string();
        assert!(error.contains("url-signing-key") && error.contains("move it away"), "{error}");
    }

    #[test]
    fn what_an_older_secret_signed_is_verified_until_it_is_retired() {
        let folder = tempfile::tempdir().unwrap();
        let (before, now) = (open(folder.path()), Utc::now());
        let mut ring = KeyRing::open(folder.path(), now).unwrap();
        let old = ring.held().into_iter().find(|key| key.purpose == KeyPurpose::Urls).unwrap().id;
        let new = ring.rotate(KeyPurpose::Urls, now - TimeDelta::seconds(60)).unwrap();
        let after = open(folder.path());
        assert_ne!(before.derive_key("a"), after.derive_key("a"), "the newer one signs");
        assert!(after.derive_keys("a").contains(&before.derive_key("a")));
        assert_eq!(after.derive_lasting_key("a"), before.derive_lasting_key("a"));
        assert!(ring.retire(&new, now).is_err(), "the one that signs");
        ring.retire(&old, now).unwrap();
        assert!(!open(folder.path()).derive_keys("a").contains(&before.derive_key("a")));
    }
}
