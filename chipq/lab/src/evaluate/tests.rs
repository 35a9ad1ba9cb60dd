//! Manifests, splits and predictions, without a network.

use boards::photographed::{PhotographOptions, PhotographedUnits, write_photographs};
use boards::{BoardOptions, write_boards};
use domain::DefectClass;

use super::*;

#[test]
fn every_pair_gets_one_line_in_the_manifests_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = BoardOptions { size: 320, ..BoardOptions::default() };
    let boards = write_boards(5, 3, &options, folder.path()).expect("written");
    // A picture that does not decode is a line without detections, not an end.
    fs::write(folder.path().join("images/00000002_test.png"), b"no picture").expect("written");
    let out = folder.path().join("predictions.jsonl");
    let done = evaluate(&boards.manifest, &out, &EvaluateOptions::default()).expect("evaluated");
    assert_eq!((done.pairs, done.not_comparable), (5, 1));
    let text = fs::read_to_string(&out).expect("written");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let ids: Vec<_> = lines.iter().map(|line| line["id"].as_str().expect("an id")).collect();
    assert_eq!(ids, ["00000000", "00000001", "00000002", "00000003", "00000004"]);
    assert_eq!(lines[2]["not_comparable"], "unreadable");
    let first = &lines[0]["detections"][0];
    for field in ["x1", "y1", "x2", "y2", "confidence"] {
        assert!(first[field].is_number(), "{field} in {first}");
    }
    assert!(first["class"].is_string());
}

#[test]
fn generated_photographs_are_compared_and_their_missing_holes_are_of_a_class_with_a_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = PhotographOptions {
        size: (640, 560),
        units: PhotographedUnits::SamePiece,
        units_per_design: 2,
        accepted: 1,
        max_defects: 12,
        ..PhotographOptions::default()
    };
    let photographs = write_photographs(4, 2, &options, folder.path()).expect("written");
    let out = folder.path().join("predictions.jsonl");
    let done =
        evaluate(&photographs.manifest, &out, &EvaluateOptions::default()).expect("evaluated");
    assert_eq!((done.pairs, done.not_comparable), (4, 0));
    assert_eq!(done.labels as u64, photographs.defects);
    assert_eq!(done.other_labels, 0);
    let manifest = fs::read(&photographs.manifest).expect("a manifest");
    let manifest: Manifest = serde_json::from_slice(&manifest).expect("JSON");
    let mut labels = manifest.items.iter().flat_map(|item| &item.boxes);
    assert!(labels.any(|label| label.class == DefectClass::MissingHole.into()), "there are some");
}

#[test]
fn a_split_without_pairs_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = BoardOptions { size: 320, ..BoardOptions::default() };
    let boards = write_boards(1, 3, &options, folder.path()).expect("written");
    let result = evaluate(&boards.manifest, &folder.path().join("out"), &of("trainval"));
    assert!(matches!(result, Err(EvaluateError::EmptySplit { .. })), "{result:?}");
}

#[test]
fn a_manifest_that_is_missing_or_malformed_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let (manifest, out) = (folder.path().join("manifest.json"), folder.path().join("out"));
    let missing = evaluate(&manifest, &out, &EvaluateOptions::default());
    assert!(matches!(missing, Err(EvaluateError::Read { .. })), "{missing:?}");
    fs::write(&manifest, b"{\"items\": 7}").expect("written");
    let malformed = evaluate(&manifest, &out, &EvaluateOptions::default());
    assert!(matches!(malformed, Err(EvaluateError::Manifest { .. })), "{malformed:?}");
}

#[test]
fn a_repaired_board_has_next_to_no_differences_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = BoardOptions { max_shift: 0, max_stretch: 0, ..BoardOptions::default() };
    let boards = write_boards(6, 21, &options, folder.path()).expect("written");
    let out = folder.path().join("predictions.jsonl");
    let flawed = evaluate(&boards.manifest, &out, &EvaluateOptions::default()).expect("evaluated");
    let options = EvaluateOptions { repaired: true, ..EvaluateOptions::default() };
    let repaired = evaluate(&boards.manifest, &out, &options).expect("evaluated");
    assert!(flawed.called == 6 && flawed.calls > 12, "{flawed:?}");
    assert!(repaired.calls * 10 < flawed.calls, "{repaired:?} of {flawed:?}");
    let lines = fs::read_to_string(&out).expect("written");
    assert_eq!(lines.lines().count(), 6);
}

#[test]
fn weights_of_a_file_answer_as_the_compiled_in_ones_and_others_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let boards = write_boards(2, 4, &BoardOptions::default(), folder.path()).expect("written");
    let shipped =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../triton/golden-compare/1/model.onnx");
    let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
    evaluate(&boards.manifest, &one, &EvaluateOptions::default()).expect("evaluated");
    let options = EvaluateOptions { weights: Some(shipped), ..EvaluateOptions::default() };
    evaluate(&boards.manifest, &two, &options).expect("evaluated");
    assert_eq!(fs::read(&one).expect("lines"), fs::read(&two).expect("lines"));
    let options = EvaluateOptions { weights: Some(one), ..EvaluateOptions::default() };
    let refused = evaluate(&boards.manifest, &two, &options);
    assert!(
        matches!(refused, Err(EvaluateError::Engine(EngineError::Model { .. }))),
        "{refused:?}"
    );
}

#[test]
fn labels_of_classes_that_the_network_does_not_name_are_counted_and_their_boards_inspected() {
    let folder = tempfile::tempdir().expect("a folder");
    let boards = write_boards(2, 4, &BoardOptions::default(), folder.path()).expect("written");
    let read = || fs::read_to_string(&boards.manifest).expect("a manifest");
    let out = folder.path().join("predictions.jsonl");
    let named = evaluate(&boards.manifest, &out, &EvaluateOptions::default()).expect("evaluated");
    let lines = fs::read(&out).expect("lines");
    let mut manifest: serde_json::Value = serde_json::from_str(&read()).expect("JSON");
    manifest.as_object_mut().expect("an object").remove("image_size");
    manifest["classes"] = serde_json::json!(["missing_hole"]);
    for item in manifest["items"].as_array_mut().expect("items") {
        item["image_size"] = serde_json::json!([640, 640]);
        for label in item["boxes"].as_array_mut().expect("boxes") {
            label["class"] = "missing_hole".into();
        }
    }
    fs::write(&boards.manifest, manifest.to_string()).expect("written");
    let other = evaluate(&boards.manifest, &out, &EvaluateOptions::default()).expect("evaluated");
    assert_eq!((named.other_labels, named.labels as u64), (0, boards.defects));
    assert_eq!((other.other_labels, other.labels), (named.labels, named.labels));
    assert_eq!(fs::read(&out).expect("lines"), lines, "what is found does not hang on the labels");
}

#[test]
fn a_difference_is_written_as_a_doubtful_detection_by_its_strength() {
    let bounds = PixelBox { x: 3, y: 4, width: 5, height: 6 };
    let written = |strength| {
        let kind = domain::DifferenceKind::Parted;
        Detection::from_difference(&UnexplainedDifference { kind, bounds, strength })
    };
    let [weakest, strong, strongest] = [1.0, 4.0, f32::MAX].map(written);
    assert_eq!((weakest.class, weakest.confidence), ("difference", 0.25));
    assert!(weakest.confidence < strong.confidence && strong.confidence < strongest.confidence);
    assert!(strongest.confidence < 0.5, "{}", strongest.confidence);
    assert_eq!((weakest.x2, weakest.y2), (8, 10));
}

fn of(split: &str) -> EvaluateOptions {
    EvaluateOptions { split: Some(split.to_owned()), ..EvaluateOptions::default() }
}
