//! What is left of a command that is killed: nothing, or what was there before it began.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/boards.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod boards;
#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;

use std::path::Path;
use std::process::Command;

use boards::boards;
use platform::{CHIPQ, chipq, finished, folder};

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
