//! An engine that is away keeps inspections waiting; one that fails on a picture fails that picture.

use std::sync::Arc;

use domain::{
    ArtifactId, FiredRule, Inspection, InspectionEvent, InspectionId, Judgement, NotComparable,
};
use platform::event_log::{Append, EventMetadata, NewEvent, StreamId};
use platform::execute::{ExecuteError, load};
use platform::health::Probe as _;

use crate::engines::Place;
use crate::line::{CONCURRENCY, Line, board, boards_of_one_part, crops_of, png, results, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_engine_is_away_boards_wait_few_ask_and_afterwards_each_is_judged_once() {
    let place = Place::new();
    let line = Line::comparing_by(Arc::clone(&place) as _).await;
    let bad = board(false);
    line.register_golden(&bad.golden).await;
    place.goes_away();
    let worker = line.start_worker();
    let mut inspections = Vec::new();
    for _ in 0..12 {
        inspections.push(line.inspect(png(&bad.test)).await);
    }
    until("the engine is tried again", async || (place.refused() >= 7).then_some(())).await;
    // At most four were under way when it went away; since then one at a time tries, with pauses
    // of at least 50, 100, 200 ms.
    assert!(place.asked() <= 4 + 6, "{} times", place.asked());
    for inspection in &inspections {
        let id = inspection.to_string();
        let state = load::<Inspection>(&*line.log, &id).await.unwrap().state;
        assert!(matches!(state, Inspection::Inferring(_)), "it waits: {state:?}");
        assert_eq!(results(&line.events(*inspection).await), 0, "nothing is recorded as failed");
    }
    let checks = worker.health.checks().await;
    let engine = checks.iter().find(|check| check.name == "inference-engine").unwrap();
    assert!(!engine.ready && engine.detail.as_ref().unwrap().contains("connection refused"));

    place.comes_back();
    for inspection in &inspections {
        assert_eq!(line.judged(*inspection).await.0, Judgement::Fail);
        assert_eq!(results(&line.events(*inspection).await), 1);
    }
    assert!(worker.health.checks().await.iter().all(|check| check.ready));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_stopped_while_the_engine_is_away_leaves_its_boards_to_the_next() {
    let place = Place::new();
    let line = Line::comparing_by(Arc::clone(&place) as _).await;
    let good = board(true);
    line.register_golden(&good.golden).await;
    place.goes_away();
    let worker = line.start_worker();
    let inspection = line.inspect(png(&good.test)).await;
    until("the engine is asked", async || (place.refused() > 0).then_some(())).await;
    worker.stop().await;
    place.comes_back();
    let next = line.start_worker();
    // This board has no candidate, so no crop: what was asked for was the network.
    assert_eq!(line.judged(inspection).await.0, Judgement::Pass);
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_that_the_engine_fails_on_goes_to_review_and_its_neighbours_are_judged() {
    let place = Place::new();
    let line = Line::comparing_by(Arc::clone(&place) as _).await;
    let mut others = boards_of_one_part(4);
    let poisoned = others.remove(0);
    line.register_golden(&poisoned.golden).await;
    let crops = crops_of(&poisoned);
    place.fails_on(&crops);
    let worker = line.start_worker();
    let inspection = line.inspect(png(&poisoned.test)).await;
    let mut neighbours = Vec::new();
    for other in &others {
        neighbours.push(line.inspect(png(&other.test)).await);
    }
    for neighbour in neighbours {
        assert_eq!(line.judged(neighbour).await.0, Judgement::Fail);
    }
    let reason = NotComparable::InferenceFailed;
    let review = (Judgement::Review, vec![FiredRule::NotCompared { reason }]);
    assert_eq!(line.judged(inspection).await, review);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_has_not_started_is_not_ready_and_one_that_runs_measures() {
    platform::metrics::install().unwrap();
    let line = Line::set_up().await;
    let bad = board(false);
    line.register_golden(&bad.golden).await;
    let unstarted = inference_worker::worker::WorkerHealth::new(
        inference::metrics::InferenceMetrics::for_process(),
    );
    let checks = unstarted.checks().await;
    let names: Vec<_> = checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(names, ["inference-engine", "inference-leases", "follower:inference-worker"]);
    assert!(checks.iter().all(|check| !check.ready && check.detail.is_some()));

    let worker = line.start_worker();
    let inspection = line.inspect(png(&bad.test)).await;
    line.judged(inspection).await;
    until("ready", async || {
        worker.health.checks().await.iter().all(|check| check.ready).then_some(())
    })
    .await;
    let text = platform::metrics::gather_text().unwrap();
    for name in [
        "chipq_inference_batch_size_bucket{",
        "chipq_inference_queue_duration_seconds_count{",
        "chipq_inference_compute_duration_seconds_count{",
        "chipq_inference_batches_in_flight{",
        "chipq_inference_crops_total{",
        "chipq_inference_engine_available{",
        "chipq_inference_leases_held{",
        "chipq_event_log_events_total{",
    ] {
        assert!(text.contains(name), "{name} is missing from\n{text}");
    }
    worker.stop().await;
}

/// An inspection with a picture to compare, and in its stream an event that this software cannot read.
async fn append_unreadable(line: &Line, event_version: &str) -> InspectionId {
    let unreadable = line.open().await;
    line.upload(unreadable, png(&board(true).test)).await;
    let event = NewEvent {
        event_type: InspectionEvent::INFERENCE_REQUESTED.to_owned(),
        event_version: event_version.to_owned(),
        payload: serde_json::json!({"type": InspectionEvent::INFERENCE_REQUESTED, "boards": []}),
        labels: domain::EventLabels::default(),
    };
    let stream = StreamId::for_aggregate::<Inspection>(unreadable);
    let append = Append::new(stream, 3, vec![event], EventMetadata::by_service("test"));
    line.log.append(append).await.unwrap();
    unreadable
}

/// Judges another inspection, stops the worker, and looks whether the unreadable one is done with: whether
/// every partition is done up to its last event.
async fn is_left_behind(line: &Line, unreadable: InspectionId) -> bool {
    let worker = line.start_worker();
    let readable = line.inspect(png(&board(true).test)).await;
    assert_eq!(line.judged(readable).await.0, Judgement::Pass, "its neighbour is judged");
    worker.stop().await;
    let stream = StreamId::for_aggregate::<Inspection>(unreadable);
    let stored = line.log.read_stream(&stream, 0).await.unwrap().events;
    assert_eq!(stored.len(), 4, "nothing is made of what cannot be read");
    let lowest: i64 = sqlx::query_scalar("SELECT min(position) FROM follower_leases")
        .fetch_one(&line.database.pool())
        .await
        .unwrap();
    lowest >= stored[3].position.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_newer_version_wrote_waits_for_a_newer_worker_and_what_is_damaged_is_skipped() {
    let line = Line::set_up().await;
    line.register_golden(&board(true).golden).await;
    let damaged = append_unreadable(&line, "1").await;
    assert!(is_left_behind(&line, damaged).await, "no version reads it");
    let newer = append_unreadable(&line, "2").await;
    assert!(!is_left_behind(&line, newer).await, "its events stay open");
    match load::<Inspection>(&*line.log, &newer.to_string()).await {
        Err(ExecuteError::Unreadable(error)) => assert_eq!(error.event_version, "2"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boards_that_wait_for_a_file_or_a_newer_worker_take_no_place_from_the_others() {
    let line = Line::set_up().await;
    let good = board(true);
    line.register_golden(&good.golden).await;
    let mut unreadable = Vec::new();
    for _ in 0..CONCURRENCY {
        append_unreadable(&line, "2").await;
        let inspection = line.open().await;
        let artifact_id = line.upload(inspection, png(&good.test)).await;
        line.infer(inspection).await;
        // It is there and cannot be opened, by nobody: neither missing nor altered.
        let file = line.file_of(artifact_id);
        let aside = file.with_extension("aside");
        std::fs::rename(&file, &aside).unwrap();
        std::os::unix::fs::symlink(&file, &file).unwrap();
        unreadable.push((inspection, file, aside));
    }
    let readable = line.inspect(png(&good.test)).await;
    let worker = line.start_worker();
    assert_eq!(line.judged(readable).await.0, Judgement::Pass);
    for (inspection, file, aside) in unreadable {
        assert_eq!(results(&line.events(inspection).await), 0, "nothing is recorded as failed");
        std::fs::rename(aside, file).unwrap();
        assert_eq!(line.judged(inspection).await.0, Judgement::Pass);
    }
    worker.stop().await;
}

/// How many attempts at a picture have begun since the last that ended.
async fn attempts_begun(line: &Line, artifact_id: ArtifactId) -> i32 {
    sqlx::query_scalar("SELECT number FROM follower_attempts WHERE work = $1")
        .bind(artifact_id.0)
        .fetch_optional(&line.database.pool())
        .await
        .unwrap()
        .unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_that_kills_every_worker_that_compares_it_goes_to_review_and_the_others_are_judged()
 {
    let place = Place::new();
    let line = Line::comparing_by(Arc::clone(&place) as _).await;
    let mut others = boards_of_one_part(4);
    let deadly = others.remove(0);
    line.register_golden(&deadly.golden).await;
    place.stalls_on(&crops_of(&deadly));
    let inspection = line.open().await;
    let picture = line.upload(inspection, png(&deadly.test)).await;
    line.infer(inspection).await;
    let mut neighbours = Vec::new();
    for other in &others {
        neighbours.push(line.inspect(png(&other.test)).await);
    }
    for attempt in 1..=3 {
        let worker = line.start_worker();
        until("it is begun", async || {
            (attempts_begun(&line, picture).await == attempt).then_some(())
        })
        .await;
        worker.kill().await;
        assert_eq!(results(&line.events(inspection).await), 0, "attempt {attempt}");
    }
    let worker = line.start_worker();
    let reason = NotComparable::InferenceFailed;
    let review = (Judgement::Review, vec![FiredRule::NotCompared { reason }]);
    assert_eq!(line.judged(inspection).await, review);
    let said = line.events(inspection).await.into_iter().find_map(|event| match event {
        InspectionEvent::InferenceFailed { detail, .. } => Some(detail),
        _ => None,
    });
    assert!(said.is_some_and(|detail| detail.starts_with("three workers died")));
    for neighbour in neighbours {
        assert_eq!(line.judged(neighbour).await.0, Judgement::Fail);
    }
    worker.stop().await;
    assert_eq!(attempts_begun(&line, picture).await, 0, "what ended is forgotten");
}
