//! What is left of a command that is killed: nothing, or what was there before it began.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/boards.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod boards;
#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use boards::boards;
use platform::{CHIPQ, chipq, finished, folder, postmaster};

/// How long what is left may take to be cleared away: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// The temporary folder of a demo, once it has one.
fn folder_of_demo(temporary: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(temporary).unwrap().map(|entry| entry.unwrap().path());
    let is_of_demo = |path: &PathBuf| path.to_string_lossy().contains("chipq-demo-");
    entries.filter(|path| is_of_demo(path)).find(|path| path.is_dir())
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(PAUSE);
    }
}

/// Kills a demo as `kill -9` does, as soon as `is_time`.
fn kill_demo(temporary: &Path, is_time: impl Fn(&Path) -> bool) {
    let mut demo = chipq(&["demo", "--count", "1", "--listen", "127.0.0.1:0"]);
    demo.env("TMPDIR", temporary).stdin(Stdio::null());
    let mut demo = demo.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // Read, so that it never waits for us.
    let said = BufReader::new(demo.stderr.take().unwrap()).lines();
    let said = std::thread::spawn(move || said.map_while(Result::ok).collect::<Vec<_>>());
    let reached = || folder_of_demo(temporary).is_some_and(|folder| is_time(&folder));
    wait_until("the demo does not begin", || reached() || demo_has_ended(&demo));
    let left = folder_of_demo(temporary).map(|folder| (postmaster(&folder), folder));
    demo.kill().unwrap();
    demo.wait().unwrap();
    let said = said.join().unwrap().join("\n");
    let (server, left) = left.unwrap_or_else(|| panic!("it ended before: {said}"));
    wait_until("its folder is still there", || !left.exists());
    let is_gone = |pid: u32| !Path::new(&format!("/proc/{pid}")).exists();
    wait_until("its PostgreSQL runs on", || server.is_none_or(is_gone));
}

fn demo_has_ended(demo: &std::process::Child) -> bool {
    !Path::new(&format!("/proc/{}/cwd", demo.id())).exists()
}

#[test]
fn a_demo_that_is_killed_leaves_neither_its_server_nor_its_folder() {
    let temporary = folder();
    // Long before it is ready, and when its server runs.
    kill_demo(temporary.path(), |_| true);
    kill_demo(temporary.path(), |folder| postmaster(folder).is_some());
    assert_eq!(folder_of_demo(temporary.path()), None);
}

#[test]
fn only_what_was_made_for_one_run_is_removed_as_abandoned() {
    let kept = folder();
    let (code, _, said) = finished(chipq(&["remove-abandoned"]).arg(kept.path()));
    assert_eq!(code, 64, "{said}");
    assert!(kept.path().exists() && said.contains("was not made for one run"), "{said}");
}

/// A `chipq` that is killed by the system when a file of its grows beyond two blocks.
fn killed_while_writing(arguments: &str, files: &[&Path]) {
    let mut command = Command::new("bash");
    command.arg("-c").arg(format!("ulimit -f 2; exec \"$0\" {arguments}")).arg(CHIPQ).args(files);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), None, "not killed: {output:?}");
}

fn visible_files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let names = entries.map(|name| name.into_string().unwrap());
    names.filter(|name| !name.starts_with('.')).collect()
}

#[test]
fn an_evaluation_that_is_killed_while_it_writes_leaves_the_predictions_before_it() {
    let folder = folder();
    boards(folder.path(), 12, 0);
    let manifest = folder.path().join("manifest.json");
    let out = folder.path().join("predictions.jsonl");
    std::fs::write(&out, "of yesterday").unwrap();
    killed_while_writing("evaluate --manifest \"$1\" --out \"$2\"", &[&manifest, &out]);
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "of yesterday");
    std::fs::remove_file(&out).unwrap();
    killed_while_writing("evaluate --manifest \"$1\" --out \"$2\"", &[&manifest, &out]);
    assert!(!out.exists());
}

#[test]
fn an_annotated_picture_is_written_whole_or_not_at_all() {
    let folder = folder();
    let pair = &boards(folder.path(), 1, 0)[0];
    let out = folder.path().join("found.png");
    std::fs::write(&out, "of yesterday").unwrap();
    let files = [out.as_path(), &pair.golden, &pair.test];
    killed_while_writing("inspect --annotate \"$1\" \"$2\" \"$3\"", &files);
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "of yesterday");
}

#[test]
fn a_folder_of_boards_has_a_manifest_only_when_all_of_them_are_there() {
    let folder = folder();
    let out = folder.path();
    let (code, _, said) = finished(chipq(&["generate-boards", "--count", "1", "--out"]).arg(out));
    assert_eq!(code, 0, "{said}");
    let before = visible_files(&out.join("images"));
    killed_while_writing("generate-boards --count 2 --seed 9 --force --out \"$1\"", &[out]);
    assert!(!out.join("manifest.json").exists(), "it spoke of pictures that may be others now");
    assert_eq!(visible_files(&out.join("images")), before, "no picture is there in part");
    for name in before {
        assert!(image::open(out.join("images").join(&name)).is_ok(), "{name}");
    }
}

#[test]
fn manual_pages_are_written_whole_or_not_at_all() {
    let folder = folder();
    let pages = folder.path().join("man1");
    killed_while_writing("manual-pages \"$1\"", &[&pages]);
    assert!(visible_files(&pages).is_empty());
}
