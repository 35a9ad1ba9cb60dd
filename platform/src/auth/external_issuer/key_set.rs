//! The public keys of an issuer, as its key set (RFC 7517) declares them.
//!
//! Invariants: a key has one algorithm, and none is symmetric; what is too weak, meant for something else, or not
//! understood is left out; a set that holds no key that can be used is none.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// The most keys of a set.
const KEYS_MAX: usize = 64;
/// The longest id of a key, in bytes.
const KID_MAX_BYTES: usize = 256;
/// Bits of an RSA modulus: fewer can be broken, more take long to verify with.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// The longest public exponent, in bytes: larger ones make each signature slow to verify.
const EXPONENT_MAX_BYTES: usize = 4;

/// Why what an issuer serves is not taken for its keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeySet {
    /// Not a key set.
    #[error("it is no key set (RFC 7517)")]
    Malformed,
    /// So many keys that somebody else must have made it.
    #[error("it holds more than {KEYS_MAX} keys")]
    TooMany,
    /// None of its keys can be used.
    #[error(
        "none of its {0} keys can be used: RS256, PS256 with 2,048 to 8,192 bits, ES256, EdDSA with Ed25519"
    )]
    NoneUsable(usize),
}

/// The keys of an issuer by id.
#[derive(Default)]
pub struct KeySet(BTreeMap<String, VerificationKey>);

/// A key, and the one algorithm that it is used with.
pub(super) struct VerificationKey {
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// An entry, as far as it is looked at.
#[derive(Deserialize)]
struct WrittenKey {
    kid: String,
    kty: String,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct WrittenSet {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a key set.
    ///
    /// # Errors
    /// When it is none, is far too large, or holds no key that can be used.
    pub fn parse(json: &[u8]) -> Result<Self, InvalidKeySet> {
        let set: WrittenSet = serde_json::from_slice(json).map_err(|_| InvalidKeySet::Malformed)?;
        let count = set.keys.len();
        if count > KEYS_MAX {
            return Err(InvalidKeySet::TooMany);
        }
        let mut keys = BTreeMap::new();
        for written in set.keys {
            // Keys for other purposes, in shapes that are not known here, may stand beside.
            let Ok(written) = serde_json::from_value::<WrittenKey>(written) else { continue };
            let is_id = (1..=KID_MAX_BYTES).contains(&written.kid.len());
            if let (true, Some(key)) = (is_id && is_for_signatures(&written), read_key(&written)) {
                keys.entry(written.kid).or_insert(key);
            }
        }
        if keys.is_empty() { Err(InvalidKeySet::NoneUsable(count)) } else { Ok(Self(keys)) }
    }

    pub(super) fn find(&self, kid: &str) -> Option<&VerificationKey> {
        self.0.get(kid)
    }

    /// The ids of its keys.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn is_for_signatures(written: &WrittenKey) -> bool {
    let purpose = written.purpose.as_deref().unwrap_or("sig");
    let verifies = |operations: &Vec<String>| operations.iter().any(|one| one == "verify");
    purpose == "sig" && written.key_ops.as_ref().is_none_or(verifies)
}

/// The key with its algorithm: the one that is declared, or the usual one of its kind.
fn read_key(written: &WrittenKey) -> Option<VerificationKey> {
    let (alg, crv) = (written.alg.as_deref(), written.crv.as_deref());
    let (algorithm, key) = match (written.kty.as_str(), crv, alg) {
        ("RSA", None, None | Some("RS256")) => (Algorithm::RS256, read_rsa_key(written)?),
        ("RSA", None, Some("PS256")) => (Algorithm::PS256, read_rsa_key(written)?),
        ("EC", Some("P-256"), None | Some("ES256")) => (Algorithm::ES256, read_ec_key(written)?),
        // RFC 9864 names the curve.
        ("OKP", Some("Ed25519"), None | Some("EdDSA" | "Ed25519")) => {
            (Algorithm::EdDSA, read_ed25519_key(written)?)
        }
        _ => return None,
    };
    Some(VerificationKey { algorithm, key })
}

fn read_rsa_key(written: &WrittenKey) -> Option<DecodingKey> {
    let (n, e) = (decode(written.n.as_deref())?, decode(written.e.as_deref())?);
    let leading = n.iter().position(|byte| *byte != 0)?;
    let bits = (n.len() - leading) * 8 - n[leading].leading_zeros() as usize;
    let exponent = e.iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
    let is_exponent = e.len() <= EXPONENT_MAX_BYTES && exponent >= 3 && exponent % 2 == 1;
    (RSA_BITS.contains(&bits) && is_exponent)
        .then(|| DecodingKey::from_rsa_raw_components(&n[leading..], &e))
}

fn read_ec_key(written: &WrittenKey) -> Option<DecodingKey> {
    let (x, y) = (written.x.as_deref(), written.y.as_deref());
    if decode(x)?.len() != 32 || decode(y)?.len() != 32 {
        return None;
    }
    DecodingKey::from_ec_components(x?, y?).ok()
}

fn read_ed25519_key(written: &WrittenKey) -> Option<DecodingKey> {
    let x = decode(written.x.as_deref())?;
    (x.len() == 32).then(|| DecodingKey::from_ed_der(&x))
}

fn decode(text: Option<&str>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok()
}
