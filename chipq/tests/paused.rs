//! A worker that stands still for longer than its lease, as a whole and in the middle of its work, and then
//! goes on as if nothing had happened: every board is judged once, by its own picture.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/boards.rs"]
mod boards;
#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;
#[path = "support/station.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod station;

use std::collections::HashMap;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use ::platform::postgres::Pool;
use ::platform::test_support::fresh_database;
use serde_json::json;

use boards::Pair;
use platform::{Platform, chipq, folder, send};
use station::Station;

const PATIENCE: Duration = Duration::from_secs(120);
/// Short, so that standing still for longer takes little time.
const LEASE_MS: &str = "1000";
const BOARDS: usize = 8;

/// A worker in a process of its own; it ends with the test.
struct Worker(Child);

impl Worker {
    fn start(database: &str, data: &Path) -> Self {
        let mut command = chipq(&["inference-worker", "--worker-lease-ms", LEASE_MS]);
        command
            .env("CHIPQ_DATABASE_URL", database)
            .env("CHIPQ_DATA", data)
            .env("CHIPQ_INFERENCE_CONCURRENCY", "2");
        Self(command.spawn().unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn until(what: &str, mut found: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !found().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How many partitions each owner holds that is alive, the fewest first.
async fn shares(pool: &Pool) -> Vec<i64> {
    let sql = "SELECT count(*) FROM follower_leases
               WHERE owner IS NOT NULL AND expires_at >= now() GROUP BY owner ORDER BY 1";
    sqlx::query_scalar(sql).fetch_all(pool).await.unwrap()
}

/// How many events of a type there are for each inspection.
async fn count_events(pool: &Pool, event_type: &str) -> HashMap<String, i64> {
    let sql = "SELECT aggregate_id, count(*) FROM events
               WHERE aggregate_type = 'inspection' AND event_type = $1 GROUP BY 1";
    let rows: Vec<(String, i64)> =
        sqlx::query_as(sql).bind(event_type).fetch_all(pool).await.unwrap();
    rows.into_iter().collect()
}

/// Pushes a board of each pair; returns the inspections.
async fn push(station: &Station, pairs: &[Pair]) -> Vec<String> {
    let mut inspections = Vec::new();
    for (number, pair) in pairs.iter().enumerate() {
        let body = json!({ "lot": "L-1", "part": "PCB-1", "station": "AOI-1" });
        let key = format!("board-{number}");
        let (_, created) = station.post("/v1/inspections", &key, Some(&body)).await.unwrap();
        let id = created["inspection_id"].as_str().unwrap().to_owned();
        let path = format!("/v1/inspections/{id}/artifacts?type=image/png");
        let (_, reserved) = station.post(&path, &format!("picture-{number}"), None).await.unwrap();
        let picture = std::fs::read(&pair.test).unwrap();
        let put = station.put(reserved["upload_url"].as_str().unwrap(), &picture).await.unwrap();
        assert!(put.0.is_success(), "{put:?}");
        let path = format!("/v1/inspections/{id}/infer");
        let infer = station.post(&path, &format!("infer-{number}"), None).await.unwrap();
        assert!(infer.0.is_success(), "{infer:?}");
        inspections.push(id);
    }
    inspections
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stands_still_beyond_its_lease_loses_doubles_and_exchanges_nothing() {
    let database = fresh_database().await;
    let (url, pool) = (database.url(), database.pool());
    let folder = folder();
    let data = folder.path().join("data");
    // Flawed and flawless ones by turns, so that results that were exchanged would show.
    let pairs = boards::boards(&folder.path().join("boards"), BOARDS, 50);
    assert!(pairs.iter().any(|pair| pair.defects == 0) && pairs.iter().any(|p| p.defects > 0));
    let environment = [("CHIPQ_DATABASE_URL", url), ("CHIPQ_WORKER_LEASE_MS", LEASE_MS)];
    let platform = Platform::start_with(&data, 0, &environment);
    let station = Station::sign_in(&platform.url).await;
    let part = json!({ "part": "PCB-1" });
    assert!(station.post("/v1/parts", "part", Some(&part)).await.unwrap().0.is_success());
    let path = "/v1/parts/PCB-1/golden-sample?type=image/png";
    let (_, reserved) = station.post(path, "golden", None).await.unwrap();
    let golden = std::fs::read(&pairs[0].golden).unwrap();
    station.put(reserved["upload_url"].as_str().unwrap(), &golden).await.unwrap();

    let mut workers = [Worker::start(url, &data), Worker::start(url, &data)];
    until("three workers share", async || shares(&pool).await == [5, 5, 6]).await;
    let inspections = push(&station, &pairs).await;
    for worker in &workers {
        send("-STOP", worker.0.id());
    }
    // Only the worker of `up` is left.
    until("their shares are taken over", async || shares(&pool).await == [16]).await;
    until("every board is judged", async || {
        count_events(&pool, "InspectionJudged").await.len() == BOARDS
    })
    .await;
    for worker in &workers {
        send("-CONT", worker.0.id());
    }
    until("they have their shares again", async || shares(&pool).await == [5, 5, 6]).await;
    for worker in &mut workers {
        assert!(worker.0.try_wait().unwrap().is_none(), "a worker has ended");
    }

    for event_type in ["InferenceCompleted", "InspectionJudged"] {
        let counted = count_events(&pool, event_type).await;
        assert!(
            inspections.iter().all(|id| counted.get(id) == Some(&1)),
            "{event_type}: {counted:?}"
        );
    }
    for (id, pair) in inspections.iter().zip(&pairs) {
        let expected = if pair.defects > 0 { "fail" } else { "pass" };
        assert_eq!(station.report(id).await["judgement"], expected, "{id}");
    }
    drop(workers);
    platform.stop();
}
