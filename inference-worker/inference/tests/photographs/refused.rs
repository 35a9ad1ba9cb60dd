//! Photographs that are refused, each with its reason, and never compared blindly.

use super::*;

/// What comes of a flawed unit of `part` when the camera is changed.
fn outcome(part: u64, change: impl Fn(Camera) -> Camera) -> Result<Tally, Incomparable> {
    let board = design(part);
    let (test, labels) = tested(&board, part, &change(of(part)));
    inspected(&golden(&board, part), &test, &labels)
}

#[test]
fn a_strong_blur_is_out_of_focus() {
    for part in 0..4 {
        for blur in [2.6, 4.0, 7.0] {
            let result = outcome(part, |camera| Camera { blur, ..camera });
            assert!(
                matches!(result, Err(Incomparable::OutOfFocus { .. })),
                "part {part}, blur {blur}: {result:?}"
            );
        }
    }
}

#[test]
fn a_picture_smeared_in_one_direction_is_out_of_focus() {
    for part in 0..4 {
        let board = design(part);
        let DecodedImage::Colour(sharp) = shot(&of(part), &board.golden_sample()) else {
            panic!("in colour")
        };
        // A movement of nine pixels to the right while the shutter was open.
        let smeared = RgbImage::from_fn(SIZE, SIZE, |x, y| {
            let seen = (0..9).map(|step| sharp.get_pixel((x + step).min(SIZE - 1), y).0);
            let sum = seen.fold([0_u32; 3], |sum, pixel| {
                [0, 1, 2].map(|channel| sum[channel] + u32::from(pixel[channel]))
            });
            Rgb(sum.map(|sum| (sum / 9) as u8))
        });
        let result = inspected(&golden(&board, part), &DecodedImage::Colour(smeared), &[]);
        assert_eq!(reason(result), Some(NotComparable::OutOfFocus), "part {part}");
    }
}

#[test]
fn another_board_is_the_wrong_part() {
    for part in 0..12 {
        // In the same colours and light: only the copper differs.
        let (test, labels) = tested(&design(part + 60), part, &of(part));
        let result = inspected(&golden(&design(part), part), &test, &labels);
        assert!(matches!(result, Err(Incomparable::WrongPart { .. })), "{part}: {result:?}");
        assert_eq!(reason(result), Some(NotComparable::WrongPart));
    }
}

#[test]
fn a_board_turned_by_many_degrees_is_not_registered_and_the_turn_is_named() {
    for (part, turn) in [(0, 9), (1, -8), (2, 12), (3, 90), (0, 180), (1, 270)] {
        let result = outcome(part, |camera| Camera { turn: turn as f32, ..camera });
        let Err(Incomparable::Misplaced(Misplacement::Turned(named))) = result else {
            panic!("part {part} turned by {turn}: {result:?}")
        };
        assert!((named - turn).abs() <= 2, "part {part} turned by {turn}, named {named}");
    }
}

#[test]
fn a_board_moved_out_of_reach_is_not_registered() {
    for part in 0..4 {
        for shift in [(100.0, -100.0), (-120.0, 0.0)] {
            let result = outcome(part, |camera| Camera { shift, ..camera });
            assert_eq!(reason(result), Some(NotComparable::NotRegistered), "{part}: {shift:?}");
        }
    }
}

#[test]
fn a_board_that_is_followed_to_the_edge_of_reach_is_not_covered_and_never_passes() {
    let moved = [(60.0, -60.0), (-80.0, 0.0), (0.0, 40.0)].map(|shift| (0.0, shift));
    let turned = [(5.0, (0.0, 0.0)), (-4.0, (8.0, 8.0))];
    let places: Vec<(f32, (f32, f32))> = moved.into_iter().chain(turned).collect();
    for part in 0..4 {
        for &(turn, shift) in &places {
            match outcome(part, |camera| Camera { turn, shift, ..camera }) {
                Ok(tally) => {
                    assert_eq!(tally.not_covered, 1, "{part}: {turn}, {shift:?}: {tally:?}")
                }
                Err(why) => {
                    let refused = why.reason();
                    assert_eq!(refused, NotComparable::NotRegistered, "{part}: {turn}, {shift:?}");
                }
            }
        }
    }
}

#[test]
fn a_board_slightly_out_of_place_is_followed_or_refused_and_never_compared_blindly() {
    let places =
        [(0.5, 0.0), (1.0, 0.0), (1.5, 0.0), (2.0, 0.0), (3.0, 0.0), (0.0, 27.0), (0.0, 32.0)];
    for part in 0..4 {
        for (turn, shift) in places {
            let result = outcome(part, |camera| Camera { turn, shift: (shift, -shift), ..camera });
            match result {
                Ok(tally) => {
                    let right = tally.seen + 1 >= tally.labelled && tally.extra <= 4;
                    assert!(right, "part {part}, {turn}, {shift}: {tally:?}");
                }
                Err(why) => {
                    let expected =
                        [NotComparable::NotRegistered, NotComparable::TooManyDifferences];
                    assert!(expected.contains(&why.reason()), "{part}, {turn}, {shift}: {why}");
                }
            }
        }
    }
}

#[test]
fn a_blank_picture_is_not_registered() {
    let golden = golden(&design(0), 0);
    let plain = GrayImage::from_pixel(BOARD, BOARD, Luma([255]));
    let black = DynamicImage::ImageLuma8(GrayImage::new(SIZE, SIZE)).into_rgb8();
    let white = RgbImage::from_pixel(SIZE, SIZE, Rgb([255; 3]));
    let pictures = [
        shot(&of(0), &plain),
        shot(&Camera { exposure: 0.0, ..of(0) }, &design(0).golden_sample()),
        shot(&Camera { exposure: 400.0, ..of(0) }, &design(0).golden_sample()),
        DecodedImage::Colour(black.clone()),
        DecodedImage::Grey(DynamicImage::ImageRgb8(black).into_luma8()),
        DecodedImage::Colour(white),
    ];
    for (number, picture) in pictures.iter().enumerate() {
        let result = inspected(&golden, picture, &[]);
        assert_eq!(result, Err(Incomparable::Blank("picture")), "picture {number}");
        assert_eq!(reason(result), Some(NotComparable::NotRegistered));
    }
}

#[test]
fn hardly_any_light_is_named_as_such() {
    for exposure in [0.01, 0.02] {
        let result = outcome(1, |camera| Camera { exposure, ..camera });
        assert!(
            matches!(result, Err(Incomparable::Exposure { .. } | Incomparable::Blank(_))),
            "{exposure}: {result:?}"
        );
    }
}

#[test]
fn a_half_covered_board_is_not_registered() {
    for part in 0..4 {
        let board = design(part);
        let DecodedImage::Colour(mut picture) = shot(&of(part), &board.golden_sample()) else {
            panic!("in colour")
        };
        for y in 0..SIZE {
            for x in 0..SIZE / 2 {
                picture.put_pixel(x, y, Rgb([205, 203, 196]));
            }
        }
        let result = inspected(&golden(&board, part), &DecodedImage::Colour(picture), &[]);
        assert_eq!(reason(result), Some(NotComparable::NotRegistered), "part {part}");
    }
}

#[test]
fn a_board_with_copper_and_substrate_exchanged_is_not_registered() {
    for part in 0..4 {
        let result = outcome(part, |camera| {
            let Palette { copper, substrate } = camera.palette;
            Camera { palette: Palette { copper: substrate, substrate: copper }, ..camera }
        });
        assert_eq!(result, Err(Incomparable::Misplaced(Misplacement::Inverted)), "part {part}");
        assert_eq!(reason(result), Some(NotComparable::NotRegistered));
    }
}

#[test]
fn pictures_taken_in_different_ways_are_not_compared() {
    let board = design(0).golden_sample();
    let colour = shot(&of(0), &board);
    let grey = DecodedImage::Grey(colour.clone().into_grey());
    let binary = DecodedImage::Grey(crop_imm(&board, 32, 32, SIZE, SIZE).to_image());
    let pictures = [colour, grey, binary];
    for (one, golden) in pictures.iter().enumerate() {
        let golden = PreparedGolden::new(golden).expect("a board");
        for (other, picture) in pictures.iter().enumerate() {
            let result = inspected(&golden, picture, &[]);
            if one == other {
                assert_eq!(result.map(|tally| tally.calls), Ok(0));
            } else {
                assert!(
                    matches!(result, Err(Incomparable::OtherKind { .. })),
                    "{one}, {other}: {result:?}"
                );
            }
        }
    }
}
