//! What is taken back before its time, and the keys of clients.

use chrono::{DateTime, Utc};

use super::*;
use crate::{ClientKey, KeyAlgorithm, SessionEndCause};

fn end(who: &str, session: u128, seconds: i64) -> C {
    C::EndSession {
        name: name(who),
        session: Uuid::from_u128(session),
        cause: SessionEndCause::Revoked,
        at: at(seconds),
        until: until(seconds),
    }
}

fn revoke(who: &str, token: u128, seconds: i64) -> C {
    let (name, token) = (name(who), Uuid::from_u128(token));
    C::RevokeToken { name, token, at: at(seconds), until: until(seconds) }
}

/// An access token lives for so long.
fn until(seconds: i64) -> DateTime<Utc> {
    at(seconds + 900)
}

fn with_ada() -> AccessControl {
    AccessControl::replay(&[created(person("ada", Role::Engineer)), created(machine("aoi-1"))])
}

fn give(state: &mut AccessControl, command: C) -> Vec<E> {
    let events = state.decide(command).unwrap();
    events.iter().for_each(|event| state.evolve(event));
    events
}

#[test]
fn what_was_taken_back_is_known_while_anything_of_it_could_be_believed() {
    let mut state = with_ada();
    assert_eq!(give(&mut state, end("ada", 1, 0)).len(), 1);
    assert_eq!(give(&mut state, revoke("aoi-1", 2, 10)).len(), 1);
    let is_withdrawn = |state: &AccessControl, id| state.is_withdrawn(Uuid::from_u128(id));
    assert!(is_withdrawn(&state, 1) && is_withdrawn(&state, 2) && !is_withdrawn(&state, 3));
    assert_eq!(give(&mut state, end("ada", 1, 20)), [], "it is so already");

    give(&mut state, end("ada", 3, 899));
    assert!(is_withdrawn(&state, 1), "a token of it may be good for another second");
    give(&mut state, end("ada", 4, 900));
    assert!(!is_withdrawn(&state, 1) && is_withdrawn(&state, 2) && is_withdrawn(&state, 4));
    let revision = state.principal(&name("ada")).unwrap().revision;
    assert_eq!(revision, 1, "other sessions go on");
}

#[test]
fn who_has_too_much_taken_back_one_by_one_loses_everything_and_nobody_else_does() {
    let mut state = with_ada();
    give(&mut state, revoke("aoi-1", 1_000, 0));
    for session in 0..64 {
        let events = give(&mut state, end("ada", session, 1));
        assert!(matches!(events[..], [E::SessionEnded { .. }]));
    }
    let events = give(&mut state, end("ada", 64, 2));
    assert_eq!(events, [E::AllTokensRevoked { name: name("ada"), at: at(2) }]);
    assert_eq!(state.principal(&name("ada")).unwrap().revision, 2);
    assert!(!state.is_withdrawn(Uuid::from_u128(0)), "its revision says so");
    assert_eq!(state.principal(&name("aoi-1")).unwrap().revision, 1);
    assert!(state.is_withdrawn(Uuid::from_u128(1_000)));
}

#[test]
fn nothing_of_nobody_is_taken_back() {
    let nobody = || Rejected::PrincipalNotFound { name: name("eve") };
    given([]).when(end("eve", 1, 0)).then_rejected(nobody());
    given([]).when(revoke("eve", 1, 0)).then_rejected(nobody());
}

#[test]
fn a_client_has_a_secret_or_a_key_and_the_last_one_counts() {
    let key = |text: &str| ClientKey::new(KeyAlgorithm::EdDsa, text.to_owned()).unwrap();
    let register = |who: &str, text: &str| C::RegisterPublicKey {
        name: name(who),
        key: key(text),
        reason: "needed".into(),
    };
    let mut state = with_ada();
    assert_eq!(state.decide(register("ada", "AAAA")), Err(Rejected::KeyOfPerson));
    give(&mut state, register("aoi-1", "AAAA"));
    assert_eq!(state.decide(register("aoi-1", "AAAA")), Ok(vec![]));
    let client = state.principal(&name("aoi-1")).unwrap();
    assert_eq!((client.public_key.as_ref(), client.revision), (Some(&key("AAAA")), 2));
    let credential = Uuid::from_u128(8);
    let replace = C::ReplaceCredential { name: name("aoi-1"), credential, reason: "needed".into() };
    give(&mut state, replace);
    let client = state.principal(&name("aoi-1")).unwrap();
    assert_eq!((client.public_key.as_ref(), client.revision), (None, 3));

    let with_key = NewPrincipal { public_key: Some(key("BBBB")), ..machine("mes") };
    assert_eq!(give(&mut state, create(with_key)).len(), 2);
    assert!(state.principal(&name("mes")).unwrap().public_key.is_some());
    let person = NewPrincipal { public_key: Some(key("BBBB")), ..person("eve", Role::Auditor) };
    assert_eq!(state.decide(create(person)), Err(Rejected::KeyOfPerson));
}

#[test]
fn a_key_is_base64_of_bounded_length() {
    for text in ["", "A B", "AA\n", "\u{e4}", &"A".repeat(2_001)] {
        assert!(ClientKey::new(KeyAlgorithm::Es256, text.to_owned()).is_err(), "{text:.20}");
    }
}

#[test]
fn a_key_of_tokens_is_added_and_retired_with_a_reason() {
    let kid = || "9c56cc51b374c3ba".to_owned();
    let state = with_ada();
    for (reason, is_good) in [("once a quarter", true), (" ", false)] {
        let add = C::AddSigningKey { kid: kid(), reason: reason.into() };
        let retire = C::RetireSigningKey { kid: kid(), reason: reason.into() };
        assert_eq!(state.decide(add).is_ok(), is_good);
        assert_eq!(state.decide(retire).is_ok(), is_good);
    }
}
