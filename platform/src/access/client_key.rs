//! Public keys of clients: read from PEM when they are registered, and what is checked with them.
//!
//! Invariant: the key says how it signs. A signature is checked with that algorithm, whatever a header asks for.

#[cfg(test)]
mod tests;

use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::{ClientKey, KeyAlgorithm};

/// The longest file that is looked at, in bytes.
const PEM_MAX_BYTES: usize = 16 << 10;
/// The sizes of RSA that are taken, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;
/// What `SubjectPublicKeyInfo` of an Ed25519 key begins with; 32 bytes follow (RFC 8410).
const ED25519_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// The same of a point on P-256 that is not compressed; 65 bytes follow (RFC 5480).
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Why a file is not a key that a client may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyFlaw {
    /// Somebody is about to give away what only the client may know.
    #[error(
        "this is a private key, which only the client may have; give its public half: \
         openssl pkey -in FILE -pubout"
    )]
    Private,
    /// No PEM, or of something else.
    #[error("this is no public key in PEM (-----BEGIN PUBLIC KEY-----)")]
    NotPem,
    /// Another kind of key, or a damaged one.
    #[error("the key is none of Ed25519, P-256 (ES256) and RSA of 2,048 to 8,192 bits (RS256)")]
    Unusable,
}

/// The key of a PEM file (RFC 7468).
///
/// # Errors
/// When it holds none that a client may have.
pub fn parse_public_key(pem: &str) -> Result<ClientKey, PublicKeyFlaw> {
    if pem.len() > PEM_MAX_BYTES {
        return Err(PublicKeyFlaw::NotPem);
    }
    if pem.contains("PRIVATE KEY-----") {
        return Err(PublicKeyFlaw::Private);
    }
    let body = pem.trim().strip_prefix("-----BEGIN PUBLIC KEY-----");
    let body = body.and_then(|body| body.strip_suffix("-----END PUBLIC KEY-----"));
    let body: String = body.ok_or(PublicKeyFlaw::NotPem)?.split_whitespace().collect();
    let spki = STANDARD.decode(body).map_err(|_| PublicKeyFlaw::NotPem)?;
    let algorithm = algorithm_of(&spki).ok_or(PublicKeyFlaw::Unusable)?;
    let key = ClientKey::new(algorithm, STANDARD.encode(&spki));
    let key = key.map_err(|_| PublicKeyFlaw::Unusable)?;
    parsed(&key).map(|_| key).ok_or(PublicKeyFlaw::Unusable)
}

/// Whether `signature` over `message` is by the owner of `key`.
pub(super) fn is_signed_by(key: &ClientKey, message: &[u8], signature: &[u8]) -> bool {
    parsed(key).is_some_and(|key| key.verify_sig(message, signature).is_ok())
}

fn algorithm_of(spki: &[u8]) -> Option<KeyAlgorithm> {
    if spki.starts_with(&ED25519_PREFIX) {
        return Some(KeyAlgorithm::EdDsa);
    }
    if spki.starts_with(&P256_PREFIX) {
        return Some(KeyAlgorithm::Es256);
    }
    let rsa = PublicEncryptingKey::from_der(spki).ok()?;
    RSA_BITS.contains(&rsa.key_size_bits()).then_some(KeyAlgorithm::Rs256)
}

fn parsed(key: &ClientKey) -> Option<ParsedPublicKey> {
    let spki = STANDARD.decode(key.spki()).ok()?;
    let (algorithm, raw): (&'static dyn VerificationAlgorithm, _) = match key.algorithm() {
        KeyAlgorithm::EdDsa => (&ED25519, spki.strip_prefix(&ED25519_PREFIX)?),
        KeyAlgorithm::Es256 => (&ECDSA_P256_SHA256_FIXED, spki.strip_prefix(&P256_PREFIX)?),
        KeyAlgorithm::Rs256 => (&RSA_PKCS1_2048_8192_SHA256, &*spki),
    };
    ParsedPublicKey::new(algorithm, raw).ok()
}
