//! Every event of an inspection can be followed back to the request that it began with.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/boards.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod boards;
#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;
#[path = "support/station.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod station;

use std::path::Path;
use std::sync::Arc;

use ::platform::event_log::postgres::PostgresEventLog;
use ::platform::event_log::{EventLog as _, Position, Recorded};
use ::platform::postgres::{self, DatabaseConfig};
use domain::InspectionEvent;
use serde_json::json;

use boards::{Pair, boards};
use platform::{Platform, folder};
use station::Station;

#[tokio::test]
async fn every_event_of_a_walked_inspection_names_who_gave_it_and_what_caused_it() {
    let folder = folder();
    let pair = &boards(&folder.path().join("boards"), 1, 0)[0];
    let data = folder.path().join("data");
    let platform = Platform::start(&data);
    let station = Station::sign_in(&platform.url).await;
    let id = walk(&station, pair).await;
    assert!(station.report(&id).await["judgement"].is_string());
    let log = read_log(&data).await;
    platform.stop();

    let inspection: Vec<_> = log.iter().filter(|e| e.stream.aggregate_id == id).collect();
    for event in &inspection {
        assert_eq!(event.metadata.correlation_id.as_ref(), Some(&id), "{event:?}");
        assert!(event.metadata.traceparent.is_some(), "{event:?}");
        match service_of(event) {
            None => assert_caused_by_its_request(event),
            Some(service) => {
                let cause = find_cause(&log, event);
                let is_judged = event.event_type == InspectionEvent::INSPECTION_JUDGED;
                assert_eq!(service, if is_judged { "judge" } else { "inference-worker" });
                assert_eq!(event.metadata.traceparent, cause.metadata.traceparent, "{event:?}");
            }
        }
    }
    let of_type = |name: &str| *inspection.iter().find(|e| e.event_type == name).unwrap();
    let uploaded = of_type(InspectionEvent::ARTIFACT_UPLOADED);
    let completed = of_type(InspectionEvent::INFERENCE_COMPLETED);
    assert_eq!(find_cause(&log, completed).event_id, uploaded.event_id);
    assert_eq!(completed.metadata.traceparent, uploaded.metadata.traceparent);
    // The judgement follows from whatever came last: the result, or the request for it.
    let judged = of_type(InspectionEvent::INSPECTION_JUDGED);
    let last = inspection[inspection.len() - 2];
    assert_eq!(judged.command_id, last.command_id);
    assert_eq!(find_cause(&log, judged).event_id, last.event_id);
}

/// Walks one inspection to the request for its judgement; answers with its id.
async fn walk(station: &Station, pair: &Pair) -> String {
    let part = json!({ "part": "PCB-1" });
    assert!(station.post("/v1/parts", "part", Some(&part)).await.unwrap().0.is_success());
    let path = "/v1/parts/PCB-1/golden-sample?type=image/png";
    upload(station, path, "golden", &pair.golden).await;
    let body = json!({ "lot": "L-1", "part": "PCB-1", "station": "AOI-1" });
    let (_, created) = station.post("/v1/inspections", "board", Some(&body)).await.unwrap();
    let id = created["inspection_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/inspections/{id}/artifacts?type=image/png");
    upload(station, &path, "upload", &pair.test).await;
    let path = format!("/v1/inspections/{id}/infer");
    assert!(station.post(&path, "infer", None).await.unwrap().0.is_success());
    id
}

async fn upload(station: &Station, path: &str, key: &str, picture: &Path) {
    let (_, reserved) = station.post(path, key, None).await.unwrap();
    let picture = std::fs::read(picture).unwrap();
    let put = station.put(reserved["upload_url"].as_str().unwrap(), &picture).await.unwrap();
    assert!(put.0.is_success(), "{put:?}");
}

async fn read_log(data: &Path) -> Vec<Recorded> {
    let url = std::fs::read_to_string(data.join("private-postgres-url")).unwrap();
    let log =
        PostgresEventLog::new(postgres::connect(&DatabaseConfig::from_url(url)).await.unwrap());
    let events = log.read_all(Position::default(), 1_000).await.unwrap().events;
    events.into_iter().map(Arc::unwrap_or_clone).collect()
}

/// The part of the platform that gave the command; none when a client did.
fn service_of(event: &Recorded) -> Option<&str> {
    let actor = event.metadata.actor.as_ref().expect("somebody gave the command");
    assert!(!actor.subject.is_empty());
    actor.roles.iter().any(|role| role == "service").then_some(&*actor.subject)
}

fn assert_caused_by_its_request(event: &Recorded) {
    let trace_id = event.metadata.causation_id.as_ref().unwrap();
    let traceparent = event.metadata.traceparent.as_ref().unwrap();
    assert_eq!(trace_id.len(), 32, "{event:?}");
    assert!(traceparent.contains(&**trace_id), "{event:?}");
}

/// The event that an event names as its cause, which is in the log and earlier.
fn find_cause<'a>(log: &'a [Recorded], event: &Recorded) -> &'a Recorded {
    let named = event.metadata.causation_id.as_ref().expect("a reaction names its cause");
    let cause = log.iter().find(|earlier| earlier.event_id.to_string() == *named);
    let cause = cause.unwrap_or_else(|| panic!("the cause of {event:?} is not in the log"));
    assert!(cause.position < event.position);
    cause
}
