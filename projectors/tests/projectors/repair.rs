//! What operators decide about parked streams, and what another build takes up by itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::{Inspection, InspectionId, ProjectionRepair};
use platform::event_log::{ActorRef, Position, StreamId};
use platform::projection_repair::{RepairAction, RepairRequest, record_repair};
use platform::telemetry::TraceContext;
use projectors::{ParkedStream, RebuildError, RebuildOptions, RebuildReport, rebuild};
use serde_json::json;

use crate::moody::{Moody, moody, moody_of};
use crate::poison::COUNTS_ADD_UP;
use crate::world::World;

/// Records a decision, as the command line and GraphQL do.
pub(crate) async fn decide(
    world: &World,
    projection: &str,
    action: RepairAction,
    position: Position,
) {
    let request = RepairRequest {
        projection: projection.to_owned(),
        action,
        position,
        reason: "for a test".to_owned(),
        actor: ActorRef::new("ada", &["admin"]),
        trace: TraceContext::new(None),
    };
    record_repair(&*world.log, request).await.unwrap();
}

async fn parked(world: &World) -> Vec<ParkedStream> {
    projectors::list_parked_streams(&world.pool, None).await.unwrap()
}

async fn rebuild_moody(world: &World, code: &'static Moody) -> Result<RebuildReport, RebuildError> {
    let (pool, log) = (&world.pool, Arc::clone(&world.log));
    rebuild(pool, log, code, RebuildOptions::default(), &mut |_| {}).await
}

async fn assert_equals_a_rebuild(world: &World, code: &'static Moody) {
    let log = Arc::clone(&world.log);
    let verified = projectors::verify_each(&[code], &world.pool, log).await.unwrap();
    assert!(verified[0].comparison.is_identical(), "{verified:?}");
}

/// A board of which the second event has parked the stream of `moody`.
async fn park_a_stream(world: &World, moody: &'static Moody) -> (InspectionId, Position) {
    moody.refuses.store(true, Ordering::SeqCst);
    let id = world.open("board-a").await;
    world.upload(id).await;
    world.catch_up(moody, 10).await;
    let position = parked(world).await.last().unwrap().position;
    (id, position)
}

#[tokio::test]
async fn a_retry_takes_a_stream_up_once_its_events_can_be_applied() {
    let world = World::new().await;
    let moody = moody(&world).await;
    let (id, position) = park_a_stream(&world, moody).await;
    assert_eq!(world.rows("noted").await.len(), 1);

    decide(&world, "moody", RepairAction::Retry, position).await;
    world.catch_up(moody, 10).await;
    assert_eq!(parked(&world).await.len(), 1, "it cannot be applied yet");
    assert_eq!(world.rows("noted").await.len(), 1);

    moody.refuses.store(false, Ordering::SeqCst);
    decide(&world, "moody", RepairAction::Retry, position).await;
    world.request_inference(id).await;
    // In one page: what comes after the decision is applied after it.
    world.catch_up(moody, 10).await;
    assert!(parked(&world).await.is_empty());
    assert_eq!(world.rows("noted").await.len(), 4, "created, reserved, uploaded, requested");
    world.project().await;
    assert_eq!(world.count(COUNTS_ADD_UP).await, 0);
    assert_equals_a_rebuild(&world, moody).await;
}

#[tokio::test]
async fn a_decision_of_another_projection_or_about_a_stream_that_is_not_parked_changes_nothing() {
    let world = World::new().await;
    let moody = moody(&world).await;
    let (_, position) = park_a_stream(&world, moody).await;
    moody.refuses.store(false, Ordering::SeqCst);
    let other = world.open("board-b").await;
    world.catch_up(moody, 10).await;
    decide(&world, "reports", RepairAction::Retry, position).await;
    decide(&world, "moody", RepairAction::Retry, world.log.head().await.unwrap()).await;
    let stream = StreamId::for_aggregate::<Inspection>(other);
    let at = world.log.read_stream(&stream, 0).await.unwrap().events[0].position;
    decide(&world, "moody", RepairAction::Retry, at).await;
    world.catch_up(moody, 10).await;
    assert_eq!(parked(&world).await.len(), 1);
    assert_eq!(world.rows("noted").await.len(), 2);
}

#[tokio::test]
async fn a_discarded_stream_is_waited_for_no_more_and_a_retry_takes_it_back() {
    let world = World::new().await;
    let moody = moody(&world).await;
    let (id, position) = park_a_stream(&world, moody).await;
    decide(&world, "moody", RepairAction::Discard, position).await;
    world.request_inference(id).await;
    world.catch_up(moody, 10).await;
    let [discarded] = &parked(&world).await[..] else { panic!() };
    assert!(discarded.is_discarded);
    assert_eq!(discarded.events, 3, "what comes after it is passed over, too");
    let status = projectors::list_generations(&world.pool, &*world.log).await.unwrap();
    let status = status.iter().find(|status| status.projection == "moody").unwrap();
    assert_eq!((status.parked_streams, status.discarded_streams), (0, 1));

    // Also by code that could apply it: what was decided stands until it is taken back.
    world.catch_up(moody_of("second code"), 10).await;
    assert_equals_a_rebuild(&world, moody_of("second code")).await;
    assert!(parked(&world).await[0].is_discarded);

    moody.refuses.store(false, Ordering::SeqCst);
    decide(&world, "moody", RepairAction::Retry, position).await;
    world.catch_up(moody, 10).await;
    assert!(parked(&world).await.is_empty());
    assert_eq!(world.rows("noted").await.len(), 4);
    assert_equals_a_rebuild(&world, moody).await;
}

#[tokio::test]
async fn a_rebuild_reports_every_poison_and_goes_on_past_discarded_ones() {
    let world = World::new().await;
    let moody = moody(&world).await;
    let mut poisons = Vec::new();
    for _ in 0..3 {
        poisons.push(park_a_stream(&world, moody).await.1);
    }
    world.open("board-b").await;
    world.catch_up(moody, 10).await;
    let reported = rebuild_moody(&world, moody).await;
    let Err(RebuildError::Poison(found)) = reported else { panic!("{reported:?}") };
    assert_eq!(found.iter().map(|poison| poison.position).collect::<Vec<_>>(), poisons);

    // The projectors may stand still, so that they never come to the decisions: a rebuild knows them.
    decide(&world, "moody", RepairAction::Discard, poisons[0]).await;
    decide(&world, "moody", RepairAction::Discard, poisons[2]).await;
    let reported = rebuild_moody(&world, moody).await;
    let Err(RebuildError::Poison(found)) = reported else { panic!("{reported:?}") };
    assert_eq!(found.iter().map(|poison| poison.position).collect::<Vec<_>>(), poisons[1..2]);

    decide(&world, "moody", RepairAction::Discard, poisons[1]).await;
    let report = rebuild_moody(&world, moody).await.unwrap();
    assert!(report.comparison.is_identical(), "{}", report.comparison);
    let left = parked(&world).await;
    assert!(left.len() == 3 && left.iter().all(|stream| stream.is_discarded), "{left:?}");
    world.catch_up(moody, 10).await;
    assert_equals_a_rebuild(&world, moody).await;
}

#[tokio::test]
async fn what_was_discarded_before_the_projector_came_there_is_not_tried() {
    let world = World::new().await;
    let moody = moody(&world).await;
    let id = world.open("board-a").await;
    world.catch_up(moody, 10).await;
    world.upload(id).await;
    let reserved = world.log.read_stream(&StreamId::for_aggregate::<Inspection>(id), 1).await;
    let position = reserved.unwrap().events[0].position;
    // It interrupts the projector for ever: only a decision gets it past.
    moody.transient.store(u32::MAX, Ordering::SeqCst);
    let log = Arc::clone(&world.log);
    projectors::catch_up(&world.pool, log, moody, 10).await.unwrap_err();
    decide(&world, "moody", RepairAction::Discard, position).await;
    world.catch_up(moody, 10).await;
    assert!(parked(&world).await[0].is_discarded);
    assert_eq!(world.rows("noted").await.len(), 1);
}

#[tokio::test]
async fn a_decision_that_cannot_be_read_is_passed_over_and_the_next_one_is_carried_out() {
    let world = World::new().await;
    let moody = moody(&world).await;
    let (_, position) = park_a_stream(&world, moody).await;
    for (boards, (event_type, version)) in
        [(2, ("StreamDiscarded", "1")), (3, ("StreamDiscarded", "7")), (4, ("StreamForgiven", "1"))]
    {
        let stream = StreamId::for_aggregate::<ProjectionRepair>("moody");
        let payload = json!({"type": event_type, "poison": "torn"});
        world.append_version(stream, event_type, version, payload).await;
        world.open("board-b").await;
        world.catch_up(moody, 10).await;
        let [still] = &parked(&world).await[..] else { panic!() };
        assert!(still.position == position && !still.is_discarded, "{still:?}");
        assert_eq!(world.rows("noted").await.len(), boards, "and the projection goes on");
    }
    decide(&world, "moody", RepairAction::Discard, position).await;
    world.catch_up(moody, 10).await;
    assert!(parked(&world).await[0].is_discarded);
    assert_equals_a_rebuild(&world, moody).await;
}

#[tokio::test]
async fn what_an_older_build_could_not_apply_a_newer_one_takes_up_by_itself() {
    let world = World::new().await;
    let old = moody(&world).await;
    let (id, _) = park_a_stream(&world, old).await;
    let (discarded, at) = park_a_stream(&world, old).await;
    decide(&world, "moody", RepairAction::Discard, at).await;
    world.request_inference(id).await;
    world.catch_up(old, 10).await;
    assert_eq!(parked(&world).await.len(), 2, "the build that parked it does not try it again");
    assert_eq!(world.rows("noted").await.len(), 2);

    let new = moody_of("newer code");
    world.catch_up(new, 10).await;
    let left = parked(&world).await;
    let stream = StreamId::for_aggregate::<Inspection>(discarded);
    assert!(left.len() == 1 && left[0].stream == stream, "only what was given up: {left:?}");
    assert_eq!(world.rows("noted").await.len(), 5);
    assert_eq!(world.count(COUNTS_ADD_UP).await, 6, "the others have not begun");
    assert_equals_a_rebuild(&world, new).await;
}

#[tokio::test]
async fn a_newer_build_that_cannot_apply_it_either_says_so_and_tries_once() {
    let world = World::new().await;
    let old = moody(&world).await;
    park_a_stream(&world, old).await;
    let new = moody_of("newer code");
    new.refuses.store(true, Ordering::SeqCst);
    world.catch_up(new, 10).await;
    assert_eq!(parked(&world).await.len(), 1);
    let by = "SELECT count(*) FROM parked_streams WHERE parked_by = 'newer code'";
    assert_eq!(world.count(by).await, 1);
    new.refuses.store(false, Ordering::SeqCst);
    world.catch_up(new, 10).await;
    assert_eq!(parked(&world).await.len(), 1, "it was tried by this code");
}
