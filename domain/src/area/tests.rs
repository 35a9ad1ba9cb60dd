//! Which areas there are, and that the stored ones are among them.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn square(x: u32, side: u32) -> PixelBox {
    PixelBox { x, y: 0, width: side, height: side }
}

fn refusal(area: Result<InspectedArea, Invalid>) -> String {
    area.unwrap_err().to_string()
}

#[test]
fn the_area_is_the_whole_picture_unless_something_else_is_said() {
    let whole = InspectedArea::default();
    assert_eq!(whole.region_of_interest(), None);
    assert_eq!((whole.keep_outs(), whole.tolerated()), (&[][..], &[][..]));
    assert_eq!(InspectedArea::new(None, vec![], vec![]), Ok(whole));
}

#[test]
fn an_empty_box_is_refused_with_its_field() {
    for empty in [PixelBox { width: 0, ..square(1, 5) }, PixelBox { height: 0, ..square(1, 5) }] {
        let must = "must be at least one pixel wide and high";
        let region = InspectedArea::new(Some(empty), vec![], vec![]);
        assert_eq!(refusal(region), format!("area.region_of_interest {must}"));
        let keep_outs = InspectedArea::new(None, vec![square(0, 1), empty], vec![]);
        assert_eq!(refusal(keep_outs), format!("area.keep_outs {must}"));
        let tolerated = InspectedArea::new(None, vec![], vec![empty]);
        assert_eq!(refusal(tolerated), format!("area.tolerated {must}"));
    }
}

#[test]
fn a_box_ends_where_a_picture_may_at_the_latest() {
    let last = InspectedArea::EDGE_MAX;
    assert!(InspectedArea::new(Some(square(last - 1, 1)), vec![], vec![]).is_ok());
    for beyond in [square(last, 1), square(u32::MAX, u32::MAX), square(0, last + 1)] {
        let refused = refusal(InspectedArea::new(None, vec![beyond], vec![]));
        assert_eq!(refused, "area.keep_outs must end within 1048576 pixels");
    }
}

#[test]
fn the_64th_box_is_taken_and_the_65th_is_refused() {
    let boxes = |n| vec![square(3, 4); n];
    assert!(InspectedArea::new(None, boxes(64), boxes(64)).is_ok());
    let refused = refusal(InspectedArea::new(None, boxes(64), boxes(65)));
    assert_eq!(refused, "area.tolerated must not be more than 64 boxes");
}

#[test]
fn a_stored_area_that_is_none_is_not_read() {
    let empty = json!({"x": 1, "y": 1, "width": 0, "height": 4});
    let stored = json!({"region_of_interest": null, "keep_outs": [empty], "tolerated": []});
    assert!(serde_json::from_value::<InspectedArea>(stored).is_err());
}

proptest! {
    #[test]
    fn an_area_reads_back_from_what_is_stored(
        boxes in proptest::collection::vec((0..1_000_u32, 1..1_000_u32), 0..8),
        split in 0..8_usize,
    ) {
        let boxes: Vec<_> = boxes.into_iter().map(|(x, side)| square(x, side)).collect();
        let (keep_outs, tolerated) = boxes.split_at(split.min(boxes.len()));
        let area =
            InspectedArea::new(boxes.first().copied(), keep_outs.to_vec(), tolerated.to_vec());
        let stored = serde_json::to_value(area.as_ref().unwrap()).unwrap();
        prop_assert_eq!(serde_json::from_value(stored).ok(), area.ok());
    }
}
