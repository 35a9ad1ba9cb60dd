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

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use ::platform::event_log::postgres::PostgresEventLog;
use ::platform::event_log::{Append, EventLog as _, EventMetadata, NewEvent, StreamId};
use ::platform::test_support::{Gateway, free_port};
use reqwest::Method;
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
    format!("127.0.0.1:{}", free_port())
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
        let answer = role.anonymous(Method::GET, &url).send().await.unwrap();
        let (status, body) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{name}{path}: {status} {body}");
        body
    };
    get("/healthz").await;
    let ready = get("/readyz").await;
    assert!(ready.contains(part), "{name}: {ready}");
    get("/metrics").await;
}

/// Without a token: `/` links to what this role has to show and to nothing that is not there.
async fn leads_to_what_it_serves(role: &Station, name: &str, shows: &[&str]) {
    let entry = role.get("/").await.unwrap().1;
    assert!(entry["version"].as_str().unwrap().starts_with(env!("CARGO_PKG_VERSION")), "{entry}");
    let links = entry["links"].as_array().unwrap().iter();
    let links: Vec<_> = links.map(|link| link["href"].as_str().unwrap()).collect();
    let expected = [shows, &["/problems", "/readyz", "/healthz", "/metrics"]].concat();
    assert_eq!(links, expected, "{name}");
    let ask = async |method, path: &str, accept: &str| {
        let asked = role.anonymous(method, &format!("{}{path}", role.url));
        asked.header("Accept", accept).send().await.unwrap()
    };
    let page = ask(Method::GET, "/", "text/html,*/*;q=0.8").await.text().await.unwrap();
    for link in links {
        assert!(page.contains(&format!("<a href=\"{link}\">")), "{name}{link}: {page}");
        let status = ask(Method::GET, link, "*/*").await.status();
        assert!(status.is_success(), "{name}{link}: {status}");
    }
    let head = ask(Method::HEAD, "/", "text/html").await;
    assert_eq!(head.status(), 200, "{name}");
    assert_eq!(head.headers()["content-type"], "text/html; charset=utf-8", "{name}");
    assert!(head.text().await.unwrap().is_empty(), "{name}");
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
        Role::start("command-api", url, &data, &["--listen", &commands, "--demo"]),
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
    let (rest, graphql) = (["/docs", "/openapi.json", "/.well-known/jwks.json"], ["/graphiql"]);
    for (role, address, part, shows) in [
        ("command-api", &commands, "artifact-store", &rest[..]),
        ("query-api", &queries, "projection:reports", &graphql),
        ("projectors", &projectors, "follower:reports", &[]),
        ("inference-worker", &worker, "inference-engine", &[]),
    ] {
        let at = station.at(&format!("http://{address}"));
        answers_for_its_health(&at, role, part).await;
        leads_to_what_it_serves(&at, role, shows).await;
    }
    roles.into_iter().for_each(Role::stop);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_only_follows_says_of_the_log_itself_that_it_is_silent() {
    let database = ::platform::test_support::fresh_database().await;
    let (gateway, url) = Gateway::before_url(database.url()).await;
    let (folder, health) = (folder(), free_address());
    let _role = Role::start("projectors", &url, folder.path(), &["--health-listen", &health]);
    let until_said = async |said: &str| {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let answer = reqwest::get(format!("http://{health}/readyz")).await;
            let body = match answer {
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            if body.contains(said) {
                return;
            }
            assert!(Instant::now() < deadline, "not said: {said}: {body}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    until_said(r#"{"ready":true,"#).await;
    gateway.fall_silent();
    until_said(r#"{"name":"event-log","ready":false,"#).await;
}

#[test]
fn everything_that_is_wrong_with_a_role_is_said_at_once_before_it_starts() {
    let folder = folder();
    let mut command = chipq(&["command-api", "--listen", "0.0.0.0:0", "--demo", "--data"]);
    command
        .arg(folder.path())
        .env("CHIPQ_DATABASE_URL", "mysql://db/chipq")
        .env("CHIPQ_EVENT_LOG_URL", "kurrentdb://admin:changeit@db:2113");
    let (code, _, said) = finished(&mut command);
    assert_eq!(code, 64, "{said}");
    for wrong in ["loopback only", "not a PostgreSQL URL", "take user and password out of the URL"]
    {
        assert!(said.contains(wrong), "{wrong}: {said}");
    }
    assert!(!said.contains("changeit"), "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");
}

/// What a role measures under this name, of this follower.
async fn gauge(address: &str, name: &str, follower: &str) -> Option<String> {
    let answer = reqwest::get(format!("http://{address}/metrics")).await.ok()?;
    let text = answer.text().await.ok()?;
    let line = |line: &&str| line.starts_with(name) && line.contains(&format!("\"{follower}\""));
    text.lines().find(line)?.rsplit(' ').next().map(str::to_owned)
}

/// A stream that begins in its middle: no read model of inspections can take it. Of another version than 1 it
/// is one that no read model knows.
async fn append_poison(url: &str, event_version: &str) -> i64 {
    let config = ::platform::postgres::DatabaseConfig::from_url(url);
    let pool = ::platform::postgres::connect(&config).await.unwrap();
    let log = PostgresEventLog::new(pool);
    let (event_type, event_version) = ("InspectionVoided".to_owned(), event_version.to_owned());
    let payload = json!({"type": event_type, "reason": "no beginning"});
    let event =
        NewEvent { event_type, event_version, payload, labels: domain::EventLabels::default() };
    let stream = StreamId::for_aggregate::<domain::Inspection>(uuid::Uuid::new_v4());
    let append = Append::new(stream, 0, vec![event], EventMetadata::by_service("a tool"));
    log.append(append).await.unwrap().position.unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_retries_and_discards_what_a_read_model_cannot_take() {
    let database = ::platform::test_support::fresh_database().await;
    let url = database.url();
    let folder = folder();
    let operate = |arguments: &[&str]| {
        let mut command = chipq(arguments);
        command.env("CHIPQ_DATABASE_URL", url).env("CHIPQ_DATA", folder.path());
        finished(command.env("CHIPQ_ACTOR", "ada"))
    };
    assert_eq!(operate(&["migrate"]).0, 0);
    let position = append_poison(url, "1").await.to_string();
    let metrics = free_address();
    let projectors = Role::start("projectors", url, folder.path(), &["--health-listen", &metrics]);
    let deadline = Instant::now() + READY_WITHIN;
    let parked = format!("chipq projections retry reports {position}");
    while !operate(&["projections", "list"]).1.contains(&parked) {
        assert!(Instant::now() < deadline, "nothing is parked");
    }
    let streams = async |name: &str| gauge(&metrics, name, "reports").await;
    assert_eq!(streams("chipq_follower_parked_streams").await.as_deref(), Some("1"));

    let because = ["--reason", "a tool wrote it"];
    let decide = |words: &[&str]| operate(&[&["projections"], words, &because].concat());
    let (code, said, _) = decide(&["retry", "reports", "--all"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("stays parked: inspection/"), "{said}");
    let (code, _, said) = operate(&["rebuild", "reports"]);
    assert_eq!(code, 69, "{said}");
    assert!(said.contains(&format!("at position {position} cannot be applied")), "{said}");
    let (code, _, said) = decide(&["discard", "reports", "999999"]);
    assert_eq!(code, 64, "{said}");

    let (code, said, errors) = decide(&["discard", "reports", &position]);
    assert_eq!(code, 0, "{said}{errors}");
    let (_, said, _) = operate(&["projections", "list"]);
    assert!(said.contains("discarded in reports: inspection/"), "{said}");
    assert_eq!(streams("chipq_follower_parked_streams").await.as_deref(), Some("0"));
    assert_eq!(streams("chipq_follower_discarded_streams").await.as_deref(), Some("1"));
    let (code, _, said) = operate(&["rebuild", "reports"]);
    assert_eq!(code, 0, "{said}");
    let (_, said, _) = operate(&["projections", "history", "reports"]);
    assert!(said.starts_with(&format!("reports: discard at position {position} ")), "{said}");
    assert!(said.contains(" by ada on ") && said.contains(": a tool wrote it"), "{said}");
    projectors.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_lets_every_read_model_go_on_without_an_event_that_none_knows() {
    let database = ::platform::test_support::fresh_database().await;
    let url = database.url();
    let folder = folder();
    let operate = |arguments: &[&str]| {
        let mut command = chipq(arguments);
        command.env("CHIPQ_DATABASE_URL", url).env("CHIPQ_DATA", folder.path());
        finished(command.env("CHIPQ_ACTOR", "ada"))
    };
    assert_eq!(operate(&["migrate"]).0, 0);
    let position = append_poison(url, "99").await.to_string();
    let health = free_address();
    let projectors = Role::start("projectors", url, folder.path(), &["--health-listen", &health]);
    let way_out = ["projections", "discard", "all", &position, "--reason"];
    let said_in_list = || operate(&["projections", "list"]).1.matches(&way_out.join(" ")).count();
    let deadline = Instant::now() + READY_WITHIN;
    while said_in_list() < 4 {
        assert!(Instant::now() < deadline, "every read model of inspections says the way out");
    }

    let (code, _, said) = operate(&["projections", "discard", "all", "999999", "--reason", "-"]);
    assert_eq!(code, 64, "{said}");
    let (code, said, errors) = operate(&[&way_out[..], &["a trial wrote it"]].concat());
    assert_eq!(code, 0, "{said}{errors}");
    assert_eq!(said.matches(&format!(": discard at position {position},")).count(), 4, "{said}");
    assert!(!said.contains("it takes effect when"), "nobody waits for another try: {said}");
    assert_eq!(said_in_list(), 0);
    let (_, said, _) = operate(&["projections", "history"]);
    assert_eq!(said.matches(" by ada on ").count(), 4, "{said}");
    projectors.stop();
}
