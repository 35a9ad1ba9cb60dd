//! Stories and the rows they leave.

use chrono::{TimeDelta, Utc};
use domain::report::Entry;
use domain::{
    ArtifactId, GoldenPurpose, GoldenSampleUse, Inspection, InspectionCommand, InspectionEvent,
    MediaType, Part, PartCommand, RESERVATION_MAX, Recipe, Renewal, Report, ReportId,
};
use platform::event_log::{Recorded, StreamId};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{World, all_but_a_strip, difference};

/// The fields of `row` that `expected` names are as it says.
fn assert_has(row: &Value, expected: Value) {
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&row[name], value, "{name} of {row:#}");
    }
}

#[tokio::test]
async fn a_board_with_findings_on_one_of_two_pictures_fails() {
    let world = World::new().await;
    let golden = world.register_part("board-a").await;
    let id = world.open("board-a").await;
    let (one, two) = (world.upload(id).await, world.upload(id).await);
    world.request_inference(id).await;
    world.compare(id, one, &golden, &[0.9, 0.5, 0.3, 0.1]).await;
    world.compare_seen(id, two, &golden, (vec![difference()], all_but_a_strip())).await;
    world.project().await;

    let inspection = world.rows("inspections").await.remove(0);
    assert_has(
        &inspection,
        json!({
            "inspection_id": id, "lot": "L1", "part": "board-a", "station": "S1",
            "state": "judged", "judgement": "fail", "defect_count": 2, "doubtful_count": 1,
            "difference_count": 1,
            "recipe": Recipe::factory(1), "golden_sample_revision": 1,
            "version": 9, "created_position": 4, "position": 12, "void_reason": null,
            "created_at": "2026-03-01T10:59:53+00:00", "judged_at": "2026-03-01T11:00:00+00:00",
            "rules": [{"rule": "defect", "class": "pin-hole", "count": 2},
                      {"rule": "doubtful-finding", "class": "pin-hole", "count": 1},
                      {"rule": "unexplained-difference", "count": 1},
                      {"rule": "not-covered", "pieces": 1}],
        }),
    );
    let artifacts = world.rows("artifacts").await;
    let artifact = artifacts.iter().find(|row| row["artifact_id"] == json!(one)).unwrap();
    assert_eq!(artifacts.len(), 2);
    assert_has(
        artifact,
        json!({
            "inspection_id": id, "state": "compared", "media_type": "image/png",
            "bytes": 5_000_000_000_u64, "width": 640, "height": 480,
            "golden_artifact_id": golden.artifact_id, "golden_sha256": golden.sha256,
            "view": "top", "pixels_per_millimetre": 48.25, "golden_revision": 1, "model_name": "copper", "model_version": "1",
            "registration": {"dx": 0.1, "dy": -2.5, "score": 0.98, "bend": 1.5},
            "queue_ms": 1,
            "compute_ms": 20, "total_ms": 30, "reason": null, "detail": null, "differences": [],
            "coverage": {"inspected_pixels": 307_200, "compared_pixels": 307_200, "uncovered": [],
                         "excluded_pixels": 0, "excluded": [], "method": null},
        }),
    );
    let artifact = artifacts.iter().find(|row| row["artifact_id"] == json!(two)).unwrap();
    let coverage = json!(all_but_a_strip());
    assert_has(artifact, json!({"coverage": coverage, "differences": [difference()]}));
    let defects = world.rows("defects").await;
    let graded: Vec<_> = defects
        .iter()
        .map(|d| (d["number"].clone(), d["confidence"].clone(), d["grade"].clone()))
        .collect();
    let expected = [(1, 0.9, "defect"), (2, 0.5, "defect"), (3, 0.3, "doubtful")];
    assert_eq!(graded, expected.map(|(n, c, g)| (json!(n), json!(c), json!(g))));
    assert_has(
        &defects[0],
        json!({"artifact_id": one, "inspection_id": id, "class": "pin-hole", "x": 1, "y": 2,
               "width": 3, "height": 4, "lot": "L1", "part": "board-a", "station": "S1"}),
    );
    let yields = world.rows("yield_hourly").await;
    let bucket = json!({"hour": "2026-03-01T11:00:00+00:00", "lot": "L1", "part": "board-a",
        "station": "S1", "judged": 1, "passed": 0, "review": 0, "failed": 1, "defects": 2});
    assert_eq!(yields, [bucket]);
    let timeline = world.rows("timeline").await;
    assert_eq!(timeline.len(), 9);
    for row in &timeline {
        let judges = row["event_type"] == InspectionEvent::INSPECTION_JUDGED;
        assert_eq!(row["actor"], if judges { "judge" } else { "station-7" }, "{row}");
    }
}

#[tokio::test]
async fn a_board_without_a_golden_sample_goes_to_review() {
    let world = World::new().await;
    let id = world.open("unknown").await;
    let artifact = world.upload(id).await;
    let missing = world.reserve(id).await;
    world.request_inference(id).await;
    world.fail_to_compare(id, artifact).await;
    world.project().await;

    let inspection = world.rows("inspections").await.remove(0);
    assert_has(&inspection, json!({"state": "judged", "judgement": "review", "defect_count": 0}));
    let artifacts = world.rows("artifacts").await;
    let of = |id| artifacts.iter().find(|row| row["artifact_id"] == json!(id)).unwrap();
    let expected = json!({"state": "not-comparable", "reason": "no-golden-sample",
        "detail": "the part has no golden sample", "golden_sha256": null,
        "coverage": null, "differences": null});
    assert_has(of(artifact), expected);
    assert_has(of(missing), json!({"state": "reserved", "sha256": null, "uploaded_at": null}));
    let report = world.rows("reports").await.remove(0);
    assert_has(&report, json!({"judgement": "review", "defect_count": 0, "inspection_id": id}));
    assert!(world.rows("parts").await.is_empty());
}

#[tokio::test]
async fn an_announcement_that_was_renewed_or_taken_back_stays_in_the_rows() {
    let world = World::new().await;
    let id = world.open("board-a").await;
    let (kept, taken_back) = (world.reserve(id).await, world.reserve(id).await);
    let now = Utc::now() + TimeDelta::days(1);
    let renewal = Renewal { now, expires_at: now + RESERVATION_MAX };
    let renew = InspectionCommand::RenewReservation { artifact_id: kept, renewal };
    world.execute::<Inspection>(id, renew).await;
    let cancel = InspectionCommand::CancelReservation { artifact_id: taken_back };
    world.execute::<Inspection>(id, cancel).await;
    world.project().await;

    let artifacts = world.rows("artifacts").await;
    let state =
        |id| &artifacts.iter().find(|row| row["artifact_id"] == json!(id)).unwrap()["state"];
    assert_eq!((state(kept), state(taken_back)), (&json!("reserved"), &json!("cancelled")));
    assert_has(&world.rows("inspections").await[0], json!({"state": "open", "version": 5}));
    assert_eq!(world.rows("timeline").await.len(), 5);
}

#[tokio::test]
async fn a_part_goes_on_after_reservations_that_were_renewed_or_taken_back() {
    let world = World::new().await;
    world.register_part("board-a").await;
    let (artifact_id, now) = (ArtifactId(Uuid::new_v4()), Utc::now());
    let usage = GoldenSampleUse::Replacement;
    let reserve = PartCommand::ReserveGoldenSample {
        artifact_id,
        media_type: MediaType::Png,
        purpose: GoldenPurpose { usage, view: None, reason: None },
        pixels_per_millimetre: None,
        now,
        expires_at: now,
    };
    let renewal = Renewal { now, expires_at: now + TimeDelta::minutes(15) };
    for command in [
        reserve,
        PartCommand::RenewReservation { artifact_id, renewal },
        PartCommand::CancelReservation { artifact_id },
    ] {
        world.execute::<Part>("board-a", command).await;
    }
    world.project().await;
    assert_has(&world.rows("parts").await[0], json!({"golden_revision": 1, "version": 6}));
}

#[tokio::test]
async fn a_voided_inspection_has_no_judgement_no_yield_and_no_report() {
    let world = World::new().await;
    let id = world.open("board-a").await;
    world.upload(id).await;
    let void = InspectionCommand::Void { reason: "dropped".into() };
    world.execute::<Inspection>(id, void).await;
    world.project().await;

    let inspection = world.rows("inspections").await.remove(0);
    let expected = json!({"state": "voided", "void_reason": "dropped", "judgement": null,
        "rules": null, "voided_at": "2026-03-01T10:59:53+00:00", "version": 4});
    assert_has(&inspection, expected);
    for empty in ["defects", "yield_hourly", "reports"] {
        assert!(world.rows(empty).await.is_empty(), "{empty}");
    }
}

#[tokio::test]
async fn a_part_shows_its_recipe_and_the_golden_sample_in_force() {
    let world = World::new().await;
    let golden = world.register_part("board-a").await;
    world.project().await;

    let part = world.rows("parts").await.remove(0);
    let expected = json!({"part": "board-a", "golden_revision": 1, "version": 3, "position": 3,
        "registered_at": "2026-03-01T10:59:50+00:00"});
    assert_has(&part, expected);
    let sample = world.rows("golden_samples").await.remove(0);
    let expected = json!({"part": "board-a", "revision": 1, "artifact_id": golden.artifact_id,
        "sha256": golden.sha256, "media_type": "image/png", "bytes": 5_000_000_000_u64,
        "use": "replacement", "view": null, "reason": null, "pixels_per_millimetre": 48.5, "actor": "station-7",
        "registered_at": "2026-03-01T10:59:52+00:00"});
    assert_has(&sample, expected);
}

#[tokio::test]
async fn every_revision_of_a_recipe_stays_with_who_when_and_why_and_the_last_is_in_force() {
    let world = World::new().await;
    world.register_part("board-a").await;
    let strict = Recipe::factory(1).with_bend_max_px(2.0).unwrap();
    let revise = PartCommand::ReviseRecipe { recipe: strict, reason: "glare".into() };
    world.execute::<Part>("board-a", revise).await;
    world.project().await;

    let expected = json!({"golden_revision": 1, "version": 4, "position": 4});
    let part = world.rows("parts").await.remove(0);
    assert_has(&part, expected);
    assert_has(&part["recipe"], json!({"revision": 2, "bend_max_px": 2.0}));
    let revisions = world.rows("recipe_revisions").await;
    assert_eq!(revisions.len(), 2);
    let of = |n| revisions.iter().find(|row| row["revision"] == n).unwrap();
    let expected = json!({"part": "board-a", "reason": null,
        "revised_at": "2026-03-01T10:59:50+00:00"});
    assert_has(of(1), expected);
    let expected = json!({"reason": "glare", "revised_at": "2026-03-01T10:59:53+00:00",
        "actor": of(1)["actor"]});
    assert_has(of(2), expected);
    assert_eq!(of(2)["recipe"], part["recipe"]);
    world.assert_equals_a_rebuild().await;
}

#[tokio::test]
async fn a_report_is_the_domains_report_byte_for_byte() {
    let world = World::new().await;
    let golden = world.register_part("board-a").await;
    let id = world.inspect(&golden, &[0.7, 0.26]).await;
    world.project_in_pages(2).await;

    let events =
        world.log.read_stream(&StreamId::for_aggregate::<Inspection>(id), 0).await.unwrap().events;
    let entries: Vec<Entry> = events.iter().map(entry).collect();
    let expected = serde_json::to_string(&Report::from_entries(&entries).unwrap()).unwrap();
    let (report_id, document): (uuid::Uuid, String) =
        sqlx::query_as("SELECT report_id, document::text FROM read.reports")
            .fetch_one(&world.pool)
            .await
            .unwrap();
    assert_eq!((report_id, document), (ReportId::for_inspection(id).0, expected));
}

fn entry(recorded: &Recorded) -> Entry {
    Entry {
        sequence: recorded.sequence,
        position: recorded.position.0,
        occurred_at: recorded.occurred_at(),
        actor: recorded.metadata.actor.clone().unwrap().subject,
        actor_name: recorded.metadata.actor.as_ref().unwrap().name.clone(),
        event: recorded.decode::<Inspection>().unwrap(),
    }
}

#[tokio::test]
async fn events_that_are_delivered_again_change_nothing() {
    let world = World::new().await;
    let golden = world.register_part("board-a").await;
    for confidences in [&[0.9][..], &[0.3], &[]] {
        world.inspect(&golden, confidences).await;
    }
    world.project().await;
    let before = world.everything().await;
    let page = world.log.read_all(Default::default(), 1000).await.unwrap();
    for projection in projectors::ALL {
        let events: Vec<&Recorded> = page
            .events
            .iter()
            .map(|event| &**event)
            .filter(|e| {
                projection.definition().aggregate_types.contains(&&*e.stream.aggregate_type)
            })
            .collect();
        let mut tx = world.pool.begin().await.unwrap();
        let path = format!("SET LOCAL search_path = {}_g1", projection.name());
        sqlx::raw_sql(&path).execute(&mut *tx).await.unwrap();
        for event in &events {
            projection.apply(&mut tx, &[event]).await.unwrap();
        }
        projection.apply(&mut tx, &events).await.unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!(world.everything().await, before);
    world.assert_equals_a_rebuild().await;
}

/// However the events of several boards are mixed, and however the log is cut into pages.
#[tokio::test]
async fn rows_depend_on_the_order_within_a_stream_only() {
    for seed in 0..6 {
        let mut random = StdRng::seed_from_u64(seed);
        let world = World::new().await;
        let golden = world.register_part("board-a").await;
        let mut boards = Vec::new();
        for confidences in [&[0.9, 0.3][..], &[0.3], &[], &[0.6, 0.55]] {
            boards.push((world.open("board-a").await, None, 0, confidences));
        }
        while let Some(next) =
            (0..4).filter(|n| boards[*n].2 < 3).collect::<Vec<usize>>().choose(&mut random).copied()
        {
            let (id, artifact, step, confidences) = &mut boards[next];
            match (*step, *artifact) {
                (0, _) => *artifact = Some(world.upload(*id).await),
                (1, _) => world.request_inference(*id).await,
                (_, Some(artifact)) => {
                    world.compare(*id, artifact, &golden, confidences).await;
                }
                (_, None) => unreachable!("uploaded first"),
            }
            *step += 1;
        }
        world.project_in_pages(1 + seed as usize * 3).await;
        let judgements: Vec<_> = boards.iter().map(|(id, ..)| *id).collect();
        let rows = world.rows("inspections").await;
        let of = |id| rows.iter().find(|row| row["inspection_id"] == json!(id)).unwrap();
        let expected = [("fail", 1, 1), ("review", 0, 1), ("pass", 0, 0), ("fail", 2, 0)];
        for (id, (judgement, defects, doubtful)) in judgements.into_iter().zip(expected) {
            let expected = json!({"judgement": judgement, "defect_count": defects,
                "doubtful_count": doubtful, "version": 6});
            assert_has(of(id), expected);
        }
        let yields = world.count(
            "SELECT sum(judged + 10 * failed + 100 * defects)::bigint \
            FROM read.yield_hourly",
        );
        assert_eq!(yields.await, 4 + 20 + 300, "seed {seed}");
        world.assert_equals_a_rebuild().await;
    }
}
