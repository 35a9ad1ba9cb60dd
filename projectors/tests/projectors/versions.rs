//! Generations that code of another version has built, and events that it has written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use domain::{Aggregate as _, Inspection, InspectionEvent};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::event_log::{Recorded, StreamId};
use platform::follower::{FollowError, LogTail};
use platform::health::Check;
use platform::postgres::DatabaseConnection;
use platform::shutdown::Shutdown;
use projectors::{
    ApplyError, Projection, ProjectionDefinition, ProjectorsConfig, RebuildError, RebuildOptions,
    SchemaMismatch, Service,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::world::World;

/// A projection whose table has another column in every build, and which cannot be applied to the table of
/// another.
struct Versioned {
    version: i32,
    tables: i32,
}

const V1: Versioned = Versioned { version: 1, tables: 1 };
const V2: Versioned = Versioned { version: 2, tables: 2 };
/// The version is raised by hand; here it was forgotten.
const V1_WITH_OTHER_TABLES: Versioned = Versioned { version: 1, tables: 2 };

impl Projection for Versioned {
    fn definition(&self) -> ProjectionDefinition {
        ProjectionDefinition {
            name: "versioned",
            schema_version: self.version,
            schema_sql: if self.tables == 1 {
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
        tx: &'a mut DatabaseConnection,
        events: &'a [&'a Recorded],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        async move {
            let insert = format!("INSERT INTO noted (v{}) VALUES ($1)", self.tables);
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
    projectors::catch_up(&world.pool, Arc::clone(&world.log), code, 10).await
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
    assert!(projectors::list_parked_streams(&world.pool, None).await.unwrap().is_empty());

    let (pool, log) = (&world.pool, Arc::clone(&world.log));
    let options = RebuildOptions::default();
    projectors::rebuild(pool, log, &V2, options, &mut |_| {}).await.unwrap();
    world.upload(id).await;
    catch_up(&world, &V2).await.unwrap();
    assert_eq!(world.rows("noted").await.len(), 5);
    assert!(projectors::list_parked_streams(&world.pool, None).await.unwrap().is_empty());

    // The other way round, after a deployment was taken back.
    let error = catch_up(&world, &V1).await.unwrap_err().to_string();
    assert!(error.contains("deploy the program that writes version 2"), "{error}");
    assert_eq!(world.rows("noted").await.len(), 5);
}

/// Where nothing is known of the tables, the very same code parks every stream there is.
#[tokio::test]
async fn a_change_of_tables_under_the_same_version_stands_still_and_parks_nothing() {
    let world = World::new().await;
    projectors::ensure_each(&world.pool, &[&V1]).await.unwrap();
    world.open("board-a").await;
    let error = catch_up(&world, &V1_WITH_OTHER_TABLES).await.unwrap_err().to_string();
    assert!(error.contains("other tables"), "{error}");
    assert!(error.ends_with("run: chipq rebuild versioned"), "{error}");
    assert!(projectors::list_parked_streams(&world.pool, None).await.unwrap().is_empty());

    let forget = "UPDATE projection_checkpoints SET tables_digest = NULL";
    sqlx::raw_sql(forget).execute(&world.pool).await.unwrap();
    catch_up(&world, &V1_WITH_OTHER_TABLES).await.unwrap();
    assert_eq!(
        projectors::list_parked_streams(&world.pool, None).await.unwrap().len(),
        1,
        "the control"
    );
}

/// A process of a rolling upgrade: it projects whenever it may, until it is told to stop, and counts its turns.
fn project_for_ever(
    world: &Arc<World>,
    code: &'static Versioned,
    shutdown: &Shutdown,
) -> (JoinHandle<()>, Arc<AtomicU32>) {
    let (world, stop) = (Arc::clone(world), shutdown.child());
    let turns = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&turns);
    let process = tokio::spawn(async move {
        while !stop.is_requested() {
            match catch_up(&world, code).await {
                // A session that ends with one of these is tried again; the machine may be busy.
                Ok(_)
                | Err(FollowError::Fenced | FollowError::Database(_) | FollowError::Log(_)) => {}
                Err(FollowError::Failed(reason)) => {
                    assert!(reason.is::<SchemaMismatch>(), "{reason}");
                }
            }
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    (process, turns)
}

async fn wait_for_head(world: &World) {
    let head = Some(world.log.head().await.unwrap());
    let waiting = async {
        while projectors::serving_position(&world.pool, "versioned").await.unwrap() < head {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("it is projected");
}

/// Opens boards until every build has had five more turns; says how many boards.
async fn open_boards(world: &World, builds: &[(JoinHandle<()>, Arc<AtomicU32>); 3]) -> usize {
    let turns = || builds.each_ref().map(|(_, turns)| turns.load(Ordering::Relaxed));
    let (before, mut boards) = (turns(), 0);
    while turns().iter().zip(before).any(|(now, before)| *now < before + 5) {
        assert!(builds.iter().all(|(process, _)| !process.is_finished()), "a build has ended");
        world.open("board-a").await;
        boards += 1;
        // A turn ends when everything is projected: boards must not come faster than that.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    wait_for_head(world).await;
    boards
}

/// The build that comes first makes the generation that serves; `next` is rolled out beside it.
async fn builds_side_by_side(first: &'static Versioned, next: &'static Versioned) {
    let world = Arc::new(World::new().await);
    projectors::ensure_each(&world.pool, &[first]).await.unwrap();
    let shutdown = Shutdown::new();
    let builds = [&V1, &V2, &V1_WITH_OTHER_TABLES];
    let builds = builds.map(|code| project_for_ever(&world, code, &shutdown));
    let mut boards = open_boards(&world, &builds).await;
    let has_shape = |rows: &[Value], code: &Versioned| {
        rows.iter().all(|row| row.get(format!("v{}", code.tables)).is_some())
    };
    let rows = world.rows("noted").await;
    assert!(rows.len() == boards && has_shape(&rows, first), "{rows:?}");
    // A swap forgets what the old generation had parked.
    assert!(projectors::list_parked_streams(&world.pool, None).await.unwrap().is_empty());
    let (pool, log) = (&world.pool, Arc::clone(&world.log));
    let options = RebuildOptions::default();
    let rebuilding = async { projectors::rebuild(pool, log, next, options, &mut |_| {}).await };
    let inspecting = async {
        for _ in 0..10 {
            world.open("board-b").await;
        }
    };
    let (rebuilt, ()) = tokio::join!(rebuilding, inspecting);
    assert_eq!(rebuilt.unwrap().new_generation, 2);
    // Every turn is a session of its own: the build that served is started again and again beside the other.
    boards += 10 + open_boards(&world, &builds).await;
    shutdown.request();
    for (process, _) in builds {
        process.await.unwrap();
    }
    assert!(projectors::list_parked_streams(&world.pool, None).await.unwrap().is_empty());
    let rows = world.rows("noted").await;
    assert!(rows.len() == boards && has_shape(&rows, next), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn builds_side_by_side_park_nothing_and_write_their_own_shape() {
    builds_side_by_side(&V1, &V2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_build_that_comes_first_and_is_taken_back_is_no_different() {
    builds_side_by_side(&V2, &V1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn builds_of_one_version_with_other_tables_are_no_different() {
    builds_side_by_side(&V1, &V1_WITH_OTHER_TABLES).await;
}

#[tokio::test]
async fn a_parked_stream_stays_parked_until_code_of_its_version_takes_it_up() {
    let world = World::new().await;
    projectors::ensure_each(&world.pool, &[&V1]).await.unwrap();
    let id = world.open("board-a").await;
    // Version 1 takes any event, so it is parked by hand.
    let park = "INSERT INTO parked_streams (projection, generation, aggregate_type, aggregate_id,
                    position, event_type, error, events)
                VALUES ('versioned', 1, $1, $2, 1, 'InspectionCreated', 'by hand', 0)";
    let stream = StreamId::for_aggregate::<Inspection>(id);
    let (kind, name) = (&stream.aggregate_type, &stream.aggregate_id);
    sqlx::query(park).bind(kind).bind(name).execute(&world.pool).await.unwrap();
    catch_up(&world, &V2).await.unwrap_err();
    assert_eq!(projectors::list_parked_streams(&world.pool, None).await.unwrap().len(), 1);
    catch_up(&world, &V1).await.unwrap();
    assert!(projectors::list_parked_streams(&world.pool, None).await.unwrap().is_empty());
    assert_eq!(world.rows("noted").await.len(), 1);
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
    let detail = unready_details(&world, 1).await.remove(0);
    assert!(detail.contains("run: chipq rebuild defects"), "{detail}");
}

/// What a running service says of so many projections that are interrupted, once all others are well.
async fn unready_details(world: &World, interrupted: usize) -> Vec<String> {
    let service = Service::new(ProjectorsConfig::default());
    let (probe, shutdown) = (service.probe(), Shutdown::new());
    let tail = LogTail::new(Arc::clone(&world.log));
    let running = tokio::spawn(service.run(world.pool.clone(), tail, shutdown.child()));
    let unready = async {
        loop {
            let checks = probe.checks().await;
            let unready = checks.into_iter().filter(|check| !check.ready);
            let details: Vec<_> = unready.filter_map(|Check { detail, .. }| detail).collect();
            // The others have started, and these have said why they have not.
            if details.len() == interrupted
                && details.iter().all(|detail| detail.starts_with("interrupted"))
            {
                return details;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let details = tokio::time::timeout(Duration::from_secs(60), unready).await.unwrap();
    shutdown.request();
    running.await.unwrap().unwrap();
    details
}

/// Stores the events of one name and version under others: software of another day reads them.
async fn rename_events(world: &World, (name, version): (&str, &str), (to, of): (&str, &str)) {
    let sql = format!(
        "ALTER TABLE events DISABLE TRIGGER events_append_only;
         UPDATE events SET event_type = '{to}', event_version = '{of}'
         WHERE event_type = '{name}' AND event_version = '{version}';
         ALTER TABLE events ENABLE TRIGGER events_append_only"
    );
    sqlx::raw_sql(&sql).execute(&world.pool).await.unwrap();
}

/// Everything but the audit trail, which tells of what nobody here knows as well.
async fn decoded_rows(world: &World) -> Vec<(&'static str, Vec<serde_json::Value>)> {
    let mut all = world.everything().await;
    all.retain(|(view, _)| !view.starts_with("audit_trail"));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_newer_software_wrote_parks_nothing_and_waits_for_that_software() {
    const VOIDED: &str = InspectionEvent::INSPECTION_VOIDED;
    let world = World::new().await;
    for (event_type, version, why) in [
        (VOIDED, "2", "knows its versions up to 1"),
        ("InspectionExploded", "1", "knows no event of inspection under this name"),
    ] {
        let id = world.open("board-a").await;
        world.project().await;
        let payload = json!({"type": VOIDED, "reason": "a shape of tomorrow"});
        let stream = StreamId::for_aggregate::<Inspection>(id);
        world.append_version(stream, event_type, version, payload).await;
        let position = world.log.head().await.unwrap();
        let way_out = format!("chipq projections discard all {position} --reason");
        let before = decoded_rows(&world).await;

        for detail in unready_details(&world, 4).await {
            assert!(detail.contains(why), "{detail}");
            assert!(detail.contains("run that version or a newer one"), "{detail}");
            assert!(detail.contains(&way_out), "{detail}");
        }
        assert_eq!(decoded_rows(&world).await, before);
        assert!(projectors::list_parked_streams(&world.pool, None).await.unwrap().is_empty());

        rename_events(&world, (event_type, version), (VOIDED, "1")).await;
        world.project().await;
        let rows = world.rows("inspections").await;
        let voided = rows.iter().find(|row| row["inspection_id"] == json!(id)).unwrap();
        assert_eq!(voided["state"], json!("voided"), "nothing of it was passed over");
    }
    // A deployment is taken back after newer software has projected what it wrote.
    rename_events(&world, (VOIDED, "1"), (VOIDED, "2")).await;
    let (log, code) = (Arc::clone(&world.log), projectors::find("inspection_overview").unwrap());
    let options = RebuildOptions::default();
    let rebuilt = projectors::rebuild(&world.pool, log, code, options, &mut |_| {}).await;
    assert!(matches!(rebuilt, Err(RebuildError::Unknown(_))), "{rebuilt:?}");
}

/// What is kept of an inspection until its judgement is kept as the log stores it, so that an event of an
/// older version is still of that version when the report is folded, by whatever code does that.
#[tokio::test]
async fn a_report_is_folded_from_events_as_the_log_stores_them() {
    let world = World::new().await;
    world.register_part("board-a").await;
    let id = world.open("board-a").await;
    let artifact = world.upload(id).await;
    let golden = include_str!("../../../schemas/events/InferenceCompleted.v1.json");
    let mut payload: Value = serde_json::from_str(golden).unwrap();
    payload["artifact_id"] = json!(artifact);
    let stream = StreamId::for_aggregate::<Inspection>(id);
    world.append_version(stream, InspectionEvent::INFERENCE_COMPLETED, "1", payload).await;
    world.project().await;
    let kept = "SELECT count(*) FROM reports_g1.entries JOIN events
                USING (position, event_type, event_version, payload)";
    assert_eq!(world.count(kept).await, 4, "created, reserved, uploaded, compared");

    world.request_inference(id).await;
    world.project().await;
    assert_eq!(world.rows("reports").await.len(), 1);
    assert_eq!(world.count("SELECT count(*) FROM reports_g1.entries").await, 0);
    world.assert_equals_a_rebuild().await;
}
