//! From a platform that nobody may use to a station that works, as an operator does it: beside a platform that
//! serves.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;
#[path = "support/station.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod station;

use std::path::Path;
use std::time::{Duration, Instant};

use platform::{Platform, chipq, finished, folder};
use serde_json::{Value, json};
use station::Station;

/// A process hears of a change by a hint, or looks by itself every 0.2 s; as long again for a machine that is busy.
const BELIEVED_WITHIN: Duration = Duration::from_secs(30);
const PASSWORD: &str = "tulip anvil quartz meridian";

/// What an operator types, with the password in a file.
struct Operator<'a> {
    data: &'a Path,
    password_file: &'a Path,
}

impl Operator<'_> {
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = chipq(arguments);
        command.arg("--data").arg(self.data);
        if matches!(arguments, ["accounts", "create" | "claim" | "password", ..]) {
            command.arg("--password-file").arg(self.password_file);
        }
        finished(&mut command)
    }

    fn succeed(&self, arguments: &[&str]) -> String {
        let (code, said, error) = self.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {error}");
        said
    }

    fn create_station(&self) -> String {
        let create = ["clients", "create", "aoi-1", "--role", "station", "--station", "AOI-1"];
        let said = self.succeed(&[&create[..], &["--reason", "new", "--json"]].concat());
        let created: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(created["client_id"], "aoi-1");
        created["client_secret"].as_str().unwrap().to_owned()
    }
}

async fn sign_in(url: &str, secret: &str) -> Option<Station> {
    let form =
        [("grant_type", "client_credentials"), ("client_id", "aoi-1"), ("client_secret", secret)];
    Station::try_sign_in_by(url, &form).await
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + BELIEVED_WITHIN;
    while !holds().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_claims_the_platform_and_lets_a_station_in_and_out_while_it_serves() {
    let folder = folder();
    let (data, password_file) = (folder.path().join("data"), folder.path().join("password"));
    std::fs::write(&password_file, format!("{PASSWORD}\n")).unwrap();
    let platform = Platform::start_with(&data, 0, &[("CHIPQ_DEMO", "0")]);
    let operator = Operator { data: &data, password_file: &password_file };
    assert!(Station::try_sign_in(&platform.url).await.is_none(), "nobody has any rights");

    let code = operator.succeed(&["accounts", "claim-code", "--reason", "the first was lost"]);
    let code_file = folder.path().join("code");
    std::fs::write(&code_file, &code).unwrap();
    let code_file = code_file.to_str().unwrap();
    let claim = ["accounts", "claim", "--code-file", code_file, "--name", "Ada"];
    let claim = [&claim[..], &["--display-name", "Ada L."]].concat();
    operator.succeed(&claim);
    let (again, _, error) = operator.run(&claim);
    assert!(again == 65 && error.contains("has an administrator"), "{error}");
    let as_ada = [("username", "ada"), ("password", PASSWORD)];
    until("the administrator signs in", async || {
        Station::try_sign_in_by(&platform.url, &as_ada).await.is_some()
    })
    .await;

    let secret = operator.create_station();
    until("the station signs in", async || sign_in(&platform.url, &secret).await.is_some()).await;
    let station = sign_in(&platform.url, &secret).await.unwrap();
    let (status, _) = station.get("/v1/inspections").await.unwrap();
    assert_eq!(status, 200);
    let part = json!({ "part": "PCB-1" });
    let (status, problem) = station.post("/v1/parts", "part", Some(&part)).await.unwrap();
    assert_eq!((status.as_u16(), &problem["scope"]), (403, &json!("parts:write")));

    operator.succeed(&["clients", "disable", "aoi-1", "--reason", "sold"]);
    until("its token is worth nothing", async || {
        station.get("/v1/inspections").await.unwrap().0 == 401
    })
    .await;
    assert!(sign_in(&platform.url, &secret).await.is_none());
    let listed: Value =
        serde_json::from_str(&operator.succeed(&["clients", "list", "--json"])).unwrap();
    assert_eq!(listed[0]["enabled"], false, "{listed}");
    let (ended, _, error) = operator.run(&["accounts", "disable", "ada", "--reason", "left"]);
    assert!(ended == 65 && error.contains("last administrator"), "{error}");

    platform.stop();
    let log = std::fs::read_to_string(data.with_extension("log")).unwrap();
    assert!(log.contains("/v1/token"), "the control: requests are logged");
    for hidden in [secret.as_str(), PASSWORD, code.trim()] {
        assert!(!log.contains(hidden), "a secret is in the log");
    }
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let folder = folder();
    let (data, password_file) = (folder.path().join("data"), folder.path().join("password"));
    std::fs::write(&password_file, "password1234\n").unwrap();
    let operator = Operator { data: &data, password_file: &password_file };
    let (code, _, error) = operator.run(&["clients", "list"]);
    assert!(code != 0 && !data.exists(), "a list makes no installation: {error}");
    assert_eq!(finished(chipq(&["migrate", "--data"]).arg(&data)).0, 0);

    let reason = ["--reason", "r"];
    let cases: [(&[&str], i32, &str); 6] = [
        (&["accounts", "create", "ada", "--role", "auditor"], 65, "guessed early"),
        (&["accounts", "create", "ada", "--role", "station"], 65, ""),
        (&["clients", "create", "aoi-1", "--role", "station"], 65, "--station AOI-1"),
        (&["clients", "create", "judge", "--role", "auditor"], 65, "platform's own"),
        (&["clients", "create", "ä", "--role", "auditor"], 64, "letters a to z"),
        (&["clients", "rotate", "nobody"], 65, "chipq clients list"),
    ];
    for (arguments, code, said) in cases {
        let (ended, _, error) = operator.run(&[arguments, &reason].concat());
        assert!(ended == code && error.contains(said), "{arguments:?}: {ended} {error}");
    }
    let (code, _, error) = operator.run(&["clients", "create", "mes", "--role", "auditor"]);
    assert!(code == 64 && error.contains("--reason"), "{error}");
}
