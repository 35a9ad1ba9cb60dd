//! What entries say of the golden events, of what was replaced, and of what nobody knows.

use std::collections::HashMap;
use std::path::Path;

use domain::{
    ANYBODY, AccessAttempts, AccessControl, Aggregate, Inspection, ModelRoute, Part,
    PictureRetention, ProjectionRepair,
};
use platform::event_log::{EventMetadata, StreamId};
use serde_json::json;

use super::*;

/// The stored names of the events of every aggregate, with its type.
fn stored_events() -> Vec<(&'static str, &'static str)> {
    fn names_of<A: Aggregate>() -> impl Iterator<Item = (&'static str, &'static str)> {
        A::EVENTS.iter().map(|stored| (A::TYPE, stored.name))
    }
    names_of::<Inspection>()
        .chain(names_of::<Part>())
        .chain(names_of::<ModelRoute>())
        .chain(names_of::<ProjectionRepair>())
        .chain(names_of::<PictureRetention>())
        .chain(names_of::<AccessControl>())
        .chain(names_of::<AccessAttempts>())
        .collect()
}

fn golden(event: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/events");
    let text = std::fs::read_to_string(folder.join(format!("{event}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn latest_golden(event: &str) -> (String, Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/events");
    let version = (1..).take_while(|n| folder.join(format!("{event}.v{n}.json")).exists()).last();
    let version = version.expect("every event has a golden file").to_string();
    (version.clone(), golden(&format!("{event}.v{version}")))
}

fn recorded(aggregate_type: &str, event: &str, payload: Value) -> Recorded {
    let metadata = [
        ("actor_subject", "ada"),
        ("actor_roles", "admin"),
        ("actor_name", "Ada Lovelace"),
        ("actor_address", "192.0.2.7"),
        ("actor_token_id", "a-token-id"),
        ("causation_id", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("occurred_at", "2026-11-30T06:00:00Z"),
    ];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Recorded {
        position: Position(7),
        event_id: Uuid::nil(),
        command_id: None,
        stream: StreamId {
            aggregate_type: aggregate_type.to_owned(),
            aggregate_id: "01992f6e-2a31-7d02-8c11-6f2b9c4e7d21".to_owned(),
        },
        sequence: 3,
        event_type: event.to_owned(),
        event_version: "1".to_owned(),
        payload: payload.into(),
        metadata: EventMetadata::from_map(&HashMap::from(metadata)),
        recorded_at: DateTime::UNIX_EPOCH,
    }
}

fn entry_after(recorded: &Recorded, values: &[(&str, Value)]) -> AuditEntry {
    let values = values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    AuditEntry::new(recorded, &BeforeEvent { cause: None, values })
}

fn changes(entry: &AuditEntry) -> Vec<(&str, Value, Value)> {
    let changed = entry.changed.iter();
    changed.map(|of| (of.field.as_str(), of.old.clone(), of.new.clone())).collect()
}

#[test]
fn every_stored_event_says_who_why_and_everything_else() {
    for (aggregate_type, event) in stored_events() {
        let (_, payload) = latest_golden(event);
        let recorded = recorded(aggregate_type, event, payload.clone());
        let entry = AuditEntry::new(&recorded, &BeforeEvent::default());
        assert_eq!(entry.actor.as_ref().unwrap().name.as_deref(), Some("Ada Lovelace"), "{event}");
        assert_eq!(entry.reason.as_deref(), payload["reason"].as_str(), "{event}");
        let is_attempt = aggregate_type == AccessAttempts::TYPE;
        for (field, value) in payload.as_object().unwrap() {
            let is_elsewhere = match field.as_str() {
                "type" | "reason" => true,
                "address" => is_attempt && entry.address.is_some(),
                "token_id" => is_attempt && entry.token_id.as_deref() == value.as_str(),
                "display_name" => value.is_null(),
                // What of it is the same as before is the name of the stream.
                "from" | "to" => entry.changed.iter().any(|of| of.field == "model.version"),
                _ => false,
            };
            assert!(is_elsewhere || entry.facts.contains_key(field), "{event}: {field} is lost");
        }
    }
}

#[test]
fn whoever_an_event_names_is_among_its_subjects() {
    for (aggregate_type, event) in stored_events() {
        let (_, payload) = latest_golden(event);
        let entry = AuditEntry::new(
            &recorded(aggregate_type, event, payload.clone()),
            &BeforeEvent::default(),
        );
        assert!(entry.subjects.contains(&"ada".to_owned()), "{event}: {:?}", entry.subjects);
        // The name of a principal; that of a network stands deeper.
        for named in ["name", "subject"].iter().filter_map(|field| payload[*field].as_str()) {
            assert!(entry.subjects.contains(&named.to_owned()), "{event} names {named}");
        }
        assert_eq!(entry.subjects.contains(&ANYBODY.to_owned()), event == "AttemptsSummed");
        let is_about_inspection = aggregate_type == Inspection::TYPE
            || payload["poison"]["aggregate_type"].as_str() == Some(Inspection::TYPE)
            || event == "CommandRejected";
        assert_eq!(entry.inspection.is_some(), is_about_inspection, "{event}");
    }
}

#[test]
fn a_new_recipe_is_told_by_what_is_different_in_it() {
    let mut before = golden("RecipeRevised.v1")["recipe"].clone();
    before["revision"] = json!(1);
    before["fail_at"] = json!(0.75);
    let revised = recorded(Part::TYPE, "RecipeRevised", golden("RecipeRevised.v1"));
    let entry = entry_after(&revised, &[("recipe", before)]);
    let expected =
        [("recipe.fail_at", json!(0.75), json!(0.5)), ("recipe.revision", json!(1), json!(2))];
    let mut changed = changes(&entry);
    changed.sort_by_key(|(field, ..)| *field);
    assert_eq!(changed, expected);
    assert!(!entry.facts.contains_key("recipe"), "what is told once is not told again");
}

#[test]
fn a_first_recipe_of_an_older_version_is_held_against_the_next_in_todays_shape() {
    let registered = recorded(Part::TYPE, "PartRegistered", golden("PartRegistered.v1"));
    let values = replaceable_values(&registered);
    let revised = recorded(Part::TYPE, "RecipeRevised", golden("RecipeRevised.v1"));
    let entry = entry_after(&revised, &[("recipe", values[0].value.clone())]);
    let changed = changes(&entry);
    let views = changed.iter().find(|(field, ..)| *field == "recipe.views");
    assert_eq!(views, Some(&("recipe.views", json!([]), json!(["top", "bottom"]))));
}

#[test]
fn what_took_the_place_of_what_is_told_of_roles_reaches_accounts_policies_and_networks() {
    let role = golden("RoleChanged.v1");
    let name = role["name"].as_str().unwrap().to_owned();
    let changed = recorded(AccessControl::TYPE, "RoleChanged", role.clone());
    let entry = entry_after(&changed, &[(&format!("role {name}"), json!("auditor"))]);
    assert_eq!(changes(&entry), [("role", json!("auditor"), role["role"].clone())]);

    let disabled =
        recorded(AccessControl::TYPE, "PrincipalDisabled", golden("PrincipalDisabled.v1"));
    let name = disabled.payload["name"].as_str().unwrap().to_owned();
    let entry = entry_after(&disabled, &[(&format!("enabled {name}"), json!(true))]);
    assert_eq!(changes(&entry), [("enabled", json!(true), json!(false))]);

    let policy = golden("PictureRetentionRevised.v1");
    let mut before = replaceable_values(&recorded(
        PictureRetention::TYPE,
        "PictureRetentionRevised",
        policy.clone(),
    ))
    .remove(0)
    .value;
    before["pass_days"] = json!(30);
    let revised = recorded(PictureRetention::TYPE, "PictureRetentionRevised", policy);
    assert_eq!(
        changes(&entry_after(&revised, &[("policy", before)])),
        [("pass_days", json!(30), json!(90))]
    );

    let routed = recorded(ModelRoute::TYPE, "ModelRouted", golden("ModelRouted.v1"));
    let entry = entry_after(&routed, &[]);
    assert!(changes(&entry).contains(&("model.version", json!("1"), json!("2"))));
    assert!(!entry.facts.contains_key("to") && entry.facts.contains_key("comparison"));
}

#[test]
fn a_new_account_takes_nobodys_place() {
    let created = recorded(AccessControl::TYPE, "PrincipalCreated", golden("PrincipalCreated.v1"));
    let entry = entry_after(&created, &[("role aoi-1", json!("admin"))]);
    assert!(entry.changed.is_empty() && entry.facts.contains_key("role"));
}

#[test]
fn what_led_to_an_event_is_an_event_of_its_stream_or_a_request() {
    let mut judged = recorded(Inspection::TYPE, "InspectionJudged", golden("InspectionJudged.v4"));
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736".to_owned();
    let entry = AuditEntry::new(&judged, &BeforeEvent::default());
    assert_eq!(entry.caused_by, Some(EntryCause::Trace { trace_id }));
    let event_id = Uuid::from_u128(5);
    judged.metadata.causation_id = Some(event_id.to_string());
    let cause = EarlierEvent { position: Position(6), event: "InferenceCompleted".to_owned() };
    let before = BeforeEvent { cause: Some(cause), ..BeforeEvent::default() };
    let (position, event) = (Some(Position(6)), Some("InferenceCompleted".to_owned()));
    let expected = Some(EntryCause::Event { event_id, position, event });
    assert_eq!(AuditEntry::new(&judged, &before).caused_by, expected);
}

#[test]
fn an_attempt_is_told_with_its_own_address_and_token() {
    let granted = recorded(AccessAttempts::TYPE, "TokenGranted", golden("TokenGranted.v1"));
    let entry = AuditEntry::new(&granted, &BeforeEvent::default());
    assert_eq!(entry.token_id.as_deref(), granted.payload["token_id"].as_str());
    assert_eq!(entry.address.as_deref(), granted.payload["address"].as_str());
}

#[test]
fn what_nobody_knows_or_is_damaged_has_an_entry_all_the_same() {
    for payload in
        [json!({"type": "Dreamt", "of": "sheep"}), json!([1, 2]), json!("text"), Value::Null]
    {
        let entry =
            AuditEntry::new(&recorded("dream", "Dreamt", payload.clone()), &BeforeEvent::default());
        let expected =
            if payload.is_object() { ("of", json!("sheep")) } else { ("payload", payload) };
        assert_eq!(entry.facts.get(expected.0), Some(&expected.1));
    }
}

#[test]
fn findings_are_counted_and_nothing_else_of_a_result_is_lost() {
    let completed =
        recorded(Inspection::TYPE, "InferenceCompleted", golden("InferenceCompleted.v4"));
    let facts = AuditEntry::new(&completed, &BeforeEvent::default()).facts;
    assert_eq!(
        (&facts["defects"], &facts["differences"]),
        (&json!({"count": 2}), &json!({"count": 2}))
    );
    assert_eq!(facts["model"], completed.payload["model"]);
    assert_eq!(facts["coverage"]["uncovered"], json!({"count": 1}));
}
