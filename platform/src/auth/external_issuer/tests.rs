//! Which tokens of an identity provider are believed, and what they prove.

mod key_sets;
mod mappings;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{TimeDelta, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::test_keys::{AUDIENCE, ISSUER, SigningKeyPair, claims_at, key_set_of};
use super::*;
use crate::auth::{KeyRing, Scope, TokenConfig, TokenIssuer, TokenVerifier};

const TRUST: KeyTrust = KeyTrust {
    outage: Duration::from_secs(3600),
    least_interval: Duration::from_secs(3600),
    patience: Duration::from_secs(2),
};

fn mapping(value: &Value) -> ClaimMapping {
    ClaimMapping::parse(value.to_string().as_bytes()).unwrap()
}

fn engineers() -> Value {
    json!({"roles": {"claim": "realm_access.roles", "values": {"chipq-engineer": "engineer"}}})
}

fn issuer_with(keys: &[&SigningKeyPair], map: &Value) -> ExternalIssuer {
    let issuer = ExternalIssuer::new(ISSUER.to_owned(), AUDIENCE.to_owned(), mapping(map), TRUST);
    let set = KeySet::parse(key_set_of(keys).to_string().as_bytes()).unwrap();
    issuer.keys().note_answer(Ok(set));
    issuer
}

/// `claims` with these changed; one that becomes `null` goes.
fn changed(claims: &Value, change: Value) -> Value {
    let mut claims = claims.clone();
    for (name, value) in change.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn refusal(issuer: &ExternalIssuer, token: &str) -> AuthError {
    issuer.verify(token, Utc::now()).unwrap_err()
}

#[test]
fn a_token_of_each_kind_of_key_proves_who_it_is() {
    let now = Utc::now();
    for key in [
        SigningKeyPair::rsa("r", Algorithm::RS256),
        SigningKeyPair::rsa("p", Algorithm::PS256),
        SigningKeyPair::p256("e"),
        SigningKeyPair::ed25519("d"),
    ] {
        let issuer = issuer_with(&[&key], &engineers());
        for typ in [None, Some("JWT"), Some("at+jwt"), Some("application/AT+JWT")] {
            let actor = issuer.verify(&key.sign_as(typ, &claims_at(now)), now).unwrap();
            assert_eq!(
                (actor.subject.as_str(), &actor.roles[..]),
                ("oidc:0b1f-77", &["engineer".to_owned()][..])
            );
            assert!(actor.allows(Scope::PartsWrite) && !actor.allows(Scope::ProjectionsWrite));
        }
    }
}

#[test]
fn the_issuer_that_a_token_names_decides_and_nothing_of_one_counts_for_the_other() {
    let (folder, now) = (tempfile::tempdir().unwrap(), Utc::now());
    let key = SigningKeyPair::ed25519("theirs");
    let ours = TokenIssuer::new(KeyRing::open(folder.path(), now).unwrap(), TokenConfig::default());
    let verifier = ours.verifier().with_external_issuer(Some(issuer_with(&[&key], &engineers())));
    let local = ours.issue(&Actor::with_roles("mia", &["engineer"]), now).unwrap().token;
    assert_eq!(verifier.verify(&local, now).unwrap().subject, "mia");
    assert_eq!(verifier.verify(&key.sign(&claims_at(now)), now).unwrap().subject, "oidc:0b1f-77");

    // Their key under our name, and the key set of each side under the other's.
    let as_ours = json!({"iss": "chipq", "aud": "chipq", "scope": "projections:write", "roles": ["admin"], "nbf": 0});
    let as_ours = key.sign(&changed(&claims_at(now), as_ours));
    assert_eq!(verifier.verify(&as_ours, now), Err(AuthError::UnknownKey));
    let crossed = KeySet::parse(ours.jwks().to_string().as_bytes()).unwrap();
    let deceived = issuer_with(&[&key], &engineers());
    deceived.keys().note_answer(Ok(crossed));
    let deceived = ours.verifier().with_external_issuer(Some(deceived));
    // Our own audience and issuer are not theirs, whatever keys they claim to have.
    assert_eq!(deceived.verify(&local, now).unwrap().roles, ["engineer"]);
    assert_eq!(deceived.verify(&key.sign(&claims_at(now)), now), Err(AuthError::UnknownKey));
    let without = TokenVerifier::from_jwks(&ours.jwks(), TokenConfig::default()).unwrap();
    assert_eq!(without.verify(&key.sign(&claims_at(now)), now), Err(AuthError::UnknownKey));
}

#[test]
fn a_token_for_another_service_or_of_another_issuer_is_not_believed() {
    let (now, key) = (Utc::now(), SigningKeyPair::ed25519("k"));
    let issuer = issuer_with(&[&key], &engineers());
    let token = |change| key.sign(&changed(&claims_at(now), change));
    assert!(issuer.verify(&token(json!({ "aud": AUDIENCE })), now).is_ok());
    for aud in [json!("account"), json!(["a", "b"]), json!([]), json!(""), json!(7), json!(null)] {
        let said = refusal(&issuer, &token(json!({ "aud": aud })));
        assert_eq!(said, AuthError::WrongAudience, "{aud}");
    }
    for iss in ["https://id.example/realms/Factory", "https://id.example/realms/factory/", ""] {
        let token = token(json!({ "iss": iss }));
        assert!(!issuer.is_named_by(&token));
        assert_eq!(refusal(&issuer, &token), AuthError::WrongIssuer);
    }
}

#[test]
fn only_access_tokens_are_believed() {
    let (now, key) = (Utc::now(), SigningKeyPair::ed25519("k"));
    let issuer = issuer_with(&[&key], &engineers());
    let no_access_token = AuthError::External(ExternalTokenError::NoAccessToken);
    for change in [
        json!({"typ": "ID"}),
        json!({"typ": "Refresh"}),
        json!({"typ": "Offline"}),
        json!({"typ": "Logout"}),
        json!({"typ": 7}),
        json!({"at_hash": "x"}),
        json!({"typ": null, "c_hash": "x"}),
        json!({"typ": null, "nonce": "x"}),
        json!({"typ": null, "events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
    ] {
        let token = key.sign(&changed(&claims_at(now), change.clone()));
        assert_eq!(refusal(&issuer, &token), no_access_token, "{change}");
    }
    for typ in ["logout+jwt", "dpop+jwt", "secevent+jwt", "JOSE"] {
        let token = key.sign_as(Some(typ), &claims_at(now));
        assert_eq!(refusal(&issuer, &token), no_access_token, "{typ}");
    }
    let bound = key.sign(&changed(&claims_at(now), json!({"cnf": {"jkt": "x"}})));
    assert_eq!(refusal(&issuer, &bound), AuthError::External(ExternalTokenError::Bound));
    let plain = key.sign(&changed(&claims_at(now), json!({"typ": null})));
    assert!(issuer.verify(&plain, now).is_ok(), "other providers say nothing");
}

#[test]
fn a_token_counts_in_its_time_with_thirty_seconds_of_leeway_and_for_a_day_at_most() {
    let (now, key) = (Utc::now(), SigningKeyPair::ed25519("k"));
    let issuer = issuer_with(&[&key], &engineers());
    let token = key.sign(&claims_at(now));
    let at = |seconds| issuer.verify(&token, now + TimeDelta::seconds(seconds)).map(drop);
    assert_eq!((at(329), at(330)), (Ok(()), Err(AuthError::Expired)));
    assert_eq!((at(-30), at(-31)), (Ok(()), Err(AuthError::NotYetValid)));
    // Clocks ten minutes apart, either way.
    assert_eq!((at(600), at(-600)), (Err(AuthError::Expired), Err(AuthError::NotYetValid)));

    let now_s = now.timestamp();
    let with = |change| issuer.verify(&key.sign(&changed(&claims_at(now), change)), now).map(drop);
    assert_eq!(with(json!({"nbf": now_s + 60})), Err(AuthError::NotYetValid));
    assert_eq!(with(json!({"exp": now_s as f64 + 60.5})), Ok(()));
    for change in [json!({"exp": null}), json!({"iat": null}), json!({"exp": "soon"})] {
        assert_eq!(with(change), Err(AuthError::Malformed));
    }
    assert_eq!(with(json!({"exp": now_s + 86_400})), Ok(()));
    let long_lived = Err(ExternalTokenError::LongLived.into());
    assert_eq!(with(json!({"exp": now_s + 86_401})), long_lived);
    assert_eq!(with(json!({"exp": i64::MAX, "iat": i64::MIN})), long_lived);
}

#[test]
fn a_key_is_used_with_its_own_algorithm_and_no_other() {
    let now = Utc::now();
    let (rsa, p256) = (SigningKeyPair::rsa("r", Algorithm::RS256), SigningKeyPair::p256("e"));
    let issuer = issuer_with(&[&rsa, &p256], &engineers());
    let under = |kid: &str, token: &str, alg: &str| {
        let header = json!({"alg": alg, "kid": kid, "typ": "JWT"}).to_string();
        let (_, rest) = token.split_once('.').unwrap();
        format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header))
    };
    let (by_rsa, by_p256) = (rsa.sign(&claims_at(now)), p256.sign(&claims_at(now)));
    for (kid, token, alg) in [
        ("r", &by_rsa, "PS256"),
        ("r", &by_rsa, "RS512"),
        ("r", &by_rsa, "HS256"),
        ("e", &by_p256, "RS256"),
        ("e", &by_p256, "EdDSA"),
        ("r", &by_p256, "ES256"),
    ] {
        assert_eq!(refusal(&issuer, &under(kid, token, alg)), AuthError::WrongAlgorithm, "{alg}");
    }
    for alg in ["none", "None", ""] {
        let unsigned = under("r", &by_rsa, alg);
        assert!(issuer.verify(&unsigned, now).is_err() && issuer.is_named_by(&unsigned));
    }
    // Our public key as the secret of an HMAC, in the forms in which it is known.
    let n = rsa.jwk["n"].as_str().unwrap();
    for secret in [n.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(n).unwrap()] {
        let header = Header { kid: Some("r".to_owned()), ..Header::new(Algorithm::HS256) };
        let key = EncodingKey::from_secret(&secret);
        let token = jsonwebtoken::encode(&header, &claims_at(now), &key).unwrap();
        assert_eq!(refusal(&issuer, &token), AuthError::WrongAlgorithm);
    }
    let crit = Header {
        kid: Some("r".to_owned()),
        crit: Some(vec!["exp".to_owned()]),
        ..Header::new(Algorithm::HS256)
    };
    let crit = jsonwebtoken::encode(&crit, &claims_at(now), &EncodingKey::from_secret(b"x"));
    assert_eq!(refusal(&issuer, &crit.unwrap()), AuthError::CriticalExtension);
}

#[test]
fn none_of_hundreds_of_forged_tokens_is_believed() {
    let (now, key) = (Utc::now(), SigningKeyPair::p256("k"));
    let issuer = issuer_with(&[&key], &engineers());
    let token = key.sign(&claims_at(now));
    assert!(issuer.verify(&token, now).is_ok(), "the control");
    let forger = SigningKeyPair::p256("k");
    let mut forged: Vec<String> = (0..50).map(|_| forger.sign(&claims_at(now))).collect();
    // Every byte of it changed, one at a time; the last holds bits that mean nothing.
    for at in 0..token.len() - 1 {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        forged.push(String::from_utf8(bytes).unwrap());
    }
    assert!(forged.len() > 400);
    for token in forged {
        assert!(issuer.verify(&token, now).is_err(), "{token}");
    }
    let long = format!("{token}{}", "A".repeat(20_000));
    assert!(!issuer.is_named_by(&long));
}

#[test]
fn without_keys_or_with_old_ones_nobody_can_tell_and_that_is_said() {
    let (now, key) = (Utc::now(), SigningKeyPair::ed25519("k"));
    let away = AuthError::External(ExternalTokenError::ProviderAway);
    let never =
        ExternalIssuer::new(ISSUER.to_owned(), AUDIENCE.to_owned(), mapping(&engineers()), TRUST);
    assert_eq!(refusal(&never, &key.sign(&claims_at(now))), away);
    assert!(never.keys().check().unwrap_err().contains("not known yet"));

    let issuer = issuer_with(&[&key], &engineers());
    assert_eq!(issuer.keys().check(), Ok(()));
    let newer = SigningKeyPair::ed25519("newer").sign(&claims_at(now));
    assert_eq!(refusal(&issuer, &newer), AuthError::UnknownKey);
    issuer.keys().note_answer(Err("it is away".to_owned()));
    assert!(issuer.verify(&key.sign(&claims_at(now)), now).is_ok(), "known keys go on");
    assert_eq!(refusal(&issuer, &newer), away, "the key may have been made since");
    assert!(issuer.keys().check().unwrap_err().contains("believed for"));

    let impatient = KeyTrust { outage: Duration::ZERO, ..TRUST };
    let old = ExternalIssuer::new(
        ISSUER.to_owned(),
        AUDIENCE.to_owned(),
        mapping(&engineers()),
        impatient,
    );
    old.keys().note_answer(Ok(KeySet::parse(key_set_of(&[&key]).to_string().as_bytes()).unwrap()));
    assert_eq!(refusal(&old, &key.sign(&claims_at(now))), away);
}
