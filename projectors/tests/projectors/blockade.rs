//! An event that this software does not know stops every read model that reads its stream; what that looks like,
//! and the ways past it.

use std::sync::Arc;

use domain::{Inspection, InspectionEvent};
use platform::event_log::{Position, StreamId};
use platform::projection_repair::RepairAction;
use platform::shutdown::Shutdown;
use projectors::{Poison, ProjectionStatus, RebuildError, RebuildOptions};
use serde_json::json;

use crate::repair::decide;
use crate::running::{PATIENCE, caught_up, inspect_boards, instance};
use crate::world::World;

/// A board with an event that newer software wrote.
async fn open_from_the_future(world: &World) -> (StreamId, Position) {
    let id = world.open("board-a").await;
    let stream = StreamId::for_aggregate::<Inspection>(id);
    let name = InspectionEvent::INSPECTION_VOIDED;
    world.append_version(stream.clone(), name, "99", json!({"type": name})).await;
    (stream, world.log.head().await.unwrap())
}

async fn statuses(world: &World) -> Vec<ProjectionStatus> {
    projectors::list_generations(&world.pool, &*world.log).await.unwrap()
}

/// What stops whom, once four stand still.
async fn stopped(world: &World) -> Vec<(String, Poison)> {
    let waiting = async {
        loop {
            let blocked = statuses(world).await.into_iter();
            let blocked: Vec<_> =
                blocked.filter_map(|one| Some((one.projection, one.blocked_by?))).collect();
            if blocked.len() == 4 {
                return blocked;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("they stand still")
}

const EPOCHS: &str = "SELECT sum(owner_epoch)::bigint FROM projection_checkpoints";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stands_still_says_before_what_and_goes_on_once_it_is_decided() {
    let world = World::new().await;
    let shutdown = Shutdown::new();
    let running = instance(&world, &shutdown);
    for round in 1..=2 {
        let (stream, position) = open_from_the_future(&world).await;
        for (projection, event) in stopped(&world).await {
            assert_ne!(projection, "parts", "it reads no inspections");
            assert_eq!((&event.stream, event.position), (&stream, position));
            assert_eq!(event.event_type, InspectionEvent::INSPECTION_VOIDED);
            assert!(event.reason.contains("knows its versions up to 1"), "{}", event.reason);
        }
        let epochs = world.count(EPOCHS).await;
        // Long enough for several tries, if there were any.
        inspect_boards(&world, 5).await;
        assert_eq!(world.count(EPOCHS).await, epochs, "trying alone does not help");

        let in_the_way_of = projectors::list_stopped_by(&world.pool, position).await.unwrap();
        assert!(in_the_way_of.len() >= 4, "{in_the_way_of:?}");
        for projection in in_the_way_of {
            decide(&world, &projection, RepairAction::Discard, position).await;
        }
        caught_up(&world).await;
        assert_eq!(world.count(EPOCHS).await, epochs + 4, "each took over once");
        assert!(statuses(&world).await.iter().all(|one| one.blocked_by.is_none()));
        assert!(projectors::list_stopped_by(&world.pool, position).await.unwrap().is_empty());
        assert_eq!(world.rows("reports").await.len(), 5 * round, "the others' boards are there");
        let parked = projectors::list_parked_streams(&world.pool, None).await.unwrap();
        assert_eq!(parked.len(), 4 * round);
        assert!(parked.iter().all(|stream| stream.is_discarded), "{parked:?}");
    }
    world.assert_equals_a_rebuild().await;
    shutdown.request();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_stands_still_is_tried_again_by_whoever_takes_over() {
    let world = World::new().await;
    let (_, position) = open_from_the_future(&world).await;
    let yields = projectors::find("yield").unwrap();
    let since = "SELECT (extract(epoch FROM (blocked_by ->> 'since')::timestamptz) * 1e6)::bigint
                 FROM projection_checkpoints WHERE projection = 'yield'";
    let mut said = Vec::new();
    for _ in 0..2 {
        let log = Arc::clone(&world.log);
        projectors::catch_up(&world.pool, log, yields, 10).await.unwrap_err();
        said.push(world.count(since).await);
    }
    assert_eq!(said[0], said[1], "it has stood still since the first time");
    let stopped = projectors::list_stopped_by(&world.pool, position).await.unwrap();
    assert_eq!(stopped.len(), 5, "the others have yet to come there: {stopped:?}");
    let nothing = projectors::list_stopped_by(&world.pool, Position(position.0 - 1)).await.unwrap();
    assert!(nothing.is_empty(), "{nothing:?}");
}

#[tokio::test]
async fn a_rebuild_stops_before_what_it_does_not_know_and_goes_past_what_is_discarded() {
    let world = World::new().await;
    let yields = projectors::find("yield").unwrap();
    let (_, position) = open_from_the_future(&world).await;
    decide(&world, "yield", RepairAction::Discard, position).await;
    world.catch_up(yields, 10).await;
    let rebuild = async || {
        let (pool, log) = (&world.pool, Arc::clone(&world.log));
        projectors::rebuild(pool, log, yields, RebuildOptions::default(), &mut |_| {}).await
    };
    rebuild().await.unwrap();
    decide(&world, "yield", RepairAction::Retry, position).await;
    let Err(RebuildError::Unknown(event)) = rebuild().await else { panic!("it is skipped") };
    assert_eq!(event.position, position);
}
