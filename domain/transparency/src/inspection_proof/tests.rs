//! A proof stands by itself, and any change of it is refused.

use std::convert::Infallible;

use chrono::DateTime;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::envelope::EnvelopeFields;
use crate::hashes::EMPTY_CHAIN;
use crate::tree::{Frontier, prove_inclusion, root_of};
use crate::tree_head::TreeHead;

const KEYS: [[u8; 32]; 1] = [[7; 32]];

/// Stands for Ed25519: the digest of the message twice.
fn sign(message: &[u8]) -> [u8; 64] {
    let digest = hash_leaf(message);
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&digest);
    signature[32..].copy_from_slice(&digest);
    signature
}

fn is_signed(_: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    signature == sign(message)
}

const EVENTS: [(&str, &str, u64, &str, &str); 8] = [
    ("access-control", "access", 1, "PrincipalCreated", r#"{"subject":"ada"}"#),
    ("part", "P", 1, "PartRegistered", "{}"),
    ("part", "P", 2, "GoldenSampleRegistered", r#"{"artifact_id":"g","sha256":"00ff"}"#),
    ("inspection", "another", 1, "InspectionCreated", r#"{"part":"P"}"#),
    ("inspection", "I", 1, "InspectionCreated", r#"{"part":"P"}"#),
    ("inspection", "I", 2, "ArtifactUploaded", r#"{"artifact_id":"a","sha256":"01"}"#),
    ("model-route", "golden-compare", 1, "ModelRouted", "{}"),
    ("inspection", "I", 3, "InspectionJudged", r#"{"judgement":"pass"}"#),
];

fn envelopes() -> Vec<String> {
    let fields =
        |(n, event): (u32, &(&'static str, &'static str, u64, &'static str, &'static str))| {
            let (aggregate_type, aggregate_id, sequence, event_type, payload) = *event;
            let position = i64::from(n) + 1;
            let fields = EnvelopeFields {
                position,
                event_id: Uuid::from_u128(n.into()),
                command_id: None,
                aggregate_type,
                aggregate_id,
                sequence,
                event_type,
                event_version: "1",
                payload,
                metadata: r#"{"actor_subject":"ada"}"#,
                recorded_at: DateTime::from_timestamp_millis(1_790_000_000_000 + position).unwrap(),
            };
            String::from_utf8(fields.to_canonical().unwrap()).unwrap()
        };
    (0..).zip(&EVENTS).map(fields).collect()
}

/// The proof by the events that `is_in` says, by their index.
fn proof(is_in: impl Fn(usize) -> bool) -> Vec<u8> {
    let envelopes = envelopes();
    let leaves: Vec<_> = envelopes.iter().map(|text| hash_leaf(text.as_bytes())).collect();
    let mut frontier = Frontier::default();
    for leaf in &leaves {
        frontier.add_leaf(*leaf, |_, _| ());
    }
    let size = frontier.size();
    let head = TreeHead {
        origin: "chipq/test".to_owned(),
        size,
        root: frontier.root(),
        position: 8,
        chain: EMPTY_CHAIN,
        signed_at: DateTime::from_timestamp_millis(1_790_000_001_000).unwrap(),
    };
    let signed = SignedTreeHead::sign(head, &KEYS[0], sign);
    let node = |level: u32, number: u64| {
        let (begin, count) = ((number << level) as usize, 1 << level);
        Ok::<_, Infallible>(root_of(&leaves[begin..begin + count]))
    };
    let events = (0..).zip(envelopes).filter(|(index, _)| is_in(*index as usize));
    let events = events.map(|(index, envelope)| {
        ProvedEvent::new(envelope, index, &prove_inclusion(index, size, node).unwrap())
    });
    InspectionProof::assemble("I".to_owned(), events.collect(), &signed).unwrap().to_bytes()
}

fn check(file: &[u8]) -> Result<ProvedInspection, InspectionProofError> {
    InspectionProof::check(file, &KEYS, &is_signed)
}

fn refusal(file: &[u8]) -> String {
    check(file).unwrap_err().to_string()
}

#[test]
fn the_events_behind_a_report_are_proved() {
    let proved = check(&proof(|index| index != 3)).unwrap();
    assert_eq!((proved.events.len(), proved.artifacts.len()), (7, 2));
    assert_eq!(proved.persons.iter().collect::<Vec<_>>(), ["ada"]);
    assert_eq!(proved.head.head.size, 8);
}

#[test]
fn what_is_left_out_or_does_not_belong_is_named() {
    for (missing, expected) in [
        (1, "the events of part P are not whole: 1 is missing"),
        (4, "the events of inspection I are not whole: 1 is missing"),
        (5, "the events of inspection I are not whole: 2 is missing"),
        (7, "the events are not those of the judged inspection I"),
    ] {
        let found = refusal(&proof(|index| index != 3 && index != missing));
        assert_eq!(found, expected);
    }
    assert!(refusal(&proof(|index| index > 3)).contains("part that was inspected"));
    assert!(
        refusal(&proof(|_| true)).contains("are not those of the judged"),
        "another inspection's"
    );
}

#[test]
fn a_changed_byte_anywhere_is_refused() {
    let file = proof(|index| index != 3);
    for at in 0..file.len() {
        for flip in [1, 2, 4, 8, 16, 32, 64, 128] {
            let mut changed = file.clone();
            changed[at] ^= flip;
            assert!(check(&changed).is_err(), "byte {at}, bit {flip}");
        }
    }
    for end in 0..file.len() {
        assert!(check(&file[..end]).is_err(), "truncated at {end}");
    }
    let wrong = InspectionProof::check(&file, &[[8; 32]], &is_signed).unwrap_err().to_string();
    assert!(wrong.contains("signed by another key"), "{wrong}");
}

proptest! {
    #[test]
    fn bytes_that_are_put_in_or_taken_out_are_refused(at in 0_usize..4_000, more in any::<u8>()) {
        let file = proof(|index| index != 3);
        let at = at % file.len();
        let mut longer = file.clone();
        longer.insert(at, more);
        prop_assert!(check(&longer).is_err());
        let mut shorter = file.clone();
        shorter.remove(at);
        prop_assert!(check(&shorter).is_err());
    }
}
