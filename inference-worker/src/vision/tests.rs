//! Decoding, registration, candidates and merging, without a network.

use std::io::Cursor;

use domain::{DefectClass, PixelBox};
use image::{DynamicImage, GrayImage, ImageFormat, Luma};
use proptest::prelude::*;

use super::bits::Bits;
use super::*;
use crate::boards::{BoardOptions, Design};

fn png(picture: &GrayImage) -> Vec<u8> {
    encoded(picture, ImageFormat::Png)
}

fn encoded(picture: &GrayImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), format).expect("writing to memory");
    bytes
}

fn golden_picture(part: u64) -> GrayImage {
    Design::new(part, 640).golden()
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
fn a_png_and_a_jpeg_decode_to_the_same_board() {
    let board = golden_picture(1);
    assert_eq!(decode(&png(&board)).expect("a PNG").into_grey(), board);
    let jpeg = decode(&encoded(&board, ImageFormat::Jpeg)).expect("a JPEG").into_grey();
    let (a, b) = (Bits::from_picture(&jpeg), Bits::from_picture(&board));
    assert!(a.difference(&b).count() < 200, "JPEG keeps the copper's outline");
}

#[test]
fn a_colour_picture_decodes_to_grey() {
    let colour = DynamicImage::ImageLuma8(golden_picture(1)).into_rgb8();
    let mut bytes = Vec::new();
    colour.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).expect("writing to memory");
    assert_eq!(decode(&bytes), Ok(Picture::Grey(golden_picture(1))));
}

#[test]
fn an_empty_file_is_refused_as_empty() {
    assert_eq!(decode(b""), Err(DecodeError::Empty));
}

#[test]
fn a_file_that_is_no_picture_is_refused() {
    assert_eq!(decode(b"%PDF-1.7 nothing to see"), Err(DecodeError::NotAPicture));
    assert_eq!(decode(b"GIF89a"), Err(DecodeError::NotAPicture));
}

#[test]
fn a_truncated_png_is_refused_wherever_it_ends() {
    let whole = png(&golden_picture(1));
    for length in [8, 20, 33, 60, whole.len() / 2, whole.len() - 40] {
        let result = decode(&whole[..length]);
        assert!(matches!(result, Err(DecodeError::Damaged { .. })), "{length}: {result:?}");
    }
}

#[test]
fn a_jpeg_without_its_pixels_is_refused() {
    let whole = encoded(&golden_picture(1), ImageFormat::Jpeg);
    let result = decode(&whole[..40]);
    assert!(matches!(result, Err(DecodeError::Damaged { .. })), "{result:?}");
}

/// A PNG header that declares a size, followed by nothing.
fn declared(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes.extend([8, 0, 0, 0, 0]);
    bytes.extend(crc32(&bytes[12..]).to_be_bytes());
    bytes.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

#[test]
fn a_bomb_is_refused_by_its_declared_size_before_pixels_are_decoded() {
    assert_eq!(
        decode(&declared(60_000, 60_000)),
        Err(DecodeError::TooLarge { width: 60_000, height: 60_000 })
    );
    assert_eq!(
        decode(&declared(16_000, 16_000)),
        Err(DecodeError::TooLarge { width: 16_000, height: 16_000 })
    );
}

#[test]
fn an_identical_pair_has_no_candidates() {
    let picture = golden_picture(2);
    let golden = Golden::new(&picture).expect("a board");
    let prepared = prepare(&picture, &golden).expect("comparable");
    assert!(prepared.crops.is_empty());
    assert!((prepared.registration.score - 1.0).abs() < 1e-6);
    assert_eq!(prepared.finish(&[]), Ok(Vec::new()));
}

#[test]
fn registration_finds_shifts_of_up_to_twenty_pixels() {
    for part in 0..6 {
        let picture = golden_picture(100 + part);
        let golden = Golden::new(&picture).expect("a board");
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
        let golden = Golden::new(&picture).expect("a board");
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
        let golden = Golden::new(&golden_picture(200 + part)).expect("a board");
        let result = prepare(&golden_picture(300 + part), &golden).map(|p| p.registration);
        assert!(matches!(result, Err(Incomparable::WrongPart { .. })), "{part}: {result:?}");
    }
}

#[test]
fn an_inverted_board_is_not_registered() {
    let mut picture = golden_picture(3);
    let golden = Golden::new(&picture).expect("a board");
    image::imageops::invert(&mut picture);
    let why = prepare(&picture, &golden).expect_err("inverted");
    assert_eq!(why, Incomparable::Misplaced(Misplacement::Inverted));
    assert_eq!(why.reason(), NotComparable::NotRegistered);
}

#[test]
fn a_blank_picture_is_not_comparable() {
    let golden = Golden::new(&golden_picture(3)).expect("a board");
    for level in [0, 255] {
        let blank = GrayImage::from_pixel(640, 640, Luma([level]));
        let why = prepare(&blank, &golden).expect_err("nothing to compare");
        assert_eq!(why, Incomparable::Blank("picture"));
        assert_eq!(why.reason(), NotComparable::NotRegistered);
        assert!(matches!(Golden::new(&blank), Err(Incomparable::Blank("golden sample"))));
    }
}

#[test]
fn a_picture_of_another_size_is_not_comparable() {
    let golden = Golden::new(&golden_picture(3)).expect("a board");
    let why = prepare(&Design::new(3, 512).golden(), &golden).expect_err("another size");
    assert_eq!(why.reason(), NotComparable::SizeMismatch);
}

#[test]
fn a_picture_with_a_large_part_missing_is_not_counted_defect_by_defect() {
    let picture = golden_picture(4);
    let golden = Golden::new(&picture).expect("a board");
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
        let golden = Golden::new(&design.golden()).expect("a board");
        let options =
            BoardOptions { size, min_defects: 1, max_defects: 1, ..BoardOptions::default() };
        let (test, _) = design.unit(1, &options);
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
    let golden = Golden::new(&picture).expect("a board");
    for x in 60..68 {
        for y in 100..112 {
            picture.put_pixel(x, y, Luma([255]));
        }
    }
    let prepared = prepare(&picture, &golden).expect("comparable");
    assert_eq!(prepared.centres(), [(64, 106)]);
    let at = |plane: usize, x: usize, y: usize| {
        let (left, top) = (64 - CROP_SIDE / 2, 106 - CROP_SIDE / 2);
        prepared.crops.pixels()[(plane * CROP_SIDE + y - top) * CROP_SIDE + x - left]
    };
    assert_eq!([at(0, 64, 106), at(1, 64, 106)], [1.0, 0.0], "missing in the test picture");
    assert_eq!([at(0, 59, 106), at(1, 59, 106)], [0.0, 0.0], "copper in both");
    assert_eq!([at(0, 64, 99), at(1, 64, 99)], [1.0, 1.0], "substrate in both");
}

#[test]
fn a_winding_difference_is_looked_at_along_its_whole_length() {
    let mut picture = golden_picture(6);
    let golden = Golden::new(&picture).expect("a board");
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

fn output(class: usize, probability: f32, sides: [f32; 4]) -> CropOutput {
    let mut probabilities = [0.0; CLASS_COUNT];
    probabilities[class] = probability;
    probabilities[0] = 1.0 - probability;
    CropOutput { probabilities, sides }
}

#[test]
fn of_findings_in_one_place_the_most_confident_stays() {
    let centres = [(100, 100), (103, 100), (300, 300), (400, 400)];
    let outputs = [
        output(1, 0.6, [20.0; 4]),
        output(2, 0.9, [20.0; 4]),
        output(6, 0.3, [15.0; 4]),
        output(4, 0.01, [15.0; 4]),
    ];
    let found = merge::merge(&centres, &outputs, (640, 640)).expect("as many answers as crops");
    let classes: Vec<DefectClass> = found.iter().map(|defect| defect.class).collect();
    assert_eq!(classes, [DefectClass::Short, DefectClass::PinHole]);
    assert_eq!(found[0].bounds, PixelBox { x: 83, y: 80, width: 40, height: 40 });
}

#[test]
fn boxes_end_at_the_picture_and_vanished_ones_are_dropped() {
    let found =
        merge::merge(&[(5, 635)], &[output(3, 0.8, [20.0; 4])], (640, 640)).expect("one answer");
    assert_eq!(found[0].bounds, PixelBox { x: 0, y: 615, width: 25, height: 25 });
    let none = merge::merge(&[(5, 5)], &[output(3, 0.8, [-9.0; 4])], (640, 640));
    assert_eq!(none.expect("one answer"), []);
}

#[test]
fn a_missing_answer_is_an_error_and_not_a_passed_board() {
    let wrong = merge::merge(&[(5, 5), (9, 9)], &[output(3, 0.8, [9.0; 4])], (640, 640));
    assert_eq!(wrong, Err(CountMismatch { crops: 2, answers: 1 }));
}

#[test]
fn an_annotated_picture_keeps_its_size_and_shows_the_class_colour() {
    let picture = GrayImage::from_pixel(100, 80, Luma([255]));
    let bounds = PixelBox { x: 90, y: 2, width: 30, height: 90 };
    let confidence = domain::Confidence::HALF;
    let defects = vec![Defect { class: DefectClass::Short, confidence, bounds }; 12];
    let out = annotate(&picture, &defects);
    assert_eq!(out.dimensions(), (100, 80));
    assert_eq!(out.get_pixel(90, 60).0, [0, 114, 178]);
}

proptest! {
    #[test]
    fn packed_morphology_agrees_with_its_definition(
        width in 1_usize..150,
        height in 1_usize..12,
        seed in any::<u64>(),
    ) {
        let dark = |x: usize, y: usize| {
            let mixed = (x as u64 * 31 + y as u64 * 17 + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (mixed >> 60) < 9
        };
        let picture = GrayImage::from_fn(width as u32, height as u32, |x, y| {
            Luma([if dark(x as usize, y as usize) { 0 } else { 255 }])
        });
        let bits = Bits::from_picture(&picture);
        let near = |x: usize, y: usize| -> Vec<bool> {
            (0..9)
                .map(|i| (x + i % 3, y + i / 3))
                .map(|(x, y)| x > 0 && y > 0 && bits.get(x - 1, y - 1))
                .collect()
        };
        let (grown, shrunk) = (bits.dilated(), bits.eroded());
        for y in 0..height {
            for x in 0..width {
                prop_assert_eq!(bits.get(x, y), dark(x, y));
                prop_assert_eq!(grown.get(x, y), near(x, y).into_iter().any(|set| set));
                prop_assert_eq!(shrunk.get(x, y), near(x, y).into_iter().all(|set| set));
            }
        }
    }

    #[test]
    fn regions_are_what_a_flood_fill_finds(
        width in 1_usize..140,
        height in 1_usize..14,
        seed in any::<u64>(),
    ) {
        let set = |x: usize, y: usize| {
            let mixed = (x as u64 * 131 + y as u64 * 7 + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (mixed >> 60) < 6
        };
        let picture = GrayImage::from_fn(width as u32, height as u32, |x, y| {
            Luma([if set(x as usize, y as usize) { 0 } else { 255 }])
        });
        let bits = Bits::from_picture(&picture);
        let mut seen = vec![false; width * height];
        let mut expected = Vec::new();
        for start in 0..width * height {
            if seen[start] || !bits.get(start % width, start / width) {
                continue;
            }
            seen[start] = true;
            let mut stack = vec![start];
            let mut extent = [usize::MAX, usize::MAX, 0, 0];
            while let Some(at) = stack.pop() {
                let (x, y) = (at % width, at / width);
                extent = [extent[0].min(x), extent[1].min(y), extent[2].max(x), extent[3].max(y)];
                for i in 0..9 {
                    let (x, y) = ((x + i % 3).wrapping_sub(1), (y + i / 3).wrapping_sub(1));
                    if bits.get(x, y) && !seen[y * width + x] {
                        seen[y * width + x] = true;
                        stack.push(y * width + x);
                    }
                }
            }
            expected.push(extent);
        }
        let found: Vec<[usize; 4]> = candidates::regions(&bits, usize::MAX)
            .expect("no limit")
            .iter()
            .map(|r| [r.left, r.top, r.right, r.bottom])
            .collect();
        prop_assert_eq!(found, expected);
    }
}
