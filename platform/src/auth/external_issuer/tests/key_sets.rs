//! Which keys of a key set are used.

use serde_json::{Value, json};

use super::super::test_keys::{SigningKeyPair, key_set_of};
use super::*;

fn parse(keys: &[Value]) -> Result<KeySet, InvalidKeySet> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
}

fn used(key: &Value) -> bool {
    match parse(std::slice::from_ref(key)) {
        Ok(set) => set.ids().count() == 1,
        Err(error) => {
            assert_eq!(error, InvalidKeySet::NoneUsable(1));
            false
        }
    }
}

#[test]
fn what_is_weak_or_for_something_else_is_left_out() {
    let rsa = SigningKeyPair::rsa("r", Algorithm::RS256).jwk;
    let (p256, ed25519) = (SigningKeyPair::p256("e").jwk, SigningKeyPair::ed25519("d").jwk);
    assert!(used(&rsa) && used(&p256) && used(&ed25519), "the control");
    for key in [&rsa, &p256, &ed25519] {
        assert!(used(&changed(key, json!({"alg": null}))), "the usual algorithm of its kind");
        for change in [
            json!({"use": "enc"}),
            json!({"key_ops": ["sign"]}),
            json!({"kid": null}),
            json!({"kid": ""}),
            json!({"alg": "HS256"}),
            json!({"alg": "none"}),
            json!({"kty": "oct", "k": "c2VjcmV0"}),
            json!({"x": "AA", "n": "AA"}),
        ] {
            assert!(!used(&changed(key, change.clone())), "{change}");
        }
    }
    assert!(!used(&changed(&rsa, json!({"alg": "ES256"}))));
    assert!(!used(&changed(&p256, json!({"alg": "RS256"}))));
    assert!(!used(&changed(&p256, json!({"crv": "P-384"}))));
    assert!(!used(&changed(&ed25519, json!({"crv": "X25519"}))));
}

#[test]
fn an_rsa_key_has_the_bits_that_it_needs_and_not_so_many_that_it_is_slow() {
    let rsa = SigningKeyPair::rsa("r", Algorithm::RS256).jwk;
    let with_bits = |bits: usize| {
        let mut modulus = vec![0xff; bits / 8];
        modulus.splice(0..0, [0, 0]);
        changed(&rsa, json!({"n": URL_SAFE_NO_PAD.encode(modulus)}))
    };
    assert!(used(&with_bits(2048)) && used(&with_bits(8192)));
    assert!(!used(&with_bits(2040)) && !used(&with_bits(1024)) && !used(&with_bits(8200)));
    for exponent in [&[1][..], &[2], &[0], &[1, 0, 0, 0, 1], &[]] {
        let key = changed(&rsa, json!({"e": URL_SAFE_NO_PAD.encode(exponent)}));
        assert!(!used(&key), "{exponent:?}");
    }
}

#[test]
fn the_first_key_of_an_id_is_the_one_and_what_is_not_understood_stands_beside() {
    let now = Utc::now();
    let (first, second) = (SigningKeyPair::ed25519("k"), SigningKeyPair::ed25519("k"));
    let issuer = issuer_with(&[&first, &second], &engineers());
    assert!(issuer.verify(&first.sign(&claims_at(now)), now).is_ok());
    assert_eq!(refusal(&issuer, &second.sign(&claims_at(now))), AuthError::BadSignature);
    let odd = [json!(7), json!({"kid": 7}), json!({"kty": "AKP", "kid": "pq"}), first.jwk.clone()];
    assert_eq!(parse(&odd).unwrap().ids().collect::<Vec<_>>(), ["k"]);
}

#[test]
fn what_is_no_key_set_is_none() {
    let refused = |text: &str| KeySet::parse(text.as_bytes()).err();
    for text in ["", "<html>", "[]", "{}", r#"{"keys": {}}"#, "null", r#"{"keys": 7}"#] {
        assert_eq!(refused(text), Some(InvalidKeySet::Malformed), "{text}");
    }
    assert_eq!(parse(&[]).err(), Some(InvalidKeySet::NoneUsable(0)));
    let key = SigningKeyPair::ed25519("k");
    let many: Vec<_> = (0..65).map(|_| &key).collect();
    assert_eq!(refused(&key_set_of(&many).to_string()), Some(InvalidKeySet::TooMany));
}
