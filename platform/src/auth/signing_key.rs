//! The secret behind everything that this installation signs for itself.
//!
//! Invariant: every use has a key of its own, derived under the name of its purpose, so that what
//! was signed for one can never pass for another. Absent: tokens, which others verify and which have
//! key pairs.

use std::fmt;
use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};

use crate::config::{SecretFileError, random_bytes, read_or_create_secret};

/// Bytes of the secret and of every key that is derived from it.
const KEY_BYTES: usize = 32;
/// Bytes of one block of SHA-256.
const BLOCK_BYTES: usize = 64;

/// One secret; all processes of an installation share it.
#[derive(Clone)]
pub struct SigningKey([u8; KEY_BYTES]);

impl SigningKey {
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

    /// The key of 32 bytes for one purpose: HMAC-SHA256 over its name. Nothing can be learnt from
    /// it about the secret or about the key of another purpose (as HKDF-Expand,
    /// RFC 5869, for one block).
    #[must_use]
    pub fn derive_key(&self, purpose: &str) -> [u8; KEY_BYTES] {
        let mut mac = hmac_sha256(&self.0);
        mac.update(b"chipq-derived-key-1\n");
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// HMAC-SHA256 under `key`. HMAC pads a short key with zeros to one block; doing it here leaves
/// nothing that can fail.
pub(crate) fn hmac_sha256(key: &[u8; KEY_BYTES]) -> Hmac<sha2::Sha256> {
    let mut block = [0; BLOCK_BYTES];
    block[..KEY_BYTES].copy_from_slice(key);
    Hmac::new(&block.into())
}

#[cfg(test)]
impl SigningKey {
    pub(crate) const fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_every_purpose_has_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let (first, again) =
            (SigningKey::open(folder.path()).unwrap(), SigningKey::open(folder.path()).unwrap());
        assert_eq!(first.derive_key("a"), again.derive_key("a"));
        assert_ne!(first.derive_key("a"), first.derive_key("b"));
        let elsewhere = tempfile::tempdir().unwrap();
        let other = SigningKey::open(elsewhere.path()).unwrap();
        assert_ne!(first.derive_key("a"), other.derive_key("a"));
        assert_eq!(format!("{first:?}"), "SigningKey([redacted])");
    }

    #[test]
    fn a_damaged_key_is_told_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        crate::config::write_private(&folder.path().join("url-signing-key"), b"short").unwrap();
        let error = SigningKey::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("delete it"), "{error}");
    }
}
