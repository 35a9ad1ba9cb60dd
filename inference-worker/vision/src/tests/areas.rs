//! Areas: what is not inspected neither differs nor counts as inspected, and nothing else changes by it.

use std::sync::Arc;

use boards::{BoardOptions, Design};
use domain::{DefectClass, InspectedArea, PixelBox, UnexplainedDifference};
use image::{GrayImage, Luma};
use proptest::prelude::*;

use super::{golden_picture, moved};
use crate::*;

const fn square(x: u32, y: u32, side: u32) -> PixelBox {
    PixelBox { x, y, width: side, height: side }
}

fn with_area(golden: &GrayImage, area: &InspectedArea) -> PreparedGoldenSet {
    let golden = Arc::new(PreparedGolden::new(golden).expect("a board"));
    PreparedGoldenSet::new(golden, Vec::new(), area, 10.0).expect("one golden sample")
}

fn kept_out(boxes: &[PixelBox]) -> InspectedArea {
    InspectedArea::new(None, boxes.to_vec(), Vec::new()).expect("few boxes")
}

fn region(bounds: PixelBox) -> InspectedArea {
    InspectedArea::new(Some(bounds), Vec::new(), Vec::new()).expect("one box")
}

fn invert(picture: &mut GrayImage, bounds: PixelBox) {
    for y in bounds.y..bounds.y + bounds.height {
        for x in bounds.x..bounds.x + bounds.width {
            let Luma([level]) = *picture.get_pixel(x, y);
            picture.put_pixel(x, y, Luma([255 - level]));
        }
    }
}

/// True when the two are at most so many pixels apart.
fn within(a: &PixelBox, b: &PixelBox, gap: u32) -> bool {
    let near = |a: u32, a_length: u32, b: u32, b_length: u32| {
        a < b + b_length + gap && b < a + a_length + gap
    };
    near(a.x, a.width, b.x, b.width) && near(a.y, a.height, b.y, b.height)
}

fn touching(differences: &[UnexplainedDifference], place: PixelBox) -> usize {
    differences.iter().filter(|difference| within(&difference.bounds, &place, 0)).count()
}

#[test]
fn a_flaw_in_a_keep_out_is_not_told_and_the_part_outside_is() {
    for side in [640, 1300] {
        let golden = Design::new(41, side).golden_sample();
        let mut test = golden.clone();
        let flaws = [square(300, 300, 24), square(500, 300, 24)];
        flaws.iter().for_each(|flaw| invert(&mut test, *flaw));
        let whole = with_area(&golden, &InspectedArea::default()).prepare(&test).expect("a board");
        assert_eq!(flaws.map(|flaw| touching(whole.significant(), flaw) > 0), [true, true]);

        // The first flaw lies in it, of the second the left half.
        let keep_outs = [square(280, 280, 70), PixelBox { width: 32, ..square(480, 280, 70) }];
        let set = with_area(&golden, &kept_out(&keep_outs));
        let masked = set.prepare(&test).expect("a board");
        assert_eq!(touching(masked.significant(), keep_outs[0]), 0);
        let outside: Vec<_> = masked.significant().iter().map(|found| found.bounds).collect();
        assert!(outside.iter().any(|found| within(found, &flaws[1], 0)), "{outside:?}");
        assert!(outside.iter().all(|found| found.x >= 510), "{outside:?}");
        assert!(masked.centres().iter().all(|&(x, _)| x >= 512), "{:?}", masked.centres());
        let [before, after] = [&whole.coverage, &masked.coverage];
        let excluded = 70 * 70 + 32 * 70;
        assert_eq!(after.excluded_pixels(), excluded);
        assert_eq!(after.inspected_pixels() + excluded, before.inspected_pixels());
        assert_eq!(after.compared_share(), 1.0);
        let told: u64 =
            after.excluded().iter().map(|b| u64::from(b.width) * u64::from(b.height)).sum();
        assert_eq!(told, excluded, "{:?}", after.excluded());
    }
}

#[test]
fn keep_outs_lie_where_the_board_lies() {
    let golden = golden_picture(42);
    let set = with_area(&golden, &kept_out(&[square(300, 300, 40)]));
    for (dx, dy) in [(12, -9), (-18, 5)] {
        let mut test = moved(&golden, dx, dy);
        let at =
            |place: u32, by: i64| u32::try_from(i64::from(place) + by).expect("in the picture");
        invert(&mut test, square(at(308, dx), at(308, dy), 24));
        let prepared = set.prepare(&test).expect("a board");
        assert_eq!(prepared.significant(), [], "{dx}, {dy}");
        assert_eq!(prepared.coverage.excluded(), [square(at(300, dx), at(300, dy), 40)]);
    }
}

#[test]
fn outside_of_the_region_of_interest_nothing_counts_and_its_open_sides_hide_nothing() {
    let golden = golden_picture(43);
    let mut test = moved(&golden, 20, 0);
    invert(&mut test, square(100, 300, 24));
    // What lies beyond the golden sample is outside of a region that ends before its border...
    let inner = with_area(&golden, &region(PixelBox { x: 200, y: 100, width: 300, height: 400 }));
    let prepared = inner.prepare(&test).expect("a board");
    assert_eq!(prepared.significant(), []);
    assert_eq!(prepared.coverage.uncovered(), []);
    assert_eq!(prepared.coverage.inspected_pixels(), 300 * 400);
    // ...and not of one that reaches it: nobody has seen what came into the picture there.
    for all in [square(0, 0, 640), square(3, 3, 634), square(0, 0, 5_000)] {
        let prepared = with_area(&golden, &region(all)).prepare(&test).expect("a board");
        let plain = with_area(&golden, &InspectedArea::default()).prepare(&test).expect("a board");
        assert_eq!(prepared.coverage, plain.coverage);
        assert_eq!(prepared.significant(), plain.significant());
    }
}

#[test]
fn a_board_of_which_nothing_is_inspected_does_not_pass() {
    let golden = golden_picture(44);
    for area in [kept_out(&[square(0, 0, 640)]), region(square(5_000, 5_000, 10))] {
        let coverage = with_area(&golden, &area).prepare(&golden).expect("a board").coverage;
        assert_eq!((coverage.inspected_pixels(), coverage.uncovered_pieces()), (0, 1));
    }
}

#[test]
fn what_surrounds_the_region_of_interest_need_not_agree() {
    let board = golden_picture(45);
    let belt = |seed: u64| {
        let mut picture = golden_picture(seed);
        image::imageops::replace(
            &mut picture,
            &*image::imageops::crop_imm(&board, 160, 160, 320, 320),
            160,
            160,
        );
        picture
    };
    let area = region(square(164, 164, 312));
    let mut test = belt(901);
    let whole = with_area(&belt(900), &InspectedArea::default()).prepare(&test);
    let why = whole.map(|found| found.registration).expect_err("most of it is something else");
    assert!(matches!(why, Incomparable::WrongPart { .. }), "{why}");
    assert_eq!(with_area(&belt(900), &area).prepare(&test).expect("a board").significant(), []);
    invert(&mut test, square(300, 300, 20));
    let found = with_area(&belt(900), &area).prepare(&test).expect("a board");
    assert_eq!(touching(found.significant(), square(300, 300, 20)), found.significant().len());
    assert!(!found.significant().is_empty());
}

#[test]
fn in_a_tolerated_zone_findings_count_and_unexplained_differences_do_not() {
    let golden = golden_picture(46);
    let mut test = golden.clone();
    let (inside, outside) = (square(200, 200, 20), square(420, 420, 20));
    [inside, outside].iter().for_each(|flaw| invert(&mut test, *flaw));
    let area = InspectedArea::new(None, Vec::new(), vec![square(180, 180, 60)]).expect("one");
    let prepared = with_area(&golden, &area).prepare(&test).expect("a board");
    assert_eq!(touching(prepared.significant(), inside), 0);
    assert!(touching(prepared.significant(), outside) > 0);
    assert_eq!(prepared.coverage.excluded_pixels(), 0);
    let sure =
        CropOutput { probabilities: [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0], sides: [10.0; 4] };
    let found = prepared.merge_answers(&vec![sure; prepared.centres().len()]).expect("answers");
    let classes: Vec<_> = found.defects.iter().map(|defect| defect.class).collect();
    assert!(classes.len() >= 2 && classes.iter().all(|class| *class == DefectClass::Copper));
    assert!(found.defects.iter().any(|defect| within(&defect.bounds, &inside, 0)));
}

#[test]
fn more_bend_than_the_recipe_tolerates_is_refused_and_the_bend_is_told() {
    let golden = golden_picture(47);
    let bent = GrayImage::from_fn(640, 640, |x, y| {
        let off = (4.0 * (std::f32::consts::PI * x as f32 / 640.0).sin()).round() as u32;
        *golden.get_pixel(x, (y + off).min(639))
    });
    let prepared = Arc::new(PreparedGolden::new(&golden).expect("a board"));
    let allowing = |bend: f32| {
        let area = InspectedArea::default();
        let set = PreparedGoldenSet::new(Arc::clone(&prepared), Vec::new(), &area, bend);
        set.expect("one golden sample").prepare(&bent)
    };
    let bend = allowing(10.0).expect("followed").registration.bend.expect("measured");
    assert!((1.0..4.0).contains(&bend), "{bend}");
    assert!(allowing(bend + 0.1).is_ok());
    let why = allowing(bend - 0.1).expect_err("more than is tolerated");
    assert!(matches!(why, Incomparable::Bent { .. }), "{why}");
    // The recipe cannot allow more than registration follows.
    assert!(allowing(1_000.0).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn with_a_keep_out_nothing_outside_of_it_changes(
        part in 0_u64..64,
        unit in 0_u64..1_000,
        at in (20_u32..520, 20_u32..520),
        size in (10_u32..100, 10_u32..100),
    ) {
        let design = Design::new(700 + part, 640);
        let options = BoardOptions { min_defects: 4, max_defects: 10, ..BoardOptions::default() };
        let (test, _) = design.print_unit(unit, &options);
        let golden = design.golden_sample();
        let keep_out = PixelBox { x: at.0, y: at.1, width: size.0, height: size.1 };
        let plain = with_area(&golden, &InspectedArea::default()).prepare(&test);
        prop_assume!(plain.is_ok());
        let plain = plain.expect("comparable");
        let masked = with_area(&golden, &kept_out(&[keep_out])).prepare(&test).expect("as before");
        prop_assert_eq!(plain.registration, masked.registration);
        // As far as the board lies off, and as far as cleaning reaches.
        let [dx, dy] = [plain.registration.dx, plain.registration.dy].map(|by| by.abs() as u32 + 1);
        let reach = dx.max(dy) + 12;
        let far = |found: &&UnexplainedDifference| !within(&found.bounds, &keep_out, reach);
        let [before, after] = [&plain, &masked].map(|prepared| {
            prepared.significant().iter().filter(far).copied().collect::<Vec<_>>()
        });
        prop_assert_eq!(before, after);
        // A long difference that reaches into the keep-out is looked at in other pieces without that part.
        let both = [&plain, &masked].into_iter().flat_map(|prepared| prepared.significant());
        let cut: Vec<PixelBox> = both
            .map(|difference| difference.bounds)
            .filter(|bounds| within(bounds, &keep_out, reach))
            .collect();
        let far = |&&(x, y): &&(usize, usize)| {
            let centre = square(x as u32, y as u32, 1);
            !within(&centre, &keep_out, reach + 60) && !cut.iter().any(|cut| within(&centre, cut, 0))
        };
        let [before, after] = [&plain, &masked]
            .map(|prepared| prepared.centres().iter().filter(far).copied().collect::<Vec<_>>());
        prop_assert_eq!(before, after);
    }

    #[test]
    fn a_flaw_outside_of_every_keep_out_is_never_hidden(
        part in 0_u64..64,
        flaw in (30_u32..590, 30_u32..590, 8_u32..20),
        keep_outs in prop::collection::vec((0_u32..600, 0_u32..600, 5_u32..200, 5_u32..200), 1..12),
        shift in (-15_i64..=15, -15_i64..=15),
    ) {
        let golden = golden_picture(1_000 + part);
        let flaw = square(flaw.0, flaw.1, flaw.2);
        let keep_outs: Vec<PixelBox> = keep_outs
            .into_iter()
            .map(|(x, y, width, height)| PixelBox { x, y, width, height })
            .filter(|keep_out| !within(keep_out, &flaw, 2))
            .collect();
        let mut test = golden.clone();
        invert(&mut test, flaw);
        let test = moved(&test, shift.0, shift.1);
        let at = |place: u32, by: i64| u32::try_from(i64::from(place) + by).unwrap_or(0);
        let flaw = square(at(flaw.x, shift.0), at(flaw.y, shift.1), flaw.width);
        // A small one across an edge is half copper too many and half too few, neither of which need count.
        let plain = with_area(&golden, &InspectedArea::default()).prepare(&test).expect("a board");
        prop_assume!(touching(plain.significant(), flaw) > 0);
        let prepared = with_area(&golden, &kept_out(&keep_outs)).prepare(&test).expect("a board");
        prop_assert!(touching(prepared.significant(), flaw) > 0, "{:?}", prepared.significant());
        let looked_at = |&(x, y): &(usize, usize)| within(&square(x as u32, y as u32, 1), &flaw, 4);
        prop_assert!(prepared.centres().iter().any(looked_at));
    }
}
