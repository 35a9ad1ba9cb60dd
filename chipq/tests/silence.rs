//! A database that falls silent under a platform that runs: nothing is reset, nobody is told, and a new
//! primary is there some time later. Every loop of every role is back by itself.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/boards.rs"]
mod boards;
#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;
#[path = "support/station.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod station;

use std::time::{Duration, Instant};

use ::platform::test_support::{Gateway, fresh_database};
use reqwest::StatusCode;
use serde_json::{Value, json};

use platform::{Platform, folder};
use station::Station;

/// What was silent when a loop looked last is given up, and looked at again, within thirty seconds; as much
/// again for a machine that is busy.
const BACK_WITHIN: Duration = Duration::from_secs(60);

/// Asks again and again until the answer is the one that is waited for.
async fn until(what: &str, mut asked: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + BACK_WITHIN;
    while !asked().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Posts until it is accepted, as a station does.
async fn post(station: &Station, path: &str, key: &str, body: Option<&Value>) -> Value {
    let mut accepted = Value::Null;
    until(path, async || match station.post(path, key, body).await {
        Ok((status, said)) if status.is_success() => {
            accepted = said;
            true
        }
        Ok((status, said)) => {
            assert!(status.is_server_error() || status == StatusCode::CONFLICT, "{status} {said}");
            false
        }
        Err(_) => false,
    })
    .await;
    accepted
}

/// Has a board inspected; returns its report.
async fn inspect(station: &Station, number: usize, picture: &[u8]) -> Value {
    let key = |step: &str| format!("{step}-{number}");
    let board = json!({ "lot": "L-1", "part": "PCB-1", "station": "AOI-1" });
    let created = post(station, "/v1/inspections", &key("board"), Some(&board)).await;
    let id = created["inspection_id"].as_str().unwrap();
    let path = format!("/v1/inspections/{id}/artifacts?type=image/png");
    let reserved = post(station, &path, &key("picture"), None).await;
    let url = reserved["upload_url"].as_str().unwrap();
    assert!(station.put(url, picture).await.unwrap().0.is_success());
    post(station, &format!("/v1/inspections/{id}/infer"), &key("infer"), None).await;
    station.report(id).await
}

async fn readiness(station: &Station) -> StatusCode {
    station.get("/readyz").await.map_or(StatusCode::REQUEST_TIMEOUT, |(status, _)| status)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_is_back_soon_after_a_new_primary() {
    let database = fresh_database().await;
    let (gateway, url) = Gateway::before_url(database.url()).await;
    let folder = folder();
    let data = folder.path().join("data");
    let pair = &boards::boards(&folder.path().join("boards"), 1, 0)[0];
    assert!(pair.defects > 0);
    let (golden, picture) =
        (std::fs::read(&pair.golden).unwrap(), std::fs::read(&pair.test).unwrap());
    let platform = Platform::start_with(&data, 0, &[("CHIPQ_DATABASE_URL", &url)]);
    let station = Station::sign_in(&platform.url).await;
    post(&station, "/v1/parts", "part", Some(&json!({ "part": "PCB-1" }))).await;
    let path = "/v1/parts/PCB-1/golden-sample?type=image/png";
    let reserved = post(&station, path, "golden", None).await;
    let put = station.put(reserved["upload_url"].as_str().unwrap(), &golden).await.unwrap();
    assert!(put.0.is_success(), "{put:?}");
    assert_eq!(inspect(&station, 1, &picture).await["judgement"], "fail");

    gateway.fall_silent();
    until("it says that it is not ready", async || !readiness(&station).await.is_success()).await;
    // Some loops have given up by now what they had, and try what does not answer, either.
    tokio::time::sleep(Duration::from_secs(15)).await;
    gateway.lead_on();
    until("it is ready again", async || readiness(&station).await.is_success()).await;
    assert_eq!(inspect(&station, 2, &picture).await["judgement"], "fail");
    platform.stop();
}
