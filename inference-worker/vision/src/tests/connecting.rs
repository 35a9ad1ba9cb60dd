//! Hairlines join and crack whatever their width and angle; edges a little off do neither.

use boards::Design;
use domain::{DifferenceKind, UnexplainedDifference};
use image::{GrayImage, Luma};
use proptest::prelude::*;

use super::{golden_picture, moved};
use crate::candidates::SIGNIFICANT_SIDE;
use crate::*;

const COPPER: Luma<u8> = Luma([0]);
const SUBSTRATE: Luma<u8> = Luma([255]);

/// Bars of copper `bar` pixels wide, `gap` apart, at an angle, on a picture of 320 × 320 pixels; one gap or
/// bar runs through the middle.
fn bars(bar: f64, gap: f64, degrees: f64, bar_in_middle: bool) -> GrayImage {
    let (sine, cosine) = degrees.to_radians().sin_cos();
    let first = if bar_in_middle { bar / 2.0 } else { -gap / 2.0 };
    GrayImage::from_fn(320, 320, |x, y| {
        let across = (f64::from(x) - 160.0) * cosine + (f64::from(y) - 160.0) * sine;
        if (across - first).rem_euclid(bar + gap) < gap { SUBSTRATE } else { COPPER }
    })
}

/// Draws a line through the middle, `width` pixels wide and connected by eight neighbours.
fn line(picture: &mut GrayImage, (half, degrees): (f64, f64), width: u32, level: Luma<u8>) {
    let (sine, cosine) = degrees.to_radians().sin_cos();
    // A step along the longer axis at a time, and the width along the shorter.
    let steep = sine.abs() > cosine.abs();
    let steps = (half * sine.abs().max(cosine.abs())).ceil() as i32;
    for step in -steps..=steps {
        let along = f64::from(step) / sine.abs().max(cosine.abs());
        let at = ((160.0 + along * cosine).round() as u32, (160.0 + along * sine).round() as u32);
        for offset in 0..width {
            let (x, y) = if steep { (at.0 + offset, at.1) } else { (at.0, at.1 + offset) };
            picture.put_pixel(x, y, level);
        }
    }
}

fn differences(test: &GrayImage, golden: &GrayImage) -> Vec<UnexplainedDifference> {
    let golden = PreparedGolden::new(golden).expect("a board");
    let prepared = prepare(test, &golden).expect("comparable");
    // A network that names nothing.
    let mut nothing = CropOutput { probabilities: [0.0; CLASS_COUNT], sides: [9.0; 4] };
    nothing.probabilities[0] = 1.0;
    let outputs = vec![nothing; prepared.crops.len()];
    let found = prepared.merge_answers(&outputs).expect("as many answers as crops");
    assert_eq!(found.defects, []);
    found.differences
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_hairline_at_any_angle_joins_across_gaps_and_parts_traces(
        width in 1_u32..=4,
        across in 8.0..60.0_f64,
        beside in 8.0..60.0_f64,
        bars_at in 0.0..180.0_f64,
        tilt in -60.0..60.0_f64,
        join in any::<bool>(),
    ) {
        let golden = if join { bars(beside, across, bars_at, false) }
            else { bars(across, beside, bars_at, true) };
        let mut test = golden.clone();
        let half = across / 2.0 / tilt.to_radians().cos() + 2.0;
        let level = if join { COPPER } else { SUBSTRATE };
        line(&mut test, (half, bars_at + tilt), width, level);
        let kind = if join { DifferenceKind::Joined } else { DifferenceKind::Parted };
        let found = differences(&test, &golden);
        let here = |found: &&UnexplainedDifference| {
            let b = found.bounds;
            found.kind == kind
                && (b.x..b.x + b.width + 4).contains(&160)
                && (b.y..b.y + b.height + 4).contains(&160)
        };
        prop_assert!(found.iter().any(|found| here(&found)), "{found:?}");
        prop_assert!(found.iter().all(|found| found.strength >= 1.0));
    }

    #[test]
    fn a_blob_larger_than_the_tolerance_is_never_nothing(
        part in 0_u64..6,
        x in 20_u32..610,
        y in 20_u32..610,
        more in 2_u32..8,
    ) {
        let golden = golden_picture(850 + part);
        let side = SIGNIFICANT_SIDE as u32 + more;
        let mut test = golden.clone();
        let Luma([level]) = *golden.get_pixel(x + side / 2, y + side / 2);
        // All copper or all substrate, against what is in the middle.
        let mut changed = 0;
        for (x, y) in (x..x + side).flat_map(|x| (y..y + side).map(move |y| (x, y))) {
            if golden.get_pixel(x, y).0[0] == level {
                changed += 1;
                test.put_pixel(x, y, Luma([255 - level]));
            }
        }
        prop_assume!(changed == side * side);
        let found = differences(&test, &golden);
        let holds = |found: &UnexplainedDifference| {
            let b = found.bounds;
            b.x <= x + 1 && b.y <= y + 1 && b.x + b.width >= x + side - 1
                && b.y + b.height >= y + side - 1
        };
        prop_assert!(found.iter().any(holds), "{found:?}");
    }
}

#[test]
fn boards_that_are_etched_a_pixel_more_or_less_join_and_part_nothing() {
    for part in 0..8 {
        let picture = golden_picture(870 + part);
        let at =
            |x: i64, y: i64| picture.get_pixel(x.clamp(0, 639) as u32, y.clamp(0, 639) as u32).0[0];
        for thicker in [false, true] {
            let test = GrayImage::from_fn(640, 640, |x, y| {
                let (x, y) = (i64::from(x), i64::from(y));
                let around = [at(x, y), at(x - 1, y), at(x, y - 1), at(x + 1, y), at(x, y + 1)];
                let most = around.iter().max().copied().unwrap_or(0);
                let least = around.iter().min().copied().unwrap_or(0);
                Luma([if thicker { least } else { most }])
            });
            let found = differences(&test, &picture);
            let kinds: Vec<DifferenceKind> = found.iter().map(|found| found.kind).collect();
            assert_eq!(kinds, [], "part {part}, {thicker}: {found:?}");
        }
    }
}

#[test]
fn a_finding_explains_what_it_lies_over_unless_it_is_doubtful() {
    let golden = bars(20.0, 20.0, 0.0, false);
    let mut test = golden.clone();
    line(&mut test, (12.0, 0.0), 1, COPPER);
    let golden = PreparedGolden::new(&golden).expect("a board");
    let prepared = prepare(&test, &golden).expect("comparable");
    assert_eq!(prepared.crops.len(), 1, "the network is asked about a hairline");
    for (confidence, unexplained) in [(0.4, 1), (0.9, 0)] {
        let mut probabilities = [0.0; CLASS_COUNT];
        (probabilities[0], probabilities[2]) = (1.0 - confidence, confidence);
        let output = CropOutput { probabilities, sides: [12.0; 4] };
        let found = prepared.merge_answers(&[output]).expect("one answer");
        assert_eq!((found.defects.len(), found.differences.len()), (1, unexplained));
    }
}

#[test]
fn a_hairline_on_a_seam_of_a_panel_is_found_and_asked_about() {
    let golden = Design::new(9, 1600).golden_sample();
    let test = moved(&golden, 2, 1);
    let (golden_bits, mut found) = (PreparedGolden::new(&golden).expect("a board"), 0);
    // Cores meet at 400, 800 and 1200 pixels.
    for row in [396, 400, 404, 797, 803] {
        let mut test = test.clone();
        let copper = |x: u32| test.get_pixel(x, row).0[0] == 0;
        let near = |gap: &&(u32, u32)| gap.0 > 700 && gap.1 < 900;
        let edges: Vec<u32> = (300..1300).filter(|&x| copper(x) != copper(x - 1)).collect();
        let gaps = edges.windows(2).map(|edge| (edge[0], edge[1]));
        let gaps: Vec<(u32, u32)> = gaps.filter(|gap| !copper(gap.0)).collect();
        let wide = |gap: &&(u32, u32)| (8..=90).contains(&(gap.1 - gap.0));
        let Some(&(from, to)) = gaps.iter().filter(wide).find(near).or(gaps.iter().find(wide))
        else {
            continue;
        };
        for x in from..to {
            test.put_pixel(x, row, COPPER);
        }
        let prepared = prepare(&test, &golden_bits).expect("comparable");
        let joined = prepared.significant().iter().any(|found| {
            let b = found.bounds;
            found.kind == DifferenceKind::Joined && b.x <= from + 4 && b.x + b.width + 4 >= to
        });
        assert!(joined, "row {row}, {from} to {to}");
        assert_eq!(prepared.crops.len(), 1, "row {row}: asked once");
        found += 1;
    }
    assert!(found >= 3, "{found} rows have a gap");
}
