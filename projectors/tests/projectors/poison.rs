//! Events that cannot be applied, and databases that fail.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::{Inspection, InspectionEvent};
use platform::event_log::StreamId;
use serde_json::json;

use crate::moody::moody;
use crate::world::World;

pub(crate) const COUNTS_ADD_UP: &str = "SELECT count(*) FROM projection_checkpoints
    WHERE events_read <> events_applied + events_parked OR position = 0";

#[tokio::test]
async fn a_damaged_event_parks_its_stream_and_the_others_proceed() {
    let world = World::new().await;
    let golden = world.register_part("board-a").await;
    let bad = world.open("board-a").await;
    let position = world.poison(bad).await;
    let good = world.inspect(&golden, &[0.9]).await;
    world.project().await;

    let parked = projectors::list_parked_streams(&world.pool, None).await.unwrap();
    let names: Vec<_> = parked.iter().map(|p| p.projection.as_str()).collect();
    assert_eq!(parked.len(), 4, "every projection of inspections: {names:?}");
    for stream in &parked {
        assert_eq!(stream.stream, StreamId::for_aggregate::<Inspection>(bad));
        assert_eq!((stream.position, stream.events), (position, 1));
        assert_eq!(stream.event_type, InspectionEvent::INFERENCE_REQUESTED);
        assert!(stream.error.contains("compare it with schemas/events"), "{}", stream.error);
    }
    let rows = world.rows("inspections").await;
    let state =
        |id| rows.iter().find(|r| r["inspection_id"] == json!(id)).unwrap()["state"].clone();
    assert_eq!((state(bad), state(good)), (json!("open"), json!("judged")));
    assert_eq!(world.count(COUNTS_ADD_UP).await, 0);
    world.assert_equals_a_rebuild().await;
}

#[tokio::test]
async fn later_events_of_a_parked_stream_are_passed_over_also_after_a_restart() {
    let world = World::new().await;
    let bad = world.open("board-a").await;
    world.poison(bad).await;
    world.project().await;
    for _ in 0..2 {
        let payload = json!({"type": "InspectionVoided", "reason": "late"});
        let stream = StreamId::for_aggregate::<Inspection>(bad);
        world.append_raw(stream, "InspectionVoided", payload).await;
        world.project().await;
    }
    let parked = projectors::list_parked_streams(&world.pool, None).await.unwrap();
    assert!(parked.iter().all(|stream| stream.events == 3), "{parked:#?}");
    let statuses = projectors::list_generations(&world.pool, &*world.log).await.unwrap();
    for status in
        statuses.iter().filter(|status| !["parts", "audit_trail"].contains(&&*status.projection))
    {
        assert_eq!((status.events_read, status.events_applied), (4, 1), "{status:?}");
        assert_eq!((status.events_parked, status.parked_streams), (3, 1), "{status:?}");
        assert_eq!((status.position, status.lag_events), (status.head, 0), "{status:?}");
    }
    assert_eq!(world.rows("inspections").await[0]["state"], "open");
}

#[tokio::test]
async fn events_of_other_aggregates_count_as_applied() {
    let world = World::new().await;
    let stream = StreamId { aggregate_type: "recipe".into(), aggregate_id: "x".into() };
    world.append_raw(stream, "RecipeInvented", json!({"any": "shape"})).await;
    world.project().await;
    assert_eq!(
        world.count("SELECT sum(events_applied)::bigint FROM projection_checkpoints").await,
        6
    );
    assert!(projectors::list_parked_streams(&world.pool, None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_stream_that_does_not_begin_at_its_beginning_is_parked() {
    let world = World::new().await;
    let stream = StreamId::for_aggregate::<Inspection>(uuid::Uuid::new_v4());
    let payload = json!({"type": "InspectionVoided", "reason": "no beginning"});
    world.append_raw(stream.clone(), "InspectionVoided", payload).await;
    let misplaced = json!({"type": "InspectionVoided", "reason": "not an id"});
    let nameless = StreamId { aggregate_id: "seven".into(), ..stream };
    world.append_raw(nameless, "InspectionVoided", misplaced).await;
    world.project().await;
    assert_eq!(projectors::list_parked_streams(&world.pool, None).await.unwrap().len(), 8);
}

#[tokio::test]
async fn a_number_that_no_column_can_hold_parks_its_stream() {
    let world = World::new().await;
    let golden = world.register_part("board-a").await;
    let bad = world.open("board-a").await;
    let artifact = world.upload(bad).await;
    let payload = json!({
        "type": "ArtifactUploaded", "artifact_id": artifact, "sha256": golden.sha256,
        "bytes": 1, "media_type": "image/png", "width": 4_000_000_000_u32, "height": 1,
    });
    world.append_raw(StreamId::for_aggregate::<Inspection>(bad), "ArtifactUploaded", payload).await;
    world.inspect(&golden, &[]).await;
    world.project().await;

    let parked = projectors::list_parked_streams(&world.pool, None).await.unwrap();
    let names: Vec<_> = parked.iter().map(|p| p.projection.as_str()).collect();
    assert_eq!(names, ["inspection_overview"]);
    assert!(parked[0].error.contains("out of range"), "{}", parked[0].error);
    assert_eq!(world.rows("reports").await.len(), 1);
    assert_eq!(world.count(COUNTS_ADD_UP).await, 0);
}

#[tokio::test]
async fn a_transient_failure_writes_nothing_and_parks_nothing() {
    let world = World::new().await;
    let moody = moody(&world).await;
    world.open("board-a").await;
    moody.transient.store(2, Ordering::SeqCst);
    for _ in 0..2 {
        let error =
            projectors::catch_up(&world.pool, Arc::clone(&world.log), moody, 10).await.unwrap_err();
        assert!(error.to_string().contains("database failed"), "{error}");
        assert!(world.rows("noted").await.is_empty());
    }
    world.catch_up(moody, 10).await;
    assert_eq!(world.rows("noted").await.len(), 1);
    assert!(projectors::list_parked_streams(&world.pool, None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_missing_table_is_no_events_fault() {
    let world = World::new().await;
    let moody = moody(&world).await;
    world.open("board-a").await;
    sqlx::raw_sql("ALTER TABLE moody_g1.noted RENAME TO gone").execute(&world.pool).await.unwrap();
    projectors::catch_up(&world.pool, Arc::clone(&world.log), moody, 10).await.unwrap_err();
    sqlx::raw_sql("ALTER TABLE moody_g1.gone RENAME TO noted").execute(&world.pool).await.unwrap();
    world.catch_up(moody, 10).await;
    assert!(projectors::list_parked_streams(&world.pool, None).await.unwrap().is_empty());
}
