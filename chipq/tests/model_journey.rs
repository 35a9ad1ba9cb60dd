//! A new version of the network comes into service while boards are inspected through Triton: no board
//! waits for ever, none fails, and no inspection has results of two versions.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/boards.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod boards;
#[path = "../../inference-worker/inference/tests/triton/http.rs"]
mod http;
#[path = "support/network.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod network;
#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;
#[path = "../../inference-worker/inference/tests/triton/repository.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod repository;
#[path = "../../inference-worker/inference/tests/triton/server.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod server;
#[path = "support/station.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod station;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::platform::event_log::postgres::PostgresEventLog;
use ::platform::event_log::{EventLog as _, Position, Recorded};
use serde_json::json;

use boards::Pair;
use platform::{Platform, chipq, finished, folder};
use repository::Repository;
use server::TritonServer;
use station::Station;

const PART: &str = "PCB-1";
/// More than this test appends.
const EVENTS_MAX: usize = 100_000;
/// Boards that a station has under way.
const AHEAD: usize = 4;
/// Boards by each version before the next step.
const BOARDS: usize = 4;

async fn register(station: &Station, golden: &[u8]) {
    let part = json!({ "part": PART });
    assert!(station.post("/v1/parts", "part", Some(&part)).await.unwrap().0.is_success());
    let path = format!("/v1/parts/{PART}/golden-sample?type=image/png");
    let (_, reserved) = station.post(&path, "golden", None).await.unwrap();
    let url = reserved["upload_url"].as_str().unwrap();
    assert!(station.put(url, golden).await.unwrap().0.is_success());
}

/// An inspection of two pictures, so that two versions could meet in it; its id.
async fn inspect(station: &Station, key: &str, pictures: [&[u8]; 2]) -> String {
    let body = json!({ "lot": "L-1", "part": PART, "station": "AOI-1" });
    let (_, created) = station.post("/v1/inspections", key, Some(&body)).await.unwrap();
    let id = created["inspection_id"].as_str().unwrap().to_owned();
    for (view, picture) in pictures.into_iter().enumerate() {
        let path = format!("/v1/inspections/{id}/artifacts?type=image/png");
        let upload = format!("{key}-upload-{view}");
        let (_, reserved) = station.post(&path, &upload, None).await.unwrap();
        let url = reserved["upload_url"].as_str().unwrap();
        assert!(station.put(url, picture).await.unwrap().0.is_success());
    }
    let path = format!("/v1/inspections/{id}/infer");
    let (status, said) = station.post(&path, &format!("{key}-infer"), None).await.unwrap();
    assert!(status.is_success(), "{said}");
    id
}

/// A station that hands over one board after the other until it is told to stop, a few ahead of the
/// reports; their ids.
fn keep_inspecting(
    station: Station,
    pairs: &[Pair],
    stop: Arc<AtomicBool>,
) -> tokio::task::JoinHandle<Vec<String>> {
    let pictures: Vec<Vec<u8>> =
        pairs.iter().map(|pair| std::fs::read(&pair.test).unwrap()).collect();
    tokio::spawn(async move {
        let mut ids = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let n = ids.len();
            let view = |n: usize| pictures[n % pictures.len()].as_slice();
            ids.push(inspect(&station, &format!("board-{n}"), [view(n), view(n + 1)]).await);
            if let Some(earlier) = n.checked_sub(AHEAD) {
                station.report(&ids[earlier]).await;
            }
        }
        ids
    })
}

async fn events(data: &Path) -> Vec<Recorded> {
    let url = std::fs::read_to_string(data.join("private-postgres-url")).unwrap();
    let config = ::platform::postgres::DatabaseConfig::from_url(&url);
    let pool = ::platform::postgres::connect(&config).await.unwrap();
    let log = PostgresEventLog::new(pool.clone());
    let events = log.read_all(Position::default(), EVENTS_MAX).await.unwrap().events;
    pool.close().await;
    events.into_iter().map(Arc::unwrap_or_clone).collect()
}

/// The versions that compared each inspection's pictures.
fn versions(events: &[Recorded]) -> BTreeMap<String, BTreeSet<String>> {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in events.iter().filter(|event| event.event_type == "InferenceCompleted") {
        let version = event.payload["model"]["version"].as_str().unwrap().to_owned();
        versions.entry(event.stream.aggregate_id.clone()).or_default().insert(version);
    }
    versions
}

/// Waits until so many inspections were compared by `version`.
async fn until_compared_by(data: &Path, version: &str, inspections: usize) {
    let deadline = std::time::Instant::now() + station::JUDGED_WITHIN;
    let by_version = |all: BTreeMap<String, BTreeSet<String>>| {
        all.into_values().filter(|versions| versions.contains(version)).count()
    };
    while by_version(versions(&events(data).await)) < inspections {
        assert!(std::time::Instant::now() < deadline, "nothing is compared by version {version}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_routed_to_while_boards_are_inspected_and_none_is_lost_or_mixed() {
    let repository = Repository::new();
    let triton = TritonServer::start(&repository);
    let engine = triton.url();
    let folder = folder();
    let pairs = boards::boards(&folder.path().join("boards"), 6, 50);
    let data = folder.path().join("data");
    let platform = Platform::start_with(&data, 0, &[("CHIPQ_ENGINE", &engine)]);
    let station = Station::sign_in(&platform.url).await;
    register(&station, &std::fs::read(&pairs[0].golden).unwrap()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let inspecting = keep_inspecting(station.clone(), &pairs, Arc::clone(&stop));
    until_compared_by(&data, "1", BOARDS).await;

    let model = |arguments: &[&str]| {
        let mut command = chipq(&["model"]);
        command.args(arguments).args(["--engine", &engine, "--data"]).arg(&data);
        let (code, said, errors) = tokio::task::block_in_place(|| finished(&mut command));
        assert_eq!(code, 0, "{arguments:?}: {said}\n{errors}");
    };
    repository.add_changed_version(2, |folder| network::renamed(&folder.join("model.onnx")));
    repository.declare();
    model(&["load", "2"]);
    let why = ["--reason", "a trial of the reins", "--actor", "ada"];
    model(
        &[&["route", "2", "--flawed", "4", "--clean", "2", "--photographs", "1"], &why[..]]
            .concat(),
    );
    until_compared_by(&data, "2", BOARDS).await;
    stop.store(true, Ordering::Relaxed);
    let ids = inspecting.await.unwrap();
    for id in &ids {
        station.report(id).await;
    }
    model(&["unload", "1"]);
    assert_eq!(triton.versions().iter().filter(|known| known.ends_with(" READY")).count(), 1);

    let events = events(&data).await;
    let count = |name: &str| events.iter().filter(|event| event.event_type == name).count();
    assert_eq!((count("InferenceFailed"), count("InspectionJudged")), (0, ids.len()));
    assert_eq!(count("InferenceCompleted"), 2 * ids.len());
    let versions = versions(&events);
    assert!(versions.values().all(|versions| versions.len() == 1), "{versions:?}");
    let routed = events.iter().find(|event| event.event_type == "ModelRouted").unwrap();
    assert_eq!(routed.metadata.actor.as_ref().unwrap().subject, "ada");
    assert_eq!(routed.payload["reason"], "a trial of the reins");
    assert_eq!(routed.payload["comparison"]["boards_compared"], 7);
    platform.stop();
}
