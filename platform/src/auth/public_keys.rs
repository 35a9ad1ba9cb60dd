//! Public halves of keys, by id, and as a key set (RFC 7517, RFC 8037).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Sha256;
use jsonwebtoken::DecodingKey;
use serde_json::json;

use super::key_error::KeyError;

/// Public keys by id.
#[derive(Clone, Default)]
pub(super) struct PublicKeys(BTreeMap<String, PublicKey>);

#[derive(Clone)]
struct PublicKey {
    x: String,
    key: DecodingKey,
}

impl PublicKeys {
    /// The Ed25519 signing keys of a key set (RFC 8037).
    pub(super) fn from_jwks(set: &serde_json::Value) -> Result<Self, KeyError> {
        let mut keys = Self::default();
        for entry in set["keys"].as_array().into_iter().flatten() {
            let usable = entry["kty"] == "OKP" && entry["crv"] == "Ed25519";
            let (Some(kid), Some(x), true) = (entry["kid"].as_str(), entry["x"].as_str(), usable)
            else {
                continue;
            };
            if let Ok(key) = DecodingKey::from_ed_components(x) {
                keys.0.insert(kid.to_owned(), PublicKey { x: x.to_owned(), key });
            }
        }
        if keys.0.is_empty() { Err(KeyError::EmptySet) } else { Ok(keys) }
    }

    pub(super) fn get(&self, kid: &str) -> Option<&DecodingKey> {
        self.0.get(kid).map(|public| &public.key)
    }

    pub(super) fn jwks(&self) -> serde_json::Value {
        let entry = |(kid, public): (&String, &PublicKey)| {
            json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
                   "kid": kid, "x": public.x})
        };
        json!({ "keys": self.0.iter().map(entry).collect::<Vec<_>>() })
    }

    /// Adds the key of this id as it is in `others`, unless there is one.
    pub(super) fn copy_from(&mut self, others: &Self, kid: &str) {
        if let Some(key) = others.0.get(kid) {
            self.0.entry(kid.to_owned()).or_insert_with(|| key.clone());
        }
    }

    /// Adds a raw public key; returns its id, which is derived from it.
    pub(super) fn insert(&mut self, raw: &[u8]) -> String {
        let kid = hex::encode(&Sha256::digest_of(raw).as_bytes()[..8]);
        let x = URL_SAFE_NO_PAD.encode(raw);
        let key = DecodingKey::from_ed_der(raw);
        self.0.insert(kid.clone(), PublicKey { x, key });
        kid
    }
}
