//! What a coverage promises, whoever measured it, and that no difference is lost for its number.

use proptest::prelude::*;

use super::*;

fn piece(side: u32) -> PixelBox {
    PixelBox { x: 3, y: 5, width: side, height: side }
}

#[test]
fn more_than_is_inspected_cannot_have_been_compared() {
    let refused = Coverage::new(100, 101, vec![]).unwrap_err().to_string();
    assert_eq!(refused, "compared_pixels must not be more than inspected_pixels");
    let stored = r#"{"inspected_pixels": 100, "compared_pixels": 101, "uncovered": [],
        "excluded_pixels": 0, "excluded": []}"#;
    assert!(serde_json::from_str::<Coverage>(stored).is_err());
}

#[test]
fn a_picture_that_was_compared_whole_has_no_uncovered_piece() {
    let refused = Coverage::new(100, 100, vec![piece(2)]).unwrap_err().to_string();
    assert_eq!(refused, "uncovered must be empty when all pixels were compared");
    let whole = Coverage::complete(100);
    assert_eq!(whole, Coverage::new(100, 100, vec![]).unwrap());
    assert_eq!((whole.compared_share(), whole.uncovered_pieces()), (1.0, 0));
}

#[test]
fn a_picture_of_which_nothing_was_compared_is_one_uncovered_piece() {
    for nothing in [Coverage::complete(0), Coverage::new(9, 0, vec![]).unwrap()] {
        assert_eq!((nothing.compared_share(), nothing.uncovered_pieces()), (0.0, 1));
    }
    let two = Coverage::new(9, 0, vec![piece(1), piece(2)]).unwrap();
    assert_eq!(two.uncovered_pieces(), 2);
}

#[test]
fn a_picture_of_which_little_was_compared_is_one_uncovered_piece_although_none_is_large() {
    for (compared, pieces) in [(95_000, 0), (94_999, 1), (60_000, 1), (1, 1)] {
        let coverage = Coverage::new(100_000, compared, vec![]).unwrap();
        assert_eq!(coverage.uncovered_pieces(), pieces, "{compared}");
    }
    let all = Coverage::complete(u64::MAX);
    assert_eq!(all.uncovered_pieces(), 0);
    let listed = Coverage::new(100, 20, vec![piece(2), piece(3)]).unwrap();
    assert_eq!(listed.uncovered_pieces(), 2);
}

#[test]
fn of_more_pieces_than_are_listed_the_largest_stay_and_come_first() {
    let sides = (1..=Coverage::PIECES_MAX as u32 + 6).map(piece).collect();
    let coverage = Coverage::new(1_000_000, 10, sides).unwrap();
    let listed: Vec<_> = coverage.uncovered().iter().map(|piece| piece.width).collect();
    assert_eq!(listed, (7..=70).rev().collect::<Vec<_>>());
    assert_eq!(coverage.uncovered_pieces(), 64);
}

#[test]
fn what_is_not_inspected_on_purpose_is_said_apart_and_is_not_uncovered() {
    let coverage = Coverage::complete(75).with_excluded(25, vec![piece(3), piece(4)]);
    assert_eq!((coverage.compared_share(), coverage.uncovered_pieces()), (1.0, 0));
    assert_eq!((coverage.excluded_pixels(), coverage.excluded_share()), (25, 0.25));
    assert_eq!(coverage.excluded(), [piece(4), piece(3)]);
    assert_eq!(Coverage::complete(0).excluded_share(), 0.0);
    let stored = serde_json::to_string(&coverage).unwrap();
    assert_eq!(serde_json::from_str::<Coverage>(&stored).unwrap(), coverage);
    let many = Coverage::complete(9).with_excluded(1, vec![piece(1); 70]);
    assert_eq!(many.excluded().len(), Coverage::PIECES_MAX);
}

/// A picture of which all is kept out was not looked at, and so never passes.
#[test]
fn a_picture_that_is_kept_out_whole_is_one_uncovered_piece() {
    let nothing = Coverage::complete(0).with_excluded(100, vec![piece(10)]);
    assert_eq!((nothing.uncovered_pieces(), nothing.excluded_share()), (1, 1.0));
}

proptest! {
    #[test]
    fn the_border_that_is_not_inspected_follows_from_what_lies_inside(
        border in 0..200_u32,
        inside in (1..16_384_u32, 1..16_384_u32),
        kept_out in 0.0..1.0_f64,
    ) {
        let all = u64::from(inside.0) * u64::from(inside.1);
        let excluded = (all as f64 * kept_out) as u64;
        let coverage = Coverage::complete(all - excluded).with_excluded(excluded, vec![]);
        let (width, height) = (inside.0 + 2 * border, inside.1 + 2 * border);
        prop_assert_eq!(coverage.border_px(width, height), border);
        prop_assert_eq!(coverage.border_px(height, width), border);
    }
}

#[test]
fn a_strength_that_cannot_be_stored_is_one_that_can() {
    let stored = |strength| {
        let kind = DifferenceKind::Parted;
        UnexplainedDifference { kind, bounds: piece(4), strength }.with_storable_strength().strength
    };
    for (given, kept) in [
        (1.5, 1.5),
        (0.2, 1.0),
        (-3.0, 1.0),
        (f32::NAN, 1.0),
        (f32::NEG_INFINITY, 1.0),
        (f32::INFINITY, STRENGTH_MAX),
    ] {
        assert_eq!(stored(given), kept, "{given}");
    }
}

proptest! {
    #[test]
    fn a_coverage_reads_back_from_its_json_and_its_share_is_from_0_to_1(
        (inspected, compared) in (any::<u64>(), any::<u64>()),
        boxes in proptest::collection::vec(any::<[u32; 4]>(), 0..80),
    ) {
        let pieces = boxes.into_iter().map(|[x, y, width, height]| PixelBox { x, y, width, height });
        let Ok(coverage) = Coverage::new(inspected, compared, pieces.collect()) else {
            prop_assert!(compared >= inspected);
            return Ok(());
        };
        prop_assert!((0.0..=1.0).contains(&coverage.compared_share()));
        let json = serde_json::to_string(&coverage).unwrap();
        prop_assert_eq!(serde_json::from_str::<Coverage>(&json).unwrap(), coverage);
    }
}
