//! The whole platform with its log in KurrentDB, for which a cluster in memory stands in.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/boards.rs"]
mod boards;
#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;
#[path = "../../platform/kurrentdb-client/tests/stand_in/cluster.rs"]
#[allow(dead_code, reason = "shared with the tests of the adapter")]
mod stand_in;
#[path = "support/station.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod station;

use std::path::Path;
use std::time::{Duration, Instant};

use projectors::ALL as READ_MODELS;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use platform::{Platform, chipq, finished, folder};
use stand_in::StandIn;
use station::Station;

const READY_WITHIN: Duration = Duration::from_secs(120);

async fn signed_in(platform: &Platform) -> Station {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        if let Some(station) = Station::try_sign_in(&platform.url).await {
            return station;
        }
        assert!(Instant::now() < deadline, "nobody is let in");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Registers the part with this golden sample.
async fn register_part(station: &Station, golden: &Path) {
    let part = json!({ "part": "PCB-1" });
    assert!(station.post("/v1/parts", "part", Some(&part)).await.unwrap().0.is_success());
    let path = "/v1/parts/PCB-1/golden-sample?type=image/png";
    let (_, reserved) = station.post(path, "golden", None).await.unwrap();
    let golden = std::fs::read(golden).unwrap();
    let put = station.put(reserved["upload_url"].as_str().unwrap(), &golden).await.unwrap();
    assert!(put.0.is_success(), "{put:?}");
}

/// Until another life of a leader has taken over.
async fn until_commands_come_back(station: &Station) {
    let (deadline, mut attempt) = (Instant::now() + READY_WITHIN, 0);
    loop {
        attempt += 1;
        let body = json!({ "lot": "L-1", "part": "PCB-1", "station": "AOI-1" });
        let key = format!("after-{attempt}");
        let tried = station.post("/v1/inspections", &key, Some(&body)).await;
        if tried.is_ok_and(|(status, _)| status.is_success()) {
            return;
        }
        assert!(Instant::now() < deadline, "commands do not come back");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Until every read model is as far as the one that is farthest.
async fn until_all_is_read(data: &Path) {
    let url = std::fs::read_to_string(data.join("private-postgres-url")).unwrap();
    let mut database = PgConnection::connect(&url).await.unwrap();
    let deadline = Instant::now() + READY_WITHIN;
    let same =
        "SELECT min(position) = max(position) FROM projection_checkpoints WHERE status = 'serving'";
    while !sqlx::query_scalar::<_, bool>(same).fetch_one(&mut database).await.unwrap() {
        assert!(Instant::now() < deadline, "a read model stays behind");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Inspects a board of a part with this golden sample; keys begin with `key`, so that each is new.
async fn inspect(station: &Station, board: &Path, key: &str) -> String {
    let body = json!({ "lot": "L-1", "part": "PCB-1", "station": "AOI-1" });
    let (status, created) =
        station.post("/v1/inspections", &format!("{key}-board"), Some(&body)).await.unwrap();
    assert!(status.is_success(), "{status} {created}");
    let id = created["inspection_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/inspections/{id}/artifacts?type=image/png");
    let (_, reserved) = station.post(&path, &format!("{key}-upload"), None).await.unwrap();
    let picture = std::fs::read(board).unwrap();
    let put = station.put(reserved["upload_url"].as_str().unwrap(), &picture).await.unwrap();
    assert!(put.0.is_success(), "{put:?}");
    let path = format!("/v1/inspections/{id}/infer");
    let (status, asked) = station.post(&path, &format!("{key}-infer"), None).await.unwrap();
    assert!(status.is_success(), "{status} {asked}");
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_is_judged_and_reported_with_the_log_in_kurrentdb_through_a_fail_over() {
    let cluster = StandIn::start(3).await;
    let url = cluster.url();
    let folder = folder();
    let data = folder.path().join("data");
    let pair = &boards::boards(&folder.path().join("boards"), 1, 0)[0];
    assert!(pair.defects > 0);
    let environment = [("CHIPQ_EVENT_LOG_URL", url.as_str())];
    let platform = Platform::start_with(&data, 0, &environment);
    let station = signed_in(&platform).await;
    register_part(&station, &pair.golden).await;

    let id = inspect(&station, &pair.test, "first").await;
    let report = station.report(&id).await;
    assert_eq!(report["judgement"], "fail", "{report}");
    // The same key again: the first answer, and nothing is appended.
    let events = cluster.back_up().records().len();
    let part = json!({ "part": "PCB-1" });
    let (status, again) = station.post("/v1/parts", "part", Some(&part)).await.unwrap();
    assert!(status.is_success(), "{status} {again}");
    let ours = cluster.back_up();
    let ours = ours.records().iter().filter(|record| record.stream.starts_with("chipq.part-"));
    assert!(ours.count() > 0 && events > 10, "the log is in the cluster");

    // The leader dies and another one leads; nothing has to be started again.
    cluster.kill_node(0);
    cluster.elect(Some(1));
    until_commands_come_back(&station).await;
    let id = inspect(&station, &pair.test, "second").await;
    let report = station.report(&id).await;
    assert_eq!(report["judgement"], "fail", "{report}");
    platform.stop();

    // A new start goes on with the same log.
    let platform = Platform::start_with(&data, 0, &environment);
    let station = signed_in(&platform).await;
    assert_eq!(station.report(&id).await["judgement"], "fail");
    platform.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_backup_of_kurrentdb_lost_is_shown_until_each_read_model_is_rebuilt() {
    let cluster = StandIn::start(1).await;
    let url = cluster.url();
    let folder = folder();
    let data = folder.path().join("data");
    let pair = &boards::boards(&folder.path().join("boards"), 1, 0)[0];
    let environment = [("CHIPQ_EVENT_LOG_URL", url.as_str())];
    let platform = Platform::start_with(&data, 0, &environment);
    let station = signed_in(&platform).await;
    register_part(&station, &pair.golden).await;
    let kept = inspect(&station, &pair.test, "kept").await;
    station.report(&kept).await;
    let backup = cluster.back_up();
    let lost = inspect(&station, &pair.test, "lost").await;
    station.report(&lost).await;
    until_all_is_read(&data).await;

    // An earlier backup, on which the log comes past all that was lost before anybody looks.
    let end = cluster.back_up().records().len();
    cluster.put_back(backup).await;
    until_commands_come_back(&station).await;
    let later = inspect(&station, &pair.test, "later").await;
    for number in 0.. {
        if cluster.back_up().records().len() > end {
            break;
        }
        let part = json!({ "part": format!("X-{number}") });
        let made = station.post("/v1/parts", &format!("part-{number}"), Some(&part)).await.unwrap();
        assert!(made.0.is_success(), "{made:?}");
    }
    let operate = async |arguments: &[&str]| {
        let mut command = chipq(arguments);
        command.arg("--data").arg(&data).env("CHIPQ_EVENT_LOG_URL", &url);
        tokio::task::spawn_blocking(move || finished(&mut command)).await.unwrap()
    };
    let (_, listed, said) = operate(&["projections", "list"]).await;
    let marked = |text: &str| text.matches("an earlier state of the log was put back").count();
    assert_eq!(marked(&listed), READ_MODELS.len(), "{listed}{said}");
    assert!(station.get(&format!("/v1/inspections/{lost}")).await.unwrap().0.is_success());
    let readiness = station.get("/readyz").await.unwrap();
    assert!(marked(&readiness.1.to_string()) > 0, "{readiness:?}");

    // The way out, beside the platform that serves.
    for name in READ_MODELS.map(|read_model| read_model.name()) {
        let (code, said, errors) = operate(&["rebuild", name]).await;
        assert_eq!(code, 0, "{name}: {said}{errors}");
        assert!(said.contains("generation 2 serves instead of 1"), "{said}");
    }
    let (code, listed, said) = operate(&["projections", "list"]).await;
    assert_eq!((code, marked(&listed)), (0, 0), "{listed}{said}");
    for id in [&kept, &later] {
        assert_eq!(station.report(id).await["judgement"], "fail");
    }
    let (status, said) = station.get(&format!("/v1/inspections/{lost}")).await.unwrap();
    assert_eq!(status, reqwest::StatusCode::NOT_FOUND, "{said}");
    // And they go on with what comes.
    let next = inspect(&station, &pair.test, "next").await;
    assert_eq!(station.report(&next).await["judgement"], "fail");
    let (code, said, errors) = operate(&["verify"]).await;
    assert_eq!(code, 0, "{said}{errors}");
    platform.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_kurrentdb_is_one_sentence_at_start() {
    let cluster = StandIn::start(1).await;
    let folder = folder();
    let refused = async |url: String, environment: &[(&str, &str)]| {
        let mut command = chipq(&["up", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(folder.path().join("data")).env("CHIPQ_EVENT_LOG_URL", url);
        command.envs(environment.iter().copied());
        tokio::task::spawn_blocking(move || finished(&mut command)).await.unwrap()
    };
    let (code, _, said) = refused("kurrentdb://admin:changeit@db".into(), &[]).await;
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("CHIPQ_KURRENTDB_USER") && !said.contains("changeit"), "{said}");
    let (code, _, said) = refused("kurrentdb://db?nodePreference=leader".into(), &[]).await;
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("there are tls and ca"), "{said}");

    cluster.world().credentials = Some(("ops".into(), "right".into()));
    let wrong = [("CHIPQ_KURRENTDB_USER", "ops"), ("CHIPQ_KURRENTDB_PASSWORD", "wrong")];
    let (code, _, said) = refused(cluster.url(), &wrong).await;
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("does not accept the user or the password"), "{said}");
    assert!(!said.contains("wrong"), "{said}");
    let url = cluster.url();
    cluster.kill_node(0);
    let (code, _, said) = refused(url, &[]).await;
    assert_eq!(code, 69, "{said}");
    assert!(said.contains("cannot be reached") && said.contains("check that it runs"), "{said}");
}
