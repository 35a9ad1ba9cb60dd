//! The tools that need no server, as a user types them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/boards.rs"]
mod boards;
#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;

use std::path::Path;

use serde_json::Value;

use boards::boards;
use platform::{chipq, finished};

#[test]
fn a_defective_board_fails_with_its_defects_in_json_and_in_an_annotated_picture() {
    let folder = platform::folder();
    let pair = &boards(folder.path(), 1, 0)[0];
    assert!(pair.defects > 0);
    let out = folder.path().join("found.png");
    let mut command = chipq(&["inspect", "--json", "--annotate"]);
    let (code, said, errors) = finished(command.arg(&out).arg(&pair.golden).arg(&pair.test));
    assert_eq!(code, 1, "{errors}");
    let found: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(found["judgement"], "fail");
    let defects = found["defects"].as_array().unwrap();
    assert!(!defects.is_empty());
    for field in ["class", "confidence", "grade", "box"] {
        assert!(defects[0].get(field).is_some(), "no {field} in {}", defects[0]);
    }
    assert!(found["differences"].is_array(), "{found}");
    let inspected = found["coverage"]["inspected_pixels"].as_u64().unwrap();
    assert!((600 * 600..=640 * 640).contains(&inspected), "all but the rim: {found}");
    assert_eq!(found["coverage"]["uncovered"], serde_json::json!([]));
    assert_eq!(found["coverage"]["method"], "copper");
    assert!(found["detection_limit"]["may_miss"].is_string(), "{found}");
    assert_eq!(found["border_px"], 6);
    let picture = image::open(&out).unwrap();
    // The board, and below it the legend.
    assert!(picture.width() == 640 && (650..760).contains(&picture.height()));
}

#[test]
fn an_annotated_picture_has_the_format_of_its_suffix_and_another_is_refused_before_anything_is_read()
 {
    let folder = platform::folder();
    let pair = &boards(folder.path(), 1, 0)[0];
    for (name, begins) in
        [("a.png", &b"\x89PNG"[..]), ("a.JPG", b"\xff\xd8"), ("b.jpeg", b"\xff\xd8")]
    {
        let out = folder.path().join(name);
        let mut command = chipq(&["inspect", "--annotate"]);
        assert_eq!(finished(command.arg(&out).arg(&pair.golden).arg(&pair.test)).0, 1);
        assert!(std::fs::read(&out).unwrap().starts_with(begins), "{name}");
    }
    for out in ["a.gif", "a"] {
        let command = ["inspect", "--annotate", out, "no-golden.png", "no-board.png"];
        let (code, _, said) = finished(&mut chipq(&command));
        assert_eq!(code, 64, "{said}");
        assert!(said.contains("--annotate") && said.contains(".png, .jpg, .jpeg"), "{said}");
    }
}

#[test]
fn a_clean_board_passes() {
    let folder = platform::folder();
    let pair = &boards(folder.path(), 1, 100)[0];
    assert_eq!(pair.defects, 0);
    let (code, said, _) = finished(chipq(&["inspect"]).arg(&pair.golden).arg(&pair.test));
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("PASS: nothing-found"), "{said}");
    assert!(said.contains("compared 100.0 % of the area to be inspected"), "{said}");
    assert!(said.contains("not inspected: 6 pixels along the border"), "{said}");
    assert!(said.contains("copper against copper, in black and white"), "{said}");
    assert!(said.contains("\nfinds: copper that is joined or parted over 5 px or more"), "{said}");
    assert!(said.contains("\nmay not find: "), "{said}");
}

#[test]
fn boxes_are_in_millimetres_where_the_scale_is_given() {
    let folder = platform::folder();
    let pair = &boards(folder.path(), 1, 0)[0];
    let inspect = |more: &[&str]| {
        let mut command = chipq(&["inspect"]);
        finished(command.args(more).arg(&pair.golden).arg(&pair.test)).1
    };
    let places = |said: &str| {
        let found: Value = serde_json::from_str(said).unwrap();
        found["defects"].as_array().unwrap().clone()
    };
    let measured = places(&inspect(&["--json", "--scale", "3.2"]));
    for place in &measured {
        for side in ["x", "y", "width", "height"] {
            let millimetres = place["box"][side].as_f64().unwrap() / 3.2;
            let shown = place["box_mm"][side].as_f64().unwrap();
            assert!((shown - millimetres).abs() < 0.000_501, "{side} of {place}");
        }
    }
    let unknown = places(&inspect(&["--json"]));
    assert!(!unknown.is_empty() && unknown.len() == measured.len());
    assert!(unknown.iter().all(|place| place["box_mm"].is_null()));
    let said = inspect(&["--scale", "3.2"]);
    let first = format!("{:.3}", measured[0]["box_mm"]["x"].as_f64().unwrap());
    assert!(said.contains("  width mm height mm\n") && said.contains(&first), "{said}");
    assert!(!inspect(&[]).contains(" mm"));
}

#[test]
fn a_board_that_is_the_golden_sample_byte_for_byte_passes_with_a_note() {
    let folder = platform::folder();
    let pair = &boards(folder.path(), 1, 100)[0];
    let inspect = |more: &[&str], test: &Path| {
        let mut command = chipq(&["inspect"]);
        let (code, said, errors) = finished(command.args(more).arg(&pair.golden).arg(test));
        assert_eq!(code, 0, "{said}{errors}");
        said
    };
    for (test, identical) in [(&pair.golden, true), (&pair.test, false)] {
        let found: Value = serde_json::from_str(&inspect(&["--json"], test)).unwrap();
        assert_eq!(found["identical_to_golden_sample"], identical, "{found}");
        let said = inspect(&[], test);
        assert_eq!(said.contains("byte-identical to the golden sample"), identical, "{said}");
    }
}

#[test]
fn a_board_that_cannot_be_compared_goes_to_review() {
    let folder = platform::folder();
    let pair = &boards(folder.path(), 1, 0)[0];
    let small = folder.path().join("small.png");
    image::open(&pair.test).unwrap().crop_imm(0, 0, 320, 320).save(&small).unwrap();
    let (code, said, _) = finished(chipq(&["inspect"]).arg(&pair.golden).arg(&small));
    assert_eq!(code, 2, "{said}");
    assert!(said.starts_with("REVIEW: size-mismatch"), "{said}");
}

#[test]
fn a_board_of_another_scale_than_its_golden_sample_is_not_compared() {
    let folder = platform::folder();
    let pair = &boards(folder.path(), 1, 100)[0];
    let inspect = |scale: &[&str]| {
        let mut command = chipq(&["inspect", "--golden-scale", "48"]);
        let (code, said, _) = finished(command.args(scale).arg(&pair.golden).arg(&pair.test));
        (code, said)
    };
    let (code, said) = inspect(&["--scale", "24"]);
    assert_eq!(code, 2);
    assert!(said.starts_with("REVIEW: scale-mismatch"), "{said}");
    assert!(said.contains("taken at 24 px/mm, the golden sample at 48 px/mm"), "{said}");
    let (code, said) = inspect(&[]);
    assert!(code == 2 && said.starts_with("REVIEW: scale-unknown"), "{said}");
    assert_eq!(inspect(&["--scale", "48.5"]).0, 0);
    assert_eq!(inspect(&["--scale", "0"]).0, 64);
}

#[test]
fn what_is_kept_out_is_not_judged_and_the_golden_sample_that_the_board_shows_is_compared_with() {
    let folder = platform::folder();
    let pair = &boards(folder.path(), 1, 0)[0];
    let inspect = |more: &[String]| {
        let mut command = chipq(&["inspect", "--json"]);
        let (code, said, errors) = finished(command.args(more).arg(&pair.golden).arg(&pair.test));
        let found: Value = serde_json::from_str(&said).expect(&errors);
        (code, found)
    };
    let (code, found) = inspect(&[]);
    assert_eq!(code, 1);
    assert_eq!(found["coverage"].get("excluded").and_then(Value::as_array).map_or(0, Vec::len), 0);
    let places = found["defects"].as_array().unwrap();
    let differences = places.iter().filter(|place| place["class"] == "difference");
    assert_eq!(differences.count(), found["differences"].as_array().unwrap().len(), "{found}");
    let keep_outs: Vec<String> = places
        .iter()
        .flat_map(|place| {
            let side = |name: &str| place["box"][name].as_u64().unwrap();
            let (x, y) = (side("x").saturating_sub(16), side("y").saturating_sub(16));
            let (width, height) = (side("width") + 32, side("height") + 32);
            ["--keep-out".to_owned(), format!("{x},{y},{width},{height}")]
        })
        .collect();
    let (code, found) = inspect(&keep_outs);
    assert_eq!(code, 0, "{found}");
    assert!(found["coverage"]["excluded_pixels"].as_u64().unwrap() > 0, "{found}");
    assert!(!found["coverage"]["excluded"].as_array().unwrap().is_empty(), "{found}");

    let other = platform::folder();
    let design = ["generate-boards", "--count", "1", "--seed", "8", "--out"];
    let (code, _, said) = finished(chipq(&design).arg(other.path()));
    assert_eq!(code, 0, "{said}");
    let other = other.path().join("images");
    let golden = std::fs::read_dir(&other).unwrap().map(|entry| entry.unwrap().path());
    let mut golden = golden;
    let golden = golden.find(|path| path.display().to_string().contains("temp")).unwrap();
    let (_, found) = inspect(&["--variant".to_owned(), golden.display().to_string()]);
    assert_eq!((&found["variant"], &found["judgement"]), (&Value::from(0), &Value::from("fail")));
    let (code, _, said) =
        finished(chipq(&["inspect", "--keep-out", "1,2,0,4"]).arg(&pair.golden).arg(&pair.test));
    assert_eq!(code, 64);
    assert!(said.contains("left, top, width and height"), "{said}");
}

#[test]
fn the_same_seed_writes_the_same_boards() {
    let (one, two) = (platform::folder(), platform::folder());
    let (first, second) = (boards(one.path(), 2, 0), boards(two.path(), 2, 0));
    for (first, second) in first.iter().zip(&second) {
        let same = std::fs::read(&first.test).unwrap() == std::fs::read(&second.test).unwrap();
        assert!(same && first.defects == second.defects);
    }
}

#[test]
fn an_evaluation_writes_one_line_per_pair() {
    let folder = platform::folder();
    boards(folder.path(), 3, 0);
    let out = folder.path().join("predictions.jsonl");
    let mut command = chipq(&["evaluate", "--split", "test", "--manifest"]);
    let command = command.arg(folder.path().join("manifest.json")).arg("--out").arg(&out);
    let (code, said, errors) = finished(command);
    assert_eq!(code, 0, "{errors}");
    assert!(said.starts_with("3 pairs"), "{said}");
    assert!(said.contains("differences that no finding explains"), "{said}");
    let lines = std::fs::read_to_string(&out).unwrap();
    for line in lines.lines() {
        let prediction: Value = serde_json::from_str(line).unwrap();
        assert!(prediction["id"].is_string() && prediction["detections"].is_array());
    }
    assert_eq!(lines.lines().count(), 3);
}

#[test]
fn an_output_replaces_no_input_unless_it_is_forced() {
    let folder = platform::folder();
    let pair = &boards(folder.path(), 1, 0)[0];
    let manifest = folder.path().join("manifest.json");
    let before = [&pair.test, &pair.golden, &manifest].map(|file| std::fs::read(file).unwrap());
    let unchanged = |said: &str| {
        let after = [&pair.test, &pair.golden, &manifest].map(|file| std::fs::read(file).unwrap());
        assert_eq!(before, after, "{said}");
        assert!(said.contains("--force"), "{said}");
    };
    let link = folder.path().join("link.png");
    std::os::unix::fs::symlink(&pair.test, &link).unwrap();
    for out in [&pair.test, &pair.golden, &link] {
        let mut command = chipq(&["inspect", "--annotate"]);
        let (code, _, said) = finished(command.arg(out).arg(&pair.golden).arg(&pair.test));
        assert_eq!(code, 64, "{said}");
        unchanged(&said);
    }
    for out in [&manifest, &pair.test] {
        let mut command = chipq(&["evaluate", "--manifest"]);
        let (code, _, said) = finished(command.arg(&manifest).arg("--out").arg(out));
        assert_eq!(code, 64, "{said}");
        unchanged(&said);
    }
    let again = ["generate-boards", "--count", "1", "--seed", "2", "--out"];
    let (code, _, said) = finished(chipq(&again).arg(folder.path()));
    assert_eq!(code, 64, "{said}");
    unchanged(&said);

    let mut command = chipq(&["inspect", "--force", "--annotate"]);
    let (code, _, said) = finished(command.arg(&link).arg(&pair.golden).arg(&pair.test));
    assert_eq!(code, 1, "{said}");
    assert_ne!(std::fs::read(&pair.test).unwrap(), before[0], "it was told to");
}

#[test]
fn a_reader_that_goes_away_changes_no_judgement_and_an_answer_that_is_lost_is_said() {
    let folder = platform::folder();
    let pair = &boards(folder.path(), 1, 0)[0];
    let (gone, pipe) = std::io::pipe().unwrap();
    drop(gone);
    let mut command = chipq(&["inspect"]);
    let command = command.arg(&pair.golden).arg(&pair.test);
    let mut ended = command.stdout(pipe.try_clone().unwrap()).stderr(pipe).spawn().unwrap();
    assert_eq!(ended.wait().unwrap().code(), Some(1), "it fails the board");

    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = command.stdout(full).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let output = output.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(73), "{said}");
    assert!(said.starts_with("error: cannot write to standard output: No space left"), "{said}");
    assert!(said.contains("\n  next: make room"), "{said}");
}

#[test]
fn errors_say_what_happened_and_what_to_do_and_nothing_else() {
    let folder = platform::folder();
    let text = folder.path().join("text.png");
    std::fs::write(&text, "not a picture").unwrap();
    let text = text.to_str().unwrap();
    let cases: [(&[&str], i32, &str, &str); 6] = [
        (&["inspect", "/nowhere.png", text], 66, "cannot read /nowhere.png", "check the path"),
        (&["inspect", text, text], 65, "is not a picture", "PNG or JPEG"),
        (&["evaluate", "--manifest", "/nowhere", "--out", "/tmp/x"], 66, "/nowhere", "--manifest"),
        (&["evaluate", "--manifest", text, "--out", "/tmp/x"], 65, "not a manifest", "generate"),
        (&["generate-boards", "--count", "1", "--out", "/proc/no"], 73, "cannot write", "path"),
        (&["demo", "--boards", "/nowhere", "--once"], 66, "manifest.json", "DeepPCB"),
    ];
    for (arguments, code, what, next) in cases {
        let (ended, _, said) = finished(&mut chipq(arguments));
        assert_eq!(ended, code, "{arguments:?}: {said}");
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 2, "{arguments:?}: {said}");
        assert!(lines[0].starts_with("error: ") && lines[0].contains(what), "{said}");
        assert!(lines[1].starts_with("  next: ") && lines[1].contains(next), "{said}");
    }
}

#[test]
fn a_wrong_command_line_is_told_from_a_failed_board() {
    let (code, _, said) = finished(&mut chipq(&["inspect"]));
    assert_eq!(code, 64);
    assert!(said.contains("Usage: chipq inspect"), "{said}");
    let (code, said, _) = finished(&mut chipq(&["--help"]));
    assert_eq!(code, 0);
    assert!(said.contains("Examples:"), "{said}");
}
