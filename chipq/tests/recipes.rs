//! A recipe that leaves a flaw out on purpose, through one `chipq up`: what is judged after it passes and says
//! what was not inspected, what was opened before it fails as it would have; and two views of a board.
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

use boards::{Pair, boards};
use platform::{Platform, folder};
use station::Station;

/// Around a flaw, pixels: what a crop sees of it, and by how much the picture may lie beside.
const MARGIN: u64 = 24;
/// The pictures' sides.
const SIDE: u64 = 640;

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

async fn open(station: &Station, key: &str) -> String {
    let body = json!({ "lot": "L-1", "part": "PCB-1", "station": "AOI-1" });
    let opened = send(station, "/v1/inspections", key, Some(body)).await;
    opened["inspection_id"].as_str().unwrap().to_owned()
}

/// Uploads these pictures as these views, asks for the verdict, and waits for the report.
async fn judge(station: &Station, id: &str, pictures: &[(&Path, &str)]) -> Value {
    for (picture, view) in pictures {
        let path = format!("/v1/inspections/{id}/artifacts?type=image/png{view}");
        upload(station, &path, &format!("{id}{view}"), picture).await;
    }
    let infer = format!("/v1/inspections/{id}/infer");
    send(station, &infer, &format!("{id}-infer"), None).await;
    let listed = station.report(id).await;
    let path = format!("/v1/reports/{}", listed["report_id"].as_str().unwrap());
    let (status, report) = station.get(&path).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{report}");
    let pdf = station.request(Method::GET, &path).header("Accept", "application/pdf");
    ::platform::test_support::keep_pdf(&pdf.send().await.unwrap().bytes().await.unwrap());
    report
}

async fn register(station: &Station) {
    send(station, "/v1/parts", "part", Some(json!({ "part": "PCB-1" }))).await;
}

/// The factory's thresholds with keep-outs and views.
fn recipe(keep_outs: &[Value], views: &[&str], reason: &str) -> Value {
    json!({
        "fail_at": 0.5,
        "review_at": 0.25,
        "area": { "region_of_interest": null, "keep_outs": keep_outs, "tolerated": [] },
        "bend_max_px": 10,
        "views": views,
        "reason": reason,
    })
}

/// A keep-out over each flaw.
fn over_flaws(pair: &Pair) -> Vec<Value> {
    let keep_out = |[left, top, right, bottom]: &[u64; 4]| {
        let (x, y) = (left.saturating_sub(MARGIN), top.saturating_sub(MARGIN));
        let (right, bottom) = ((right + MARGIN).min(SIDE), (bottom + MARGIN).min(SIDE));
        json!({ "x": x, "y": y, "width": right - x, "height": bottom - y })
    };
    pair.flaws.iter().map(keep_out).collect()
}

#[tokio::test]
async fn a_flaw_that_a_new_recipe_keeps_out_passes_and_the_open_inspection_keeps_the_old_recipe() {
    let folder = folder();
    let pairs = boards(&folder.path().join("boards"), 6, 0);
    let board = pairs.iter().min_by_key(|pair| pair.defects).expect("a defective board");
    let platform = Platform::start(&folder.path().join("data"));
    let station = Station::sign_in(&platform.url).await;
    register(&station).await;
    let golden = "/v1/parts/PCB-1/golden-sample?type=image/png";
    upload(&station, golden, "golden", &board.golden).await;
    let before = open(&station, "before").await;

    let keep_outs = over_flaws(board);
    let body = recipe(&keep_outs, &[], "fitted by hand");
    let part = send(&station, "/v1/parts/PCB-1/recipe-revisions", "revise", Some(body)).await;
    assert_eq!(part["recipe"]["revision"], 2, "{part}");
    let after = open(&station, "after").await;

    let failed = judge(&station, &before, &[(&board.test, "")]).await;
    assert_eq!((&failed["judgement"], &failed["recipe"]["revision"]), (&json!("fail"), &json!(1)));
    let passed = judge(&station, &after, &[(&board.test, "")]).await;
    assert_eq!(passed["judgement"], "pass", "{passed:#}");
    assert_eq!(passed["recipe"]["revision"], 2);
    assert_eq!(passed["recipe"]["area"]["keep_outs"], json!(keep_outs));
    let coverage = &passed["artifacts"][0]["outcome"]["coverage"];
    assert!(coverage["excluded_pixels"].as_u64().unwrap() > 0, "{coverage}");
    assert!(!coverage["excluded"].as_array().unwrap().is_empty(), "{coverage}");
    assert_eq!(coverage["uncovered"], json!([]), "{coverage}");

    let (_, revisions) = station.get("/v1/parts/PCB-1/recipe-revisions").await.unwrap();
    let revision = &revisions["items"][0];
    assert_eq!(
        (&revision["actor"], &revision["reason"]),
        (&json!("demo"), &json!("fitted by hand"))
    );
    platform.stop();
}

#[tokio::test]
async fn a_board_of_two_views_passes_when_each_is_seen_once() {
    let folder = folder();
    let pairs = boards(&folder.path().join("boards"), 4, 100);
    let [top, bottom, ..] = &pairs[..] else { panic!("four boards") };
    let platform = Platform::start(&folder.path().join("data"));
    let station = Station::sign_in(&platform.url).await;
    register(&station).await;
    let body = recipe(&[], &["top", "bottom"], "two sides");
    send(&station, "/v1/parts/PCB-1/recipe-revisions", "revise", Some(body)).await;
    for (view, pair) in [("top", top), ("bottom", bottom)] {
        let path = format!("/v1/parts/PCB-1/golden-sample?type=image/png&view={view}");
        upload(&station, &path, view, &pair.golden).await;
    }
    let (top, bottom) = (top.test.as_path(), bottom.test.as_path());
    for (key, pictures, judgement, rules) in [
        (
            "both",
            &[(top, "&view=top"), (bottom, "&view=bottom")][..],
            "pass",
            &["nothing-found"][..],
        ),
        ("one", &[(top, "&view=top")], "review", &["missing-view"]),
        (
            "another",
            &[(top, "&view=top"), (bottom, "")],
            "review",
            &["not-compared", "missing-view", "unknown-view"],
        ),
    ] {
        let id = open(&station, key).await;
        let report = judge(&station, &id, pictures).await;
        assert_eq!(report["judgement"], judgement, "{key}: {report:#}");
        let fired = report["rules"].as_array().unwrap().iter().map(|rule| &rule["rule"]);
        assert_eq!(fired.collect::<Vec<_>>(), rules, "{key}");
    }
    platform.stop();
}
