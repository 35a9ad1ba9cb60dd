//! Coverage: what the golden sample does not reach is never taken for equal.

use boards::Design;
use domain::PixelBox;
use image::{GrayImage, Luma};
use proptest::prelude::*;

use super::{golden_picture, moved};
use crate::binary_image::BinaryImage;
use crate::coverage::{CoverageTally, MARGIN};
use crate::*;

fn covered(test: &GrayImage, golden: &GrayImage) -> Coverage {
    let golden = PreparedGolden::new(golden).expect("a board");
    prepare(test, &golden).expect("comparable").coverage
}

#[test]
fn a_board_in_its_place_is_compared_as_a_whole_but_for_the_margin() {
    for side in [640, 1300] {
        let picture = Design::new(31, side).golden_sample();
        let coverage = covered(&picture, &picture);
        let inspected = u64::from(side) - 2 * MARGIN as u64;
        assert_eq!(coverage.inspected_pixels(), inspected * inspected);
        assert_eq!(coverage.compared_share(), 1.0);
    }
}

#[test]
fn boards_that_lie_as_far_off_as_usual_leave_no_piece_uncovered() {
    for (part, shift) in (0..).zip([(0, 3), (-3, 3), (3, 0), (-3, -3), (5, -5)]) {
        let picture = golden_picture(800 + part);
        let coverage = covered(&moved(&picture, shift.0, shift.1), &picture);
        assert_eq!(coverage.uncovered(), [], "{shift:?}");
        assert!(coverage.compared_share() > 0.98);
    }
}

#[test]
fn the_pieces_along_two_borders_are_told_as_the_strips_they_are() {
    let picture = golden_picture(810);
    let coverage = covered(&moved(&picture, 20, -20), &picture);
    let missing = coverage.inspected_pixels() - coverage.compared_pixels();
    // Known from column 23 on and up to row 617: strips 17 pixels wide inside the margin.
    assert_eq!(missing, 17 * 628 + 17 * (628 - 17));
    let boxes = coverage.uncovered();
    let told: u64 = boxes.iter().map(|b| u64::from(b.width) * u64::from(b.height)).sum();
    assert!(told >= missing && told <= 2 * missing, "{told} of {missing}: {boxes:?}");
    let along = |b: &PixelBox| b.x + b.width <= 23 + 80 || b.y >= 617 - 80;
    assert!(boxes.iter().all(along), "{boxes:?}");
}

#[test]
fn a_panel_leaves_the_same_uncovered_as_a_smaller_board() {
    let picture = Design::new(32, 1300).golden_sample();
    let coverage = covered(&moved(&picture, -15, 0), &picture);
    let missing = coverage.inspected_pixels() - coverage.compared_pixels();
    assert_eq!(missing, (15 + 3 - 6) * (1300 - 12));
    let boxes = coverage.uncovered();
    assert!(boxes.iter().all(|b| b.x >= 1300 - 18 && b.width <= 12), "{boxes:?}");
    let told: u32 = boxes.iter().map(|b| b.height).sum();
    assert_eq!(told, 1300 - 12, "no seam and nothing twice: {boxes:?}");
}

/// The coverage of a window of which this is known, whose margin is as narrow as it may be.
fn within_narrowest_margin(known: &BinaryImage, most: usize) -> Coverage {
    let (width, height) = known.size();
    let mut tally = CoverageTally::with_narrowest_margin(known, None, (MARGIN, most));
    tally.add_window(known, None, (0, 0), [0, 0, width, height]);
    tally.into_coverage(domain::ComparisonMethod::Levels).expect("something to inspect")
}

proptest! {
    #[test]
    fn the_margin_of_a_photograph_is_as_wide_as_what_is_not_known_and_no_wider(
        size in (120_usize..300, 120_usize..300),
        unknown in prop::array::uniform4(0_usize..40),
        most in MARGIN..40,
    ) {
        let (width, height) = size;
        let [left, top, right, bottom] = unknown;
        let mut known = BinaryImage::new(width, height);
        known.fill_extent([left, top, width - right, height - bottom]);
        let coverage = within_narrowest_margin(&known, most);
        let border = coverage.border_px(width as u32, height as u32) as usize;
        // A strip of three pixels hides nothing.
        let needed = unknown.into_iter().map(|side| side.saturating_sub(3)).max().unwrap_or(0);
        let allowed = needed <= most;
        prop_assert_eq!(border, if allowed { needed.max(MARGIN) } else { MARGIN });
        prop_assert_eq!(coverage.uncovered().is_empty(), allowed);
        let told = |&(side, x, y): &(usize, usize, usize)| {
            let holds = |b: &PixelBox| {
                let (x, y) = (x as u32, y as u32);
                (b.x..b.x + b.width).contains(&x) && (b.y..b.y + b.height).contains(&y)
            };
            side <= MARGIN + 3 || coverage.uncovered().iter().any(holds)
        };
        let (across, down) = (width / 2, height / 2);
        let sides = [
            (left, left.saturating_sub(1), down),
            (top, across, top.saturating_sub(1)),
            (right, width - right.max(1), down),
            (bottom, across, height - bottom.max(1)),
        ];
        prop_assert!(allowed || sides.iter().all(told), "{:?}", coverage.uncovered());
    }

    #[test]
    fn what_is_known_in_narrow_pieces_only_is_one_uncovered_piece(
        known_width in 1_usize..60,
        unknown_width in 1_usize..4,
        upright in any::<bool>(),
    ) {
        let side = 400;
        let mut known = BinaryImage::new(side, side);
        for start in (0..side).step_by(known_width + unknown_width) {
            let end = (start + known_width).min(side);
            known.fill_extent(if upright { [start, 0, end, side] } else { [0, start, side, end] });
        }
        let coverage = within_narrowest_margin(&known, 20);
        prop_assert_eq!(coverage.uncovered(), &[][..]);
        let little = coverage.compared_share() < 0.95;
        prop_assert_eq!(coverage.uncovered_pieces(), u32::from(little));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn a_strip_where_the_golden_sample_does_not_reach_is_in_an_uncovered_piece(
        part in 0_u64..8,
        shift in (MARGIN as i64 + 1..=20, prop::bool::ANY, prop::bool::ANY),
        from in 20_u32..200,
        length in 40_u32..400,
    ) {
        let picture = golden_picture(820 + part);
        let (by, upright, back) = shift;
        let by = if back { -by } else { by };
        let mut test = if upright { moved(&picture, 0, by) } else { moved(&picture, by, 0) };
        // As wide as what came into the picture.
        for depth in 0..by.unsigned_abs() as u32 {
            let depth = if back { 639 - depth } else { depth };
            for along in from..from + length {
                let (x, y) = if upright { (along, depth) } else { (depth, along) };
                test.put_pixel(x, y, Luma([0]));
            }
        }
        let golden = PreparedGolden::new(&picture).expect("a board");
        let prepared = prepare(&test, &golden);
        prop_assume!(prepared.is_ok());
        let coverage = prepared.expect("comparable").coverage;
        let middle = from + length / 2;
        let inside = by.unsigned_abs() as u32 - 1;
        let inside = if back { 639 - inside } else { inside };
        let (x, y) = if upright { (middle, inside) } else { (inside, middle) };
        let holds = |b: &PixelBox| {
            (b.x..b.x + b.width).contains(&x) && (b.y..b.y + b.height).contains(&y)
        };
        prop_assert!(coverage.uncovered().iter().any(holds), "{:?}", coverage.uncovered());
    }
}
