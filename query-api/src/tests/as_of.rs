//! Inspections and reports as of an earlier moment: what is asked for, what is refused, and who sees it. What their rows are
//! is the projectors', and tested with them.

use platform::event_log::Recorded;
use serde_json::{Value, json};

use super::world::{World, inspection_id};
use crate::PastRows;

const MADE_AT: &str = "2026-03-01T08:30:00Z";

/// Stands for the projectors: an inspection of as many events, judged by the third.
pub(super) fn fold(events: &[Recorded]) -> Result<PastRows, String> {
    let last = events.last().ok_or("no event")?;
    let is_judged = events.len() >= 3;
    let inspections = json!([{
        "inspection_id": last.stream.aggregate_id, "lot": "L1", "part": "P", "station": "AOI-1",
        "state": if is_judged { "judged" } else { "open" },
        "judgement": is_judged.then_some("pass"),
        "rules": is_judged.then(|| json!([{"rule": "nothing-found"}])),
        "recipe": super::tables::recipe_json(1), "golden_sample_revision": 3,
        "defect_count": 0, "doubtful_count": 0, "difference_count": 0,
        "created_at": MADE_AT, "judged_at": is_judged.then_some(MADE_AT),
        "version": events.len(), "created_position": 1, "position": last.position,
    }]);
    let timeline: Vec<Value> = events
        .iter()
        .map(|event| {
            json!({
                "inspection_id": event.stream.aggregate_id, "sequence": event.sequence, "position": event.position,
                "event_type": event.event_type, "occurred_at": MADE_AT, "recorded_at": event.recorded_at,
                "actor": "somebody",
            })
        })
        .collect();
    let none = || "[]".to_owned();
    Ok(PastRows {
        inspections: inspections.to_string(),
        timeline: json!(timeline).to_string(),
        artifacts: none(),
        defects: none(),
    })
}

/// A world in which inspection 1 has three events, behind another's, and the positions of its own.
async fn world_with_history() -> (World, [i64; 3]) {
    let world = World::new().await;
    world.append(inspection_id(9), 0, "Happened").await;
    let mut positions = [0; 3];
    for (version, position) in positions.iter_mut().enumerate() {
        *position = world.append(inspection_id(1), version as u64, "Happened").await.0;
    }
    world.reach(positions[2]).await;
    (world, positions)
}

const QUERY: &str = "query ($id: ID!, $asOf: String) { inspection(id: $id, asOf: $asOf) {
    version state judgement timeline { sequence } artifacts { id } defects { id } report { id } } }";

#[tokio::test]
async fn an_inspection_is_as_its_events_up_to_then_made_it() {
    let (world, positions) = world_with_history().await;
    let path = format!("/v1/inspections/{}", inspection_id(1));
    for (n, position) in positions.into_iter().enumerate() {
        let (events, state) = (n + 1, if n == 2 { "judged" } else { "open" });
        let place = world.place(position).await;
        for at in [position.to_string(), place.clone()] {
            let answer = world.get(&format!("{path}?as_of={at}")).await;
            assert_eq!(answer.status, 200, "{:?}", answer.json());
            assert_eq!(answer.header("x-log-position"), place);
            assert_eq!(answer.header("etag"), world.tag(events as u64).await);
            let detail = answer.json();
            assert_eq!((&detail["version"], &detail["state"]), (&json!(events), &json!(state)));
            assert_eq!(detail["timeline"].as_array().unwrap().len(), events);
            let data = world.query(QUERY, json!({ "id": inspection_id(1), "asOf": at })).await;
            let found = &data["inspection"];
            assert_eq!(
                (&found["version"], &found["timeline"][n]["sequence"]),
                (&json!(events), &json!(events))
            );
            assert!(found["report"].is_null());
        }
    }
    let time = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    assert_eq!(world.get(&format!("{path}?as_of={time}")).await.json()["version"], 3);
}

#[tokio::test]
async fn a_moment_without_the_inspection_is_not_found_and_one_without_a_log_is_refused() {
    let (world, [created, ..]) = world_with_history().await;
    let path = format!("/v1/inspections/{}", inspection_id(1));
    let before = created - 1;
    let of_none = format!("/v1/inspections/{}?as_of={created}", inspection_id(7));
    let place = world.place(created).await;
    for (path, status, said) in [
        (
            format!("{path}?as_of={before}"),
            404,
            format!("as of position {before}: it was created later, at position {created}"),
        ),
        (
            format!("{path}?as_of=2001-01-01T00:00:00Z"),
            404,
            "is before the log's first event".to_owned(),
        ),
        (of_none, 404, "there is no inspection".to_owned()),
        (format!("{path}?as_of=4711"), 400, "position 4711 is beyond the log".to_owned()),
        (format!("{path}?as_of=2999-01-01T00:00:00Z"), 400, "has not come yet".to_owned()),
        (format!("{path}?as_of=2026-01-31"), 400, "is a date alone".to_owned()),
        (format!("{path}?as_of=2026-01-31T12:00:00"), 400, "lacks its offset".to_owned()),
        (format!("{path}?as_of=soon"), 400, "must be a position of the log".to_owned()),
        (
            format!("{path}?as_of={created}&min_position={place}"),
            400,
            "leave the position to wait for out".to_owned(),
        ),
    ] {
        let answer = world.get(&path).await;
        assert_eq!(answer.status, status, "{path}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(&said), "{path}: {detail}");
    }
    for (at, code) in [
        (before.to_string(), "NOT_FOUND"),
        ("4711".to_owned(), "BAD_USER_INPUT"),
        ("2026-01-31".to_owned(), "BAD_USER_INPUT"),
        (format!("{created}.00000000000000000000000000000001"), "POSITIONS_REISSUED"),
    ] {
        let variables = json!({ "id": inspection_id(1), "asOf": at });
        assert_eq!(world.graphql_code(QUERY, variables).await, code, "{at}");
    }
    let unknown = json!({ "id": inspection_id(7), "asOf": created.to_string() });
    assert!(world.query(QUERY, unknown).await["inspection"].is_null());
}

#[tokio::test]
async fn a_report_is_found_as_of_its_judgement_and_later() {
    let (world, [_, before, judged]) = world_with_history().await;
    world.insert_inspection(judged, 0).await;
    let id = world.insert_report(judged, "{}").await;
    let path = format!("/v1/reports/{id}");
    let found = world.get(&format!("{path}?as_of={judged}")).await;
    assert_eq!(found.body, world.get(&path).await.body);
    let early = world.get(&format!("{path}?as_of={before}")).await;
    assert_eq!(early.status, 404);
    let detail = early.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("it was judged later"), "{detail}");
}
