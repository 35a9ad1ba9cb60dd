//! The service: several instances, lost connections, crashes.

use std::sync::Arc;
use std::time::Duration;

use platform::event_log::EventLog;
use platform::event_log::postgres::PostgresEventLog;
use platform::follower::LogTail;
use platform::postgres::DatabaseConfig;
use platform::postgres::channel::PROJECTED_CHANNEL;
use platform::shutdown::Shutdown;
use projectors::{ProjectorsConfig, Service};
use sqlx::postgres::PgListener;
use tokio::task::JoinHandle;

use crate::world::World;

/// How long anything in these tests may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs an instance of the service with a log of its own.
pub(crate) fn instance(world: &World, shutdown: &Shutdown) -> JoinHandle<anyhow::Result<()>> {
    let tail = LogTail::new(Arc::new(PostgresEventLog::new(world.pool.clone())));
    let service = Service::new(ProjectorsConfig { projectors_page_events: 7 });
    tokio::spawn(service.run(world.pool.clone(), tail, shutdown.child()))
}

/// Waits until every read model has reached the end of the log.
pub(crate) async fn caught_up(world: &World) {
    let waiting = async {
        loop {
            let statuses = projectors::list_generations(&world.pool, &*world.log).await.unwrap();
            let serving: Vec<_> = statuses.iter().filter(|s| s.status == "serving").collect();
            if serving.len() == 6 && serving.iter().all(|s| s.position == s.head) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the projectors catch up");
}

pub(crate) async fn inspect_boards(world: &World, boards: usize) {
    let golden = world.register_part(&format!("board-{}", uuid::Uuid::new_v4())).await;
    for _ in 0..boards {
        world.inspect(&golden, &[0.9, 0.3]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_at_once_write_what_one_would() {
    let world = World::new().await;
    let shutdown = Shutdown::new();
    let instances = [instance(&world, &shutdown), instance(&world, &shutdown)];
    inspect_boards(&world, 20).await;
    caught_up(&world).await;
    assert_eq!(world.rows("reports").await.len(), 20);
    world.assert_equals_a_rebuild().await;
    shutdown.request();
    for instance in instances {
        instance.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_lost_is_made_again() {
    let world = World::new().await;
    let shutdown = Shutdown::new();
    let running = instance(&world, &shutdown);
    for _ in 0..3 {
        inspect_boards(&world, 2).await;
        caught_up(&world).await;
        let owners = world.count(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_locks
             WHERE locktype = 'advisory' AND classid = 774 AND granted
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        );
        assert!(owners.await > 0, "nobody held a lease");
    }
    inspect_boards(&world, 2).await;
    caught_up(&world).await;
    assert!(projectors::list_parked_streams(&world.pool, None).await.unwrap().is_empty());
    world.assert_equals_a_rebuild().await;
    shutdown.request();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_in_the_middle_leaves_rows_and_checkpoint_in_step() {
    let world = World::new().await;
    let shutdown = Shutdown::new();
    for round in 0..6 {
        let crashing = instance(&world, &shutdown);
        inspect_boards(&world, 3).await;
        // Somewhere in the events of the last boards, elsewhere every time.
        tokio::time::sleep(Duration::from_millis(round * 3)).await;
        crashing.abort();
        assert!(crashing.await.unwrap_err().is_cancelled());
        world.assert_equals_a_rebuild().await;
    }
    world.project().await;
    assert_eq!(world.rows("reports").await.len(), 18);
    world.assert_equals_a_rebuild().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_stands_by_takes_over() {
    let world = World::new().await;
    let shutdown = Shutdown::new();
    let first = instance(&world, &shutdown);
    inspect_boards(&world, 1).await;
    caught_up(&world).await;
    let second = instance(&world, &shutdown);
    first.abort();
    inspect_boards(&world, 1).await;
    caught_up(&world).await;
    assert_eq!(world.rows("reports").await.len(), 2);
    shutdown.request();
    second.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_are_told_when_rows_change() {
    let world = World::new().await;
    let mut listener = PgListener::connect(world.database.url()).await.unwrap();
    listener.listen(PROJECTED_CHANNEL).await.unwrap();
    let shutdown = Shutdown::new();
    let running = instance(&world, &shutdown);
    inspect_boards(&world, 1).await;
    let hint = tokio::time::timeout(PATIENCE, listener.recv()).await.unwrap().unwrap();
    assert!(hint.payload().parse::<uuid::Uuid>().is_ok(), "who sends, and nothing else: {hint:?}");
    shutdown.request();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn generations_are_created_once_however_many_ask() {
    let world = World::new().await;
    let asking = (0..4).map(|_| projectors::ensure(&world.pool));
    for answer in futures::future::join_all(asking).await {
        answer.unwrap();
    }
    assert_eq!(world.count("SELECT count(*) FROM projection_checkpoints").await, 6);
}

/// docs/architecture.md says how many connections each process takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_projectors_take_the_pool_and_one_connection_for_each_read_model() {
    let world = World::new().await;
    let config = DatabaseConfig { database_max_connections: 4, ..world.database_config() };
    let pool = platform::postgres::connect(&config).await.unwrap();
    world.pool.close().await;
    let log: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(pool.clone()));
    let shutdown = Shutdown::new();
    let service = Service::new(ProjectorsConfig::default());
    let probe = service.probe();
    let running = tokio::spawn(service.run(pool.clone(), LogTail::new(log), shutdown.child()));
    let ready = async {
        while !probe.checks().await.iter().all(|check| check.ready) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.expect("it follows");
    let sessions = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND backend_type = 'client backend'";
    let ask = || sqlx::query_scalar::<_, i64>(sessions).fetch_one(&pool);
    let asked = futures::future::join_all((0..20).map(|_| ask())).await;
    let most = asked.into_iter().map(Result::unwrap).max().unwrap();
    assert!((7..=4 + 6).contains(&most), "{most} connections");
    shutdown.request();
    running.await.unwrap().unwrap();
}
