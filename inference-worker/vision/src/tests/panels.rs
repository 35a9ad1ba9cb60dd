//! Large panels: window by window they give what the whole would, and a seam changes nothing.

use std::io::Cursor;

use boards::{BoardOptions, Design};
use image::{GrayImage, ImageFormat, Luma};

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
    let centre_in = |bounds: &domain::PixelBox, &(x, y): &(usize, usize)| {
        let (x, y) = (x as u32, y as u32);
        x >= bounds.x
            && x < bounds.x + bounds.width
            && y >= bounds.y
            && y < bounds.y + bounds.height
    };
    let hit = |bounds: &domain::PixelBox| found.centres().iter().any(|at| centre_in(bounds, at));
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

#[test]
fn another_panel_is_not_registered() {
    let golden = PreparedGolden::new(&Design::new(9, SIDE).golden_sample()).expect("a board");
    let result = prepare(&Design::new(10, SIDE).golden_sample(), &golden).map(|p| p.registration);
    assert!(result.is_err(), "{result:?}");
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
