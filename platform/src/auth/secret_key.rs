//! Keys that are derived from a secret, one for each purpose.

use hmac::{Hmac, KeyInit as _, Mac as _};

use super::key_material::SECRET_BYTES;

/// Bytes of one block of SHA-256.
const BLOCK_BYTES: usize = 64;

/// The key of 32 bytes for one purpose: HMAC-SHA256 over its name. Nothing can be learnt from
/// it about the secret or about the key of another purpose (as HKDF-Expand,
/// RFC 5869, for one block).
pub(super) fn derive_key(secret: &[u8; SECRET_BYTES], purpose: &str) -> [u8; SECRET_BYTES] {
    let mut mac = hmac_sha256(secret);
    mac.update(b"chipq-derived-key-1\n");
    mac.update(purpose.as_bytes());
    mac.finalize().into_bytes().into()
}

/// HMAC-SHA256 under `key`. HMAC pads a short key with zeros to one block; doing it here leaves
/// nothing that can fail.
pub(crate) fn hmac_sha256(key: &[u8; SECRET_BYTES]) -> Hmac<sha2::Sha256> {
    let mut block = [0; BLOCK_BYTES];
    block[..SECRET_BYTES].copy_from_slice(key);
    Hmac::new(&block.into())
}
