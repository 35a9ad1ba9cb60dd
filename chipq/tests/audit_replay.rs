//! The log replayed as of earlier moments, beside a platform that serves: what was served then comes out again, and
//! what came later is not in it.
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

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::platform::event_log::postgres::PostgresEventLog;
use ::platform::event_log::{EventLog, EventMetadata, Position};
use ::platform::execute::{Request, execute};
use ::platform::postgres::{self, DatabaseConfig, Pool};
use domain::{Inspection, InspectionCommand, RetentionClass};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use boards::{Pair, boards};
use platform::{Platform, chipq, finished, folder};
use station::Station;

const RECIPE: &str = "/v1/parts/PCB-1/recipe-revisions";

/// Posts a command that must be accepted.
async fn send(station: &Station, path: &str, key: &str, body: Option<Value>) -> Value {
    let (status, said) = station.post(path, key, body.as_ref()).await.unwrap();
    assert!(status.is_success(), "{path}: {status} {said}");
    said
}

/// Announces a picture and uploads it.
async fn upload(station: &Station, path: &str, key: &str, picture: &Path) {
    let announced = send(station, path, key, None).await;
    let picture = std::fs::read(picture).unwrap();
    let url = announced["upload_url"].as_str().unwrap();
    let (status, said) = station.put(url, &picture).await.unwrap();
    assert!(status.is_success(), "{said}");
}

/// A board, judged: its inspection and its report.
async fn judge(station: &Station, pair: &Pair, key: &str) -> (String, String) {
    let body = json!({ "lot": "L-1", "part": "PCB-1", "station": "AOI-1" });
    let opened = send(station, "/v1/inspections", key, Some(body)).await;
    let id = opened["inspection_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/inspections/{id}/artifacts?type=image/png");
    upload(station, &path, &format!("{key}-picture"), &pair.test).await;
    send(station, &format!("/v1/inspections/{id}/infer"), &format!("{key}-infer"), None).await;
    let report = station.report(&id).await;
    (id, report["report_id"].as_str().unwrap().to_owned())
}

/// What serves of an inspection.
#[derive(Debug, PartialEq)]
struct Served {
    rest: Value,
    graphql: Value,
    json: Vec<u8>,
    pdf: Vec<u8>,
}

const QUERY: &str =
    "query ($id: ID!) { inspection(id: $id) { state judgement version judgedAt defectCount
    artifacts { id state sha256 retiredAt modelSha256 borderPx url coverage { comparedShare } }
    defects { id class confidence box { x } inspection { version } } rules { rule count }
    report { id judgement inspection { version } } timeline { sequence eventType actor } } }";

async fn serve(station: &Station, (inspection, report): &(String, String)) -> Served {
    let (status, rest) = station.get(&format!("/v1/inspections/{inspection}")).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    let graphql = station.graphql(QUERY, json!({ "id": inspection })).await;
    let read = async |accept: &str| {
        let path = format!("/v1/reports/{report}");
        let answer = station.request(Method::GET, &path).header("Accept", accept).send().await;
        let answer = answer.unwrap().error_for_status().unwrap();
        answer.bytes().await.unwrap().to_vec()
    };
    let (json, pdf) = (read("application/json").await, read("application/pdf").await);
    Served { rest, graphql, json, pdf }
}

/// The log and the database beneath a platform.
struct Beneath {
    pool: Pool,
    log: Arc<dyn EventLog>,
}

impl Beneath {
    async fn open(data: &Path) -> Self {
        let url = std::fs::read_to_string(data.join("private-postgres-url")).unwrap();
        let pool = postgres::connect(&DatabaseConfig::from_url(url)).await.unwrap();
        let log = Arc::new(PostgresEventLog::new(pool.clone()));
        Self { pool, log }
    }

    async fn head(&self) -> Position {
        self.log.end().await.unwrap().position
    }

    /// Retires the pictures of a board that was judged so, as the retention policy does.
    async fn retire(&self, inspection: &str, judgement: &Value) {
        let class = match judgement.as_str().unwrap() {
            "pass" => RetentionClass::Pass,
            "review" => RetentionClass::Review,
            _ => RetentionClass::Fail,
        };
        let request = Request::<Inspection> {
            aggregate_id: inspection.to_owned(),
            command: InspectionCommand::RetirePictures { class, policy_revision: 1 },
            is_new: false,
            if_match: None,
            metadata: EventMetadata::by_service("picture-retention"),
        };
        execute(&*self.log, request).await.unwrap();
    }

    /// What replays have left in the database.
    async fn leftovers(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM projection_checkpoints WHERE status = 'replaying'")
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }
}

/// `chipq audit replay` of a platform's folder: exit code, what it said, what it wrote.
struct Replayed {
    code: i32,
    said: String,
    into: PathBuf,
}

fn replay(data: &Path, at: &str, name: &str, more: &[&str]) -> Replayed {
    let into = data.with_file_name(name);
    let mut command = chipq(&["audit", "replay", "--at", at, "--data"]);
    command.arg(data).arg("--into").arg(&into).args(more);
    let (code, out, err) = finished(&mut command);
    Replayed { code, said: format!("{out}{err}"), into }
}

impl Replayed {
    fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.into.join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}; {}", self.said))
    }

    fn rows(&self, table: &str) -> Vec<Value> {
        let lines = String::from_utf8(self.file(&format!("read_models/{table}.jsonl"))).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn assert_reports(&self, reports: &[(&str, &Served)]) {
        let found = std::fs::read_dir(self.into.join("reports")).unwrap().count();
        assert_eq!(found, 2 * reports.len(), "{}", self.said);
        for (report, served) in reports {
            assert!(
                self.file(&format!("reports/{report}.json")) == served.json,
                "JSON of {report}"
            );
            assert!(self.file(&format!("reports/{report}.pdf")) == served.pdf, "PDF of {report}");
        }
    }

    /// Two boards by one recipe, before the picture of the first was retired.
    fn assert_as_of_then(&self, reports: [(&str, &Served); 2]) {
        assert_eq!(self.code, 0, "{}", self.said);
        self.assert_reports(&reports);
        assert_eq!(self.rows("inspections").len(), 2);
        assert_eq!(self.rows("recipe_revisions").len(), 1);
        assert!(self.rows("artifacts").iter().all(|row| row["retired_at"].is_null()));
        for said in [
            "1 of 2 reports serve today as they were then, byte for byte (JSON and PDF)",
            "since PicturesRetired at position",
        ] {
            assert!(self.said.contains(said), "{}", self.said);
        }
    }
}

/// The file below a folder whose name contains `part`.
fn find_file(folder: &Path, part: &str) -> Option<PathBuf> {
    std::fs::read_dir(folder).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        let is_it = path.file_name().unwrap().to_string_lossy().contains(part);
        if path.is_dir() { find_file(&path, part) } else { is_it.then_some(path) }
    })
}

/// The APIs answer as of each moment what they answered then.
async fn assert_served_as_of(station: &Station, cases: &[(&(String, String), String, &Served)]) {
    for (board, at, served) in cases {
        let path = format!("/v1/inspections/{}?as_of={at}", board.0);
        assert_eq!(station.get(&path).await.unwrap().1, served.rest, "{at}");
        let query = QUERY
            .replace("($id: ID!)", "($id: ID!, $at: String)")
            .replace("(id: $id)", "(id: $id, asOf: $at)");
        let data = station.graphql(&query, json!({ "id": board.0, "at": at })).await;
        assert_eq!(data, served.graphql, "{at}");
        let report = station.get(&format!("/v1/reports/{}?as_of={at}", board.1)).await.unwrap();
        assert_eq!(report.1, serde_json::from_slice::<Value>(&served.json).unwrap(), "{at}");
    }
}

/// A picture that is altered, or gone, though no event says so, is a difference.
fn assert_missed_picture(data: &Path, picture: &str, (at, inspection): (&str, &str)) {
    let file = find_file(&data.join("artifacts"), picture).expect("the picture's file");
    for (bytes, said) in [(Some("altered"), "has digest"), (None, "is not at rest any more")] {
        match bytes {
            Some(bytes) => std::fs::write(&file, bytes).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let faulty = replay(data, at, said, &["--inspection", inspection]);
        assert_eq!(faulty.code, 1, "{}", faulty.said);
        assert!(faulty.said.contains(said), "{}", faulty.said);
    }
}

/// A report that serves and is not what follows from the events is a difference.
async fn assert_altered_report(
    data: &Path,
    beneath: &Beneath,
    (at, report, then): (&str, &str, &Served),
) {
    let serving: i32 = sqlx::query_scalar(
        "SELECT generation FROM projection_checkpoints WHERE projection = 'reports' AND status = 'serving'",
    )
    .fetch_one(&beneath.pool)
    .await
    .unwrap();
    let alter = format!(
        "UPDATE reports_g{serving}.reports SET document = replace(document::text, 'AOI-1', 'AOI-2')::json
         WHERE report_id = $1"
    );
    let altered: uuid::Uuid = report.parse().unwrap();
    sqlx::query(&alter).bind(altered).execute(&beneath.pool).await.unwrap();
    let differs = replay(data, at, "differs", &[]);
    assert_eq!(differs.code, 1, "{}", differs.said);
    let said =
        format!("report {report}: its JSON serves otherwise than it follows from the events");
    assert!(differs.said.contains(&said), "{}", differs.said);
    assert!(differs.file(&format!("reports/{report}.json")) == then.json);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_served_comes_out_again_as_of_then_and_nothing_that_came_later() {
    let folder = folder();
    let pairs = boards(&folder.path().join("boards"), 4, 50);
    let data = folder.path().join("data");
    let platform = Platform::start(&data);
    let station = Station::sign_in(&platform.url).await;
    send(&station, "/v1/parts", "part", Some(json!({ "part": "PCB-1" }))).await;
    let golden = "/v1/parts/PCB-1/golden-sample?type=image/png";
    upload(&station, golden, "golden", &pairs[0].golden).await;
    let first = judge(&station, &pairs[0], "first").await;
    let second = judge(&station, &pairs[1], "second").await;
    let (first_then, second_then) = (serve(&station, &first).await, serve(&station, &second).await);
    let beneath = Beneath::open(&data).await;
    let then = beneath.head().await;
    let time = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);

    let stricter = json!({
        "fail_at": 0.3, "review_at": 0.1, "bend_max_px": 10, "views": [], "reason": "escapes",
        "area": { "region_of_interest": null, "keep_outs": [], "tolerated": [] },
    });
    send(&station, RECIPE, "stricter", Some(stricter)).await;
    beneath.retire(&first.0, &first_then.rest["judgement"]).await;
    let third = judge(&station, &pairs[2], "third").await;
    let third_now = serve(&station, &third).await;
    let first_now = serve(&station, &first).await;
    assert_eq!(first_now.json, first_then.json);
    assert_ne!(first_now.pdf, first_then.pdf, "its picture was retired");
    let now = beneath.head().await;

    // The APIs answer as of then what they answered then, and as of now what they answer now.
    assert_served_as_of(
        &station,
        &[
            (&first, then.to_string(), &first_then),
            (&first, time.clone(), &first_then),
            (&second, then.to_string(), &second_then),
            (&first, now.to_string(), &first_now),
            (&third, now.to_string(), &third_now),
        ],
    )
    .await;
    for path in [format!("inspections/{}", third.0), format!("reports/{}", third.1)] {
        let (status, _) = station.get(&format!("/v1/{path}?as_of={then}")).await.unwrap();
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }

    // As of then.
    let replayed = replay(&data, &then.to_string(), "then", &[]);
    replayed.assert_as_of_then([(&first.1, &first_now), (&second.1, &second_then)]);
    let mut inspections = replayed.rows("inspections").into_iter();
    let of_first = inspections.find(|row| row["inspection_id"] == *first.0).unwrap();
    assert_eq!(of_first["version"], first_then.rest["version"]);

    // By time it is the same; of one inspection it is that one.
    let by_time = replay(&data, &time, "by-time", &[]);
    assert_eq!((by_time.code, by_time.rows("timeline")), (0, replayed.rows("timeline")));
    let of_one = replay(&data, &then.to_string(), "of-one", &["--inspection", &second.0]);
    assert_eq!(of_one.code, 0, "{}", of_one.said);
    of_one.assert_reports(&[(&second.1, &second_then)]);
    assert!(
        of_one.said.contains("1 of 1 reports serve today as they were then"),
        "{}",
        of_one.said
    );

    // As of now it is what serves.
    let whole = replay(&data, &now.to_string(), "now", &[]);
    assert_eq!(whole.code, 0, "{}", whole.said);
    assert!(whole.said.contains("3 of 3 reports serve today as they were then"), "{}", whole.said);
    let all = [(&*first.1, &first_now), (&*second.1, &second_then), (&*third.1, &third_now)];
    whole.assert_reports(&all);
    assert_eq!(whole.rows("recipe_revisions").len(), 2);

    let picture = third_now.rest["artifacts"][0]["artifact_id"].as_str().unwrap();
    assert_missed_picture(&data, picture, (&now.to_string(), &third.0));
    assert_altered_report(&data, &beneath, (&then.to_string(), &second.1, &second_then)).await;
    assert_eq!(beneath.leftovers().await, 0);
    assert_eq!(beneath.head().await, now, "nothing was written to the log");
    platform.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_that_the_log_does_not_have_is_told_in_a_sentence_and_nothing_is_left_behind() {
    let folder = folder();
    let pairs = boards(&folder.path().join("boards"), 1, 0);
    let data = folder.path().join("data");
    let platform = Platform::start(&data);
    let station = Station::sign_in(&platform.url).await;
    send(&station, "/v1/parts", "part", Some(json!({ "part": "PCB-1" }))).await;
    let before = Beneath::open(&data).await.head().await;
    upload(&station, "/v1/parts/PCB-1/golden-sample?type=image/png", "golden", &pairs[0].golden)
        .await;
    let judged = judge(&station, &pairs[0], "first").await;
    let beneath = Beneath::open(&data).await;
    let id = ["--inspection", &judged.0];
    for (at, more, said) in [
        ("999999", &[][..], "is beyond the log"),
        ("0", &[], "is before the log's first event, which is at position"),
        ("2001-01-01T00:00:00Z", &[], "is before the log's first event"),
        ("2999-01-01T00:00:00Z", &[], "has not come yet"),
        ("2026-01-31", &[], "is a date alone"),
        ("2026-01-31T12:00:00", &[], "lacks its offset from UTC"),
        (&before.to_string(), &id, "was created later, at position"),
        ("1", &["--inspection", "00000000-0000-0000-0000-000000000001"], "there is no inspection"),
    ] {
        let refused = replay(&data, at, "refused", more);
        assert_eq!(refused.code, 64, "{at}: {}", refused.said);
        assert!(refused.said.contains(said), "{at}: {}", refused.said);
        assert!(!refused.into.exists());
    }

    // A replay that was killed is cleared away by the next; one that is under way is left alone.
    let killed = "WITH made AS (INSERT INTO projection_checkpoints (projection, generation, status, schema_version)
            VALUES ('reports', 4711, 'replaying', 1), ('reports', 4712, 'replaying', 1) RETURNING 1)
        SELECT count(*), pg_advisory_lock(778, hashtext('reports_g4712'))::text FROM made";
    let mut other = beneath.pool.acquire().await.unwrap();
    sqlx::query(killed).execute(&mut *other).await.unwrap();
    assert_eq!(beneath.leftovers().await, 2);
    let end = beneath.head().await.to_string();
    let replayed = replay(&data, &end, "clears", &[]);
    assert_eq!(replayed.code, 0, "{}", replayed.said);
    assert_eq!(beneath.leftovers().await, 1);
    drop(other);
    platform.stop();
}
