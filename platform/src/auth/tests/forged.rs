//! Hundreds of tokens that nobody here has signed like that. None lets anybody in.

use std::collections::BTreeMap;

use super::*;

const MANY: usize = 400;

/// What is to be tried, by what was done to it.
#[derive(Default)]
struct Forgeries(BTreeMap<String, String>);

impl Forgeries {
    fn add(&mut self, what: impl Into<String>, token: String) {
        let what = what.into();
        assert!(self.0.insert(what.clone(), token).is_none(), "{what} stands there twice");
    }
}

fn parts(token: &str) -> [String; 3] {
    let parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// One bit of each place of header, claims and signature.
fn bits(token: &str, forged: &mut Forgeries) {
    let parts = parts(token);
    for (which, name) in ["header", "claims", "signature"].into_iter().enumerate() {
        let bytes = URL_SAFE_NO_PAD.decode(&parts[which]).unwrap();
        for place in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[place] ^= 1 << (place % 8);
            let mut with = parts.clone();
            with[which] = URL_SAFE_NO_PAD.encode(&altered);
            forged.add(format!("bit of {name} at {place}"), with.join("."));
        }
    }
}

/// Other values in the claims, with the signature of what was there.
fn claims_changed(token: &str, forged: &mut Forgeries) {
    let [header, claims, signature] = parts(token);
    let claims = decoded(&claims);
    let values = [
        json!(null),
        json!(""),
        json!("admin"),
        json!(0),
        json!(-1),
        json!(9_999_999_999_i64),
        json!(true),
        json!([]),
        json!(["admin"]),
        json!({}),
    ];
    for name in ["iss", "aud", "sub", "iat", "nbf", "exp", "jti", "roles", "revision", "scope"] {
        for value in &values {
            let mut changed = claims.clone();
            changed[name] = value.clone();
            let token = format!("{header}.{}.{signature}", segment(&changed));
            forged.add(format!("{name} = {value}"), token);
        }
    }
}

/// Headers that ask for another algorithm or another key, with and without a signature.
fn headers_changed(issuer: &TokenIssuer, token: &str, forged: &mut Forgeries) {
    let [header, claims, signature] = parts(token);
    let header = decoded(&header);
    let own = kid_of(issuer);
    let algorithms = [
        "none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "RS256", "RS512", "PS256",
        "ES256", "ES384", "ES512", "eddsa", "EdDSA ", "Ed25519", "Ed448", "ES256K",
    ];
    for algorithm in algorithms {
        let mut changed = header.clone();
        changed["alg"] = json!(algorithm);
        let message = format!("{}.{claims}", segment(&changed));
        forged.add(format!("alg {algorithm}"), format!("{message}.{signature}"));
        forged.add(format!("alg {algorithm}, unsigned"), format!("{message}."));
        forged.add(format!("alg {algorithm}, two parts"), message);
    }
    let huge = "a".repeat(5_000);
    let kids = [
        "",
        " ",
        "0",
        "../../../dev/null",
        "/dev/null",
        "../jwt-keys/1.pk8",
        "..\\..\\x",
        "%2e%2e%2f",
        "' OR '1'='1",
        "1; DROP TABLE events",
        "key\0",
        "http://evil.example/jwks.json",
        &huge,
        &own[..15],
        &own.to_uppercase(),
        &format!("{own} "),
        &format!("{own}\n"),
    ]
    .map(str::to_owned);
    for (n, kid) in kids.iter().filter(|kid| **kid != own).enumerate() {
        let mut changed = header.clone();
        changed["kid"] = json!(kid);
        forged.add(format!("kid {n}"), format!("{}.{claims}.{signature}", segment(&changed)));
    }
    for (name, value) in [
        ("kid", json!(null)),
        ("kid", json!(7)),
        ("kid", json!([own])),
        ("jku", json!("http://evil.example/jwks.json")),
        ("x5u", json!("http://evil.example/cert.pem")),
        ("jwk", json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"})),
        ("crit", json!(["exp"])),
        ("typ", json!("JWT")),
        ("cty", json!("JWT")),
    ] {
        let mut changed = header.clone();
        changed[name] = value.clone();
        let token = format!("{}.{claims}.{signature}", segment(&changed));
        forged.add(format!("{name} {value}, not signed again"), token);
    }
}

/// Signed properly, by somebody else or with what everybody knows.
fn other_keys(issuer: &TokenIssuer, now: DateTime<Utc>, forged: &mut Forgeries) {
    for n in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let foreign = super::issuer(folder.path());
        forged.add(format!("foreign {n}"), foreign.issue(&engineer(), now).unwrap().token);
        let as_ours = forge(&foreign, Some(kid_of(issuer)), json!({}), now);
        forged.add(format!("foreign {n} with our key id"), as_ours);
    }
    let x = issuer.jwks()["keys"][0]["x"].as_str().unwrap().to_owned();
    let raw = URL_SAFE_NO_PAD.decode(&x).unwrap();
    let der = [b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".to_vec(), raw.clone()].concat();
    let secrets = [raw, x.into_bytes(), der, Vec::new(), b"secret".to_vec(), vec![0; 32]];
    for (n, secret) in secrets.iter().enumerate() {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let header = Header { alg: algorithm, ..header_of(issuer) };
            let key = EncodingKey::from_secret(secret);
            let token = jsonwebtoken::encode(&header, &claims(now), &key).unwrap();
            forged.add(format!("{algorithm:?} with known secret {n}"), token);
        }
    }
}

/// Signed by our own key, and meant for something else.
fn for_others(issuer: &TokenIssuer, now: DateTime<Utc>, forged: &mut Forgeries) {
    for typ in ["JWT", "jwt", "id_token", "at+JWS", "logout+jwt", "application/jwt", "at", ""] {
        let header = Header { typ: Some(typ.to_owned()), ..header_of(issuer) };
        forged.add(format!("typ {typ:?}"), sign(issuer, &header, &claims(now)));
    }
    let untyped = Header { typ: None, ..header_of(issuer) };
    forged.add("no typ", sign(issuer, &untyped, &claims(now)));
    let issuers = ["", "chipq ", "Chipq", "https://chipq.example", "chipq.evil.example"];
    for other in issuers {
        let token = forge(issuer, Some(kid_of(issuer)), json!({ "iss": other }), now);
        forged.add(format!("signed iss {other:?}"), token);
        let token = forge(issuer, Some(kid_of(issuer)), json!({ "aud": other }), now);
        forged.add(format!("signed aud {other:?}"), token);
    }
    for name in ["iss", "aud", "sub", "exp", "nbf", "iat", "jti", "scope"] {
        let mut without = claims(now);
        without.as_object_mut().unwrap().remove(name);
        forged.add(format!("signed without {name}"), sign(issuer, &header_of(issuer), &without));
    }
    for (name, value) in [
        ("exp", json!("tomorrow")),
        ("exp", json!(1)),
        ("exp", json!(-1)),
        ("nbf", json!(i64::MAX)),
        ("sub", json!("")),
        ("sub", json!("a\0b")),
        ("jti", json!("")),
        ("roles", json!("admin")),
        ("revision", json!(-1)),
        ("sid", json!("not a session")),
    ] {
        let token = forge(issuer, Some(kid_of(issuer)), json!({ name: value.clone() }), now);
        forged.add(format!("signed {name} = {value}"), token);
    }
}

/// Claims and header parameters that stand there twice, which two readers read in two ways.
fn duplicates(issuer: &TokenIssuer, now: DateTime<Utc>, forged: &mut Forgeries) {
    let claims = claims(now).to_string();
    for (name, value) in [("sub", "\"admin\""), ("exp", "9999999999"), ("iss", "\"chipq\"")] {
        let twice = claims.replacen('{', &format!("{{\"{name}\":{value},"), 1);
        let header = serde_json::to_value(header_of(issuer)).unwrap();
        forged.add(format!("{name} twice"), sign_text(issuer, &header.to_string(), &twice));
    }
    let header = serde_json::to_value(header_of(issuer)).unwrap().to_string();
    for (name, value) in [("alg", "\"EdDSA\""), ("kid", "\"0\""), ("typ", "\"JWT\"")] {
        let twice = header.replacen('{', &format!("{{\"{name}\":{value},"), 1);
        forged.add(format!("{name} twice in the header"), sign_text(issuer, &twice, &claims));
    }
}

/// Our key's signature over any text.
fn sign_text(issuer: &TokenIssuer, header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let keys = issuer.keys.current();
    let key = &keys.signing_at(Utc::now()).unwrap().material;
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, Algorithm::EdDSA).unwrap();
    format!("{message}.{signature}")
}

/// Parts left out, added and mixed.
fn shapes(token: &str, other: &str, forged: &mut Forgeries) {
    let ([header, claims, signature], [_, other_claims, other_signature]) =
        (parts(token), parts(other));
    forged.add("claims of another", format!("{header}.{other_claims}.{signature}"));
    forged.add("signature of another", format!("{header}.{claims}.{other_signature}"));
    for (n, shape) in [
        format!("{header}.{claims}"),
        format!("{header}.{claims}."),
        format!(".{claims}.{signature}"),
        format!("{header}..{signature}"),
        format!("{token}."),
        format!("{token}.x"),
        format!(" {token}"),
        format!("{token}\n"),
        format!("{token}="),
        format!("{token}{}", "A".repeat(10_000)),
        token.replace('.', ","),
        token.to_uppercase(),
        token.chars().rev().collect(),
    ]
    .into_iter()
    .enumerate()
    {
        forged.add(format!("shape {n}"), shape);
    }
}

#[test]
fn of_hundreds_of_forged_tokens_none_lets_anybody_in() {
    let (folder, now) = (tempfile::tempdir().unwrap(), Utc::now());
    let issuer = issuer(folder.path());
    let verifier = issuer.verifier();
    let token = issuer.issue(&engineer(), now).unwrap().token;
    let other = issuer.issue(&Actor::with_roles("root", &["admin"]), now).unwrap().token;
    assert_eq!(believe(&verifier, &token, now), Ok(engineer()), "the control");
    let resigned = sign_text(
        &issuer,
        &serde_json::to_string(&header_of(&issuer)).unwrap(),
        &claims(now).to_string(),
    );
    assert!(verifier.verify(&resigned, now).is_ok(), "the control of what is signed here");

    let mut forged = Forgeries::default();
    bits(&token, &mut forged);
    claims_changed(&token, &mut forged);
    headers_changed(&issuer, &token, &mut forged);
    other_keys(&issuer, now, &mut forged);
    for_others(&issuer, now, &mut forged);
    duplicates(&issuer, now, &mut forged);
    shapes(&token, &other, &mut forged);
    assert!(forged.0.len() >= MANY, "{}", forged.0.len());
    for (what, token) in &forged.0 {
        let refused = verifier.verify(token, now);
        assert!(refused.is_err(), "{what}: {refused:?} for {token:.2000}");
        assert_eq!(verifier.verify(token, now), refused, "{what}, a second time");
    }
    assert_eq!(believe(&verifier, &token, now), Ok(engineer()), "the control, afterwards");
}

#[test]
fn what_was_believed_once_is_looked_at_again_each_time() {
    let (folder, now) = (tempfile::tempdir().unwrap(), Utc::now());
    let issuer = issuer(folder.path());
    let (verifier, token) = (issuer.verifier(), issuer.issue(&engineer(), now).unwrap().token);
    for _ in 0..3 {
        assert_eq!(believe(&verifier, &token, now), Ok(engineer()));
    }
    assert_eq!(verifier.verify(&token, later(now, 930)), Err(AuthError::Expired));
    assert_eq!(verifier.verify(&token, later(now, -31)), Err(AuthError::NotYetValid));
    for n in 0..5_000 {
        let other = issuer.issue(&Actor::with_roles(format!("user{n}"), &["auditor"]), now);
        assert_eq!(
            verifier.verify(&other.unwrap().token, now).unwrap().subject,
            format!("user{n}")
        );
    }
    assert_eq!(believe(&verifier, &token, now), Ok(engineer()), "whether it is kept or not");
}
