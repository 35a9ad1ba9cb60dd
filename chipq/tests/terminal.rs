//! What `up` and `demo` do on a terminal: a whole demo, and errors that say what to do.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;

use std::net::TcpListener;
use std::process::Command;

use platform::{Platform, chipq, finished, folder};

/// Insists on two lines: what happened, and what to do next.
fn assert_failed(command: &mut Command, code: i32, what: &str, next: &str) {
    let (ended, _, said) = finished(command);
    assert_eq!(ended, code, "{said}");
    let lines: Vec<&str> = said.lines().collect();
    let [.., first, second] = lines.as_slice() else { panic!("{said}") };
    assert!(first.starts_with("error: ") && first.contains(what), "{said}");
    assert!(second.starts_with("  next: ") && second.contains(next), "{said}");
    assert!(!said.contains("panicked") && !said.contains("Os {"), "{said}");
}

#[test]
fn a_demo_judges_every_board_shows_what_came_of_it_and_leaves_nothing_running() {
    let folder = folder();
    let data = folder.path().join("data");
    let demo = ["demo", "--once", "--count", "6", "--listen", "127.0.0.1:0", "--data"];
    let (code, said, errors) = finished(chipq(&demo).arg(&data));
    assert_eq!(code, 0, "{said}\n{errors}");
    let rows = said.lines().filter(|line| line.starts_with("000")).count();
    assert_eq!(rows, 6, "{said}");
    for shown in ["agreement", "escapes", "yield", "p50", "p99", "GraphiQL", "curl"] {
        assert!(said.contains(shown), "no {shown} in:\n{said}");
    }
    let saved = |entry: std::fs::DirEntry| entry.path().extension().is_some_and(|e| e == "pdf");
    assert!(std::fs::read_dir(&data).unwrap().any(|entry| saved(entry.unwrap())));
    assert_eq!(platform::postmaster(&data), None, "PostgreSQL was left running");
}

#[test]
fn a_demo_pushes_the_boards_of_a_folder() {
    let folder = folder();
    let boards = folder.path().join("boards");
    let generate = ["generate-boards", "--count", "2", "--seed", "5", "--out"];
    assert_eq!(finished(chipq(&generate).arg(&boards)).0, 0);
    let demo = ["demo", "--once", "--listen", "127.0.0.1:0", "--boards"];
    let data = folder.path().join("data");
    let (code, said, errors) = finished(chipq(&demo).arg(&boards).arg("--data").arg(&data));
    assert_eq!(code, 0, "{said}\n{errors}");
    assert!(said.contains("00000001"), "{said}");
}

#[test]
fn a_port_that_is_taken_is_named_with_a_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = folder();
    let mut command = chipq(&["up", "--listen", &address, "--data"]);
    assert_failed(command.arg(folder.path()), 69, "is taken", "--listen");
}

#[test]
fn a_missing_postgresql_is_named_with_the_package_to_install() {
    let folder = folder();
    let mut command = chipq(&["up", "--listen", "127.0.0.1:0", "--data"]);
    let command = command.arg(folder.path().join("data"));
    command.env("CHIPQ_POSTGRES_BIN", folder.path());
    assert_failed(command, 69, "PostgreSQL is not installed", "apt-get install postgresql");
}

#[test]
fn a_data_folder_that_is_a_file_is_refused_with_a_way_out() {
    let folder = folder();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mut command = chipq(&["up", "--listen", "127.0.0.1:0", "--data"]);
    assert_failed(command.arg(&file), 73, "cannot use", "--data DIR");
}

#[test]
fn a_database_that_does_not_answer_is_named() {
    let mut command = chipq(&["migrate", "--database-url", "postgres://a:b@127.0.0.1:1/c"]);
    let folder = folder();
    assert_failed(command.arg("--data").arg(folder.path()), 69, "127.0.0.1:1", "check");
}

#[test]
fn the_demo_user_is_not_offered_to_other_machines() {
    let folder = folder();
    let mut command = chipq(&["up", "--demo", "--listen", "0.0.0.0:0", "--data"]);
    assert_failed(command.arg(folder.path()), 64, "other machines", "leave --demo out");
}

#[test]
fn a_projection_that_does_not_exist_is_answered_with_those_that_do() {
    let folder = folder();
    let mut command = chipq(&["rebuild", "nonsense", "--data"]);
    assert_failed(command.arg(folder.path()), 64, "nonsense", "inspection_overview");
}

#[test]
fn a_second_platform_on_the_same_folder_is_refused() {
    let folder = folder();
    let data = folder.path().join("data");
    let first = Platform::start(&data);
    let mut second = chipq(&["up", "--listen", "127.0.0.1:0", "--data"]);
    assert_failed(second.arg(&data), 69, "another chipq", "stop that one");
    first.stop();
}

#[test]
fn a_bench_measures_every_goal() {
    let short = ["bench", "--json", "--seconds", "1", "--commands", "5", "--follow", "5"];
    let mut command = chipq(&short);
    let (code, said, errors) = finished(command.args(["--events", "300", "--idle-seconds", "0"]));
    assert_eq!(code, 0, "{errors}");
    let figures: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(figures["machine"]["cores"].as_u64() > Some(0), "{said}");
    let figures = figures["figures"].as_array().unwrap();
    assert_eq!(figures.len(), 9 + 6 * 2, "{said}");
    assert!(figures.iter().all(|figure| figure["measured"].as_f64() > Some(0.0)), "{said}");
}

#[test]
fn a_bench_of_pairs_tells_where_the_time_goes() {
    let (code, said, errors) = finished(&mut chipq(&["bench", "pairs", "--pairs", "3", "--json"]));
    assert_eq!(code, 0, "{errors}");
    let figures: serde_json::Value = serde_json::from_str(&said).unwrap();
    let stages = figures["stages"].as_array().unwrap();
    let median = |stage: &serde_json::Value| stage["median_ms"].as_f64().unwrap();
    let whole = stages.iter().find(|stage| stage["stage"] == "whole").unwrap();
    let parts = stages.iter().filter(|stage| stage["stage"] != "whole").map(median);
    assert!(parts.clone().all(|part| part > 0.0 && part < median(whole)), "{said}");
    assert_eq!(parts.count(), 8, "{said}");
    assert!(figures["pairs_per_s"].as_f64() > Some(0.0), "{said}");
}

#[test]
fn a_bench_of_pairs_that_are_not_there_says_what_to_do() {
    let folder = folder();
    let manifest = folder.path().join("manifest.json");
    let bench = || {
        let mut command = chipq(&["bench", "pairs", "--manifest"]);
        command.arg(&manifest);
        command
    };
    assert_failed(&mut bench(), 66, "cannot read", "check --manifest");
    std::fs::write(&manifest, "{}").unwrap();
    assert_failed(&mut bench(), 65, "not a manifest", "chipq generate-boards");
}

#[test]
fn a_bench_of_a_panel_tells_its_time_and_memory() {
    let (code, said, errors) =
        finished(&mut chipq(&["bench", "pairs", "--panel", "2048", "--json"]));
    assert_eq!(code, 0, "{errors}");
    let figures: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(figures["crops"].as_u64() > Some(0), "{said}");
    assert!(figures["compare_s"].as_f64() > Some(0.0), "{said}");
}

/// The documented calls by curl, as `../shared/tools/demo_flow.sh` has them.
#[test]
fn the_documented_calls_work_by_curl() {
    let shared = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let flow = shared.join("tools/demo_flow.sh");
    let images = shared.join("data/deeppcb/images");
    if !flow.exists() || !images.exists() {
        eprintln!("SKIPPED: no ../shared with demo_flow.sh and DeepPCB beside this checkout");
        return;
    }
    let folder = folder();
    let platform = Platform::start(&folder.path().join("data"));
    for (board, expected) in [("00041000_test.jpg", "fail"), ("00041000_temp.jpg", "pass")] {
        let (code, said, errors) = finished(
            Command::new("bash")
                .arg(&flow)
                .arg(&platform.url)
                .arg(images.join(board))
                .arg(images.join("00041000_temp.jpg"))
                .arg(expected),
        );
        assert_eq!(code, 0, "{said}{errors}");
    }
    platform.stop();
}
