//! What an export proves, and that every change of it is found and named.

use chrono::DateTime;
use uuid::Uuid;

use super::*;
use crate::envelope::EnvelopeFields;
use crate::export_lines::{ExportBlock, write_artifact_line, write_head_line};
use crate::tree_head::TreeHead;

const KEY: [u8; 32] = [7; 32];

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

fn event(n: u64) -> Vec<u8> {
    let position = i64::try_from(n).unwrap() * 2 + 1;
    let is_picture = n % 7 == 3;
    let payload = format!("{{\"artifact_id\":\"{n}\",\"sha256\":\"{n:064x}\"}}");
    let fields = EnvelopeFields {
        position,
        event_id: Uuid::from_u128(n.into()),
        command_id: None,
        aggregate_type: "inspection",
        aggregate_id: "I",
        sequence: n + 1,
        event_type: if is_picture { "ArtifactUploaded" } else { "InspectionOpened" },
        event_version: "1",
        payload: if is_picture { &payload } else { "{}" },
        metadata: "{\"actor_subject\":\"ada\"}",
        recorded_at: DateTime::from_timestamp_millis(1_790_000_000_000 + position).unwrap(),
    };
    fields.to_canonical().unwrap()
}

/// A log of so many events, and the heads that were signed at these sizes.
struct Log {
    events: Vec<Vec<u8>>,
    heads: Vec<SignedTreeHead>,
}

impl Log {
    fn new(count: u64, sizes: &[u64]) -> Self {
        Self::of_events((0..count).map(event).collect(), sizes)
    }

    fn of_events(events: Vec<Vec<u8>>, sizes: &[u64]) -> Self {
        let (mut frontier, mut chain, mut heads) = (Frontier::default(), EMPTY_CHAIN, Vec::new());
        for event in &events {
            let leaf = hash_leaf(event);
            frontier.add_leaf(leaf, |_, _| ());
            chain = link_chain(&chain, &leaf);
            if sizes.contains(&frontier.size()) {
                let head = TreeHead {
                    origin: "chipq/test".to_owned(),
                    size: frontier.size(),
                    root: frontier.root(),
                    position: read_position(event).unwrap(),
                    chain,
                    signed_at: DateTime::from_timestamp_millis(1_790_000_000_000).unwrap(),
                };
                heads.push(SignedTreeHead::sign(head, &KEY, sign));
            }
        }
        Self { events, heads }
    }

    /// The export of the events from index `from` on.
    fn export(&self, from: usize) -> Vec<u8> {
        let (mut frontier, mut chain) = (Frontier::default(), EMPTY_CHAIN);
        let (mut artifacts, mut block) = (BTreeMap::new(), ExportBlock::default());
        for event in &self.events[..from] {
            frontier.add_leaf(hash_leaf(event), |_, _| ());
            chain = link_chain(&chain, &hash_leaf(event));
        }
        let origin = "chipq/test".to_owned();
        let mut out = ExportHeader::new(origin, &frontier, &chain).to_line();
        let heads = self.heads.iter().filter(|signed| signed.head.size >= from as u64);
        let notes = heads.clone().map(|signed| SignedNote::parse(&signed.to_text()).unwrap());
        out.extend(notes.flat_map(|note| write_head_line(&note)));
        for (n, event) in (0..).zip(&self.events).skip(from) {
            out.extend(event);
            out.push(b'\n');
            note_artifacts(event, &mut artifacts).unwrap();
            out.extend(block.add_leaf(n, hash_leaf(event)).into_iter().flatten());
        }
        out.extend(block.take_line().into_iter().flatten());
        out.extend(artifacts.values().flat_map(write_artifact_line));
        let (artifacts, events) = (artifacts.len() as u64, (self.events.len() - from) as u64);
        out.extend(ExportEnd { artifacts, events, heads: heads.count() as u64 }.to_line());
        out
    }
}

fn verify(export: &[u8], elsewhere: &[SignedTreeHead]) -> Result<ExportSummary, ExportDifference> {
    let whole = export.strip_suffix(b"\n").unwrap_or(export);
    let mut lines = whole.split(|byte| *byte == b'\n');
    let header = String::from_utf8_lossy(lines.next().unwrap());
    let mut verifier = ExportVerifier::begin(&header, elsewhere.to_vec(), (&[KEY], &is_signed))?;
    for line in lines {
        verifier.take_line(line)?;
    }
    verifier.finish()
}

#[test]
fn an_export_is_proved_up_to_its_largest_head_and_says_what_it_is_not() {
    let log = Log::new(600, &[1, 256, 300, 590]);
    let summary = verify(&log.export(0), &[]).unwrap();
    assert_eq!((summary.events, summary.proved_events, summary.heads), (600, 590, 4));
    assert_eq!((summary.positions, summary.artifacts.len()), (Some((1, 1199)), 86));
    let part = verify(&log.export(256), &[]).unwrap();
    assert_eq!((part.index, part.events, part.proved_events, part.heads), (256, 344, 334, 3));
    let part = verify(&log.export(300), &log.heads).unwrap();
    assert_eq!((part.proved_events, part.heads, part.heads_beyond), (290, 2, 2));
    let none = verify(&Log::new(0, &[]).export(0), &[]).unwrap();
    assert_eq!((none.events, none.positions), (0, None));
}

/// The sentence for what `change` does to an export of 600 events with heads at these sizes.
fn found(change: impl FnOnce(&mut Vec<String>)) -> String {
    let export = String::from_utf8(Log::new(600, &[100, 590]).export(0)).unwrap();
    let mut lines: Vec<_> = export.lines().map(str::to_owned).collect();
    change(&mut lines);
    let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    verify(text.as_bytes(), &[]).unwrap_err().what
}

#[test]
fn every_change_is_named() {
    // Three lines stand before the first event.
    let altered = found(|lines| lines[13] = lines[13].replace("ada", "eve"));
    assert!(altered.starts_with("the event at position 21 was altered"), "{altered}");
    let missing = found(|lines| drop(lines.remove(13)));
    assert!(missing.starts_with("an event before position 23 is missing"), "{missing}");
    let reordered = found(|lines| lines.swap(13, 14));
    assert!(
        reordered.contains("the event at position 21 stands behind the one at 23"),
        "{reordered}"
    );
    let added = found(|lines| lines.insert(13, lines[13].replace(":21,", ":20,")));
    assert!(added.starts_with("the event at position 20 was added"), "{added}");
    let truncated = found(|lines| lines.truncate(400));
    assert!(truncated.ends_with("it was truncated"), "{truncated}");
    let artifact = found(|lines| {
        let at = lines.iter().position(|line| line.starts_with("{\"artifact\"")).unwrap();
        lines[at] = lines[at].replace("0a\"", "0b\"");
    });
    assert!(artifact.starts_with("the artifacts are not"), "{artifact}");
    let counted =
        found(|lines| *lines.last_mut().unwrap() = lines[lines.len() - 1].replace("600", "599"));
    assert!(counted.starts_with("the end counts"), "{counted}");
}

#[test]
fn whoever_computes_the_leaves_again_is_found_by_the_next_head() {
    let honest = Log::new(600, &[100, 590]);
    let mut events = honest.events.clone();
    events[300] =
        String::from_utf8(events[300].clone()).unwrap().replace("ada", "eve").into_bytes();
    let forged = Log { events, heads: honest.heads.clone() };
    let what = verify(&forged.export(0), &[]).unwrap_err().what;
    assert!(
        what.contains("after position 199 (event 100 of the log), up to which all is proved"),
        "{what}"
    );
    // One that takes the heads out as well is found by those that somebody else has kept.
    let forged = Log { events: forged.events, heads: Vec::new() };
    assert_eq!(verify(&forged.export(0), &[]).unwrap().proved_events, 0);
    let what = verify(&forged.export(0), &honest.heads).unwrap_err().what;
    assert!(what.contains("are not those of the tree head of 590 events"), "{what}");
    // A log that was cut, too: it does not reach the head.
    let cut = Log { events: honest.events[..200].to_vec(), heads: Vec::new() };
    let lying = Log { events: cut.events.clone(), heads: honest.heads.clone() };
    let what = verify(&lying.export(0), &[]).unwrap_err().what;
    assert!(what.contains("has a tree head of 590: it was truncated"), "{what}");
    let summary = verify(&cut.export(0), &honest.heads).unwrap();
    assert_eq!((summary.proved_events, summary.heads_beyond), (100, 1));
}

#[test]
fn heads_of_other_logs_and_keys_are_refused() {
    let log = Log::new(10, &[10]);
    let mut head = log.heads[0].head.clone();
    head.origin = "chipq/other".to_owned();
    let other = SignedTreeHead::sign(head, &KEY, sign);
    let what = verify(&log.export(0), std::slice::from_ref(&other)).unwrap_err().what;
    assert!(what.contains("another log: chipq/other"), "{what}");
    let keys = [[8; 32]];
    let text = log.export(0);
    let header = String::from_utf8(text).unwrap();
    let mut lines = header.lines();
    let mut verifier =
        ExportVerifier::begin(lines.next().unwrap(), Vec::new(), (&keys, &is_signed)).unwrap();
    let what = verifier.take_line(lines.next().unwrap().as_bytes()).unwrap_err().what;
    assert!(what.contains("signed by another key"), "{what}");
}

#[test]
fn no_byte_of_an_export_is_free() {
    let export = Log::new(12, &[5, 12]).export(0);
    verify(&export, &[]).unwrap();
    for at in 0..export.len() {
        for flip in [1, 0x20] {
            let mut changed = export.clone();
            changed[at] ^= flip;
            assert!(verify(&changed, &[]).is_err(), "byte {at} of {}", export.len());
        }
    }
    for end in 0..export.len() - 1 {
        assert!(verify(&export[..end], &[]).is_err(), "truncated at {end}");
    }
}
