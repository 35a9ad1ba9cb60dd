//! Every role in a process of its own, on a shared database: what one process does, four do as well.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/boards.rs"]
mod boards;
#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;
#[path = "support/station.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod station;

use std::net::TcpListener;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::json;

use platform::{chipq, finished, folder, send};
use station::Station;

const READY_WITHIN: Duration = Duration::from_secs(120);

/// A role in a process of its own; asked to finish when dropped.
struct Role(Child);

impl Role {
    fn start(role: &str, database: &str, data: &Path, more: &[&str]) -> Self {
        let mut command = chipq(&[role]);
        command
            .args(more)
            .env("CHIPQ_DATABASE_URL", database)
            .env("CHIPQ_DATA", data)
            .env("CHIPQ_LOG", "warn");
        Self(command.spawn().unwrap())
    }

    fn stop(mut self) {
        send("-TERM", self.0.id());
        let status = self.0.wait().unwrap();
        assert!(status.success(), "a role ended with {status}");
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = self.0.kill();
        }
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// The two APIs, as soon as both answer.
async fn stations(commands: &str, queries: &str) -> (Station, Station) {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        if let Some(station) = Station::try_sign_in(&format!("http://{commands}")).await {
            let reads = station.at(&format!("http://{queries}"));
            if reads.get("/readyz").await.is_ok_and(|(status, _)| status.is_success()) {
                return (station, reads);
            }
        }
        assert!(Instant::now() < deadline, "the roles did not get ready");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Without a token: that it lives, that it is ready and what was looked at, what it measured.
async fn answers_for_its_health(role: &Station, name: &str, part: &str) {
    let get = async |path: &str| {
        let url = format!("{}{path}", role.url);
        let answer = role.anonymous(reqwest::Method::GET, &url).send().await.unwrap();
        let (status, body) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{name}{path}: {status} {body}");
        body
    };
    get("/healthz").await;
    let ready = get("/readyz").await;
    assert!(ready.contains(part), "{name}: {ready}");
    get("/metrics").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_processes_judge_a_board_as_one_does() {
    let database = ::platform::test_support::fresh_database().await;
    let url = database.url();
    let folder = folder();
    let data = folder.path().join("data");
    let pair = &boards::boards(&folder.path().join("boards"), 1, 0)[0];
    assert!(pair.defects > 0);
    let (code, _, said) = finished(chipq(&["migrate", "--database-url", url, "--data"]).arg(&data));
    assert_eq!(code, 0, "{said}");

    let (commands, queries) = (free_address(), free_address());
    let (projectors, worker) = (free_address(), free_address());
    let roles = [
        Role::start("command-api", url, &data, &["--listen", &commands, "--demo-user"]),
        Role::start("query-api", url, &data, &["--listen", &queries]),
        Role::start("projectors", url, &data, &["--health-listen", &projectors]),
        Role::start("inference-worker", url, &data, &["--health-listen", &worker]),
    ];
    let (station, reads) = stations(&commands, &queries).await;
    let golden = std::fs::read(&pair.golden).unwrap();
    let board = std::fs::read(&pair.test).unwrap();
    let part = json!({ "part": "PCB-1" });
    assert!(station.post("/v1/parts", "part", Some(&part)).await.unwrap().0.is_success());
    let path = "/v1/parts/PCB-1/golden-sample?type=image/png";
    let (_, reserved) = station.post(path, "golden", None).await.unwrap();
    let put = station.put(reserved["upload_url"].as_str().unwrap(), &golden).await.unwrap();
    assert!(put.0.is_success(), "{put:?}");
    let body = json!({ "lot": "L-1", "part": "PCB-1", "station": "AOI-1" });
    let (_, created) = station.post("/v1/inspections", "board", Some(&body)).await.unwrap();
    let id = created["inspection_id"].as_str().unwrap();
    let path = format!("/v1/inspections/{id}/artifacts?type=image/png");
    let (_, reserved) = station.post(&path, "upload", None).await.unwrap();
    let put = station.put(reserved["upload_url"].as_str().unwrap(), &board).await.unwrap();
    assert!(put.0.is_success(), "{put:?}");
    let path = format!("/v1/inspections/{id}/infer");
    assert!(station.post(&path, "infer", None).await.unwrap().0.is_success());
    let report = reads.report(id).await;
    assert_eq!(report["judgement"], "fail", "{report}");
    for (role, address, part) in [
        ("command-api", &commands, "artifact-store"),
        ("query-api", &queries, "projection:reports"),
        ("projectors", &projectors, "follower:reports"),
        ("inference-worker", &worker, "inference-engine"),
    ] {
        answers_for_its_health(&station.at(&format!("http://{address}")), role, part).await;
    }
    roles.into_iter().for_each(Role::stop);
}

#[test]
fn everything_that_is_wrong_with_a_role_is_said_at_once_before_it_starts() {
    let folder = folder();
    let mut command = chipq(&["command-api", "--listen", "0.0.0.0:0", "--demo-user", "--data"]);
    command
        .arg(folder.path())
        .env("CHIPQ_DATABASE_URL", "mysql://db/chipq")
        .env("CHIPQ_EVENT_LOG_URL", "kurrentdb://admin:changeit@db:2113");
    let (code, _, said) = finished(&mut command);
    assert_eq!(code, 64, "{said}");
    for wrong in ["loopback only", "not a PostgreSQL URL", "kurrentdb:// is not compiled in"] {
        assert!(said.contains(wrong), "{wrong}: {said}");
    }
    assert!(!said.contains("changeit"), "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");
}
