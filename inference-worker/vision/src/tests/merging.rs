//! From the network's answers to findings, and onto the picture.

use domain::{Defect, DefectClass, PixelBox};
use proptest::prelude::*;

use crate::candidates::Candidates;
use crate::merge::merge_findings;
use crate::*;

fn output(class: usize, probability: f32, sides: [f32; 4]) -> CropOutput {
    let mut probabilities = [0.0; CLASS_COUNT];
    probabilities[class] = probability;
    probabilities[0] = 1.0 - probability;
    CropOutput { probabilities, sides }
}

fn looked_at(centres: &[(usize, usize)]) -> Candidates {
    Candidates { centres: centres.to_vec(), ..Candidates::default() }
}

#[test]
fn of_findings_in_one_place_the_most_confident_stays() {
    let centres = [(100, 100), (103, 100), (300, 300), (400, 400)];
    let outputs = [
        output(1, 0.6, [20.0; 4]),
        output(2, 0.9, [20.0; 4]),
        output(6, 0.3, [15.0; 4]),
        output(4, 0.01, [15.0; 4]),
    ];
    let found = merge::merge_findings(&looked_at(&centres), &outputs, (640, 640))
        .expect("as many answers as crops");
    let found = found.defects;
    let classes: Vec<DefectClass> = found.iter().map(|defect| defect.class).collect();
    assert_eq!(classes, [DefectClass::Short, DefectClass::PinHole]);
    assert_eq!(found[0].bounds, PixelBox { x: 83, y: 80, width: 40, height: 40 });
}

#[test]
fn boxes_end_at_the_picture() {
    let found =
        merge::merge_findings(&looked_at(&[(5, 635)]), &[output(3, 0.8, [20.0; 4])], (640, 640))
            .expect("one answer");
    assert_eq!(found.defects[0].bounds, PixelBox { x: 0, y: 615, width: 25, height: 25 });
}

#[test]
fn a_finding_whose_box_has_no_extent_is_an_error_and_one_that_is_thin_is_not_lost() {
    let answers =
        |sides| merge::merge_findings(&looked_at(&[(5, 5)]), &[output(3, 0.8, sides)], (640, 640));
    for sides in [[-9.0; 4], [3.0, -4.0, 3.0, 4.0], [0.0; 4], [100.0, 9.0, -90.0, 9.0]] {
        assert_eq!(answers(sides), Err(UnusableAnswers::NoExtent { answer: 0 }), "{sides:?}");
    }
    let thin = answers([0.1, 4.0, 0.1, 4.0]).expect("one answer").defects;
    assert_eq!(thin[0].bounds, PixelBox { x: 5, y: 1, width: 1, height: 8 });
    let background = output(3, 0.0, [-9.0; 4]);
    let nothing = merge::merge_findings(&looked_at(&[(5, 5)]), &[background], (640, 640));
    assert_eq!(nothing, Ok(Findings::default()), "of background the box says nothing");
}

#[test]
fn what_is_divided_among_the_classes_is_found_under_the_strongest() {
    let mut probabilities = [0.0; CLASS_COUNT];
    probabilities[..4].copy_from_slice(&[0.30, 0.24, 0.23, 0.23]);
    let divided = CropOutput { probabilities, sides: [9.0; 4] };
    let found =
        merge::merge_findings(&looked_at(&[(50, 50)]), &[divided], (640, 640)).expect("one answer");
    let [defect] = &found.defects[..] else { panic!("{found:?}") };
    assert_eq!(defect.class, DefectClass::Open);
    assert!((defect.confidence.get() - 0.70).abs() < 1e-6, "{defect:?}");
}

#[test]
fn a_missing_answer_is_an_error_and_not_a_passed_board() {
    let wrong = merge::merge_findings(
        &looked_at(&[(5, 5), (9, 9)]),
        &[output(3, 0.8, [9.0; 4])],
        (640, 640),
    );
    assert_eq!(wrong, Err(UnusableAnswers::Count { crops: 2, answers: 1 }));
}

/// A row of a network: eight shares that sum to 1, and sides that open a box around the centre.
fn row() -> impl Strategy<Value = CropOutput> {
    let shares = proptest::array::uniform8(0.0_f32..1.0);
    let sides = proptest::array::uniform4(0.6_f32..60.0);
    (shares, sides).prop_map(|(shares, sides)| {
        let sum = shares.iter().sum::<f32>().max(f32::MIN_POSITIVE);
        CropOutput { probabilities: shares.map(|share| share / sum), sides }
    })
}

proptest! {
    #[test]
    fn what_a_network_does_not_call_background_is_never_nothing(
        rows in proptest::collection::vec(row(), 1..12),
    ) {
        // Far enough apart that no two are one place.
        let centres: Vec<_> = (0..rows.len()).map(|n| (70 + 150 * n, 70)).collect();
        let found = merge::merge_findings(&looked_at(&centres), &rows, (2_000, 200)).unwrap().defects;
        for (row, centre) in rows.iter().zip(&centres) {
            let something = 1.0 - row.probabilities[0];
            let at = |d: &&Defect| d.bounds.x.abs_diff(centre.0 as u32) <= 60;
            let here: Vec<_> = found.iter().filter(at).collect();
            prop_assert_eq!(here.len(), usize::from(something >= 0.05), "{:?}", row);
            for defect in here {
                let named = row.probabilities[1 + defect.class as usize];
                let expected = if named >= 0.25 { named } else { something };
                prop_assert_eq!(defect.confidence.get(), expected);
                prop_assert!(row.probabilities[1..].iter().all(|other| *other <= named));
            }
        }
    }

    #[test]
    fn rows_that_are_none_are_errors_or_findings_and_never_lost(
        background in prop_oneof![any::<f32>(), Just(f32::NAN), -3.0_f32..0.0],
        sides in proptest::array::uniform4(any::<f32>()),
    ) {
        let mut probabilities = [0.0; CLASS_COUNT];
        probabilities[0] = background;
        let row = CropOutput { probabilities, sides };
        let found = merge::merge_findings(&looked_at(&[(300, 300)]), &[row], (640, 640));
        let is_background = (0.0..=1.0).contains(&background) && 1.0 - background < 0.05;
        prop_assert_eq!(found == Ok(Findings::default()), is_background, "{:?}", found);
    }
}

#[test]
fn a_finding_that_lies_in_a_keep_out_is_not_made_and_one_made_beside_it_holds_its_place() {
    let mut excluded = BinaryImage::new(640, 640);
    excluded.fill_extent([100, 100, 200, 200]);
    let found = |centre: (usize, usize), sides: [f32; 4]| {
        let candidates = Candidates { excluded: Some(excluded.clone()), ..looked_at(&[centre]) };
        let sure = CropOutput { probabilities: [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], sides };
        let found = merge_findings(&candidates, &[sure], (640, 640)).expect("answers");
        found.defects.iter().map(|defect| defect.bounds).collect::<Vec<_>>()
    };
    let bounds = |x, y, width, height| PixelBox { x, y, width, height };
    assert_eq!(found((150, 150), [10.0; 4]), []);
    assert_eq!(found((195, 150), [10.0; 4]), [bounds(185, 140, 20, 20)]);
    // The network says that it lies to the left, in the keep-out, of the difference that it was asked about.
    assert_eq!(found((205, 150), [20.0, 10.0, -10.0, 10.0]), [bounds(185, 140, 21, 20)]);
}
