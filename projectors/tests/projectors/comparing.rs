//! A comparison takes as long as it takes, and nobody who serves notices.

use std::sync::Arc;
use std::time::Duration;

use platform::follower::LogTail;
use platform::postgres::{DatabaseConfig, connect};
use platform::shutdown::Shutdown;
use platform::test_support::Gateway;
use projectors::{
    ProjectorsConfig, RebuildError, RebuildOptions, Service, find, rebuild, verify_each,
};

use crate::world::World;

/// How long anything here may take on a busy machine; a comparison that is held up never ends by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// The sessions that wait for the table that cannot be read.
const WAITING: &str = "SELECT count(*) FROM pg_locks l
    JOIN pg_class c ON c.oid = l.relation JOIN pg_database d ON d.oid = l.database
    WHERE d.datname = current_database() AND c.relname = 'yield_hourly' AND NOT l.granted";

const POSITION: &str = "SELECT position FROM projection_checkpoints
    WHERE projection = 'yield' AND status = 'serving'";

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// The comparison that `comparing` comes to is held up until what must go on beside it has gone on: the
/// projectors, so that whoever waits for a position gets it, and readiness.
async fn serve_beside<T>(world: &World, comparing: impl Future<Output = T>) -> T {
    let service = Service::new(ProjectorsConfig::default());
    let (probe, shutdown) = (service.probe(), Shutdown::new());
    let tail = LogTail::new(Arc::clone(&world.log));
    let running = tokio::spawn(service.run(world.pool.clone(), tail, shutdown.child()));
    // Only a judgement writes into this table, and here none is made while it cannot be read.
    let mut hold = world.pool.begin().await.unwrap();
    sqlx::raw_sql("LOCK yield_g1.yield_hourly").execute(&mut *hold).await.unwrap();
    let beside = async {
        until("the comparison has begun", async || world.count(WAITING).await > 0).await;
        for _ in 0..3 {
            world.open("board-a").await;
            let head = world.log.head().await.unwrap().0;
            until("read models move on", async || world.count(POSITION).await >= head).await;
        }
        until("ready", async || probe.checks().await.iter().all(|check| check.ready)).await;
        assert!(world.count(WAITING).await > 0, "the comparison was over before");
        hold.rollback().await.unwrap();
    };
    let (outcome, ()) = tokio::join!(comparing, beside);
    shutdown.request();
    running.await.unwrap().unwrap();
    outcome
}

async fn world_with_a_judged_board() -> World {
    let world = World::new().await;
    let golden = world.register_part("board-a").await;
    world.inspect(&golden, &[0.9]).await;
    world.project().await;
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_the_comparison_of_a_rebuild() {
    let world = world_with_a_judged_board().await;
    let (log, projection) = (Arc::clone(&world.log), find("yield").unwrap());
    let options = RebuildOptions { expect_identical: true };
    let rebuilding = async { rebuild(&world.pool, log, projection, options, &mut |_| {}).await };
    let report = serve_beside(&world, rebuilding).await.unwrap();
    assert!(report.comparison.is_identical(), "{}", report.comparison);
    assert!(report.compared_at < report.position, "the old one has moved on meanwhile");
    world.project().await;
    world.assert_equals_a_rebuild().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_the_comparison_of_a_verification() {
    let world = world_with_a_judged_board().await;
    let projections = [find("yield").unwrap()];
    let verifying = verify_each(&projections, &world.pool, Arc::clone(&world.log));
    let verified = serve_beside(&world, verifying).await.unwrap();
    assert!(verified[0].comparison.is_identical(), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comparison_does_not_wait_for_a_server_that_is_silent() {
    let world = world_with_a_judged_board().await;
    let (gateway, url) = Gateway::before_url(world.database.url()).await;
    let pool = connect(&DatabaseConfig::from_url(url)).await.unwrap();
    let mut hold = world.pool.begin().await.unwrap();
    sqlx::raw_sql("LOCK yield_g1.yield_hourly").execute(&mut *hold).await.unwrap();
    let silence = async {
        until("the comparison has begun", async || world.count(WAITING).await > 0).await;
        gateway.fall_silent();
        gateway.lead_on();
    };
    let projections = [find("yield").unwrap()];
    let verifying = verify_each(&projections, &pool, Arc::clone(&world.log));
    let both = async { tokio::join!(verifying, silence) };
    let (verified, ()) = tokio::time::timeout(PATIENCE, both).await.expect("it waits for ever");
    assert!(matches!(verified, Err(RebuildError::Database(_))), "{verified:?}");
    hold.rollback().await.unwrap();
}

/// What the old generation has become after the snapshot is no difference.
#[tokio::test]
async fn a_difference_is_counted_where_the_comparison_looked() {
    let world = world_with_a_judged_board().await;
    let tamper = "UPDATE yield_g1.inspection_contexts SET lot = 'another'";
    sqlx::raw_sql(tamper).execute(&world.pool).await.unwrap();
    let projections = [find("yield").unwrap()];
    let verifying = verify_each(&projections, &world.pool, Arc::clone(&world.log));
    let verified = serve_beside(&world, verifying).await.unwrap();
    let [difference] = verified[0].comparison.differences.as_slice() else {
        panic!("{verified:?}")
    };
    assert_eq!(difference.table, "inspection_contexts");
    assert_eq!((difference.old_rows, difference.new_rows), (Some(1), Some(1)));
    assert_eq!((difference.only_old, difference.only_new), (1, 1));
}
