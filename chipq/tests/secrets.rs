//! Everybody signs in and is refused in every way, and nothing that proves who somebody is stands anywhere where it
//! would be read: log, events, metrics, problems, process list.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;
#[path = "support/station.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod station;

use std::path::Path;
use std::time::{Duration, Instant};

use ::platform::event_log::postgres::PostgresEventLog;
use ::platform::event_log::{EventLog as _, Position};
use ::platform::postgres::{self, DatabaseConfig};
use reqwest::Method;
use serde_json::{Value, json};

use platform::{Platform, chipq, finished, folder};
use station::Station;

const PASSWORD: &str = "tulip anvil quartz meridian";
const WRONG_PASSWORD: &str = "hunter2-and-then-some";
const PASSWORD_AS_NAME: &str = "typed-into-the-wrong-field";
/// A process hears of a change by a hint, or looks by itself every 0.2 s; as long again for a machine that is busy.
const WITHIN: Duration = Duration::from_secs(30);

/// What was said and what must be nowhere in it.
#[derive(Default)]
struct Heard {
    secrets: Vec<String>,
    /// What was said, by who said it.
    said: Vec<(String, String)>,
}

fn operate(data: &Path, secrets: Option<&Path>, arguments: &[&str]) -> String {
    let mut command = chipq(arguments);
    command.arg("--data").arg(data);
    if let Some(secrets) = secrets {
        command.stdin(std::fs::File::open(secrets).unwrap());
    }
    let (code, said, error) = finished(&mut command);
    assert_eq!(code, 0, "{arguments:?}: {error}");
    said
}

/// Makes ada the first administrator, by what stands in the file `typed` as it is piped in; the code.
fn claim(data: &Path, typed: &Path) -> String {
    let code = operate(data, None, &["accounts", "claim-code", "--reason", "first"]);
    let code = code.trim().to_owned();
    std::fs::write(typed, format!("{code}\n{PASSWORD}\n")).unwrap();
    operate(data, Some(typed), &["accounts", "claim", "--name", "ada", "--display-name", "Ada L."]);
    code
}

async fn sign_in(url: &str, form: &[(&str, &str)]) -> Station {
    let deadline = Instant::now() + WITHIN;
    loop {
        if let Some(station) = Station::try_sign_in_by(url, form).await {
            return station;
        }
        assert!(Instant::now() < deadline, "not signed in in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl Heard {
    async fn ask(&mut self, station: &Station, method: Method, path: &str, form: &[(&str, &str)]) {
        let request = station.request(method, path).form(form);
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), format!("{:?}", answer.headers()));
        let body = answer.text().await.unwrap();
        assert!(status.as_u16() >= 400, "{path} is refused: {status} {body}");
        self.said.push((format!("the answer of {path}"), headers + &body));
    }

    /// Signs in as everybody, and is refused in every way.
    async fn use_platform(&mut self, platform: &Platform, data: &Path, typed: &Path) {
        let url = &platform.url;
        let code = claim(data, typed);
        let operate = |arguments: &[&str]| operate(data, None, arguments);
        let create = ["clients", "create", "aoi-1", "--role", "station", "--station", "AOI-1"];
        let created = operate(&[&create[..], &["--reason", "new", "--json"]].concat());
        let created: Value = serde_json::from_str(&created).unwrap();
        let secret = created["client_secret"].as_str().unwrap().to_owned();

        let ada = sign_in(url, &[("username", "ada"), ("password", PASSWORD)]).await;
        let grant = [("grant_type", "client_credentials"), ("client_id", "aoi-1")];
        let station =
            sign_in(url, &[&grant[..], &[("client_secret", secret.as_str())]].concat()).await;
        let upload_url = announce(&ada, &station).await;
        let upload_path = upload_url.strip_prefix(url.as_str()).unwrap().to_owned();
        let signature = upload_url.split("signature=").nth(1).unwrap();
        let signature = signature.split('&').next().unwrap().to_owned();

        for form in [
            [("username", "ada"), ("password", WRONG_PASSWORD)],
            [("username", PASSWORD_AS_NAME), ("password", PASSWORD)],
            [("username", "aoi-1"), ("password", secret.as_str())],
            [("token", station.token.as_str()), ("client_secret", secret.as_str())],
        ] {
            self.ask(&station, Method::POST, "/v1/token", &form).await;
        }
        self.ask(&station, Method::POST, "/v1/parts", &[]).await;
        self.ask(&station, Method::PUT, &upload_path, &[]).await;
        let forged = format!("{}x", station.token);
        let mut stranger = station.clone();
        stranger.token.clone_from(&forged);
        self.ask(&stranger, Method::GET, "/v1/inspections", &[]).await;
        self.ask(&stranger, Method::POST, "/v1/inspections", &[]).await;
        operate(&["clients", "disable", "aoi-1", "--reason", "sold"]);
        let deadline = Instant::now() + WITHIN;
        while station.get("/v1/inspections").await.unwrap().0 != 401 {
            assert!(Instant::now() < deadline, "its token is good still");
        }
        self.ask(&station, Method::GET, "/v1/inspections", &[]).await;

        let metrics = ada.request(Method::GET, "/metrics").send().await.unwrap();
        self.said.push(("/metrics".to_owned(), metrics.text().await.unwrap()));
        self.said.push(("the process list".to_owned(), process_list()));
        let (password, wrong) = (PASSWORD.to_owned(), WRONG_PASSWORD.to_owned());
        self.secrets.extend([
            code,
            secret,
            signature,
            password,
            wrong,
            PASSWORD_AS_NAME.to_owned(),
        ]);
        // The signatures prove; head and claims are no secret.
        let tokens = [&ada.token, &station.token, &forged];
        self.secrets.extend(tokens.map(|token| token.rsplit('.').next().unwrap().to_owned()));
    }

    fn check(&self) {
        for (who, said) in &self.said {
            for secret in &self.secrets {
                assert!(!said.contains(secret.as_str()), "a secret is in {who}");
            }
        }
    }
}

/// Announces a picture of a board; the URL that takes it.
async fn announce(ada: &Station, station: &Station) -> String {
    let part = json!({ "part": "PCB-1" });
    assert!(ada.post("/v1/parts", "part", Some(&part)).await.unwrap().0.is_success());
    let board = json!({ "lot": "L-1", "part": "PCB-1", "station": "AOI-1" });
    let (_, created) = station.post("/v1/inspections", "board", Some(&board)).await.unwrap();
    let id = created["inspection_id"].as_str().unwrap();
    let path = format!("/v1/inspections/{id}/artifacts?type=image/png");
    let (_, announced) = station.post(&path, "picture", None).await.unwrap();
    announced["upload_url"].as_str().unwrap().to_owned()
}

/// The command line of every process that there is.
fn process_list() -> String {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).into_owned() + "\n").collect()
}

async fn read_events(data: &Path) -> String {
    let url = std::fs::read_to_string(data.join("private-postgres-url")).unwrap();
    let log =
        PostgresEventLog::new(postgres::connect(&DatabaseConfig::from_url(url)).await.unwrap());
    let events = log.read_all(Position::default(), 10_000).await.unwrap().events;
    events.iter().map(|event| format!("{event:?} {:?}\n", event.metadata.to_map())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_log_events_metrics_problems_or_the_process_list() {
    for json in ["0", "1"] {
        let folder = folder();
        let (data, typed) = (folder.path().join("data"), folder.path().join("typed"));
        let settings = [("CHIPQ_LOG_JSON", json), ("CHIPQ_LOG", "debug")];
        let platform = Platform::start_with(&data, 0, &settings);
        let mut heard = Heard::default();
        heard.use_platform(&platform, &data, &typed).await;
        platform.stop();
        // It has recorded to the end, and its database has stopped with it: another one looks.
        let platform = Platform::start_with(&data, 0, &settings);
        let events = read_events(&data).await;
        platform.stop();
        for recorded in ["AccessRefused", "TokenGranted", "missing-scope", "revoked-token"] {
            assert!(events.contains(recorded), "the control: {recorded} is recorded");
        }
        let log = std::fs::read_to_string(data.with_extension("log")).unwrap();
        assert!(log.contains("/v1/token"), "the control: requests are logged");
        heard.said.extend([("an event".to_owned(), events), ("the log".to_owned(), log)]);
        heard.check();
        heard.said.push(("a control".to_owned(), format!("the code is {}", heard.secrets[0])));
        assert!(std::panic::catch_unwind(|| heard.check()).is_err(), "the control: one is found");
    }
}
