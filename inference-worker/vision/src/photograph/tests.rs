//! What is read of photographs of generated boards: their copper, in every colour and light.

use boards::Design;
use boards::camera::{Camera, Palette, encode_jpeg};
use image::imageops::crop_imm;
use image::{DynamicImage, Luma};

use super::*;
use crate::{CLASS_COUNT, CropOutput, DecodedImage, PreparedGolden, decode, prepare};

/// Side of a photograph; the boards are larger by a margin that shifts bring into view.
const SIZE: u32 = 640;
const BOARD: u32 = 704;

fn design(part: u64) -> Design {
    Design::new(9000 + part, BOARD)
}

/// A camera for a part; parts come in all colours.
fn of(part: u64) -> Camera {
    Camera { palette: Palette::ALL[part as usize % 4], seed: part, ..Camera::default() }
}

fn shot(camera: &Camera, board: &GrayImage) -> DecodedImage {
    let bytes = encode_jpeg(&camera.take_photograph(board, SIZE), 90).expect("writing to memory");
    decode(&bytes).expect("a JPEG")
}

/// The copper of the middle of a board.
fn truth(board: &GrayImage) -> BinaryImage {
    let margin = (BOARD - SIZE) / 2;
    BinaryImage::from_picture(&crop_imm(board, margin, margin, SIZE, SIZE).to_image())
}

#[test]
fn the_copper_of_a_photograph_is_that_of_the_board_in_every_colour_and_light() {
    for part in 0..8 {
        let board = design(part).golden_sample();
        let camera = Camera { vignetting: 0.5, gradient: (0.3, -0.2), ..of(part) };
        let (reading, bits) =
            CopperReading::from_golden((&shot(&camera, &board)).into()).expect("a photograph");
        assert!(matches!(reading, CopperReading::Photograph { projection: Some(_), .. }));
        let wrong = bits.difference(&truth(&board)).count_copper();
        assert!(wrong < 8000, "part {part}: {wrong} of 409600 pixels, at the edges");
        // What remains is at most a pixel along the edges: nothing survives an opening.
        let places = bits.difference(&truth(&board)).eroded().count_copper();
        assert!(places < 60, "part {part}: {places}");
    }
}

#[test]
fn a_grey_photograph_is_read_like_a_colour_one() {
    let board = design(0).golden_sample();
    let grey = shot(&of(0), &board).into_grey();
    let (reading, bits) = CopperReading::from_golden((&grey).into()).expect("a photograph");
    assert!(matches!(reading, CopperReading::Photograph { projection: None, .. }));
    assert!(bits.difference(&truth(&board)).count_copper() < 8000);
}

#[test]
fn where_brightness_tells_nothing_the_colour_does() {
    let board = design(3).golden_sample();
    let photograph = Camera { palette: Palette::PALE, ..of(3) }.take_photograph(&board, SIZE);
    let luma = projection::LUMA;
    let chosen = ColourProjection::best_for(&photograph);
    assert_ne!(chosen, luma);
    let levels = MaterialLevels::measure_in(&damp_noise(&chosen.apply(&photograph)), chosen.zero)
        .expect("two levels");
    assert!(levels.contrast > 30.0, "{}", levels.contrast);
}

#[test]
fn a_plain_area_in_uneven_light_does_not_turn_to_noise() {
    // One trace on the left; the rest is plain and loses four fifths of its light to the right.
    let picture = GrayImage::from_fn(SIZE, SIZE, |x, y| {
        let copper = (40..60).contains(&x) || (y > 500 && x > 300);
        let light = 1.0 - x as f32 / 800.0;
        let noise = ((x * 7919 + y * 104_729 + x * y) % 9) as f32 - 4.0;
        Luma([((if copper { 200.0 } else { 90.0 }) * light + noise) as u8])
    });
    let (_, bits) = CopperReading::from_golden((&picture).into()).expect("a photograph");
    for (x, y) in [(20, 300), (200, 100), (400, 300), (630, 50), (100, 600)] {
        assert!(!bits.is_set(x, y), "{x}, {y} is substrate");
    }
    for (x, y) in [(50, 20), (50, 600), (350, 550), (500, 600), (630, 630)] {
        assert!(bits.is_set(x, y), "{x}, {y} is copper");
    }
    let copper = bits.count_copper() as f32;
    let drawn = 20.0 * 640.0 + 339.0 * 139.0;
    assert!((copper / drawn - 1.0).abs() < 0.05, "{copper} of {drawn}");
}

#[test]
fn binarised_pictures_are_read_at_the_fixed_level_bit_for_bit() {
    for part in 0..4 {
        let board = Design::new(500 + part, SIZE).golden_sample();
        let mut bytes = Vec::new();
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 75)
            .encode_image(&board)
            .expect("writing to memory");
        let lossy = decode(&bytes).expect("a JPEG").into_grey();
        let colour = DynamicImage::ImageLuma8(lossy.clone()).into_rgb8();
        let looks = [ImageView::Grey(&board), ImageView::Grey(&lossy), ImageView::Colour(&colour)];
        for (look, expected) in looks.into_iter().zip([&board, &lossy, &lossy]) {
            let expected = BinaryImage::from_picture(expected);
            let (reading, bits) = CopperReading::from_golden(look).expect("a board");
            assert_eq!(reading, CopperReading::Binary);
            assert_eq!(bits, expected);
            assert_eq!(reading.read_copper(look).expect("a board"), expected);
        }
    }
}

#[test]
fn what_a_photograph_does_not_show_is_not_covered() {
    let board = design(2).golden_sample();
    let golden = PreparedGolden::new(&shot(&of(2), &board)).expect("a photograph");
    let covered = |shift| {
        let test = shot(&Camera { shift, seed: 40, ..of(2) }, &board);
        prepare(&test, &golden).expect("comparable").coverage
    };
    let whole = covered((0.4, -0.3));
    assert_eq!(whole.uncovered(), []);
    assert_eq!(whole.method(), Some(domain::ComparisonMethod::Levels));
    for shift in [(20.0, 0.0), (-18.0, 6.0), (0.0, -16.0)] {
        let coverage = covered(shift);
        let missing = 1.0 - coverage.compared_share();
        assert!(missing > 0.01 && missing < 0.08, "{shift:?}: {missing}");
        assert!(!coverage.uncovered().is_empty(), "{shift:?}");
    }
}

#[test]
fn what_differs_and_is_not_named_is_unexplained_and_what_is_named_elsewhere_is_dropped() {
    let board = design(1).golden_sample();
    let golden = PreparedGolden::new(&shot(&of(1), &board)).expect("a photograph");
    let DecodedImage::Colour(mut picture) = shot(&Camera { seed: 41, ..of(1) }, &board) else {
        panic!("in colour")
    };
    for (x, y) in (200..216).flat_map(|x| (300..316).map(move |y| (x, y))) {
        picture.put_pixel(x, y, image::Rgb([180, 40, 160]));
    }
    let prepared = prepare(&DecodedImage::Colour(picture), &golden).expect("comparable");
    assert_eq!(prepared.significant().len(), 1, "{:?}", prepared.significant());
    let answer = |class: usize, sides| {
        let mut probabilities = [0.0; CLASS_COUNT];
        probabilities[class] = 1.0;
        prepared.merge_answers(&[CropOutput { probabilities, sides }]).expect("one answer")
    };
    let background = answer(0, [8.0; 4]);
    let [difference] = background.differences.as_slice() else { panic!("{background:?}") };
    assert!(difference.strength > 10.0 && difference.bounds.x.abs_diff(200) <= 2, "{difference:?}");
    let named = answer(5, [8.0; 4]);
    assert_eq!((named.defects.len(), named.differences.len()), (1, 0));
    let elsewhere = answer(5, [40.0, 40.0, -30.0, -30.0]);
    assert_eq!((elsewhere.defects.len(), elsewhere.differences.len()), (0, 1));
}
