//! Which tokens are believed, and which are not.

mod forged;
mod rotation;
mod shared_place;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::tokens::TokenClaims;
use super::*;

fn issuer(folder: &Path) -> TokenIssuer {
    TokenIssuer::new(KeyRing::open(folder, Utc::now()).unwrap(), TokenConfig::default())
}

/// The id of the key that `issuer` signs with.
fn kid_of(issuer: &TokenIssuer) -> String {
    issuer.keys.current().signing_at(Utc::now()).unwrap().id.clone()
}

fn engineer() -> Actor {
    Actor::with_roles("mia", &["engineer"])
}

/// Whom `token` proves, whatever its id is.
fn believe(verifier: &TokenVerifier, token: &str, now: DateTime<Utc>) -> Result<Actor, AuthError> {
    let actor = verifier.verify(token, now)?;
    assert!(actor.token_id.is_some(), "every token has an id");
    Ok(Actor { token_id: None, ..actor })
}

fn later(now: DateTime<Utc>, seconds: i64) -> DateTime<Utc> {
    now + TimeDelta::seconds(seconds)
}

fn segment(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[test]
fn a_token_proves_subject_roles_and_scopes() {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, now) = (issuer(folder.path()), Utc::now());
    let access = issuer.issue(&engineer(), now).unwrap();
    assert_eq!(access.expires_in, 900);
    assert_eq!(believe(&issuer.verifier(), &access.token, now), Ok(engineer()));
    assert!(!format!("{access:?}").contains(&access.token));
}

#[test]
fn a_token_is_good_for_its_lifetime_and_thirty_seconds_of_leeway() {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, now) = (issuer(folder.path()), Utc::now());
    let (verifier, token) = (issuer.verifier(), issuer.issue(&engineer(), now).unwrap().token);
    assert!(verifier.verify(&token, later(now, 900 + 29)).is_ok());
    assert_eq!(verifier.verify(&token, later(now, 900 + 30)), Err(AuthError::Expired));
    assert!(verifier.verify(&token, later(now, -30)).is_ok());
    assert_eq!(verifier.verify(&token, later(now, -31)), Err(AuthError::NotYetValid));
}

#[test]
fn an_altered_token_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, now) = (issuer(folder.path()), Utc::now());
    let token = issuer.issue(&Actor::with_roles("eve", &["station"]), now).unwrap().token;
    let parts: Vec<_> = token.split('.').collect();
    let mut claims: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    claims["scope"] = "projections:write".into();
    let altered = format!("{}.{}.{}", parts[0], segment(&claims), parts[2]);
    assert_eq!(issuer.verifier().verify(&altered, now), Err(AuthError::BadSignature));
    let unsigned = format!("{}.{}.", parts[0], parts[1]);
    assert!(issuer.verifier().verify(&unsigned, now).is_err());
}

#[test]
fn a_token_of_a_foreign_issuer_is_not_believed_even_with_our_key_id() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (issuer, foreign, now) = (issuer(ours.path()), issuer(theirs.path()), Utc::now());
    let token = foreign.issue(&engineer(), now).unwrap().token;
    assert_eq!(issuer.verifier().verify(&token, now), Err(AuthError::UnknownKey));

    let forged = forge(&foreign, Some(kid_of(&issuer)), json!({}), now);
    assert_eq!(issuer.verifier().verify(&forged, now), Err(AuthError::BadSignature));
    let anonymous = forge(&issuer, None, json!({}), now);
    assert_eq!(issuer.verifier().verify(&anonymous, now), Err(AuthError::UnknownKey));
}

#[test]
fn a_token_for_another_audience_or_from_another_issuer_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, now) = (issuer(folder.path()), Utc::now());
    let (verifier, kid) = (issuer.verifier(), kid_of(&issuer));
    let other = forge(&issuer, Some(kid.clone()), json!({"aud": "billing"}), now);
    assert_eq!(verifier.verify(&other, now), Err(AuthError::WrongAudience));
    let other = forge(&issuer, Some(kid.clone()), json!({"iss": "elsewhere"}), now);
    assert_eq!(verifier.verify(&other, now), Err(AuthError::WrongIssuer));
    let missing = forge(&issuer, Some(kid), json!({"aud": null}), now);
    assert_eq!(verifier.verify(&missing, now), Err(AuthError::Malformed));
}

#[test]
fn a_token_that_must_be_understood_by_other_rules_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, now) = (issuer(folder.path()), Utc::now());
    let signed = |crit: Option<&[&str]>| {
        let crit = crit.map(|names| names.iter().map(|&name| name.to_owned()).collect());
        let header = Header { crit, ..header_of(&issuer) };
        sign(&issuer, &header, &claims(now))
    };
    assert!(issuer.verifier().verify(&signed(None), now).is_ok());
    for names in [&["b64"][..], &["exp"], &["urn:of:somebody"], &[]] {
        let refused = issuer.verifier().verify(&signed(Some(names)), now);
        assert_eq!(refused, Err(AuthError::CriticalExtension), "{names:?}");
    }
}

#[test]
fn a_subject_or_a_role_that_cannot_be_stored_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, now) = (issuer(folder.path()), Utc::now());
    let long = "x".repeat(256);
    for name in ["", "eve\0", "eve\n2026-11-29 mallory", long.as_str()] {
        for changed in [json!({ "sub": name }), json!({ "roles": ["station", name] })] {
            let token = forge(&issuer, Some(kid_of(&issuer)), changed, now);
            assert_eq!(issuer.verifier().verify(&token, now), Err(AuthError::Malformed));
        }
    }
}

#[test]
fn a_token_without_signature_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, now) = (issuer(folder.path()), Utc::now());
    for algorithm in ["none", "None", "NONE", ""] {
        let header = json!({"alg": algorithm, "kid": kid_of(&issuer), "typ": "JWT"});
        let token = format!("{}.{}.", segment(&header), segment(&claims(now)));
        assert!(issuer.verifier().verify(&token, now).is_err(), "{algorithm}");
    }
}

#[test]
fn a_token_signed_by_hmac_with_our_public_key_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, now) = (issuer(folder.path()), Utc::now());
    let x = issuer.jwks()["keys"][0]["x"].as_str().unwrap().to_owned();
    for secret in [URL_SAFE_NO_PAD.decode(&x).unwrap(), x.clone().into_bytes()] {
        let header = Header { kid: Some(kid_of(&issuer)), ..Header::new(Algorithm::HS256) };
        let key = EncodingKey::from_secret(&secret);
        let token = jsonwebtoken::encode(&header, &claims(now), &key).unwrap();
        assert_eq!(issuer.verifier().verify(&token, now), Err(AuthError::WrongAlgorithm));
    }
}

#[test]
fn nonsense_is_not_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let verifier = issuer(folder.path()).verifier();
    let long = "a".repeat(100_000);
    for token in ["", ".", "..", "a.b.c", "é.é.é", "demo", &long] {
        assert_eq!(verifier.verify(token, Utc::now()), Err(AuthError::Malformed), "{token:.20}");
    }
}

#[test]
fn a_key_set_is_enough_to_verify_and_holds_no_private_half() {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, now) = (issuer(folder.path()), Utc::now());
    let set = issuer.jwks();
    assert!(set["keys"][0].get("d").is_none());
    let verifier = TokenVerifier::from_jwks(&set, TokenConfig::default()).unwrap();
    let token = issuer.issue(&engineer(), now).unwrap().token;
    assert_eq!(believe(&verifier, &token, now), Ok(engineer()));
    assert!(TokenVerifier::from_jwks(&json!({"keys": []}), TokenConfig::default()).is_err());
}

#[test]
fn the_demo_user_has_one_password_and_nobody_has_none() {
    let users = Users::demo();
    let actor = users.authenticate("demo", &"demo".into()).unwrap();
    assert!(actor.allows(Scope::InspectionsWrite) && actor.allows(Scope::PartsWrite));
    assert!(!actor.allows(Scope::ProjectionsWrite));
    for (name, password) in [("demo", ""), ("demo", "Demo"), ("", ""), ("root", "demo")] {
        assert_eq!(users.authenticate(name, &password.into()), None);
        assert_eq!(Users::none().authenticate(name, &password.into()), None);
    }
    assert!(!format!("{users:?}").contains("password"));
}

#[test]
fn every_scope_reads_back_and_roles_only_allow_what_they_list() {
    for scope in Scope::ALL {
        assert_eq!(scope.as_str().parse(), Ok(scope));
    }
    assert_eq!(Actor::with_roles("eve", &["nobody"]).scopes, BTreeSet::new());
    assert!(!Actor::with_roles("aoi-1", &["station"]).allows(Scope::ReportsRead));
    assert_eq!(Actor::with_roles("root", &["admin"]).scopes.len(), Scope::ALL.len());
    assert_eq!(TokenConfig::default().lifetime, Duration::from_secs(900));
}

#[test]
fn a_token_that_is_too_long_or_names_a_strange_key_is_not_believed_whoever_signed_it() {
    let (folder, now) = (tempfile::tempdir().unwrap(), Utc::now());
    let issuer = issuer(folder.path());
    let kid = kid_of(&issuer);
    let believe = |kid: &str, roles: usize| {
        let roles = json!({ "roles": vec!["x".repeat(200); roles] });
        let token = forge(&issuer, Some(kid.to_owned()), roles, now);
        issuer.verifier().verify(&token, now).map(drop)
    };
    assert_eq!(believe(&kid, 1), Ok(()), "the control");
    assert_eq!(believe(&kid, 100), Err(AuthError::Malformed));
    for strange in ["", "../jwt-keys", "%00", &format!("./{kid}"), &format!("{kid}.pem")] {
        assert_eq!(believe(strange, 1), Err(AuthError::UnknownKey), "{strange}");
    }
}

fn claims(now: DateTime<Utc>) -> Value {
    let now = now.timestamp();
    serde_json::to_value(TokenClaims {
        iss: "chipq".to_owned(),
        aud: "chipq".to_owned(),
        sub: "eve".to_owned(),
        iat: now,
        nbf: now,
        exp: now + 900,
        jti: "1".to_owned(),
        client_id: "eve".to_owned(),
        sid: None,
        roles: vec!["admin".to_owned()],
        revision: None,
        scope: "projections:write".to_owned(),
    })
    .unwrap()
}

/// A token with these claims changed, signed by `issuer` but bearing any key id.
fn forge(issuer: &TokenIssuer, kid: Option<String>, change: Value, now: DateTime<Utc>) -> String {
    let mut claims = claims(now);
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    sign(issuer, &Header { kid, ..header_of(issuer) }, &claims)
}

/// The header of an access token of `issuer`.
fn header_of(issuer: &TokenIssuer) -> Header {
    let (kid, typ) = (Some(kid_of(issuer)), Some("at+jwt".to_owned()));
    Header { kid, typ, ..Header::new(Algorithm::EdDSA) }
}

/// What the key of `issuer` signs.
fn sign(issuer: &TokenIssuer, header: &Header, claims: &Value) -> String {
    let keys = issuer.keys.current();
    jsonwebtoken::encode(header, claims, &keys.signing_at(Utc::now()).unwrap().material).unwrap()
}
