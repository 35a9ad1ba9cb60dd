//! What a process says of its work: an access log that says who, numbers as numbers, and every judgement counted.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/boards.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod boards;
#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;
#[path = "support/station.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod station;

use std::path::Path;
use std::time::Duration;

use boards::{Pair, boards};
use futures::{StreamExt as _, stream};
use platform::{Platform, folder};
use serde_json::{Value, json};
use station::Station;

/// How long a comparison may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The lines that a platform over `data` has logged.
fn logged(data: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(data.with_extension("log")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[tokio::test]
async fn the_access_log_says_who_and_every_judgement_is_counted() {
    let folder = folder();
    let data = folder.path().join("data");
    let platform = Platform::start_with(&data, 0, &[("CHIPQ_LOG_JSON", "1")]);
    let station = Station::sign_in(&platform.url).await;
    let pair = &boards(&folder.path().join("boards"), 1, 0)[0];
    let judgement = judge_by_request(&station, &platform, pair).await;
    let stranger = format!("{}/v1/inspections", platform.url);
    assert_eq!(reqwest::get(stranger).await.unwrap().status(), 401);
    let metrics = read_metrics(&platform).await;
    platform.stop();

    let requests: Vec<_> =
        logged(&data).into_iter().filter(|line| line["message"] == "request").collect();
    let of_route = |method: &str, route: &str| {
        let found = requests.iter().find(|line| line["method"] == method && line["route"] == route);
        found.unwrap_or_else(|| panic!("{method} {route} is missing from {requests:#?}"))
    };
    for (method, route, status, caller) in [
        ("POST", "/v1/token", 200, json!("demo")),
        ("POST", "/v1/inspections", 201, json!("demo")),
        ("POST", "/v1/inspections/{inspection_id}/infer", 202, json!("demo")),
        ("GET", "/v1/inspections", 401, Value::Null),
    ] {
        let line = of_route(method, route);
        assert_eq!((&line["status"], &line["caller"]), (&json!(status), &caller), "{line}");
        assert_eq!(line["client_address"], "127.0.0.1", "{line}");
        assert!(line["duration_ms"].as_f64().is_some_and(|took| took > 0.0), "{line}");
    }
    assert_eq!(count_events(&metrics, "InspectionJudged", &judgement), 1, "{metrics}");
    for measured in [
        "http_server_request_duration_seconds_count{",
        "http_server_active_requests{",
        "db_client_connection_count{",
        "db_client_connection_max{",
        "chipq_database_statements",
        "chipq_event_log_append_duration_seconds_count",
        "chipq_follower_lag{",
    ] {
        assert!(metrics.contains(measured), "{measured} is missing from\n{metrics}");
    }
}

/// Commands that are counted, and how many of them are sent at once where they are.
const COUNTED: usize = 320;
const AT_ONCE: usize = 64;

#[tokio::test(flavor = "multi_thread")]
async fn a_command_costs_few_statements_with_everything_that_follows_from_it() {
    let folder = folder();
    let rate = [("CHIPQ_RATE_PER_SECOND", "100000"), ("CHIPQ_RATE_BURST", "100000")];
    let platform = Platform::start_with(&folder.path().join("data"), 0, &rate);
    let station = Station::sign_in(&platform.url).await;
    open_inspections(&station, "warm-up", (20, 1)).await;
    let alone = count_statements(&platform, open_inspections(&station, "alone", (COUNTED, 1)));
    let alone = alone.await;
    let together = open_inspections(&station, "together", (COUNTED, AT_ONCE));
    let together = count_statements(&platform, together).await;
    platform.stop();
    println!("{alone} statements a command, one after the other; {together}, {AT_ONCE} at once");
    assert!(alone <= 45.0, "{alone}");
    assert!(together <= 8.0, "{together}");
}

/// How many statements a command costs while this is done, until all read models have come after it.
async fn count_statements(platform: &Platform, work: impl Future<Output = ()>) -> f64 {
    let count = async || {
        let metrics = read_metrics(platform).await;
        let lines = metrics.lines().filter(|line| line.starts_with("chipq_database_statements"));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum::<f64>()
    };
    let before = count().await;
    work.await;
    let settled = async {
        while read_metrics(platform)
            .await
            .lines()
            .any(|line| line.starts_with("chipq_follower_lag{") && !line.ends_with(" 0"))
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.expect("the read models come after it");
    (count().await - before) / COUNTED as f64
}

/// Opens so many inspections, so many at once.
async fn open_inspections(station: &Station, key: &str, (all, at_once): (usize, usize)) {
    let body = json!({ "lot": "L-1", "part": "PCB-1", "station": "AOI-1" });
    let opened = stream::iter(0..all).map(|n| {
        let (station, body, key) = (station.clone(), &body, format!("{key}-{n}"));
        async move { station.post("/v1/inspections", &key, Some(body)).await.unwrap().0 }
    });
    let statuses: Vec<_> = opened.buffer_unordered(at_once).collect().await;
    assert!(statuses.iter().all(|status| *status == 201), "{statuses:?}");
}

async fn read_metrics(platform: &Platform) -> String {
    let answer = reqwest::get(format!("{}/metrics", platform.url)).await.unwrap();
    answer.text().await.unwrap()
}

/// How many events of this kind were appended, by outcome where they have one.
fn count_events(metrics: &str, event: &str, outcome: &str) -> u64 {
    let labels = [format!("event=\"{event}\""), format!("outcome=\"{outcome}\"")];
    let line = metrics.lines().find(|line| {
        line.starts_with("chipq_event_log_events_total{")
            && labels.iter().all(|label| line.contains(label))
    });
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

/// An inspection whose picture is compared before the verdict is asked for, so that the request for it judges;
/// answers with the judgement.
async fn judge_by_request(station: &Station, platform: &Platform, pair: &Pair) -> String {
    let part = json!({ "part": "PCB-1" });
    assert!(station.post("/v1/parts", "part", Some(&part)).await.unwrap().0.is_success());
    upload(station, "/v1/parts/PCB-1/golden-sample?type=image/png", "golden", &pair.golden).await;
    let body = json!({ "lot": "L-1", "part": "PCB-1", "station": "AOI-1" });
    let (_, created) = station.post("/v1/inspections", "board", Some(&body)).await.unwrap();
    let id = created["inspection_id"].as_str().unwrap();
    let path = format!("/v1/inspections/{id}/artifacts?type=image/png");
    upload(station, &path, "upload", &pair.test).await;
    let compared = async {
        while count_events(&read_metrics(platform).await, "InferenceCompleted", "") == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, compared).await.expect("the picture is compared");
    let path = format!("/v1/inspections/{id}/infer");
    let (status, judged) = station.post(&path, "infer", None).await.unwrap();
    assert!(status.is_success(), "{judged}");
    judged["judgement"].as_str().expect("judged by the request").to_owned()
}

async fn upload(station: &Station, path: &str, key: &str, picture: &Path) {
    let (_, reserved) = station.post(path, key, None).await.unwrap();
    let picture = std::fs::read(picture).unwrap();
    let put = station.put(reserved["upload_url"].as_str().unwrap(), &picture).await.unwrap();
    assert!(put.0.is_success(), "{put:?}");
}
