//! Photographs that are inspected: the copper that is read, and findings as on the binarised board.

use super::*;

/// The copper of the middle of a board.
fn truth(board: &GrayImage) -> Bits {
    let margin = (BOARD - SIZE) / 2;
    Bits::from_picture(&crop_imm(board, margin, margin, SIZE, SIZE).to_image())
}

#[test]
fn the_copper_of_a_photograph_is_that_of_the_board_in_every_colour_and_light() {
    for part in 0..8 {
        let board = design(part).golden();
        let camera = Camera { vignetting: 0.5, gradient: (0.3, -0.2), ..of(part) };
        let (reading, bits) = Reading::of((&shot(&camera, &board)).into()).expect("a photograph");
        assert!(matches!(reading, Reading::Photograph { projection: Some(_), .. }));
        let wrong = bits.difference(&truth(&board)).count();
        assert!(wrong < 8000, "part {part}: {wrong} of 409600 pixels, at the edges");
        // What remains is at most a pixel along the edges: nothing survives an opening.
        let places = bits.difference(&truth(&board)).eroded().count();
        assert!(places < 60, "part {part}: {places}");
    }
}

#[test]
fn a_grey_photograph_is_read_like_a_colour_one() {
    let board = design(0).golden();
    let grey = shot(&of(0), &board).into_grey();
    let (reading, bits) = Reading::of((&grey).into()).expect("a photograph");
    assert!(matches!(reading, Reading::Photograph { projection: None, .. }));
    assert!(bits.difference(&truth(&board)).count() < 8000);
}

#[test]
fn where_brightness_tells_nothing_the_colour_does() {
    let board = design(3).golden();
    let photograph = Camera { palette: Palette::PALE, ..of(3) }.photograph(&board, SIZE);
    let luma = projection::LUMA;
    let chosen = Projection::of(&photograph);
    assert_ne!(chosen, luma);
    let levels = Levels::of(&quiet(&chosen.apply(&photograph)), chosen.zero).expect("two levels");
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
    let (_, bits) = Reading::of((&picture).into()).expect("a photograph");
    for (x, y) in [(20, 300), (200, 100), (400, 300), (630, 50), (100, 600)] {
        assert!(!bits.get(x, y), "{x}, {y} is substrate");
    }
    for (x, y) in [(50, 20), (50, 600), (350, 550), (500, 600), (630, 630)] {
        assert!(bits.get(x, y), "{x}, {y} is copper");
    }
    let copper = bits.count() as f32;
    let drawn = 20.0 * 640.0 + 339.0 * 139.0;
    assert!((copper / drawn - 1.0).abs() < 0.05, "{copper} of {drawn}");
}

#[test]
fn binarised_pictures_are_read_at_the_fixed_level_bit_for_bit() {
    for part in 0..4 {
        let board = Design::new(500 + part, SIZE).golden();
        let mut bytes = Vec::new();
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 75)
            .encode_image(&board)
            .expect("writing to memory");
        let lossy = decode(&bytes).expect("a JPEG").into_grey();
        let colour = DynamicImage::ImageLuma8(lossy.clone()).into_rgb8();
        let looks = [Look::Grey(&board), Look::Grey(&lossy), Look::Colour(&colour)];
        for (look, expected) in looks.into_iter().zip([&board, &lossy, &lossy]) {
            let expected = Bits::from_picture(expected);
            let (reading, bits) = Reading::of(look).expect("a board");
            assert_eq!(reading, Reading::Binary);
            assert_eq!(bits, expected);
            assert_eq!(reading.bits(look).expect("a board"), expected);
        }
    }
}

/// Over some boards, `change` of the camera costs at most one finding and one false call against
/// the binarised boards.
fn as_on_the_binarised_board(what: &str, change: impl Fn(Camera) -> Camera) {
    let (mut with, mut without) = (Tally::default(), Tally::default());
    for part in 0..4 {
        let board = design(part);
        let (test, labels) = tested(&board, part, &change(of(part)));
        let result = inspected(&golden(&board, part), &test, &labels);
        with.add(result.unwrap_or_else(|why| panic!("{what}, part {part}: {why}")));
        let (golden, test, labels) = binarised(&board, part);
        without.add(inspected(&golden, &test, &labels).expect("comparable"));
    }
    assert!(with.labelled > 15 && without.found > 15, "{what}: {with:?}, {without:?}");
    let (missed, missed_without) = (with.labelled - with.found, without.labelled - without.found);
    assert!(missed <= missed_without + 1, "{what}: {with:?}, binarised {without:?}");
    assert!(with.extra <= without.extra + 1, "{what}: {with:?}, binarised {without:?}");
}

#[test]
fn a_good_photograph_gives_the_findings_of_the_binarised_board() {
    as_on_the_binarised_board("as it is", |camera| camera);
}

#[test]
fn shifts_of_up_to_twenty_pixels_are_followed() {
    for shift in [(20.0, -20.0), (-20.0, 20.0), (5.3, 11.6)] {
        as_on_the_binarised_board(&format!("{shift:?}"), |camera| Camera { shift, ..camera });
    }
}

#[test]
fn a_board_turned_by_a_fifth_of_a_degree_is_followed() {
    as_on_the_binarised_board("turned", |camera| Camera { turn: 0.2, ..camera });
}

#[test]
fn more_or_less_light_changes_nothing() {
    for exposure in [0.4, 2.0] {
        let what = format!("exposure {exposure}");
        as_on_the_binarised_board(&what, |camera| Camera { exposure, ..camera });
    }
}

#[test]
fn uneven_light_changes_nothing() {
    as_on_the_binarised_board("uneven", |camera| Camera {
        vignetting: 0.5,
        gradient: (0.4, -0.3),
        ..camera
    });
}

#[test]
fn a_slight_blur_is_inspected() {
    as_on_the_binarised_board("blurred", |camera| Camera { blur: 1.3, ..camera });
}

/// Forty flawed units, each in its own light, place, blur and noise, and the same units binarised;
/// returns how many photographs were refused as not registered. Those count in neither tally.
fn forty(with: &mut Tally, without: &mut Tally) -> u32 {
    let mut refused = 0;
    for part in 100..140 {
        let board = design(part);
        let unlike = |step: u64| ((part * 37 + step * 11) % 10) as f32;
        let camera = Camera {
            exposure: 0.6 + unlike(1) * 0.1,
            vignetting: unlike(2) * 0.05,
            gradient: (unlike(3) * 0.06 - 0.3, unlike(4) * 0.06 - 0.3),
            blur: 0.5 + unlike(5) * 0.08,
            noise: 0.01 + unlike(6) * 0.003,
            turn: unlike(7) * 0.04 - 0.2,
            shift: (unlike(8) * 3.3 - 15.0, unlike(9) * 3.1 - 14.0),
            ..of(part)
        };
        let (test, labels) = tested(&board, part, &camera);
        match inspected(&golden(&board, part), &test, &labels) {
            Ok(tally) => with.add(tally),
            Err(why) => {
                assert_eq!(why.reason(), NotComparable::NotRegistered, "part {part}: {why}");
                refused += 1;
                continue;
            }
        }
        let (golden, test, labels) = binarised(&board, part);
        without.add(inspected(&golden, &test, &labels).expect("comparable"));
    }
    refused
}

#[test]
fn on_forty_photographs_the_network_is_as_good_as_on_the_boards_binarised() {
    let (mut with, mut without) = (Tally::default(), Tally::default());
    let refused = forty(&mut with, &mut without);
    // The figures of docs/photographs.md, with --nocapture.
    println!("photographs {with:?}, the boards binarised {without:?}, {refused} refused");
    assert!(refused <= 4, "{refused} of 40 refused");
    let recall = |tally: &Tally| tally.found as f32 / tally.labelled as f32;
    let precision = |tally: &Tally| 1.0 - tally.extra as f32 / tally.calls as f32;
    assert!(recall(&with) > recall(&without) - 0.02, "{with:?}, binarised {without:?}");
    assert!(precision(&with) > precision(&without) - 0.02, "{with:?}, binarised {without:?}");
    assert!(with.labelled > 150 && recall(&with) > 0.9, "{with:?}, binarised {without:?}");
}
