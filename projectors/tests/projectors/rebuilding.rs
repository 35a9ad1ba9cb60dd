//! Rebuilding while serving, comparing, verifying.

use std::sync::Arc;

use platform::follower::LogTail;
use platform::shutdown::Shutdown;
use projectors::{
    Progress, Projection, ProjectorsConfig, RebuildError, RebuildOptions, Service, rebuild,
};
use projectors::{RebuildReport, find, verify};

use crate::world::World;

const SCHEMAS: &str = "SELECT count(*) FROM pg_namespace WHERE nspname ~ '_g[0-9]+$'";

async fn rebuild_one(world: &World, name: &str) -> Result<RebuildReport, RebuildError> {
    rebuild_with(world, name, RebuildOptions::default(), &mut |_| {}).await
}

async fn rebuild_with(
    world: &World,
    name: &str,
    options: RebuildOptions,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<RebuildReport, RebuildError> {
    rebuild(&world.pool, Arc::clone(&world.log), find(name).unwrap(), options, progress).await
}

#[tokio::test]
async fn a_rebuilt_generation_serves_the_same_rows() {
    let world = World::new().await;
    let golden = world.register_part("board-a").await;
    for _ in 0..3 {
        world.inspect(&golden, &[0.9, 0.3]).await;
    }
    world.project().await;
    let documents = "SELECT document::text FROM read.reports ORDER BY report_id";
    let before: Vec<String> = sqlx::query_scalar(documents).fetch_all(&world.pool).await.unwrap();
    let everything = world.everything().await;
    for projection in projectors::ALL {
        let name: &str = projection.name();
        let identical = RebuildOptions { expect_identical: true };
        let mut last = None;
        let report = rebuild_with(&world, name, identical, &mut |p| last = Some(p)).await.unwrap();
        assert!(report.comparison.is_identical(), "{name}: {}", report.comparison);
        assert_eq!((report.old_generation, report.new_generation, report.events), (1, 2, 18 + 3));
        assert_eq!(last.unwrap().position, report.position);
    }
    assert_eq!(world.everything().await, everything);
    let after: Vec<String> = sqlx::query_scalar(documents).fetch_all(&world.pool).await.unwrap();
    assert_eq!(after, before);
    assert_eq!(world.count(SCHEMAS).await, 6, "the old generations' tables are gone");
    world.inspect(&golden, &[]).await;
    world.project().await;
    assert_eq!(world.rows("reports").await.len(), 4);
    world.assert_equals_a_rebuild().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_and_writers_go_on_during_a_rebuild() {
    let world = Arc::new(World::new().await);
    let shutdown = Shutdown::new();
    let (pool, tail) = (world.pool.clone(), LogTail::new(Arc::clone(&world.log)));
    let service = Service::new(ProjectorsConfig::default());
    let running = tokio::spawn(service.run(pool.clone(), tail, shutdown.child()));
    let golden = world.register_part("board-a").await;
    let (writing, done) = (Arc::clone(&world), shutdown.child());
    let writer = tokio::spawn(async move {
        let mut boards = 0;
        while !done.is_requested() {
            writing.inspect(&golden, &[0.9]).await;
            boards += 1;
        }
        boards
    });
    let done = shutdown.child();
    let reader = tokio::spawn(async move {
        let (mut reads, mut most) = (0, 0);
        while !done.is_requested() {
            let count: i64 = sqlx::query_scalar("SELECT count(*) FROM read.inspections")
                .fetch_one(&pool)
                .await
                .expect("the old generation serves until the new one does");
            assert!(count >= most, "{count} inspections after {most}");
            (reads, most) = (reads + 1, count);
        }
        reads
    });
    for _ in 0..3 {
        for name in ["inspection_overview", "reports"] {
            let report = rebuild_one(&world, name).await.unwrap();
            assert!(report.comparison.is_identical(), "{name}: {}", report.comparison);
        }
    }
    shutdown.request();
    let (boards, reads) = (writer.await.unwrap(), reader.await.unwrap());
    running.await.unwrap().unwrap();
    assert!(reads > 0);
    world.project().await;
    assert_eq!(world.rows("reports").await.len(), boards);
    world.assert_equals_a_rebuild().await;
}

#[tokio::test]
async fn a_rebuild_is_refused_over_poison_and_the_old_generation_serves_on() {
    let world = World::new().await;
    let golden = world.register_part("board-a").await;
    let bad = world.open("board-a").await;
    let position = world.poison(bad).await;
    world.inspect(&golden, &[0.9]).await;
    world.project().await;
    let before = world.everything().await;

    let error = rebuild_one(&world, "inspection_overview").await.unwrap_err();
    let RebuildError::Poison(poisons) = &error else { panic!("{error}") };
    let [poison] = poisons.as_slice() else { panic!("{poisons:?}") };
    assert_eq!(poison.position, position);
    assert_eq!(poison.stream.aggregate_id, bad.to_string());
    assert!(poison.to_string().contains("InferenceRequested"), "{poison}");
    assert_eq!(world.everything().await, before);
    assert_eq!(world.count(SCHEMAS).await, 6, "nothing half built is left");
    assert_eq!(projectors::list_parked_streams(&world.pool, None).await.unwrap().len(), 4);
}

#[tokio::test]
async fn differences_are_reported_and_refused_where_none_are_expected() {
    let world = World::new().await;
    let golden = world.register_part("board-a").await;
    world.inspect(&golden, &[0.9]).await;
    world.inspect(&golden, &[]).await;
    world.project().await;
    let tamper = "UPDATE reports_g1.reports SET document = '{}' WHERE judgement = 'pass'";
    sqlx::raw_sql(tamper).execute(&world.pool).await.unwrap();

    let verified = verify(&world.pool, Arc::clone(&world.log)).await.unwrap();
    let differing: Vec<_> = verified
        .iter()
        .filter(|verified| !verified.comparison.is_identical())
        .map(|verified| verified.projection)
        .collect();
    assert_eq!(differing, ["reports"]);

    let identical = RebuildOptions { expect_identical: true };
    let error = rebuild_with(&world, "reports", identical, &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, RebuildError::Differs(_)), "{error}");
    let refused = "SELECT count(*) FROM read.reports WHERE document::text = '{}'";
    assert_eq!(world.count(refused).await, 1, "the old generation serves");

    let report = rebuild_one(&world, "reports").await.unwrap();
    let [difference] = report.comparison.differences.as_slice() else { panic!("{report:?}") };
    assert_eq!((difference.table.as_str(), difference.old_rows), ("reports", Some(2)));
    assert_eq!((difference.only_old, difference.only_new), (1, 1));
    assert_eq!(world.count(refused).await, 0);
    assert_eq!(world.count(SCHEMAS).await, 6);
}

#[tokio::test]
async fn what_a_killed_rebuild_left_behind_is_removed_by_the_next() {
    let world = World::new().await;
    world.register_part("board-a").await;
    world.project().await;
    let killed = async {
        let options = RebuildOptions::default();
        let panics = &mut |_| panic!("killed");
        rebuild_with(&world, "parts", options, panics).await
    };
    let killed = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(killed)).await;
    assert!(killed.is_err());
    assert_eq!(world.count(SCHEMAS).await, 7);

    let report = loop {
        match rebuild_one(&world, "parts").await {
            // The server has yet to notice that the connection is gone.
            Err(RebuildError::InProgress(_)) => tokio::task::yield_now().await,
            outcome => break outcome.unwrap(),
        }
    };
    assert!(report.comparison.is_identical());
    assert_eq!(world.count(SCHEMAS).await, 6);
    assert_eq!(world.rows("parts").await.len(), 1);
}

#[tokio::test]
async fn a_projection_is_rebuilt_by_one_process_at_a_time() {
    let world = World::new().await;
    world.register_part("board-a").await;
    world.project().await;
    let (one, two) = tokio::join!(rebuild_one(&world, "parts"), rebuild_one(&world, "parts"));
    let refused = [&one, &two].into_iter().filter(|r| r.is_err()).count();
    for outcome in [one, two] {
        assert!(matches!(outcome, Ok(_) | Err(RebuildError::InProgress("parts"))), "{outcome:?}");
    }
    assert!(refused <= 1);
    let parts: &dyn Projection = find("parts").unwrap();
    assert_eq!(parts.definition().views, ["parts", "recipe_revisions", "golden_samples"]);
    assert_eq!(world.rows("parts").await.len(), 1);
}

#[tokio::test]
async fn a_reader_that_holds_on_delays_the_swap_and_is_not_harmed() {
    let world = World::new().await;
    world.register_part("board-a").await;
    world.project().await;
    let mut reader = world.pool.begin().await.unwrap();
    sqlx::query("SELECT * FROM read.parts").fetch_all(&mut *reader).await.unwrap();
    let rebuilding = rebuild_one(&world, "parts");
    let reading = async {
        tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
        let golden = "SELECT * FROM read.golden_samples";
        let rows = sqlx::query(golden).fetch_all(&mut *reader).await.unwrap();
        reader.commit().await.unwrap();
        rows.len()
    };
    let (report, rows) = tokio::join!(rebuilding, reading);
    assert_eq!((report.unwrap().new_generation, rows), (2, 1));
}
