//! Which network compares: the one routed to, or the one that the inspection began with.

use std::sync::Arc;

use domain::inspection::ModelIdentity;
use domain::{
    FiredRule, InspectionEvent, InspectionId, Judgement, ModelRoute, ModelRouteCommand,
    NotComparable,
};
use platform::event_log::EventMetadata;
use platform::execute::{Request, execute};

use crate::engines::Place;
use crate::line::{Line, board, png, until};

async fn route(line: &Line, to: ModelIdentity) {
    let request = Request::<ModelRoute> {
        aggregate_id: to.name.clone(),
        command: ModelRouteCommand::RouteModel { to, reason: "a test".into(), comparison: None },
        is_new: false,
        if_match: None,
        metadata: EventMetadata::by_service("test"),
    };
    execute(&*line.log, request).await.unwrap();
}

/// The versions that compared the inspection's pictures.
async fn versions(line: &Line, inspection: InspectionId) -> Vec<String> {
    let events = line.events(inspection).await;
    let version = |event| match event {
        InspectionEvent::InferenceCompleted { model, .. } => Some(model.version),
        _ => None,
    };
    events.into_iter().filter_map(version).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boards_are_compared_by_the_version_routed_to_and_no_board_fails_over_it() {
    let place = Place::new();
    let line = Line::comparing_by(Arc::clone(&place) as _).await;
    let bad = board(false);
    line.register_golden(&bad.golden).await;
    let worker = line.start_worker();
    let mut inspections = Vec::new();
    for n in 0..16 {
        let inspection = line.open().await;
        line.upload(inspection, png(&bad.test)).await;
        if n == 8 {
            route(&line, place.version(2)).await;
        }
        line.upload(inspection, png(&bad.test)).await;
        line.infer(inspection).await;
        inspections.push(inspection);
    }
    for inspection in &inspections {
        assert_eq!(line.judged(*inspection).await.0, Judgement::Fail);
        let versions = versions(&line, *inspection).await;
        assert_eq!((versions.len(), &versions[0]), (2, &versions[1]), "no mix: {versions:?}");
    }
    assert_eq!(versions(&line, inspections[0]).await[0], "1");
    assert_eq!(versions(&line, inspections[15]).await[0], "2");
    worker.stop().await;
}

/// An inspection whose first picture was compared by version 1, while version 2 is in force.
async fn pinned(line: &Line, place: &Place) -> InspectionId {
    let inspection = line.open().await;
    line.upload(inspection, png(&board(true).test)).await;
    until("the first comparison", async || {
        (!versions(line, inspection).await.is_empty()).then_some(())
    })
    .await;
    route(line, place.version(2)).await;
    inspection
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inspection_keeps_the_version_of_its_first_comparison() {
    let place = Place::new();
    let line = Line::comparing_by(Arc::clone(&place) as _).await;
    line.register_golden(&board(true).golden).await;
    let worker = line.start_worker();
    let inspection = pinned(&line, &place).await;
    line.upload(inspection, png(&board(false).test)).await;
    line.infer(inspection).await;
    assert_eq!(line.judged(inspection).await.0, Judgement::Fail);
    assert_eq!(versions(&line, inspection).await, ["1", "1"]);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inspection_whose_version_is_gone_goes_to_review_and_is_never_mixed() {
    let place = Place::new();
    let line = Line::comparing_by(Arc::clone(&place) as _).await;
    line.register_golden(&board(true).golden).await;
    let worker = line.start_worker();
    let inspection = pinned(&line, &place).await;
    place.unloads(place.version(1));
    line.upload(inspection, png(&board(false).test)).await;
    line.infer(inspection).await;
    let reason = NotComparable::InferenceFailed;
    let review = (Judgement::Review, vec![FiredRule::NotCompared { reason }]);
    assert_eq!(line.judged(inspection).await, review);
    assert_eq!(versions(&line, inspection).await, ["1"]);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_in_force_that_is_not_there_keeps_boards_waiting_until_another_is_routed_to() {
    let place = Place::new();
    let line = Line::comparing_by(Arc::clone(&place) as _).await;
    line.register_golden(&board(true).golden).await;
    place.unloads(place.version(2));
    route(&line, place.version(2)).await;
    let worker = line.start_worker();
    let inspection = line.inspect(png(&board(false).test)).await;
    until("it is looked for", async || (place.refused() >= 3).then_some(())).await;
    assert_eq!(versions(&line, inspection).await, [""; 0]);
    route(&line, place.version(1)).await;
    assert_eq!(line.judged(inspection).await.0, Judgement::Fail);
    assert_eq!(versions(&line, inspection).await, ["1"]);
    worker.stop().await;
}
