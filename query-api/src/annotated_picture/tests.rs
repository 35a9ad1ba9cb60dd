//! What is marked is seen, and what is written hides nothing that it is about.

use domain::{Confidence, DefectClass, DifferenceKind};

use super::*;

fn defect(class: DefectClass, [x, y, width, height]: [u32; 4]) -> (Defect, Grade) {
    let bounds = PixelBox { x, y, width, height };
    (Defect { class, confidence: Confidence::HALF, bounds }, Grade::Defect)
}

fn white(side: u32) -> GrayImage {
    GrayImage::from_pixel(side, side, image::Luma([255]))
}

fn count_colour(out: &RgbImage, colour: Colour) -> usize {
    out.pixels().filter(|pixel| pixel.0 == colour).count()
}

#[test]
fn every_pixel_of_the_picture_keeps_its_place_and_the_legend_comes_below() {
    let picture = GrayImage::from_fn(400, 300, |x, y| image::Luma([(x + y) as u8]));
    let plain = annotate(&picture, PictureMarks::default());
    assert_eq!(plain.dimensions(), (400, 300), "nothing to explain");
    let defects = [defect(DefectClass::Short, [100, 100, 40, 30])];
    let out = annotate(&picture, PictureMarks { defects: &defects, ..PictureMarks::default() });
    assert!(out.width() == 400 && (315..400).contains(&out.height()), "{:?}", out.dimensions());
    for (x, y) in (100..140).flat_map(|x| (100..130).map(move |y| (x, y))) {
        assert_eq!(out.get_pixel(x, y), plain.get_pixel(x, y), "the flaw is not drawn over");
    }
    let legend = image::imageops::crop_imm(&out, 0, 300, 400, out.height() - 300).to_image();
    assert!(count_colour(&legend, class_colour(DefectClass::Short)) > 20);
    assert!(count_colour(&legend, INK) > 20, "its word");
}

#[test]
fn labels_lie_on_the_picture_and_beside_their_boxes() {
    for side in [640, 3_000] {
        let pen =
            |letters: &Lettering| LinePen { width: letters.line_width(), limit: (side, side) };
        let at = |part: u32| side / 8 * part;
        let places = (0..8).flat_map(|x| (0..8).map(move |y| (x, y)));
        let mut boxes: Vec<_> = places.map(|(x, y)| [at(x), at(y), 20, 16]).collect();
        boxes.extend([[side - 20, side - 20, 20, 20], [side - 30, 0, 30, side], [0, 0, side, 20]]);
        let defects: Vec<_> =
            boxes.into_iter().map(|bounds| defect(DefectClass::MissingHole, bounds)).collect();
        let drawn = list_marks(&PictureMarks { defects: &defects, ..PictureMarks::default() });
        let words = drawn.iter().map(|mark| mark.words.as_str());
        let letters = choose_lettering((side, side), words);
        let placed = place_words(&drawn, &letters, pen(&letters));
        let (side, pen) = (f64::from(side), pen(&letters));
        for (mark, label) in drawn.iter().zip(&placed) {
            assert!(label.x >= 0.0 && label.x + label.width <= side, "{label:?}");
            assert!(label.y >= 0.0 && label.y + label.height <= side, "{label:?}");
            let hidden = label.shared_area(&pen.outer_rect(&mark.bounds));
            assert!(hidden == 0.0, "{}: {label:?} over {:?}", mark.words, mark.bounds);
        }
    }
}

#[test]
fn words_grow_with_the_picture_and_shrink_where_they_would_not_fit() {
    let height =
        |side: u32| choose_lettering((side, side), ["1 open 0.97"].into_iter()).measure("").1;
    assert!(height(640) >= 18 && height(8_192) >= 100, "{} {}", height(640), height(8_192));
    let words = "12 missing-hole 0.97";
    let letters = choose_lettering((110, 96), [words].into_iter());
    let width = letters.measure(words).0;
    assert!((80..=110).contains(&width), "{width}");
}

#[test]
fn what_is_doubtful_or_unexplained_is_drawn_in_parts_and_named_by_its_number() {
    let bounds = PixelBox { x: 200, y: 200, width: 60, height: 60 };
    let differences =
        [UnexplainedDifference { kind: DifferenceKind::Joined, bounds, strength: 2.0 }];
    let doubtful = [(defect(DefectClass::Spur, [100, 100, 50, 50]).0, Grade::Doubtful)];
    let marks =
        PictureMarks { defects: &doubtful, differences: &differences, ..PictureMarks::default() };
    let words: Vec<_> = list_marks(&marks).into_iter().map(|mark| mark.words).collect();
    assert_eq!(words, ["D1 joined 2.0", "1 spur 0.50"]);
    let spur = class_colour(DefectClass::Spur);
    let drawn = |defects: &[(Defect, Grade)]| {
        let out = annotate(&white(640), PictureMarks { defects, ..PictureMarks::default() });
        (96..154).filter(|&x| out.get_pixel(x, 97).0 == spur).count()
    };
    let solid = [(doubtful[0].0.clone(), Grade::Defect)];
    let (dashed, solid) = (drawn(&doubtful), drawn(&solid));
    assert!(dashed > solid / 4 && dashed < solid * 3 / 4, "{dashed} of {solid}");
}

#[test]
fn what_was_not_compared_and_what_was_not_inspected_are_hatched_and_only_that() {
    let uncovered = [PixelBox { x: 500, y: 0, width: 2_000, height: 2_000 }];
    let marks = PictureMarks { uncovered: &uncovered, border: 16, ..PictureMarks::default() };
    let out = annotate(&white(640), marks);
    for (x, y, pixel) in out.enumerate_pixels().filter(|(_, y, _)| *y < 640) {
        let is_border = x.min(639 - x).min(y).min(639 - y) < 16;
        assert!(pixel.0 != UNCOVERED || x >= 500, "{x}, {y}");
        assert!(pixel.0 != EXCLUDED || is_border, "{x}, {y}");
    }
    let hatched = count_colour(&out, UNCOVERED);
    assert!((140 * 640 / 8..140 * 640 / 4).contains(&hatched), "{hatched}");
    assert!(count_colour(&out, EXCLUDED) > 1_000);
}
