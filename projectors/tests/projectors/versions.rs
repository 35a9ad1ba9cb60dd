//! Generations that code of another version has built.

use std::sync::Arc;
use std::time::Duration;

use domain::{Aggregate as _, Inspection};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::event_log::{Recorded, StreamId};
use platform::follower::{FollowError, LogTail};
use platform::shutdown::Shutdown;
use projectors::{
    ApplyError, Projection, ProjectionDefinition, ProjectorsConfig, RebuildOptions, RetryError,
    SchemaMismatch, Service,
};
use sqlx::PgConnection;

use crate::world::World;

/// A projection whose table has another column in every version, and which cannot be applied to
/// the table of another.
struct Versioned(i32);

const V1: Versioned = Versioned(1);
const V2: Versioned = Versioned(2);

impl Projection for Versioned {
    fn definition(&self) -> ProjectionDefinition {
        ProjectionDefinition {
            name: "versioned",
            schema_version: self.0,
            schema_sql: if self.0 == 1 {
                |_| "CREATE TABLE noted (v1 bigint PRIMARY KEY)"
            } else {
                |_| "CREATE TABLE noted (v2 bigint PRIMARY KEY)"
            },
            views: &["noted"],
            aggregate_types: &[Inspection::TYPE],
        }
    }

    fn apply<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        events: &'a [&'a Recorded],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        async move {
            let insert = format!("INSERT INTO noted (v{}) VALUES ($1)", self.0);
            for event in events {
                let written = sqlx::query(&insert).bind(event.position.0).execute(&mut *tx).await;
                written.map_err(|error| ApplyError::Permanent(error.to_string()))?;
            }
            Ok(())
        }
        .boxed()
    }
}

async fn catch_up(world: &World, code: &'static Versioned) -> Result<u64, FollowError> {
    projectors::catch_up(&world.pool, &*world.log, code, 10).await
}

const STATE: &str = "SELECT position * 1000 + owner_epoch FROM projection_checkpoints
    WHERE projection = 'versioned' AND status = 'serving'";

#[tokio::test]
async fn code_of_another_version_stands_still_and_says_what_to_do() {
    let world = World::new().await;
    projectors::ensure_each(&world.pool, &[&V1]).await.unwrap();
    let id = world.open("board-a").await;
    catch_up(&world, &V1).await.unwrap();
    world.upload(id).await;
    let before = world.count(STATE).await;

    let error = catch_up(&world, &V2).await.unwrap_err();
    let FollowError::Failed(reason) = &error else { panic!("{error}") };
    let mismatch = reason.downcast_ref::<SchemaMismatch>().unwrap();
    assert_eq!((mismatch.built_by, mismatch.expected), (1, 2));
    assert!(error.to_string().contains("run: chipq rebuild versioned"), "{error}");
    assert_eq!(world.count(STATE).await, before, "its owner was not fenced off either");
    assert!(projectors::list_parked_streams(&world.pool).await.unwrap().is_empty());

    let (pool, log) = (&world.pool, Arc::clone(&world.log));
    let options = RebuildOptions::default();
    projectors::rebuild(pool, log, &V2, options, &mut |_| {}).await.unwrap();
    world.upload(id).await;
    catch_up(&world, &V2).await.unwrap();
    assert_eq!(world.rows("noted").await.len(), 5);
    assert!(projectors::list_parked_streams(&world.pool).await.unwrap().is_empty());

    // The other way round, after a deployment was taken back.
    let error = catch_up(&world, &V1).await.unwrap_err().to_string();
    assert!(error.contains("deploy the program that writes version 2"), "{error}");
    assert_eq!(world.rows("noted").await.len(), 5);
}

/// Without the version the very same code parks every stream there is.
#[tokio::test]
async fn a_change_of_tables_under_the_same_version_parks_streams() {
    let world = World::new().await;
    projectors::ensure_each(&world.pool, &[&V1]).await.unwrap();
    let claim = "UPDATE projection_checkpoints SET schema_version = 2";
    sqlx::raw_sql(claim).execute(&world.pool).await.unwrap();
    world.open("board-a").await;
    catch_up(&world, &V2).await.unwrap();
    assert_eq!(projectors::list_parked_streams(&world.pool).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_parked_stream_stays_parked_until_code_of_its_version_takes_it_up() {
    let world = World::new().await;
    projectors::ensure_each(&world.pool, &[&V1]).await.unwrap();
    let id = world.open("board-a").await;
    world.poison(id).await;
    // Version 1 takes any event, so it is parked by hand.
    let park = "INSERT INTO parked_streams (projection, generation, aggregate_type, aggregate_id,
                    position, event_type, error)
                VALUES ('versioned', 1, $1, $2, 1, 'InspectionExploded', 'by hand')";
    let stream = StreamId::for_aggregate::<Inspection>(id);
    let (kind, name) = (&stream.aggregate_type, &stream.aggregate_id);
    sqlx::query(park).bind(kind).bind(name).execute(&world.pool).await.unwrap();
    let retry = projectors::retry_stream(&world.pool, &*world.log, &V2, &stream).await;
    assert!(matches!(retry, Err(RetryError::OtherSchema(_))), "{retry:?}");
    assert_eq!(projectors::list_parked_streams(&world.pool).await.unwrap().len(), 1);
}

#[tokio::test]
async fn operators_see_which_version_built_a_generation() {
    let world = World::new().await;
    let statuses = projectors::list_generations(&world.pool, &*world.log).await.unwrap();
    assert!(statuses.iter().all(|status| status.mismatch.is_none()), "{statuses:?}");
    let newer = "UPDATE projection_checkpoints SET schema_version = 99 WHERE projection = 'parts'";
    sqlx::raw_sql(newer).execute(&world.pool).await.unwrap();
    let statuses = projectors::list_generations(&world.pool, &*world.log).await.unwrap();
    let found = |name: &str| statuses.iter().find(|status| status.projection == name).unwrap();
    let mismatch = found("parts").mismatch.as_ref().unwrap();
    assert_eq!((mismatch.built_by, found("parts").schema_version), (99, 99));
    assert!(found("defects").mismatch.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_names_the_projection_that_stands_still_and_the_remedy() {
    let world = World::new().await;
    let older = "UPDATE projection_checkpoints SET schema_version = 0 WHERE projection = 'defects'";
    sqlx::raw_sql(older).execute(&world.pool).await.unwrap();
    let service = Service::new(ProjectorsConfig::default());
    let (probe, shutdown) = (service.probe(), Shutdown::new());
    let tail = LogTail::new(Arc::clone(&world.log));
    let running = tokio::spawn(service.run(world.pool.clone(), tail, shutdown.child()));
    let unready = async {
        loop {
            let checks = probe.checks().await;
            let unready = checks.into_iter().filter(|check| !check.ready);
            let details: Vec<_> = unready.filter_map(|check| check.detail).collect();
            match details.as_slice() {
                // The others have started, and this one has said why it has not.
                [detail] if detail.starts_with("interrupted") => return detail.clone(),
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    let detail = tokio::time::timeout(Duration::from_secs(60), unready).await.unwrap();
    assert!(detail.contains("run: chipq rebuild defects"), "{detail}");
    world.open("board-a").await;
    shutdown.request();
    running.await.unwrap().unwrap();
}
