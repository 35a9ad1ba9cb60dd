//! Photographs of boards, straight from a camera, on the command line.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;

use std::path::{Path, PathBuf};

use boards::camera::{Camera, Palette, encode_jpeg};
use boards::{BoardOptions, Design};
use serde_json::Value;

use platform::{chipq, finished};

/// Colour photographs, 640 × 640 pixels, of a golden sample and of a flawed unit: the unit lies
/// elsewhere and in another light.
fn photographs(folder: &Path, change: impl Fn(Camera) -> Camera) -> [PathBuf; 2] {
    std::fs::create_dir_all(folder).unwrap();
    let design = Design::new(9003, 704);
    let options = BoardOptions { size: 704, max_shift: 2, ..BoardOptions::default() };
    let (unit, _) = design.print_unit(1, &options);
    let camera = Camera { palette: Palette::BARE, ..Camera::default() };
    let light = Camera { exposure: 0.7, gradient: (-0.3, 0.2), shift: (11.0, -7.0), ..camera };
    let shots = [(camera, design.golden_sample(), "golden.jpg"), (change(light), unit, "test.jpg")];
    shots.map(|(camera, board, name)| {
        let path = folder.join(name);
        std::fs::write(&path, encode_jpeg(&camera.take_photograph(&board, 640), 90).unwrap())
            .unwrap();
        path
    })
}

#[test]
fn a_flawed_board_in_a_photograph_fails_with_its_defects() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("photographs");
    let [golden, test] = photographs(&folder, |camera| camera);
    let out = folder.join("found.png");
    let mut command = chipq(&["inspect", "--json", "--annotate"]);
    let (code, said, errors) = finished(command.arg(&out).arg(&golden).arg(&test));
    assert_eq!(code, 1, "{said}{errors}");
    let found: Value = serde_json::from_str(&said).unwrap();
    assert!(found["defects"].as_array().unwrap().len() >= 3, "{said}");
    let lies = found["registration"]["dx"].as_f64().unwrap();
    assert!((lies - 11.0).abs() < 4.0, "{said}");
    let (width, height) = image::open(&out).unwrap().into_rgb8().dimensions();
    assert!(width == 640 && (650..760).contains(&height), "the picture and its legend: {height}");
}

#[test]
fn a_blurred_photograph_and_one_of_another_board_go_to_review_with_the_reason() {
    let folder = platform::folder();
    let [golden, test] = photographs(folder.path(), |camera| Camera { blur: 4.0, ..camera });
    let (code, said, _) = finished(chipq(&["inspect"]).arg(&golden).arg(&test));
    assert_eq!(code, 2, "{said}");
    assert!(said.starts_with("REVIEW: out-of-focus"), "{said}");

    let other = Design::new(9100, 704).golden_sample();
    let camera = Camera { palette: Palette::BARE, ..Camera::default() };
    std::fs::write(&test, encode_jpeg(&camera.take_photograph(&other, 640), 90).unwrap()).unwrap();
    let (code, said, _) = finished(chipq(&["inspect"]).arg(&golden).arg(&test));
    assert_eq!(code, 2, "{said}");
    assert!(said.starts_with("REVIEW: wrong-part"), "{said}");
}
