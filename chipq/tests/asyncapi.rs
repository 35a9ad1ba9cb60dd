//! `schemas/asyncapi.yaml` describes every version of every event that a log may hold, exactly as it is stored, and
//! the headers that it is sent with.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "asyncapi/document.rs"]
mod document;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use document::Document;
use domain::{
    AccessAttempts, AccessControl, Aggregate, Inspection, ModelRoute, Part, PictureRetention,
    ProjectionRepair, StoredEvent,
};
use jsonschema::Validator;
use serde_json::{Value, json};

/// Every aggregate's stored type, and its events.
const AGGREGATES: [(&str, &[StoredEvent]); 7] = [
    (<Inspection as Aggregate>::TYPE, <Inspection as Aggregate>::EVENTS),
    (<Part as Aggregate>::TYPE, <Part as Aggregate>::EVENTS),
    (<ModelRoute as Aggregate>::TYPE, <ModelRoute as Aggregate>::EVENTS),
    (<ProjectionRepair as Aggregate>::TYPE, <ProjectionRepair as Aggregate>::EVENTS),
    (<AccessControl as Aggregate>::TYPE, <AccessControl as Aggregate>::EVENTS),
    (<AccessAttempts as Aggregate>::TYPE, <AccessAttempts as Aggregate>::EVENTS),
    (<PictureRetention as Aggregate>::TYPE, <PictureRetention as Aggregate>::EVENTS),
];

/// Headers that every record has.
const HEADERS: [&str; 10] = [
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_subject",
    "ce_time",
    "ce_dataschema",
    "ce_sequence",
    "ce_logposition",
    "content-type",
];

/// The headers of a message and its payload, as they would be sent.
type Sample = (Value, Value);

/// The key of every message that there must be, with its aggregate, its event and the version.
fn stored_versions() -> BTreeMap<String, (&'static str, &'static str, usize)> {
    let events = AGGREGATES
        .into_iter()
        .flat_map(|(aggregate, events)| events.iter().map(move |event| (aggregate, event)));
    let versions = events.flat_map(|(aggregate, event)| {
        let versions = 1..=event.current_version();
        versions.map(move |version| (aggregate, event.name, version))
    });
    versions.map(|found| (format!("{}.v{}", found.1, found.2), found)).collect()
}

/// The golden events by the key of the message that each must fit.
fn golden_events() -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/events");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let read = |path: &Path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let key = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    files.map(|path| (key(&path), read(&path))).collect()
}

/// A golden event as it would be sent.
fn sample(message: &str, payload: Value) -> Sample {
    let (aggregate, event, version) = stored_versions()[message];
    let headers = json!({
        "ce_specversion": "1.0",
        "ce_id": "01992f6e-2a00-7c3e-9a54-3d1f0b7e5a10",
        "ce_source": "https://chipq.example",
        "ce_type": format!("chipq.{aggregate}.{event}"),
        "ce_subject": "Leiterplatte-Ä7",
        "ce_time": "2026-11-29T20:15:30.123456Z",
        "ce_dataschema": format!("urn:chipq:schema:event:{event}:{version}"),
        "ce_sequence": "0000000000000004711",
        "ce_logposition": "4711.7f2b6c1e0d554c8e9a0f1b2c3d4e5f60",
        "ce_traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "content-type": "application/json",
    });
    (headers, payload)
}

fn problems(validator: &Validator, value: &Value) -> Vec<String> {
    let errors = validator.iter_errors(value);
    errors.map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// The pointer of every object in `value`.
fn collect_objects(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.push(at.to_owned());
            for (name, field) in fields {
                collect_objects(field, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect_objects(item, &format!("{at}/{index}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Every way in which a field of `value` may be left out, have another type, or be added, and which it is.
fn changes(value: &Value) -> Vec<(String, Value)> {
    let mut places = Vec::new();
    collect_objects(value, "", &mut places);
    let mut changed = Vec::new();
    for place in places {
        let mut change = |what: String, edit: &dyn Fn(&mut serde_json::Map<String, Value>)| {
            let mut copy = value.clone();
            edit(copy.pointer_mut(&place).unwrap().as_object_mut().unwrap());
            changed.push((what, copy));
        };
        change(format!("{place}/unknown added"), &|fields| {
            fields.insert("unknown".to_owned(), json!(1));
        });
        for name in value.pointer(&place).unwrap().as_object().unwrap().keys() {
            change(format!("{place}/{name} left out"), &|fields| {
                fields.remove(name);
            });
            change(format!("{place}/{name} as an empty object"), &|fields| {
                fields.insert(name.clone(), json!({}));
            });
        }
    }
    changed
}

#[test]
fn its_messages_are_every_version_of_every_event_and_no_other() {
    let document = Document::read();
    let described: BTreeSet<&String> = document.messages().keys().collect();
    let (stored, golden) = (stored_versions(), golden_events());
    assert_eq!(described, stored.keys().collect(), "Aggregate::EVENTS");
    assert_eq!(described, golden.keys().collect(), "schemas/events");
    for (key, (aggregate, event, _)) in stored {
        let message = &document.messages()[&key];
        assert_eq!(message["name"], format!("chipq.{aggregate}.{event}"), "{key}");
        assert!(message["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{key}");
    }
}

#[test]
fn its_channels_are_the_topics_and_each_has_the_events_of_its_aggregate() {
    let document = Document::read();
    let channels = document.0["channels"].as_object().unwrap();
    let described: BTreeSet<&str> = channels.keys().map(String::as_str).collect();
    assert_eq!(described, AGGREGATES.into_iter().map(|(aggregate, _)| aggregate).collect());
    for (aggregate, channel) in channels {
        assert_eq!(channel["address"], format!("chipq.{aggregate}"));
        let versions = stored_versions().into_iter().filter(|(_, found)| found.0 == aggregate);
        let expected = versions.map(|(key, _)| {
            let reference = json!({"$ref": format!("#/components/messages/{key}")});
            (key, reference)
        });
        let expected: BTreeMap<String, Value> = expected.collect();
        assert_eq!(channel["messages"], json!(expected), "{aggregate}");
        let sends = json!({
            "action": "send",
            "channel": {"$ref": format!("#/channels/{aggregate}")},
        });
        assert_eq!(document.0["operations"][format!("publish-{aggregate}")], sends);
    }
    assert_eq!(document.0["operations"].as_object().unwrap().len(), channels.len());
}

#[test]
fn every_golden_event_fits_its_message() {
    let document = Document::read();
    for (key, payload) in golden_events() {
        let (of_headers, of_payload) = document.validators(&key);
        let (headers, payload) = sample(&key, payload);
        assert_eq!(problems(&of_payload, &payload), [""; 0], "{key}");
        assert_eq!(problems(&of_headers, &headers), [""; 0], "{key}");
    }
}

#[test]
fn no_field_of_an_event_can_be_added_left_out_or_change_its_type() {
    let document = Document::read();
    let mut tried = 0;
    for (key, payload) in golden_events() {
        let (_, validator) = document.validators(&key);
        for (change, changed) in changes(&payload) {
            assert!(!validator.is_valid(&changed), "{key} fits with {change}");
            tried += 1;
        }
    }
    assert!(tried > 1_000, "{tried} changes");
}

#[test]
fn no_event_fits_the_message_of_another() {
    let document = Document::read();
    let golden = golden_events();
    for key in golden.keys() {
        let (of_headers, of_payload) = document.validators(key);
        let (_, event, _) = stored_versions()[key];
        for (other, payload) in golden.iter().filter(|(other, _)| *other != key) {
            let (headers, _) = sample(other, payload.clone());
            assert!(!of_headers.is_valid(&headers), "headers of {other} fit {key}");
            // Where a word more is all that is new, what has none of the new words fits both versions.
            if payload["type"] != event {
                assert!(!of_payload.is_valid(payload), "{other} fits {key}");
            }
        }
    }
}

#[test]
fn every_record_has_the_headers_of_a_cloud_event() {
    let document = Document::read();
    for (key, payload) in golden_events() {
        let (validator, _) = document.validators(&key);
        let (headers, _) = sample(&key, payload);
        for name in HEADERS {
            for value in [None, Some(json!("")), Some(json!(1))] {
                let mut changed = headers.clone();
                changed.as_object_mut().unwrap().remove(name);
                if let Some(value) = &value {
                    changed[name] = value.clone();
                }
                assert!(!validator.is_valid(&changed), "{key} with {name} {value:?}");
            }
        }
        let mut untraced = headers;
        untraced.as_object_mut().unwrap().remove("ce_traceparent");
        assert_eq!(problems(&validator, &untraced), [""; 0], "{key}");
    }
}

#[test]
fn what_is_out_of_range_in_a_header_is_refused() {
    let document = Document::read();
    let (validator, _) = document.validators("InspectionVoided.v1");
    let (headers, _) = sample("InspectionVoided.v1", Value::Null);
    for (name, wrong) in [
        ("ce_specversion", "0.3"),
        ("ce_id", "4711"),
        ("ce_time", "2026-11-29T21:15:30+01:00"),
        ("ce_sequence", "4711"),
        ("ce_sequence", "00000000000000004711"),
        ("ce_logposition", "4711"),
        ("ce_logposition", "0.7f2b6c1e0d554c8e9a0f1b2c3d4e5f60"),
        ("ce_dataschema", "urn:chipq:schema:event:InspectionVoided:2"),
        ("ce_traceparent", "none"),
        ("content-type", "application/cloudevents+json"),
    ] {
        let mut changed = headers.clone();
        changed[name] = json!(wrong);
        assert!(!validator.is_valid(&changed), "{name}: {wrong}");
    }
}
