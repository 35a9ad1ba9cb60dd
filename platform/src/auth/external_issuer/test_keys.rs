//! Keys of an identity provider that tests play, and tokens signed with them.

use std::sync::OnceLock;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

pub(crate) const ISSUER: &str = "https://id.example/realms/factory";
pub(crate) const AUDIENCE: &str = "chipq-api";

/// A key that signs, and its entry in a key set.
#[derive(Clone)]
pub(crate) struct SigningKeyPair {
    pub(crate) kid: String,
    algorithm: Algorithm,
    key: EncodingKey,
    pub(crate) jwk: Value,
}

impl SigningKeyPair {
    /// RS256 or PS256; the same key pair under every id, since one takes long to make.
    pub(crate) fn rsa(kid: &str, algorithm: Algorithm) -> Self {
        static PAIR: OnceLock<(Vec<u8>, String, String)> = OnceLock::new();
        let (pem, n, e) = PAIR.get_or_init(|| {
            let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
            let encoded = STANDARD.encode(pair.as_der().unwrap().as_ref());
            let lines: Vec<_> =
                encoded.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
            let body = lines.join("\n");
            let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
            let public = pair.public_key();
            let (n, e) = (public.modulus(), public.exponent());
            let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            let n = encode(n.big_endian_without_leading_zero());
            (pem.into_bytes(), n, encode(e.big_endian_without_leading_zero()))
        });
        let alg = format!("{algorithm:?}");
        let jwk = json!({"kty": "RSA", "use": "sig", "kid": kid, "alg": alg, "n": n, "e": e});
        let key = EncodingKey::from_rsa_pem(pem).unwrap();
        Self { kid: kid.to_owned(), algorithm, key, jwk }
    }

    /// ES256.
    pub(crate) fn p256(kid: &str) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref()).unwrap();
        let point = pair.public_key().as_ref();
        let [x, y] = [&point[1..33], &point[33..]].map(|half| URL_SAFE_NO_PAD.encode(half));
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": kid, "alg": "ES256", "x": x, "y": y});
        let key = EncodingKey::from_ec_der(pkcs8.as_ref());
        Self { kid: kid.to_owned(), algorithm: Algorithm::ES256, key, jwk }
    }

    /// EdDSA.
    pub(crate) fn ed25519(kid: &str) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "alg": "EdDSA", "x": x});
        let key = EncodingKey::from_ed_der(pair.to_pkcs8().unwrap().as_ref());
        Self { kid: kid.to_owned(), algorithm: Algorithm::EdDSA, key, jwk }
    }

    /// A token that says this, with this type in its header.
    pub(crate) fn sign_as(&self, typ: Option<&str>, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.typ = typ.map(str::to_owned);
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }

    /// A token that says this.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_as(Some("JWT"), claims)
    }
}

/// A key set of these keys.
pub(crate) fn key_set_of(keys: &[&SigningKeyPair]) -> Value {
    json!({ "keys": keys.iter().map(|key| key.jwk.clone()).collect::<Vec<_>>() })
}

/// What Keycloak says of an engineer.
pub(crate) fn claims_at(now: DateTime<Utc>) -> Value {
    let now = now.timestamp();
    json!({
        "iss": ISSUER, "aud": [AUDIENCE, "account"], "sub": "0b1f-77", "typ": "Bearer", "azp": "web",
        "exp": now + 300, "iat": now, "jti": "t-1", "preferred_username": "mia",
        "realm_access": {"roles": ["offline_access", "chipq-engineer"]},
    })
}
