//! What is stored reads back, what is not known is refused, and every event names its cause.

use domain::{Inspection, InspectionEvent, Part};
use serde_json::{Value, json};

use super::*;

fn voided() -> Value {
    json!({"type": InspectionEvent::INSPECTION_VOIDED, "reason": "dropped"})
}

fn recorded(event_type: &str, event_version: &str, payload: Value) -> Recorded {
    Recorded {
        position: Position(7),
        event_id: Uuid::nil(),
        command_id: None,
        stream: StreamId {
            aggregate_type: Inspection::TYPE.to_owned(),
            aggregate_id: Uuid::nil().to_string(),
        },
        sequence: 1,
        event_type: event_type.to_owned(),
        event_version: event_version.to_owned(),
        payload: payload.into(),
        metadata: EventMetadata::by_service("test"),
        recorded_at: Utc::now(),
    }
}

#[test]
fn an_event_of_the_current_version_is_read() {
    let stored = recorded(InspectionEvent::INSPECTION_VOIDED, "1", voided());
    let expected = InspectionEvent::InspectionVoided { reason: "dropped".into() };
    assert_eq!(stored.decode::<Inspection>().unwrap(), expected);
}

#[test]
fn what_is_not_known_is_refused_by_name_version_position_and_with_what_to_do() {
    let newer = recorded(InspectionEvent::INSPECTION_VOIDED, "2", voided());
    assert_eq!(
        newer.decode::<Inspection>().unwrap_err().to_string(),
        "event InspectionVoided version 2 at position 7 cannot be read: this software knows its \
         versions up to 1; if a newer version of the software wrote it, run that version or a \
         newer one"
    );
    let elsewhere = recorded(InspectionEvent::INSPECTION_VOIDED, "1", voided());
    let refused = elsewhere.decode::<Part>().unwrap_err();
    assert!(matches!(refused.reason, Undecodable::Unknown(_)), "{refused}");
}

#[test]
fn a_payload_of_another_shape_or_another_event_is_refused() {
    let empty = json!({"type": InspectionEvent::INSPECTION_VOIDED});
    let misshapen = recorded(InspectionEvent::INSPECTION_VOIDED, "1", empty);
    let refused = misshapen.decode::<Inspection>().unwrap_err();
    assert!(matches!(refused.reason, Undecodable::Shape(_)), "{refused}");
    let mistagged = recorded(InspectionEvent::INFERENCE_REQUESTED, "1", voided());
    let refused = mistagged.decode::<Inspection>().unwrap_err();
    assert!(matches!(refused.reason, Undecodable::Name { .. }), "{refused}");
    // Of an older version, so that a step up from it would have to write into the array.
    let array = recorded(InspectionEvent::INFERENCE_COMPLETED, "1", json!([]));
    let refused = array.decode::<Inspection>().unwrap_err();
    assert!(matches!(refused.reason, Undecodable::Shape(_)), "{refused}");
}

#[test]
fn metadata_survives_its_stored_form() {
    let metadata = EventMetadata {
        command_id: Some(Uuid::from_u128(7)),
        request_fingerprint: Some("ab".into()),
        correlation_id: Some("c".into()),
        causation_id: Some("d".into()),
        actor: Some(ActorRef {
            client: Some("aoi-1".into()),
            token_id: Some("e".into()),
            address: Some("2001:db8::1".parse().unwrap()),
            name: Some("Ada Lovelace".into()),
            ..ActorRef::new("demo", &["a", "b"])
        }),
        traceparent: Some("00-1-2-01".into()),
        occurred_at: Some("2026-01-02T03:04:05.000006Z".parse().unwrap()),
    };
    assert_eq!(EventMetadata::from_map(&metadata.to_map()), metadata);
    assert_eq!(EventMetadata::from_map(&HashMap::new()), EventMetadata::unknown());
}

#[test]
fn an_actor_from_before_tokens_and_addresses_were_noted_is_read_and_one_that_is_misspelt_too() {
    let map = |more: &[(&str, &str)]| {
        let known = [("actor_subject", "demo"), ("actor_roles", "engineer")];
        let all = known.iter().chain(more);
        all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<HashMap<_, _>>()
    };
    let of_then = Some(ActorRef::new("demo", &["engineer"]));
    assert_eq!(EventMetadata::from_map(&map(&[])).actor, of_then);
    let misspelt = map(&[("actor_address", "here")]);
    assert_eq!(EventMetadata::from_map(&misspelt).actor, of_then);
}

#[test]
fn what_answers_an_event_belongs_to_its_transaction_and_trace_and_names_it() {
    let trace = TraceContext::new(None);
    let actor = ActorRef::new("demo", &[]);
    let mut event = Recorded {
        position: Position(7),
        event_id: Uuid::from_u128(8),
        command_id: None,
        stream: StreamId { aggregate_type: "test".into(), aggregate_id: "a".into() },
        sequence: 1,
        event_type: "Happened".into(),
        event_version: "1".into(),
        payload: serde_json::Value::Null.into(),
        metadata: EventMetadata::by_actor(actor, &trace),
        recorded_at: Utc::now(),
    };
    assert_eq!(event.metadata.causation_id, Some(trace.trace_id));
    let answer = EventMetadata::by_service("worker").caused_by(&event);
    assert_eq!(answer.causation_id, Some(event.event_id.to_string()));
    assert_eq!(answer.traceparent, Some(trace.traceparent));
    assert_eq!(answer.correlation_id.as_deref(), Some("a"));
    event.metadata.correlation_id = Some("order".into());
    let answer = EventMetadata::by_service("worker").caused_by(&event).completed_for("b");
    assert_eq!(answer.correlation_id.as_deref(), Some("order"));
}
