//! From the network's answers to findings, and onto the picture.

use domain::{Defect, DefectClass, PixelBox};
use image::{GrayImage, Luma};

use crate::candidates::Candidates;
use crate::*;

fn output(class: usize, probability: f32, sides: [f32; 4]) -> CropOutput {
    let mut probabilities = [0.0; CLASS_COUNT];
    probabilities[class] = probability;
    probabilities[0] = 1.0 - probability;
    CropOutput { probabilities, sides }
}

fn looked_at(centres: &[(usize, usize)]) -> Candidates {
    Candidates { centres: centres.to_vec(), significant: Vec::new() }
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
fn boxes_end_at_the_picture_and_vanished_ones_are_dropped() {
    let found =
        merge::merge_findings(&looked_at(&[(5, 635)]), &[output(3, 0.8, [20.0; 4])], (640, 640))
            .expect("one answer");
    assert_eq!(found.defects[0].bounds, PixelBox { x: 0, y: 615, width: 25, height: 25 });
    let none =
        merge::merge_findings(&looked_at(&[(5, 5)]), &[output(3, 0.8, [-9.0; 4])], (640, 640));
    assert_eq!(none.expect("one answer").defects, []);
}

#[test]
fn a_missing_answer_is_an_error_and_not_a_passed_board() {
    let wrong = merge::merge_findings(
        &looked_at(&[(5, 5), (9, 9)]),
        &[output(3, 0.8, [9.0; 4])],
        (640, 640),
    );
    assert_eq!(wrong, Err(CountMismatch { crops: 2, answers: 1 }));
}

#[test]
fn an_annotated_picture_keeps_its_size_and_shows_the_class_colour() {
    let picture = GrayImage::from_pixel(100, 80, Luma([255]));
    let bounds = PixelBox { x: 90, y: 2, width: 30, height: 90 };
    let confidence = domain::Confidence::HALF;
    let defects = vec![Defect { class: DefectClass::Short, confidence, bounds }; 12];
    let out = annotate(&picture, Annotations { defects: &defects, ..Annotations::default() });
    assert_eq!(out.dimensions(), (100, 80));
    assert_eq!(out.get_pixel(90, 60).0, [0, 114, 178]);
}

#[test]
fn what_is_unexplained_has_a_colour_of_its_own_and_what_was_not_compared_is_hatched() {
    let picture = GrayImage::from_pixel(100, 80, Luma([255]));
    let bounds = PixelBox { x: 10, y: 40, width: 30, height: 20 };
    let differences = [domain::UnexplainedDifference {
        kind: domain::DifferenceKind::Joined,
        bounds,
        strength: 2.0,
    }];
    let uncovered = [PixelBox { x: 80, y: 0, width: 200, height: 200 }];
    let shown = Annotations { defects: &[], differences: &differences, uncovered: &uncovered };
    let out = annotate(&picture, shown);
    assert_eq!(out.get_pixel(10, 50).0, [230, 0, 160], "its frame");
    let colours = |x| (0..80).map(|y| out.get_pixel(x, y).0).collect::<Vec<_>>();
    let hatched = colours(90).iter().filter(|colour| **colour == [240, 228, 66]).count();
    assert_eq!(hatched, 20, "two lines of eight");
    assert!(colours(79).iter().all(|colour| *colour == [255; 3]), "beside the piece");
}
