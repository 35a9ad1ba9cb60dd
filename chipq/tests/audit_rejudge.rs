//! Boards judged again by another recipe or network: which change is said exactly, and nothing is written to the log.
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

use ::platform::event_log::postgres::PostgresEventLog;
use ::platform::event_log::{EventLog as _, EventMetadata, Position};
use ::platform::execute::{Request, execute};
use ::platform::postgres::{self, DatabaseConfig};
use domain::{Inspection, InspectionCommand, RetentionClass};
use serde_json::{Value, json};

use boards::{Pair, boards};
use platform::{Platform, chipq, finished, folder};
use station::Station;

async fn send(station: &Station, path: &str, key: &str, body: Option<Value>) -> Value {
    let (status, said) = station.post(path, key, body.as_ref()).await.unwrap();
    assert!(status.is_success(), "{path}: {status} {said}");
    said
}

async fn upload(station: &Station, path: &str, key: &str, picture: &Path) {
    let announced = send(station, path, key, None).await;
    let picture = std::fs::read(picture).unwrap();
    let url = announced["upload_url"].as_str().unwrap();
    assert!(station.put(url, &picture).await.unwrap().0.is_success());
}

/// A board, judged: its inspection, and its judgement.
async fn judge(station: &Station, pair: &Pair, key: &str) -> (String, String) {
    let body = json!({ "lot": "L-1", "part": "PCB-1", "station": "AOI-1" });
    let opened = send(station, "/v1/inspections", key, Some(body)).await;
    let id = opened["inspection_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/inspections/{id}/artifacts?type=image/png");
    upload(station, &path, &format!("{key}-picture"), &pair.test).await;
    send(station, &format!("/v1/inspections/{id}/infer"), &format!("{key}-infer"), None).await;
    let report = station.report(&id).await;
    (id, report["judgement"].as_str().unwrap().to_owned())
}

fn recipe(keep_outs: &Value, (fail_at, review_at): (f64, f64), views: &[&str]) -> Value {
    let area = json!({ "region_of_interest": null, "keep_outs": keep_outs, "tolerated": [] });
    json!({ "fail_at": fail_at, "review_at": review_at, "bend_max_px": 10, "views": views, "area": area, "reason": "a try" })
}

/// What `chipq audit rejudge` wrote.
struct Rejudged {
    said: String,
    boards: Vec<Value>,
    totals: Value,
    page: String,
}

fn rejudge(data: &Path, name: &str, arguments: &[&str]) -> Rejudged {
    let out = data.with_file_name(name);
    let mut command = chipq(&["audit", "rejudge", "--to", &end(), "--data"]);
    command.arg(data).arg("--out").arg(&out).args(arguments);
    let (code, said, err) = finished(&mut command);
    assert_eq!(code, 0, "{said}{err}");
    let read = |file: &str| std::fs::read_to_string(out.join(file)).unwrap();
    let boards =
        read("boards.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary: Value = serde_json::from_str(&read("rejudge.json")).unwrap();
    Rejudged { said, boards, totals: summary["totals"].clone(), page: read("index.html") }
}

fn end() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

impl Rejudged {
    fn of(&self, inspection: &str) -> &Value {
        self.boards.iter().find(|board| board["inspection_id"] == inspection).unwrap()
    }

    fn assert_changes(&self, expected: &[(&str, &str)]) {
        assert_eq!(self.boards.len(), expected.len(), "{}", self.said);
        for (inspection, change) in expected {
            assert_eq!(self.of(inspection)["change"], *change, "{:#}", self.of(inspection));
        }
        let count = |change: &str| expected.iter().filter(|(_, word)| *word == change).count();
        for (total, change) in [
            ("unchanged", "unchanged"),
            ("newly_fail", "newly-fails"),
            ("newly_pass", "newly-passes"),
            ("newly_review", "newly-review"),
            ("not_judged_again", "not-judged-again"),
        ] {
            assert_eq!(self.totals[total], count(change), "{change}: {}", self.said);
        }
        let pictures = self.page.matches("data:image/jpeg;base64,").count();
        let changed = expected.iter().filter(|(_, word)| word.starts_with("newly")).count();
        assert!(pictures <= changed && (changed == 0 || pictures > 0), "{pictures} of {changed}");
    }
}

async fn retire_pictures(log: &PostgresEventLog, inspection: &str) {
    let retire = Request::<Inspection> {
        aggregate_id: inspection.to_owned(),
        command: InspectionCommand::RetirePictures {
            class: RetentionClass::Fail,
            policy_revision: 1,
        },
        is_new: false,
        if_match: None,
        metadata: EventMetadata::by_service("picture-retention"),
    };
    execute(log, retire).await.unwrap();
}

/// What cannot be judged by is told, with what to do.
fn assert_refusals(data: &Path, head: &str, network: &str) {
    let refuse = |arguments: &[&str]| {
        let mut command = chipq(&["audit", "rejudge", "--data"]);
        command.arg(data).args(arguments);
        let (code, out, err) = finished(&mut command);
        (code, format!("{out}{err}"))
    };
    let (code, said) = refuse(&["--from", "0", "--to", "1", "--model", "nobody@9"]);
    assert!(code == 65 && said.contains("there is no network nobody"), "{code}: {said}");
    let (code, said) = refuse(&["--from", head, "--to", "1", "--model", network]);
    assert!(code == 64 && said.contains("name a --to that is later"), "{code}: {said}");
    let file = data.with_file_name("wrong.json");
    std::fs::write(&file, r#"{"fail_at": 0.5, "treshold": 1}"#).unwrap();
    let (code, said) = refuse(&["--from", "0", "--to", "1", "--recipe", file.to_str().unwrap()]);
    assert!(code == 65 && said.contains("it has no field treshold"), "{code}: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_recipe_says_exactly_which_boards_change_and_the_log_stays_as_it_is() {
    let folder = folder();
    let pairs = boards(&folder.path().join("boards"), 6, 50);
    let flawed: Vec<&Pair> = pairs.iter().filter(|pair| pair.defects > 0).take(2).collect();
    let clean = pairs.iter().find(|pair| pair.defects == 0).expect("a clean board");
    let data = folder.path().join("data");
    let platform = Platform::start(&data);
    let station = Station::sign_in(&platform.url).await;
    send(&station, "/v1/parts", "part", Some(json!({ "part": "PCB-1" }))).await;
    upload(&station, "/v1/parts/PCB-1/golden-sample?type=image/png", "golden", &clean.golden).await;
    let good = judge(&station, clean, "clean").await;
    let bad = judge(&station, flawed[0], "flawed").await;
    let other = judge(&station, flawed[1], "flawed-too").await;
    assert_eq!((&*good.1, &*bad.1, &*other.1), ("pass", "fail", "fail"));
    let url = std::fs::read_to_string(data.join("private-postgres-url")).unwrap();
    let log =
        PostgresEventLog::new(postgres::connect(&DatabaseConfig::from_url(url)).await.unwrap());
    retire_pictures(&log, &other.0).await;
    let head = log.head().await.unwrap();
    let tried = |name: &str, recipe: &Value| {
        let file = data.with_file_name(format!("{name}.json"));
        std::fs::write(&file, recipe.to_string()).unwrap();
        rejudge(&data, name, &["--from", "0", "--recipe", file.to_str().unwrap()])
    };

    // By the stored results: stricter, laxer, and as it was.
    let none = json!([]);
    let strict = tried("strict", &recipe(&none, (0.5, 0.25), &["top"]));
    strict.assert_changes(&[
        (&good.0, "newly-review"),
        (&bad.0, "unchanged"),
        (&other.0, "unchanged"),
    ]);
    assert_eq!(strict.totals["compared_again"], 0);
    let lax = tried("lax", &recipe(&none, (1.0, 0.5), &[]));
    lax.assert_changes(&[
        (&good.0, "unchanged"),
        (&bad.0, "newly-review"),
        (&other.0, "newly-review"),
    ]);
    let same = tried("same", &recipe(&none, (0.5, 0.25), &[]));
    same.assert_changes(&[(&good.0, "unchanged"), (&bad.0, "unchanged"), (&other.0, "unchanged")]);

    // By the pictures: what is kept out is seen no more, and what was retired is not judged again.
    let around = |[left, top, right, bottom]: &[u64; 4]| {
        let (x, y) = (left.saturating_sub(24), top.saturating_sub(24));
        json!({ "x": x, "y": y, "width": (right + 24).min(640) - x, "height": (bottom + 24).min(640) - y })
    };
    let keep_outs: Vec<Value> = flawed[0].flaws.iter().map(around).collect();
    let kept_out = tried("kept-out", &recipe(&json!(keep_outs), (0.5, 0.25), &[]));
    kept_out.assert_changes(&[
        (&good.0, "unchanged"),
        (&bad.0, "newly-passes"),
        (&other.0, "not-judged-again"),
    ]);
    let why = kept_out.of(&other.0)["not_judged_again_because"].as_str().unwrap().to_owned();
    assert_eq!(
        why,
        "another area needs its pictures compared again, and its pictures were retired"
    );
    assert_eq!(kept_out.totals["compared_again"], 2);
    assert_eq!(kept_out.of(&bad.0)["old"]["judgement"], "fail");

    // By a network: the one that compared them says what it said; one that is not there is refused.
    let model = &kept_out.of(&bad.0)["old"]["model"];
    let named =
        format!("{}@{}", model["name"].as_str().unwrap(), model["version"].as_str().unwrap());
    let again = rejudge(&data, "network", &["--from", "0", "--model", &named]);
    again.assert_changes(&[
        (&good.0, "unchanged"),
        (&bad.0, "unchanged"),
        (&other.0, "not-judged-again"),
    ]);
    assert_refusals(&data, &head.to_string(), &named);

    assert_eq!(log.head().await.unwrap(), head, "nothing was written to the log");
    assert_ne!(head, Position(0));
    platform.stop();
}
