//! Read models that have come farther than the log, because an earlier state of the log was put back without them.

use std::sync::Arc;
use std::time::Duration;

use platform::event_log::Position;
use platform::follower::LogTail;
use platform::shutdown::Shutdown;
use platform::test_support::cut_log;
use projectors::{ProjectorsConfig, RebuildError, RebuildOptions, Service, find, rebuild, verify};

use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generation_beyond_the_log_is_not_ready_and_not_written_and_a_rebuild_leads_out() {
    let world = World::new().await;
    let golden = world.register_part("board-a").await;
    world.inspect(&golden, &[0.9]).await;
    let kept = world.log.head().await.unwrap();
    for _ in 0..3 {
        world.inspect(&golden, &[0.9]).await;
    }
    world.project().await;
    let (before, lost) = (world.everything().await, world.log.head().await.unwrap());
    cut_log(&world.database, kept).await;

    let service = Service::new(ProjectorsConfig::default());
    let (probe, shutdown) = (service.probe(), Shutdown::new());
    let tail = LogTail::new(Arc::clone(&world.log));
    let running = tokio::spawn(service.run(world.pool.clone(), tail, shutdown.child()));
    let all_say_so = async {
        loop {
            let checks = probe.checks().await;
            let says = |detail: &String| detail.contains("run `chipq rebuild ");
            if checks.iter().all(|check| !check.ready && check.detail.as_ref().is_some_and(says)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all_say_so).await.expect("/readyz does not say it");
    world.inspect(&golden, &[]).await;
    assert!(world.log.head().await.unwrap() < lost, "the control: the log is not there yet");
    let statuses = projectors::list_generations(&world.pool, &*world.log).await.unwrap();
    for status in statuses {
        let beyond = status.beyond_log.expect("the list does not say it");
        assert_eq!((beyond.position, status.position), (lost, lost), "it has moved");
    }
    assert_eq!(world.everything().await, before, "nothing was written");
    let verified = verify(&world.pool, Arc::clone(&world.log)).await.unwrap_err();
    assert!(matches!(verified, RebuildError::BeyondLog(_)), "{verified}");

    for projection in projectors::ALL {
        let (log, options) = (Arc::clone(&world.log), RebuildOptions::default());
        let projection = find(projection.name()).unwrap();
        rebuild(&world.pool, log, projection, options, &mut |_| {}).await.unwrap();
    }
    world.inspect(&golden, &[]).await;
    let end = world.log.head().await.unwrap();
    let all_there = async {
        while !all_are_at(&world, end).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all_there).await.expect("they go on");
    world.assert_equals_a_rebuild().await;
    shutdown.request();
    running.await.unwrap().unwrap();
}

async fn all_are_at(world: &World, end: Position) -> bool {
    let statuses = projectors::list_generations(&world.pool, &*world.log).await.unwrap();
    statuses.iter().all(|status| status.position == end && status.beyond_log.is_none())
}
