//! The whole journey through one `chipq up`: commands, verdict, reads, report, restart.
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

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use boards::{Pair, boards};
use platform::{Platform, chipq, finished, folder};
use station::{Station, answer as answer_to};

const DETAILS: &str = "query($id: ID!) { inspection(id: $id) {
    id lot part station judgement defects { class confidence box { x y width height } } } }";

/// Registers `part` with the golden sample of `pair`.
async fn register(station: &Station, part: &str, pair: &Pair) {
    let body = json!({ "part": part });
    let key = format!("{part}-part");
    let (status, said) = station.post("/v1/parts", &key, Some(&body)).await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{said}");
    let path = format!("/v1/parts/{part}/golden-sample?type=image/png");
    let (status, said) = station.post(&path, &format!("{part}-golden"), None).await.unwrap();
    assert!(status.is_success(), "{said}");
    let golden = std::fs::read(&pair.golden).unwrap();
    let (status, said) = station.put(said["upload_url"].as_str().unwrap(), &golden).await.unwrap();
    assert!(status.is_success(), "{said}");
}

/// Creates an inspection, uploads its picture, asks for inference; answers with its id.
async fn inspect(station: &Station, part: &str, key: &str, picture: &Path) -> String {
    inspect_announced(station, part, key, (picture, "")).await
}

/// The same with more said of the picture when it is announced.
async fn inspect_announced(
    station: &Station,
    part: &str,
    key: &str,
    (picture, terms): (&Path, &str),
) -> String {
    let body = json!({ "lot": "L-1", "part": part, "station": "AOI-1" });
    let (status, created) = station.post("/v1/inspections", key, Some(&body)).await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{created}");
    let id = created["inspection_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/inspections/{id}/artifacts?type=image/png{terms}");
    let (_, reserved) = station.post(&path, &format!("{key}-upload"), None).await.unwrap();
    let picture = std::fs::read(picture).unwrap();
    let url = reserved["upload_url"].as_str().unwrap();
    let (status, said) = station.put(url, &picture).await.unwrap();
    assert!(status.is_success(), "{said}");
    let infer = station
        .request(Method::POST, &format!("/v1/inspections/{id}/infer"))
        .header("Idempotency-Key", format!("{key}-infer"))
        .header("Prefer", "wait=20");
    let (status, said) = answer_to(infer).await.unwrap();
    assert!(status.is_success(), "{said}");
    assert!(status == StatusCode::ACCEPTED || said["judgement"].is_string(), "{said}");
    let answer =
        station.request(Method::GET, &format!("/v1/inspections/{id}")).header("Prefer", "wait=20");
    let (status, judged) = answer_to(answer).await.unwrap();
    assert_eq!((status, &judged["state"]), (StatusCode::OK, &json!("judged")), "{judged}");
    // What else is read of it is there by then.
    let report_id = judged["report_id"].as_str().unwrap();
    let (status, report) = station.get(&format!("/v1/reports/{report_id}")).await.unwrap();
    assert_eq!((status, &report["judgement"]), (StatusCode::OK, &judged["judgement"]));
    let (_, found) = station.get(&format!("/v1/defects?inspection_id={id}")).await.unwrap();
    let listed = found["items"].as_array().unwrap().len();
    assert_eq!(Some(listed), report["defects"].as_array().map(Vec::len), "{found}");
    id
}

async fn read_in_every_way(station: &Station, id: &str, report: &Value) {
    let report_id = report["report_id"].as_str().unwrap();
    let (status, document) = station.get(&format!("/v1/reports/{report_id}")).await.unwrap();
    assert_eq!((status, &document["inspection_id"]), (StatusCode::OK, &json!(id)));
    let pdf = station
        .request(Method::GET, &format!("/v1/reports/{report_id}"))
        .header("Accept", "application/pdf");
    ::platform::test_support::keep_pdf(&pdf.send().await.unwrap().bytes().await.unwrap());
    let (status, inspection) = station.get(&format!("/v1/inspections/{id}")).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{inspection}");
    assert_eq!(inspection["judgement"], report["judgement"]);
    let data = station.graphql(DETAILS, json!({ "id": id })).await;
    assert_eq!(data["inspection"]["id"], id);
    let listed = document["defects"].as_array().unwrap().len();
    assert_eq!(data["inspection"]["defects"].as_array().unwrap().len(), listed);
}

#[tokio::test]
async fn boards_are_judged_and_read_in_every_way_also_after_a_restart() {
    let folder = folder();
    let pairs = boards(&folder.path().join("boards"), 6, 50);
    let defective = pairs.iter().find(|pair| pair.defects > 0).expect("a defective board");
    let clean = pairs.iter().find(|pair| pair.defects == 0).expect("a clean board");
    let data = folder.path().join("data");
    let platform = Platform::start(&data);
    let station = Station::sign_in(&platform.url).await;
    register(&station, "PCB-1", defective).await;
    let mut judged = Vec::new();
    for (key, picture, part, expected) in [
        ("defective", &defective.test, "PCB-1", "FAIL"),
        ("clean", &clean.test, "PCB-1", "PASS"),
        ("unknown-part", &clean.test, "PCB-2", "REVIEW"),
    ] {
        let id = inspect(&station, part, key, picture).await;
        let report = station.report(&id).await;
        assert_eq!(report["judgement"], expected.to_lowercase(), "{key}: {report}");
        read_in_every_way(&station, &id, &report).await;
        judged.push((key, id));
    }
    // The same key again is the same inspection; with another body it is refused.
    let body = json!({ "lot": "L-1", "part": "PCB-1", "station": "AOI-1" });
    let again = station.post("/v1/inspections", "clean", Some(&body)).await.unwrap();
    assert_eq!(again.1["inspection_id"], judged[1].1.as_str(), "{again:?}");
    let other = json!({ "lot": "L-2", "part": "PCB-1", "station": "AOI-1" });
    let (status, _) = station.post("/v1/inspections", "clean", Some(&other)).await.unwrap();
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);

    looked_after_while_it_serves(&data);
    a_read_model_that_was_altered_is_found_and_repaired(&data).await;
    platform.stop();
    let platform = Platform::start(&data);
    let station = Station::sign_in(&platform.url).await;
    for (_, id) in &judged {
        let report = station.report(id).await;
        read_in_every_way(&station, id, &report).await;
    }
    platform.stop();
    looked_after_while_nobody_serves(&data);
}

/// What is found on an inspection's board and what is known of its pictures, as REST, GraphQL and the report say it.
async fn seen_in_every_way(station: &Station, id: &str) -> [(Vec<Value>, Value); 3] {
    let sorted = |found: &Value, box_mm: &str| {
        let place = |one: &Value| json!([one["box"], one[box_mm]]);
        let mut places: Vec<_> = found.as_array().unwrap().iter().map(place).collect();
        places.sort_by_key(Value::to_string);
        places
    };
    let (_, listed) = station.get(&format!("/v1/defects?inspection_id={id}")).await.unwrap();
    let (_, inspection) = station.get(&format!("/v1/inspections/{id}")).await.unwrap();
    let query = "query($id: ID!) { inspection(id: $id) { artifacts { identicalToGoldenSample }
        defects { box { x y width height } boxMm { x y width height } } } }";
    let data = station.graphql(query, json!({ "id": id })).await;
    let report_id = inspection["report_id"].as_str().unwrap();
    let (_, report) = station.get(&format!("/v1/reports/{report_id}")).await.unwrap();
    let told = |picture: &Value, field: &str| picture[field].clone();
    [
        (
            sorted(&listed["items"], "box_mm"),
            told(&inspection["artifacts"][0], "identical_to_golden_sample"),
        ),
        (
            sorted(&data["inspection"]["defects"], "boxMm"),
            told(&data["inspection"]["artifacts"][0], "identicalToGoldenSample"),
        ),
        (
            sorted(&report["defects"], "box_mm"),
            told(&report["artifacts"][0], "identical_to_golden_sample"),
        ),
    ]
}

#[tokio::test]
async fn findings_are_measured_where_the_scale_is_known_and_a_golden_sample_sent_as_a_board_is_told()
 {
    let folder = folder();
    let pair = &boards(&folder.path().join("boards"), 1, 0)[0];
    let platform = Platform::start(&folder.path().join("data"));
    let station = Station::sign_in(&platform.url).await;
    register(&station, "PCB-1", pair).await;
    let scale = 48.3;
    let terms = format!("&pixels_per_millimetre={scale}");
    let picture = (pair.test.as_path(), terms.as_str());
    let known = inspect_announced(&station, "PCB-1", "known", picture).await;
    let unknown = inspect(&station, "PCB-1", "unknown", &pair.test).await;
    let golden = inspect(&station, "PCB-1", "golden", &pair.golden).await;

    let [rest, graphql, report] = seen_in_every_way(&station, &known).await;
    assert!(!rest.0.is_empty() && rest.1 == false, "{rest:?}");
    assert!(rest == graphql && rest == report, "{rest:?}\n{graphql:?}\n{report:?}");
    for place in &rest.0 {
        for side in ["x", "y", "width", "height"] {
            let millimetres = place[0][side].as_f64().unwrap() / scale;
            let rounded = (millimetres * 1_000.0).round() / 1_000.0;
            assert_eq!(place[1][side].as_f64(), Some(rounded), "{side} of {place}");
        }
    }
    for (found, identical) in seen_in_every_way(&station, &unknown).await {
        assert_eq!((found.len(), identical), (rest.0.len(), json!(false)));
        assert!(found.iter().all(|place| place[1].is_null()), "{found:?}");
    }
    for (found, identical) in seen_in_every_way(&station, &golden).await {
        assert_eq!((found.len(), identical), (0, json!(true)));
    }
    assert_eq!(station.report(&golden).await["judgement"], "pass");
    platform.stop();
}

/// `projections`, `verify` and `rebuild` beside the platform.
fn looked_after_while_it_serves(data: &Path) {
    let (code, said, errors) = finished(chipq(&["projections", "list", "--data"]).arg(data));
    assert_eq!(code, 0, "{errors}");
    assert!(said.contains("inspection_overview") && said.contains("serving"), "{said}");
    let rebuild = ["rebuild", "reports", "--expect-identical", "--data"];
    let (code, said, errors) = finished(chipq(&rebuild).arg(data));
    assert_eq!(code, 0, "{said}{errors}");
    assert!(said.contains("generation 2 serves instead of 1"), "{said}");
    let (code, said, errors) = finished(chipq(&["verify", "--data"]).arg(data));
    assert_eq!(code, 0, "{said}{errors}");
}

/// Without this, `verify` could say that all is well whatever it finds.
async fn a_read_model_that_was_altered_is_found_and_repaired(data: &Path) {
    let url = std::fs::read_to_string(data.join("private-postgres-url")).unwrap();
    let mut database = PgConnection::connect(&url).await.unwrap();
    let altered = sqlx::query("UPDATE read.yield_hourly SET defects = defects + 1")
        .execute(&mut database)
        .await
        .unwrap();
    assert!(altered.rows_affected() > 0);
    let verify = ["verify", "yield", "--data"];
    let (code, said, errors) = finished(chipq(&verify).arg(data));
    assert_eq!(code, 1, "{said}{errors}");
    assert!(said.contains("yield_hourly") && errors.contains("chipq rebuild"), "{said}{errors}");
    let (code, _, errors) = finished(chipq(&["rebuild", "yield", "--data"]).arg(data));
    assert_eq!(code, 0, "{errors}");
    let (code, said, _) = finished(chipq(&verify).arg(data));
    assert_eq!(code, 0, "{said}");
}

/// The same on a folder that nobody serves from: the database is started for it, and stopped.
fn looked_after_while_nobody_serves(data: &Path) {
    let (code, said, errors) = finished(chipq(&["verify", "--data"]).arg(data));
    assert_eq!(code, 0, "{said}{errors}");
    assert_eq!(said.matches("equals a rebuild").count(), 6, "{said}");
    assert_eq!(platform::postmaster(data), None, "PostgreSQL was left running");
}

#[tokio::test]
async fn nothing_is_told_to_whoever_has_no_token() {
    let folder = folder();
    let platform = Platform::start(&folder.path().join("data"));
    let station = Station::sign_in(&platform.url).await;
    for path in ["/v1/inspections", "/v1/reports", "/v1/parts"] {
        let url = format!("{}{path}", platform.url);
        let answer = station.anonymous(Method::GET, &url).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in ["/healthz", "/readyz", "/metrics", "/docs/", "/graphiql"] {
        let url = format!("{}{path}", platform.url);
        let answer = station.anonymous(Method::GET, &url).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
    }
    platform.stop();
}
