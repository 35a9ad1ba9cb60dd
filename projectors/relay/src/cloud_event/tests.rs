//! Events as records, and records as places in the log.

use chrono::{TimeZone as _, Utc};
use platform::event_log::{EventMetadata, Position, StreamId};
use serde_json::json;
use uuid::Uuid;

use super::*;

const INCARNATION: Incarnation = Incarnation(Uuid::from_u128(7));

fn recorded() -> Recorded {
    let at = Utc.with_ymd_and_hms(2026, 3, 1, 8, 0, 0).unwrap();
    let mut metadata = EventMetadata::by_service("station").with_occurred_at(at);
    metadata.traceparent =
        Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    Recorded {
        position: Position(4711),
        event_id: Uuid::from_u128(1),
        command_id: None,
        stream: StreamId { aggregate_type: "part".into(), aggregate_id: "Leiterplatte-Ä7".into() },
        sequence: 1,
        event_type: "RecipeRevised".into(),
        event_version: "3".into(),
        payload: json!({"type": "RecipeRevised", "share": 0.970_000_028_610_229_5}).into(),
        metadata,
        recorded_at: at,
    }
}

fn header(record: &Record, name: &str) -> Option<String> {
    let found = record.headers.iter().find(|(found, _)| *found == name)?;
    Some(String::from_utf8(found.1.clone()).unwrap())
}

fn received(record: Record) -> TailRecord {
    let headers = record.headers.into_iter().map(|(name, value)| (name.to_owned(), Some(value)));
    TailRecord {
        offset: 0,
        timestamp_ms: record.timestamp_ms,
        key: Some(record.key),
        value: Some(record.value),
        headers: headers.collect(),
    }
}

#[test]
fn a_record_has_every_attribute_and_the_payload_as_it_is_stored() {
    let record = record_of(&recorded(), ("https://chipq.example", INCARNATION));
    let expected = [
        ("ce_specversion", "1.0"),
        ("ce_id", "00000000-0000-0000-0000-000000000001"),
        ("ce_source", "https://chipq.example"),
        ("ce_type", "chipq.part.RecipeRevised"),
        ("ce_subject", "Leiterplatte-Ä7"),
        ("ce_time", "2026-03-01T08:00:00Z"),
        ("ce_dataschema", "urn:chipq:schema:event:RecipeRevised:3"),
        ("ce_sequence", "0000000000000004711"),
        ("ce_logposition", "4711.00000000000000000000000000000007"),
        ("content-type", "application/json"),
        ("ce_traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];
    for (name, value) in expected {
        assert_eq!(header(&record, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(record.headers.len(), expected.len());
    assert_eq!(record.key, "Leiterplatte-Ä7".as_bytes());
    assert_eq!(
        String::from_utf8(record.value).unwrap(),
        r#"{"share":0.9700000286102295,"type":"RecipeRevised"}"#
    );
}

#[test]
fn a_record_is_ours_by_its_source_and_its_place() {
    let record = record_of(&recorded(), ("urn:chipq", INCARNATION));
    let place = LogPlace { incarnation: INCARNATION, position: Position(4711) };
    let ours = received(record);
    assert_eq!(place_of(&ours, "urn:chipq"), Some(place));
    assert_eq!(place_of(&ours, "urn:other"), None);
    for spoiled in ["ce_source", "ce_logposition"] {
        for value in [None, Some(vec![0xff]), Some(b"4711".to_vec())] {
            let mut record = ours.clone();
            let header = record.headers.iter_mut().find(|(name, _)| name == spoiled).unwrap();
            header.1 = value;
            assert_eq!(place_of(&record, "urn:chipq"), None, "{spoiled}");
        }
    }
}
