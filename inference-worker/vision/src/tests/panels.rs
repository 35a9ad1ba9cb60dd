//! Large panels: window by window they give what the whole would, and a seam changes nothing.

use std::io::Cursor;

use boards::{BoardOptions, Design};
use domain::PixelBox;
use image::{GrayImage, ImageFormat, Luma};

use super::moved;
use crate::*;

const SIDE: u32 = 1600;

fn prepared(test: &GrayImage, golden: &GrayImage) -> PreparedPicture {
    let golden = PreparedGolden::new(golden).expect("a board");
    prepare(test, &golden).expect("comparable")
}

#[test]
fn every_flaw_of_a_panel_is_a_candidate() {
    let design = Design::new(9, SIDE);
    let options = BoardOptions {
        size: SIDE,
        min_defects: 40,
        max_defects: 40,
        max_stretch: 0,
        ..BoardOptions::default()
    };
    let (test, defects) = design.print_unit(1, &options);
    let found = prepared(&test, &design.golden_sample());
    let centre_in = |bounds: &PixelBox, &(x, y): &(usize, usize)| {
        let (x, y) = (x as u32, y as u32);
        x >= bounds.x
            && x < bounds.x + bounds.width
            && y >= bounds.y
            && y < bounds.y + bounds.height
    };
    let hit = |bounds: &PixelBox| found.centres().iter().any(|at| centre_in(bounds, at));
    let missed = defects.iter().filter(|(_, bounds)| !hit(bounds)).count();
    assert!(defects.len() >= 20, "{} flaws", defects.len());
    assert!(missed <= 1, "{missed} of {} flaws are no candidates", defects.len());
    assert_eq!(found.crops.len(), found.centres().len());
}

#[test]
fn a_flaw_on_a_seam_is_found_once_wherever_it_lies() {
    let golden = Design::new(9, SIDE).golden_sample();
    // Cores meet at 400, 800 and 1200 pixels.
    for off in (0..24).step_by(3) {
        let mut test = golden.clone();
        let (left, top) = (788 + off, 390 + off);
        for y in top..top + 14 {
            for x in left..left + 14 {
                let Luma([level]) = *golden.get_pixel(x, y);
                test.put_pixel(x, y, Luma([255 - level]));
            }
        }
        let found = prepared(&test, &golden);
        assert_eq!(found.centres().len(), 1, "{off}: {:?}", found.centres());
        let (x, y) = found.centres()[0];
        assert!(x.abs_diff(left as usize + 7) <= 2 && y.abs_diff(top as usize + 7) <= 2, "{off}");
    }
}

fn refused(test: &GrayImage, golden: &PreparedGolden) -> Incomparable {
    prepare(test, golden).map(|found| found.registration).expect_err("not comparable")
}

#[test]
fn a_panel_is_refused_for_the_reasons_of_a_smaller_picture() {
    let picture = Design::new(9, SIDE).golden_sample();
    let golden = PreparedGolden::new(&picture).expect("a board");
    let other = Design::new(10, SIDE).golden_sample();
    let why = refused(&other, &golden);
    assert!(matches!(why, Incomparable::WrongPart { .. }), "{why}");

    let mut inverted = picture.clone();
    image::imageops::invert(&mut inverted);
    assert_eq!(refused(&inverted, &golden), Incomparable::Misplaced(Misplacement::Inverted));

    let why = refused(&moved(&picture, 160, -100), &golden);
    let Incomparable::Misplaced(Misplacement::Moved { dx, dy }) = why else { panic!("{why}") };
    assert!(dx.abs_diff(160) <= 20 && dy.abs_diff(-100) <= 20, "{dx}, {dy}");

    let mut half = picture.clone();
    for (x, y, pixel) in half.enumerate_pixels_mut() {
        if x > 900 {
            *pixel = *other.get_pixel(x, y);
        }
    }
    let why = refused(&half, &golden);
    let Incomparable::Misplaced(Misplacement::Partly(share)) = why else { panic!("{why}") };
    assert!((30..=60).contains(&share), "{share}");
}

#[test]
fn a_patch_of_another_part_on_a_panel_is_never_passed_over() {
    let picture = Design::new(9, SIDE).golden_sample();
    let golden = PreparedGolden::new(&picture).expect("a board");
    let other = Design::new(10, SIDE).golden_sample();
    for side in [60, 100, 200, 320, 460] {
        let mut test = picture.clone();
        for (x, y) in (0..side).flat_map(|x| (0..side).map(move |y| (400 + x, 400 + y))) {
            test.put_pixel(x, y, *other.get_pixel(x, y));
        }
        let Ok(found) = prepare(&test, &golden) else { continue };
        let passed_over = found.coverage.uncovered().is_empty() && found.significant().is_empty();
        assert!(!passed_over, "{side}");
    }
}

#[test]
fn a_window_that_does_not_register_is_not_covered() {
    let mut picture = Design::new(9, SIDE).golden_sample();
    // One window sees a single trace, which is gone.
    for (x, y) in (336..864).flat_map(|x| (336..864).map(move |y| (x, y))) {
        picture.put_pixel(x, y, Luma([255]));
    }
    let test = picture.clone();
    for (x, y) in (590..602).flat_map(|x| (450..750).map(move |y| (x, y))) {
        picture.put_pixel(x, y, Luma([0]));
    }
    let found = prepared(&test, &picture);
    let PixelBox { x, y, width, height } = found.coverage.uncovered()[0];
    assert_eq!([x, y, width, height], [400; 4], "the window's core");
    assert!(!found.significant().is_empty(), "it is looked at all the same");
}

#[test]
fn a_panel_read_row_by_row_is_the_picture() {
    let board = Design::new(11, 1100).golden_sample();
    let mut bytes = Vec::new();
    board.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).expect("writing to memory");
    assert_eq!(Panel::decode(&bytes), Ok(Panel::from(&board)));
    let cut = Panel::decode(&bytes[..bytes.len() / 2]);
    assert!(matches!(cut, Err(DecodeError::Damaged { .. })), "{cut:?}");
    let golden = PreparedGolden::from_panel(Panel::from(&board)).expect("a board");
    let found = prepare_panel(Panel::from(&board), &golden, &mut ()).expect("comparable");
    assert!(found.crops.is_empty());
}

/// Inverts small squares of a panel, so far apart that each is a place of its own.
fn with_spots(panel: &GrayImage, apart: u32) -> (GrayImage, usize) {
    let mut test = panel.clone();
    let starts: Vec<u32> = (24..SIDE - 24).step_by(apart as usize).collect();
    for (x, y) in starts.iter().flat_map(|&left| starts.iter().map(move |&top| (left, top))) {
        for (x, y) in (x..x + 8).flat_map(|x| (y..y + 8).map(move |y| (x, y))) {
            let Luma([level]) = *panel.get_pixel(x, y);
            test.put_pixel(x, y, Luma([255 - level]));
        }
    }
    (test, starts.len() * starts.len())
}

#[test]
fn a_panel_with_more_candidates_than_its_area_allows_is_refused_although_no_window_has_too_many() {
    let board = Design::new(9, SIDE).golden_sample();
    let golden = PreparedGolden::new(&board).expect("a board");
    // 2.56 megapixels: 491 candidates at most.
    let (test, spots) = with_spots(&board, 84);
    assert!((193..=430).contains(&spots), "{spots}");
    let found = prepare(&test, &golden).expect("comparable");
    assert!((spots * 9 / 10..=491).contains(&found.crops.len()), "{} crops", found.crops.len());

    let (test, spots) = with_spots(&board, 62);
    assert!((550..=1_000).contains(&spots), "{spots}");
    let refused = prepare(&test, &golden).map(|prepared| prepared.crops.len());
    assert_eq!(refused, Err(Incomparable::TooManyDifferences));
}
