//! The public key by which a client proves who it is, instead of by a secret (RFC 7523).

use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::vocabulary::vocabulary;

/// The longest key, in Base64: RSA of 8,192 bits has 1,416 characters.
const SPKI_MAX_CHARS: usize = 2_000;

vocabulary! {
    /// How a client signs (RFC 7518, RFC 8037). It belongs to the key, and nobody chooses it by what they send.
    pub enum KeyAlgorithm("algorithm") {
        /// Ed25519.
        EdDsa = "EdDSA",
        /// ECDSA on P-256 with SHA-256.
        Es256 = "ES256",
        /// RSA with PKCS #1 version 1.5 and SHA-256.
        Rs256 = "RS256",
    }
}

/// A public key with its algorithm. That it is one is for whoever registers it to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredKey", into = "StoredKey")]
pub struct ClientKey {
    algorithm: KeyAlgorithm,
    spki: String,
}

#[derive(Serialize, Deserialize)]
struct StoredKey {
    algorithm: KeyAlgorithm,
    spki: String,
}

impl ClientKey {
    /// A key in `SubjectPublicKeyInfo` (RFC 5280) as Base64.
    ///
    /// # Errors
    /// When the text is empty, is no Base64, or is longer than any key.
    pub fn new(algorithm: KeyAlgorithm, spki: String) -> Result<Self, Invalid> {
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        if (1..=SPKI_MAX_CHARS).contains(&spki.len()) && spki.bytes().all(is_base64) {
            Ok(Self { algorithm, spki })
        } else {
            Err(Invalid::new("spki", "must be a public key in Base64, at most 2,000 characters"))
        }
    }

    /// How its owner signs.
    #[must_use]
    pub const fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// `SubjectPublicKeyInfo` in Base64.
    #[must_use]
    pub fn spki(&self) -> &str {
        &self.spki
    }
}

impl TryFrom<StoredKey> for ClientKey {
    type Error = Invalid;

    fn try_from(StoredKey { algorithm, spki }: StoredKey) -> Result<Self, Invalid> {
        Self::new(algorithm, spki)
    }
}

impl From<ClientKey> for StoredKey {
    fn from(ClientKey { algorithm, spki }: ClientKey) -> Self {
        Self { algorithm, spki }
    }
}
