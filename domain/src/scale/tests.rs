//! What a scale may be, and when two are one.

use super::*;
use crate::NotComparable;

fn scale(pixels_per_millimetre: f32) -> PixelScale {
    PixelScale::new(pixels_per_millimetre).unwrap()
}

#[test]
fn a_scale_is_a_number_from_a_tenth_to_ten_thousand() {
    for text in ["0.1", "47.9", "48", "1e4"] {
        let read: PixelScale = text.parse().unwrap();
        assert_eq!(read.get(), text.parse::<f32>().unwrap());
        assert_eq!(serde_json::from_value::<PixelScale>(text.parse().unwrap()).unwrap(), read);
    }
    for text in ["", "0", "-48", "0.09", "10001", "inf", "NaN", "48 px/mm", "48,0"] {
        let refused = text.parse::<PixelScale>().unwrap_err().to_string();
        assert_eq!(refused, "pixels_per_millimetre must be a number from 0.1 to 10000", "{text}");
    }
    for stored in ["0", "1e9", "null", "\"48\""] {
        assert!(serde_json::from_str::<PixelScale>(stored).is_err(), "{stored}");
    }
    assert_eq!(scale(47.9).to_string(), "47.9 px/mm");
}

#[test]
fn two_per_cent_of_the_golden_samples_scale_are_the_same_scale_and_more_are_not() {
    for (picture, agrees) in
        [(48.0, true), (48.9, true), (47.1, true), (49.0, false), (47.0, false), (24.0, false)]
    {
        assert_eq!(scale(picture).agrees_with(scale(48.0)), agrees, "{picture}");
    }
}

#[test]
fn only_a_golden_sample_that_states_its_scale_asks_for_one() {
    let (golden, picture) = (scale(48.0), scale(24.0));
    assert_eq!(check_scale(None, None), Ok(()));
    assert_eq!(check_scale(None, Some(picture)), Ok(()));
    assert_eq!(check_scale(Some(golden), Some(scale(48.5))), Ok(()));
    let mismatch = check_scale(Some(golden), Some(picture)).unwrap_err();
    assert_eq!(NotComparable::from(mismatch), NotComparable::ScaleMismatch);
    let said = mismatch.to_string();
    assert!(said.contains("24 px/mm") && said.contains("48 px/mm"), "{said}");
    let unknown = check_scale(Some(golden), None).unwrap_err();
    assert_eq!(NotComparable::from(unknown), NotComparable::ScaleUnknown);
    let said = unknown.to_string();
    assert!(said.contains("48 px/mm") && said.contains("pixels_per_millimetre"), "{said}");
}

#[test]
fn a_length_is_given_to_a_micrometre_by_the_scale_as_it_was_written() {
    for (pixels, at, millimetres) in [
        (0, 48.0, 0.0),
        (48, 48.0, 1.0),
        (1, 48.0, 0.021),
        (640, 48.3, 13.251),
        // Half a micrometre by the scale as it was written, less by the nearest number of single precision.
        (1, 3.2, 0.313),
        (7, 0.1, 70.0),
        (u32::MAX, 0.1, 42_949_672_950.0),
        (4, 10_000.0, 0.0),
    ] {
        assert_eq!(scale(at).millimetres(pixels), millimetres, "{pixels} px at {at}");
    }
}

#[test]
fn a_box_lies_on_the_board_where_its_scale_says() {
    let bounds = PixelBox { x: 96, y: 24, width: 10, height: 1 };
    let on_board = MillimetreBox { x: 2.0, y: 0.5, width: 0.208, height: 0.021 };
    assert_eq!(scale(48.0).measure(bounds), on_board);
    let written = serde_json::to_string(&on_board).unwrap();
    assert_eq!(written, r#"{"x":2.0,"y":0.5,"width":0.208,"height":0.021}"#);
}
