//! Keys that are made, sign, and are retired, as seen by whoever was there before.

use super::*;
use crate::auth::{KeyError, KeyPurpose, KeyUse};

const MINUTE: Duration = Duration::from_secs(60);
const QUARTER: Duration = Duration::from_secs(15 * 60);

fn new_issuer(keys: &KeyRing) -> TokenIssuer {
    TokenIssuer::new(keys.clone(), TokenConfig::default())
}

/// The id of the key that a token is signed with.
fn kid_in(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

#[test]
fn keys_survive_a_restart_and_rotation_keeps_old_tokens_good() {
    let (folder, now) = (tempfile::tempdir().unwrap(), Utc::now());
    let old = issuer(folder.path());
    let token = old.issue(&engineer(), now).unwrap().token;
    let mut keys = KeyRing::open(folder.path(), later(now, 1)).unwrap();
    assert_eq!(keys.jwks(), old.jwks());

    let made = keys.rotate(KeyPurpose::Tokens, later(now, 2)).unwrap();
    let new = new_issuer(&keys);
    assert_eq!(new.jwks()["keys"].as_array().unwrap().len(), 2);
    assert_eq!(believe(&new.verifier(), &token, now), Ok(engineer()));
    let newest = new.issue(&engineer(), later(now, 40)).unwrap().token;
    assert_eq!(kid_in(&newest), made);
    assert_eq!(believe(&new.verifier(), &newest, later(now, 40)), Ok(engineer()));
}

#[test]
fn a_new_key_is_published_before_it_signs() {
    let (folder, now) = (tempfile::tempdir().unwrap(), Utc::now());
    let mut keys = KeyRing::open(folder.path(), later(now, -3_600)).unwrap();
    let made = keys.rotate(KeyPurpose::Tokens, now).unwrap();
    let new = new_issuer(&keys);
    let signed_at = |seconds| kid_in(&new.issue(&engineer(), later(now, seconds)).unwrap().token);
    assert_ne!(signed_at(28), made);
    assert_eq!(signed_at(31), made);
    assert!(new.jwks()["keys"].as_array().unwrap().iter().any(|key| key["kid"] == made.as_str()));
}

#[test]
fn a_verifier_that_was_there_before_the_rotation_believes_the_new_key() {
    let (folder, now) = (tempfile::tempdir().unwrap(), Utc::now());
    let verifier = issuer(folder.path()).verifier();
    let mut keys = KeyRing::open(folder.path(), now).unwrap();
    keys.rotate(KeyPurpose::Tokens, later(now, 1)).unwrap();
    let token = new_issuer(&keys).issue(&engineer(), later(now, 40)).unwrap().token;
    assert_eq!(believe(&verifier, &token, later(now, 40)), Ok(engineer()));
}

#[test]
fn a_key_that_is_retired_is_not_believed_and_the_one_that_signs_stays() {
    let (folder, now) = (tempfile::tempdir().unwrap(), Utc::now());
    let mut keys = KeyRing::open(folder.path(), later(now, -3_600)).unwrap();
    let token = new_issuer(&keys).issue(&engineer(), now).unwrap().token;
    let old = kid_in(&token);
    assert!(matches!(keys.retire(&old, now), Err(KeyError::StillSigns(_))));
    assert!(matches!(keys.retire("0123", now), Err(KeyError::UnknownKey(_))));
    assert!(matches!(keys.retire("../jwt-keys", now), Err(KeyError::UnknownKey(_))));
    let made = keys.rotate(KeyPurpose::Tokens, now).unwrap();
    assert!(matches!(keys.retire(&old, later(now, 20)), Err(KeyError::StillSigns(_))));

    let before = new_issuer(&keys).verifier();
    assert!(before.verify(&token, now).is_ok(), "the control");
    keys.retire(&old, later(now, 60)).unwrap();
    let verifier = new_issuer(&keys).verifier();
    assert_eq!(verifier.verify(&token, now), Err(AuthError::UnknownKey));
    let left = keys.jwks();
    assert!(left["keys"].as_array().unwrap().iter().all(|key| key["kid"] == made.as_str()));
    assert_eq!(KeyRing::open(folder.path(), now).unwrap().jwks(), left, "its file is gone");
}

#[test]
fn the_list_says_what_each_key_is_for_and_how_long_its_tokens_may_live() {
    let (folder, now) = (tempfile::tempdir().unwrap(), Utc::now());
    let mut keys = KeyRing::open(folder.path(), later(now, -7_200)).unwrap();
    keys.rotate(KeyPurpose::Tokens, later(now, -3_600)).unwrap();
    keys.rotate(KeyPurpose::Tokens, later(now, -5)).unwrap();
    let listed = keys.list(QUARTER, now);
    let (listed, urls): (Vec<_>, Vec<_>) =
        listed.into_iter().partition(|key| key.purpose == KeyPurpose::Tokens);
    assert_eq!(urls.iter().map(|key| key.used_as).collect::<Vec<_>>(), [KeyUse::Signs]);
    let uses: Vec<_> = listed.iter().map(|key| key.used_as).collect();
    assert_eq!(uses, [KeyUse::Verifies, KeyUse::Signs, KeyUse::SignsSoon]);
    assert_eq!(listed[0].alive_until, Some(listed[1].made_at + MINUTE + QUARTER));
    assert_eq!((listed[1].alive_until, listed[2].alive_until), (None, None));
}

#[test]
fn a_damaged_key_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("jwt-keys");
    std::fs::create_dir(&keys).unwrap();
    crate::config::write_private(&keys.join("1.pk8"), b"nonsense").unwrap();
    let error = KeyRing::open(folder.path(), Utc::now()).unwrap_err().to_string();
    assert!(error.contains("1.pk8"), "{error}");
}
