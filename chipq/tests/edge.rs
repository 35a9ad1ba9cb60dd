//! A platform among clients that mean it no good, on a machine that others use too.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;
#[path = "support/station.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod station;

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};

use platform::{CHIPQ, Platform, folder};
use station::Station;

/// Descriptors of the platform, as many systems begin with.
const DESCRIPTORS: usize = 1_024;
/// Connections that never say anything.
const SILENT: usize = 1_100;

/// `chipq` with so few descriptors that it cannot raise its limit.
fn limited() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {DESCRIPTORS} && exec \"$0\" \"$@\""), CHIPQ]);
    for variable in ["CHIPQ_DATA", "DATABASE_URL", "CHIPQ_DATABASE_URL", "CHIPQ_LOG"] {
        command.env_remove(variable);
    }
    command
}

async fn answers_beside_silent_connections(platform: &Platform) {
    ::platform::descriptors::raise_limit();
    let silent: Vec<_> = (0..SILENT)
        .map(|_| TcpStream::connect(("127.0.0.1", platform.port())).expect("a connection"))
        .collect();
    let station = Station::sign_in(&platform.url).await;
    let part = json!({ "part": "PCB-1" });
    let (status, said) = station.post("/v1/parts", "part", Some(&part)).await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{said}");
    for path in ["/healthz", "/readyz"] {
        let (status, said) = station.get(path).await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {said}");
    }
    drop(silent);
}

async fn answers_to_no_foreign_name(platform: &Platform) {
    let station = Station::sign_in(&platform.url).await;
    let url = format!("{}/v1/token", platform.url);
    for (host, expected) in [("evil.example", 421), ("localhost", 200)] {
        let login = [("username", "demo"), ("password", "demo")];
        let asked = station.anonymous(Method::POST, &url).header("host", host).form(&login);
        assert_eq!(asked.send().await.unwrap().status(), expected, "{host}");
    }
}

fn closes_its_files_to_others(data: &Path) {
    for (path, mode) in [
        ("artifacts", 0o700),
        ("postgres/lock", 0o600),
        ("private-postgres-url", 0o600),
        ("url-signing-key", 0o600),
    ] {
        let found = std::fs::metadata(data.join(path)).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{path}");
    }
}

async fn cannot_change_its_log(data: &Path) {
    let url = std::fs::read_to_string(data.join("private-postgres-url")).unwrap();
    let mut service = PgConnection::connect(&url).await.unwrap();
    for forbidden in
        ["ALTER TABLE events DISABLE TRIGGER ALL", "DELETE FROM events", "CREATE ROLE another"]
    {
        let refused = service.execute(forbidden).await.expect_err(forbidden).to_string();
        assert!(refused.contains("permission denied") || refused.contains("must be owner"));
    }
    service.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_silent_connections_nor_foreign_names_nor_its_own_services_get_far() {
    let folder = folder();
    let data = folder.path().join("data");
    let platform = Platform::start_by(limited(), &data, 0, &[]);
    answers_beside_silent_connections(&platform).await;
    answers_to_no_foreign_name(&platform).await;
    closes_its_files_to_others(&data);
    cannot_change_its_log(&data).await;
    platform.stop();
}
