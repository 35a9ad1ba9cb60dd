//! Which files are keys, and what is signed with them.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256,
};

use super::*;

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn public_pem<'a>(key: &impl AsDer<PublicKeyX509Der<'a>>) -> String {
    pem("PUBLIC KEY", key.as_der().unwrap().as_ref())
}

#[test]
fn each_kind_of_key_is_known_and_checks_what_it_signed() {
    let (message, random) = (b"header.claims", SystemRandom::new());
    let ed = Ed25519KeyPair::generate().unwrap();
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let mut by_rsa = vec![0; rsa.public_modulus_len()];
    rsa.sign(&RSA_PKCS1_SHA256, &random, message, &mut by_rsa).unwrap();
    let by_ec = ec.sign(&random, message).unwrap().as_ref().to_vec();
    let by_ed = ed.sign(message).as_ref().to_vec();
    let cases = [
        (KeyAlgorithm::EdDsa, public_pem(ed.public_key()), by_ed),
        (KeyAlgorithm::Es256, public_pem(ec.public_key()), by_ec),
        (KeyAlgorithm::Rs256, public_pem(rsa.public_key()), by_rsa),
    ];
    for (algorithm, pem, signature) in &cases {
        let key = parse_public_key(pem).unwrap();
        assert_eq!(key.algorithm(), *algorithm);
        assert!(is_signed_by(&key, message, signature), "{algorithm}");
        assert!(!is_signed_by(&key, b"header.others", signature), "{algorithm}");
        assert!(!is_signed_by(&key, message, b""), "{algorithm}");
        for (other, _, theirs) in cases.iter().filter(|(other, ..)| other != algorithm) {
            assert!(!is_signed_by(&key, message, theirs), "{algorithm} {other}");
        }
    }
}

#[test]
fn what_is_no_key_for_a_client_is_said() {
    let ed = Ed25519KeyPair::generate().unwrap();
    let private = pem("PRIVATE KEY", ed.to_pkcs8().unwrap().as_ref());
    assert_eq!(parse_public_key(&private), Err(PublicKeyFlaw::Private));
    let both = format!("{}{private}", public_pem(ed.public_key()));
    assert_eq!(parse_public_key(&both), Err(PublicKeyFlaw::Private));
    let p384 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let cut = &ed.public_key().as_der().unwrap().as_ref()[..43].to_vec();
    for unusable in
        [public_pem(p384.public_key()), pem("PUBLIC KEY", b"nonsense"), pem("PUBLIC KEY", cut)]
    {
        assert_eq!(parse_public_key(&unusable), Err(PublicKeyFlaw::Unusable), "{unusable}");
    }
    let certificate = pem("CERTIFICATE", b"x");
    let long = format!("-----BEGIN PUBLIC KEY-----\n{}", "A".repeat(20_000));
    for text in [
        "",
        "chipq",
        &certificate,
        &long,
        "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----",
    ] {
        assert_eq!(parse_public_key(text), Err(PublicKeyFlaw::NotPem), "{text:.40}");
    }
}
