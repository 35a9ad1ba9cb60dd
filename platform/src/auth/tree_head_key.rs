//! The key that tree heads of the log are signed with: Ed25519, one for the life of an installation.
//!
//! Invariant: its private half is in a file beside the installation's other keys, and nowhere else; whoever has only
//! the database cannot sign. It is not rotated, because what was signed once has to be verified for ever.

use std::path::PathBuf;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key_error::KeyError;
use super::key_material::{generate_ed25519, parse_token_key};
use super::key_place::KeyPlace;

/// Its file in a place of keys.
const TREE_HEAD_KEY_FILE: &str = "tree-head-key";
/// SubjectPublicKeyInfo of an Ed25519 key in DER (RFC 8410), up to the key itself.
const SPKI_BEGIN: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
/// Where a public key begins and ends in PEM (RFC 7468, section 13).
const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const PEM_END: &str = "-----END PUBLIC KEY-----";

/// The key that tree heads are signed with.
pub struct TreeHeadKey {
    pair: Ed25519KeyPair,
    public: [u8; 32],
}

impl TreeHeadKey {
    /// The key in `place`; made when it is missing, unless the place is shared, where there is none then.
    ///
    /// # Errors
    /// When its file is exposed to other users, damaged, or cannot be read or written.
    pub fn open(place: &KeyPlace) -> Result<Option<Self>, KeyError> {
        if place.is_shared() { Self::find(place) } else { Self::create(place).map(Some) }
    }

    /// The key in `place`, and makes none.
    ///
    /// # Errors
    /// When its file is exposed to other users, damaged, or cannot be read.
    pub fn find(place: &KeyPlace) -> Result<Option<Self>, KeyError> {
        let path = Self::file_in(place);
        match place.read_file(&path)? {
            Some(bytes) => Self::parse(&path, bytes).map(Some),
            None => Ok(None),
        }
    }

    /// The key in `place`, made when it is missing.
    ///
    /// # Errors
    /// As [`Self::open`], and where somebody else keeps the keys.
    pub fn create(place: &KeyPlace) -> Result<Self, KeyError> {
        let path = Self::file_in(place);
        if let Some(bytes) = place.read_file(&path)? {
            return Self::parse(&path, bytes);
        }
        place.check_writable(|| {
            format!(
                "add what `openssl genpkey -algorithm ed25519` prints to the secret as {TREE_HEAD_KEY_FILE}"
            )
        })?;
        let bytes = generate_ed25519(&path)?;
        Self::parse(&path, bytes)
    }

    /// Where it lies.
    #[must_use]
    pub fn file_in(place: &KeyPlace) -> PathBuf {
        place.folder().join(TREE_HEAD_KEY_FILE)
    }

    fn parse(path: &std::path::Path, bytes: Vec<u8>) -> Result<Self, KeyError> {
        let not_a_key = || KeyError::NotAKey(path.to_owned());
        let key = parse_token_key(path, bytes)?;
        let pair = Ed25519KeyPair::from_pkcs8(&key.pkcs8).map_err(|_| not_a_key())?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| not_a_key())?;
        Ok(Self { pair, public })
    }

    /// Its public half.
    #[must_use]
    pub const fn public_key(&self) -> &[u8; 32] {
        &self.public
    }

    /// Signs a message.
    #[must_use]
    pub fn sign_message(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.pair.sign(message).as_ref());
        signature
    }
}

/// A public Ed25519 key as PEM (SubjectPublicKeyInfo), as openssl writes it.
#[must_use]
pub fn write_public_pem(public_key: &[u8; 32]) -> String {
    let der = [&SPKI_BEGIN[..], public_key].concat();
    format!("{PEM_BEGIN}\n{}\n{PEM_END}\n", STANDARD.encode(der))
}

/// The public Ed25519 key in a PEM file; none where it holds something else.
#[must_use]
pub fn parse_public_pem(text: &str) -> Option<[u8; 32]> {
    let body = text.trim().strip_prefix(PEM_BEGIN)?.strip_suffix(PEM_END)?;
    let body: String = body.split_whitespace().collect();
    let der = STANDARD.decode(body).ok()?;
    der.strip_prefix(&SPKI_BEGIN)?.try_into().ok()
}

/// Whether `signature` is that of `message` by the private half of `public_key`.
#[must_use]
pub fn verify_ed25519(public_key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key).verify(message, signature).is_ok()
}

impl std::fmt::Debug for TreeHeadKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TreeHeadKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_beside_the_other_keys_and_signs_what_its_public_half_verifies() {
        let folder = tempfile::tempdir().unwrap();
        let place = KeyPlace::in_data(folder.path());
        let first = TreeHeadKey::open(&place).unwrap().unwrap();
        let again = TreeHeadKey::open(&place).unwrap().unwrap();
        assert_eq!(first.public_key(), again.public_key());
        assert_eq!(format!("{first:?}"), "TreeHeadKey([redacted])");
        let signature = first.sign_message(b"head");
        assert!(verify_ed25519(again.public_key(), b"head", &signature));
        assert!(!verify_ed25519(again.public_key(), b"heat", &signature));
        let pem = write_public_pem(first.public_key());
        assert_eq!(parse_public_pem(&pem).as_ref(), Some(first.public_key()));
        assert_eq!(parse_public_pem(&pem.replace("PUBLIC", "PRIVATE")), None);
        assert_eq!(parse_public_pem(&pem.replace("MCow", "MCox")), None);
    }

    #[test]
    fn in_a_shared_directory_it_is_not_made_at_start() {
        let folder = tempfile::tempdir().unwrap();
        let place = KeyPlace::shared(folder.path());
        assert!(TreeHeadKey::open(&place).unwrap().is_none());
        let made = TreeHeadKey::create(&place).unwrap();
        assert_eq!(TreeHeadKey::open(&place).unwrap().unwrap().public_key(), made.public_key());
        // It is none of the keys of tokens and URLs.
        assert!(place.read_files().unwrap().tokens.is_empty());
        assert!(place.read_files().unwrap().secrets.is_empty());
    }
}
