//! Turned, stretched and bent pictures are followed; a defect is never healed by following it.

use domain::NotComparable;
use image::{GrayImage, Luma};

use super::golden_picture;
use crate::binary_image::BinaryImage;
use crate::field::{AffineOffset, OffsetField};
use crate::*;

/// The picture whose pixel at `x`, `y` from the middle lies `offset(x, y)` farther, with white coming
/// in.
fn bent(picture: &GrayImage, offset: impl Fn(f32, f32) -> (f32, f32)) -> GrayImage {
    let (width, height) = picture.dimensions();
    GrayImage::from_fn(width, height, |x, y| {
        let (dx, dy) = offset(x as f32 - width as f32 / 2.0, y as f32 - height as f32 / 2.0);
        let (x, y) = ((x as f32 - dx).round(), (y as f32 - dy).round());
        let inside = x >= 0.0 && y >= 0.0 && x < width as f32 && y < height as f32;
        if inside { *picture.get_pixel(x as u32, y as u32) } else { Luma([255]) }
    })
}

/// A place inside the board whose surroundings come from `by` pixels to the left.
fn block_moved(picture: &GrayImage, (left, top): (u32, u32), side: u32, by: u32) -> GrayImage {
    let mut out = picture.clone();
    for y in top..top + side {
        for x in left..left + side {
            out.put_pixel(x, y, *picture.get_pixel(x - by, y));
        }
    }
    out
}

#[test]
fn what_moved_against_its_surroundings_stays_a_difference() {
    let mut looked_at = 0;
    for part in 0..12_u32 {
        let picture = golden_picture(500 + u64::from(part));
        let golden = PreparedGolden::new(&picture).expect("a board");
        for (side, by) in [(40, 4), (64, 5), (90, 4), (120, 6)] {
            let (left, top) = (100 + part * 37 % 400, 100 + part * 91 % 400);
            let test = block_moved(&picture, (left, top), side, by);
            let difference =
                BinaryImage::from_picture(&test).difference(&BinaryImage::from_picture(&picture));
            if difference.eroded().count_copper() < 4 {
                continue; // Nothing there that moving would show.
            }
            looked_at += 1;
            let prepared = prepare(&test, &golden).expect("comparable");
            let within =
                |at: usize, from: u32| at as u32 + 8 >= from && at as u32 <= from + side + 8;
            let seen = prepared.centres().iter().any(|&(x, y)| within(x, left) && within(y, top));
            assert!(seen, "part {part}: {side} pixels moved by {by} were healed");
        }
    }
    assert!(looked_at >= 20, "{looked_at} boards show a move");
}

#[test]
fn a_picture_stretched_by_two_per_cent_along_one_axis_is_followed() {
    for part in 0..6 {
        let picture = golden_picture(600 + part);
        let golden = PreparedGolden::new(&picture).expect("a board");
        let test = bent(&picture, |x, _| (0.02 * x, 0.0));
        let prepared = prepare(&test, &golden).expect("comparable");
        let candidates = prepared.centres().len();
        assert!(candidates <= 6, "part {part}: {candidates} candidates without a flaw");
    }
}

#[test]
fn a_flaw_on_a_bent_picture_is_a_candidate_where_it_lies() {
    let picture = golden_picture(700);
    let golden = PreparedGolden::new(&picture).expect("a board");
    let bend = |x: f32, y: f32| (4.0 * (x / 120.0).sin(), 4.0 * (y / 140.0).cos() + 0.01 * x);
    let mut test = bent(&picture, bend);
    for y in 300..312 {
        for x in 300..312 {
            let Luma([level]) = *test.get_pixel(x, y);
            test.put_pixel(x, y, Luma([255 - level]));
        }
    }
    let prepared = prepare(&test, &golden).expect("comparable");
    let near = |&(x, y): &(usize, usize)| x.abs_diff(306) <= 6 && y.abs_diff(306) <= 6;
    assert!(prepared.centres().iter().any(near), "{:?}", prepared.centres());
    assert!(prepared.centres().len() <= 8, "{:?}", prepared.centres());
}

#[test]
fn turned_stretched_and_shifted_boards_are_registered_and_stay_quiet() {
    let boards = 120;
    let mut candidates = 0;
    for part in 0..boards {
        // Spread evenly over all four, the same every time.
        let spread = |step: f32, reach: f32| ((part as f32 * step).fract() * 2.0 - 1.0) * reach;
        let (tangent, scale) = (spread(0.618, 2.0).to_radians().tan(), spread(0.414, 0.015));
        let shift = (spread(0.732, 10.0), spread(0.236, 10.0));
        let picture = golden_picture(10_000 + part);
        let test = bent(&picture, |x, y| {
            (shift.0 + scale * x - tangent * y, shift.1 + scale * y + tangent * x)
        });
        let golden = PreparedGolden::new(&picture).expect("a board");
        let prepared = prepare(&test, &golden).unwrap_or_else(|why| panic!("part {part}: {why}"));
        let Registration { dx, dy, .. } = prepared.registration;
        let apart = (dx - shift.0).abs().max((dy - shift.1).abs());
        assert!(apart < 2.0, "part {part}: {dx} {dy} instead of {shift:?}");
        let here = prepared.centres().len();
        assert!(here <= 3, "part {part}: {here} candidates without a flaw");
        candidates += here;
    }
    assert!(candidates <= boards as usize / 10, "{candidates} candidates on {boards} boards");
}

#[test]
fn a_similarity_does_not_bend_and_what_bends_too_far_is_refused_in_words() {
    let bits = BinaryImage::from_picture(&golden_picture(720));
    let turned = AffineOffset::from_turn_and_stretch(0.03, (0.01, 0.01)).shifted_by(7.0, -3.0);
    assert!(OffsetField::from_affine(&turned, bits.size()).bend() < 0.01);
    // A stretch along one axis is half a stretch of both and half a bend.
    let stretched = AffineOffset::from_turn_and_stretch(0.0, (0.02, 0.0));
    let bend = OffsetField::from_affine(&stretched, bits.size()).bend();
    assert!((bend - 0.01 * 288.0 * 2.0_f32.sqrt()).abs() < 0.1, "{bend}");
    let why = Incomparable::Bent { bend: 14.2, allowed: 10.0 };
    assert_eq!(why.reason(), NotComparable::NotRegistered);
    assert!(why.to_string().contains("bent by 14.2 pixels"), "{why}");
}
