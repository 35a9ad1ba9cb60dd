//! Registration, candidates and crops, without a network.

use boards::{BoardOptions, Design};
use domain::NotComparable;
use image::{GrayImage, Luma};

use super::*;

mod areas;
mod bending;
mod connecting;
mod covering;
mod decoding;
mod merging;
mod odd_files;
mod packed;
mod panels;

pub(crate) fn golden_picture(part: u64) -> GrayImage {
    Design::new(part, 640).golden_sample()
}

/// The picture moved by `dx`, `dy`, with white coming in.
fn moved(picture: &GrayImage, dx: i64, dy: i64) -> GrayImage {
    GrayImage::from_fn(picture.width(), picture.height(), |x, y| {
        let (from_x, from_y) = (i64::from(x) - dx, i64::from(y) - dy);
        match (u32::try_from(from_x), u32::try_from(from_y)) {
            (Ok(x), Ok(y)) if x < picture.width() && y < picture.height() => {
                *picture.get_pixel(x, y)
            }
            _ => Luma([255]),
        }
    })
}

#[test]
fn an_identical_pair_has_no_candidates() {
    let picture = golden_picture(2);
    let golden = PreparedGolden::new(&picture).expect("a board");
    let prepared = prepare(&picture, &golden).expect("comparable");
    assert!(prepared.crops.is_empty());
    assert!((prepared.registration.score - 1.0).abs() < 1e-6);
    assert_eq!(prepared.merge_answers(&[]), Ok(Findings::default()));
    assert_eq!(prepared.coverage.compared_share(), 1.0);
    assert_eq!(prepared.coverage.method(), Some(domain::ComparisonMethod::Copper));
}

#[test]
fn registration_finds_shifts_of_up_to_twenty_pixels() {
    for part in 0..6 {
        let picture = golden_picture(100 + part);
        let golden = PreparedGolden::new(&picture).expect("a board");
        for (dx, dy) in [(20, 20), (-20, 20), (20, -20), (-20, -20), (1, 0), (0, -3), (7, -13)] {
            let test = moved(&picture, dx, dy);
            let prepared = prepare(&test, &golden).expect("comparable");
            let Registration { dx: right, dy: down, .. } = prepared.registration;
            let off = (right - dx as f32).abs().max((down - dy as f32).abs());
            assert!(off < 0.2, "part {part}: {right}, {down} instead of {dx}, {dy}");
            assert!(prepared.crops.is_empty(), "part {part}: {dx}, {dy}");
        }
    }
}

#[test]
fn a_slightly_turned_and_scaled_picture_is_followed() {
    for part in 0..6 {
        let picture = golden_picture(400 + part);
        let golden = PreparedGolden::new(&picture).expect("a board");
        // Up to two pixels off at the edges.
        let test = GrayImage::from_fn(640, 640, |x, y| {
            let (fx, fy) = (x as f32 - 320.0, y as f32 - 320.0);
            let from_x = (x as f32 - 3.0 + fy * 0.004 + fx * 0.002).round().clamp(0.0, 639.0);
            let from_y = (y as f32 + 2.0 - fx * 0.004 + fy * 0.002).round().clamp(0.0, 639.0);
            *picture.get_pixel(from_x as u32, from_y as u32)
        });
        let prepared = prepare(&test, &golden).expect("comparable");
        let Registration { dx, dy, .. } = prepared.registration;
        let candidates = prepared.centres().len();
        assert!((dx - 3.0).abs() < 1.0 && (dy + 2.0).abs() < 1.0, "part {part}: {dx}, {dy}");
        assert!(candidates <= 3, "part {part}: {candidates} candidates on a board without flaw");
    }
}

#[test]
fn another_part_is_the_wrong_part() {
    for part in 0..12 {
        let golden = PreparedGolden::new(&golden_picture(200 + part)).expect("a board");
        let result = prepare(&golden_picture(300 + part), &golden).map(|p| p.registration);
        assert!(matches!(result, Err(Incomparable::WrongPart { .. })), "{part}: {result:?}");
    }
}

#[test]
fn an_inverted_board_is_not_registered() {
    let mut picture = golden_picture(3);
    let golden = PreparedGolden::new(&picture).expect("a board");
    image::imageops::invert(&mut picture);
    let why = prepare(&picture, &golden).expect_err("inverted");
    assert_eq!(why, Incomparable::Misplaced(Misplacement::Inverted));
    assert_eq!(why.reason(), NotComparable::NotRegistered);
}

#[test]
fn a_blank_picture_is_not_comparable() {
    let golden = PreparedGolden::new(&golden_picture(3)).expect("a board");
    for level in [0, 255] {
        let blank = GrayImage::from_pixel(640, 640, Luma([level]));
        let why = prepare(&blank, &golden).expect_err("nothing to compare");
        assert_eq!(why, Incomparable::Blank("picture"));
        assert_eq!(why.reason(), NotComparable::NotRegistered);
        assert!(matches!(PreparedGolden::new(&blank), Err(Incomparable::Blank("golden sample"))));
    }
}

#[test]
fn a_picture_of_another_size_is_not_comparable() {
    let golden = PreparedGolden::new(&golden_picture(3)).expect("a board");
    let why = prepare(&Design::new(3, 512).golden_sample(), &golden).expect_err("another size");
    assert_eq!(why.reason(), NotComparable::SizeMismatch);
}

#[test]
fn a_picture_with_a_large_part_missing_is_not_counted_defect_by_defect() {
    let picture = golden_picture(4);
    let golden = PreparedGolden::new(&picture).expect("a board");
    let mut test = picture;
    for y in 0..200 {
        for x in 0..200 {
            let Luma([level]) = *test.get_pixel(x + 200, y + 200);
            test.put_pixel(x + 200, y + 200, Luma([255 - level]));
        }
    }
    let why = prepare(&test, &golden).expect_err("too much differs");
    assert_eq!(why.reason(), NotComparable::TooManyDifferences);
}

#[test]
fn a_size_that_is_no_multiple_of_a_word_works_like_any_other() {
    for size in [96, 97, 333, 640] {
        let design = Design::new(5, size);
        let golden = PreparedGolden::new(&design.golden_sample()).expect("a board");
        let options =
            BoardOptions { size, min_defects: 1, max_defects: 1, ..BoardOptions::default() };
        let (test, _) = design.print_unit(1, &options);
        let prepared = prepare(&test, &golden).expect("comparable");
        assert_eq!(prepared.crops.len(), prepared.centres().len());
        let side = size as usize;
        assert!(prepared.centres().iter().all(|&(x, y)| x < side && y < side));
    }
}

#[test]
fn a_crop_shows_test_and_golden_around_the_candidate() {
    let mut picture = GrayImage::from_pixel(200, 200, Luma([255]));
    for x in 0..200 {
        for y in 100..112 {
            picture.put_pixel(x, y, Luma([0]));
        }
    }
    let golden = PreparedGolden::new(&picture).expect("a board");
    for x in 60..68 {
        for y in 100..112 {
            picture.put_pixel(x, y, Luma([255]));
        }
    }
    let prepared = prepare(&picture, &golden).expect("comparable");
    assert_eq!(prepared.centres(), [(64, 106)]);
    let at = |plane: usize, x: usize, y: usize| {
        let (left, top) = (64 - CROP_SIDE / 2, 106 - CROP_SIDE / 2);
        prepared.crops.to_pixels()[(plane * CROP_SIDE + y - top) * CROP_SIDE + x - left]
    };
    assert_eq!([at(0, 64, 106), at(1, 64, 106)], [1.0, 0.0], "missing in the test picture");
    assert_eq!([at(0, 59, 106), at(1, 59, 106)], [0.0, 0.0], "copper in both");
    assert_eq!([at(0, 64, 99), at(1, 64, 99)], [1.0, 1.0], "substrate in both");
}

#[test]
fn a_winding_difference_is_looked_at_along_its_whole_length() {
    let mut picture = golden_picture(6);
    let golden = PreparedGolden::new(&picture).expect("a board");
    // A frame of 200 pixels: its own middle shows nothing of it.
    let original = picture.clone();
    for t in 0..200 {
        for w in 0..5 {
            for (x, y) in [(t, w), (w, t), (t, 195 + w), (195 + w, t)] {
                let Luma([level]) = *original.get_pixel(x + 200, y + 200);
                picture.put_pixel(x + 200, y + 200, Luma([255 - level]));
            }
        }
    }
    let prepared = prepare(&picture, &golden).expect("comparable");
    let near = |x: usize, y: usize| {
        let close = |a: usize, b: usize| a.abs_diff(b) <= CROP_SIDE / 2;
        prepared.centres().iter().any(|&(cx, cy)| close(cx, x) && close(cy, y))
    };
    for t in (200..400).step_by(10) {
        assert!(near(t, 202) && near(202, t) && near(t, 397) && near(397, t), "{t}");
    }
}
