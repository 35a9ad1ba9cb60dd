//! Annotated pictures: numbered boxes over the board, in colours that the colour-blind can tell
//! apart; hatched, what was not compared and what was not to be inspected. The rest was compared.

use domain::{Defect, DefectClass, PixelBox, UnexplainedDifference};
use image::{GrayImage, Rgb, RgbImage};

/// Colours of Okabe and Ito (2008), darkest enough to show on white and on black.
const fn class_colour(class: DefectClass) -> Rgb<u8> {
    Rgb(match class {
        DefectClass::Open => [213, 94, 0],
        DefectClass::Short => [0, 114, 178],
        DefectClass::Mousebite => [230, 159, 0],
        DefectClass::Spur => [0, 158, 115],
        DefectClass::Copper => [204, 121, 167],
        DefectClass::PinHole => [86, 180, 233],
        // Not of that palette, whose yellow is taken: told from the others by being darkest.
        DefectClass::MissingHole => [120, 40, 20],
    })
}

/// The colour of what no class names; its numbers begin with a D.
const DIFFERENCE_COLOUR: Rgb<u8> = Rgb([230, 0, 160]);
/// The colour of the lines over what was not compared, which rise to the right...
const UNCOVERED_COLOUR: Rgb<u8> = Rgb([240, 228, 66]);
/// ...and over what was not to be inspected, which fall.
const EXCLUDED_COLOUR: Rgb<u8> = Rgb([120, 120, 120]);
/// Pixels from one of those lines to the next, and their width.
const HATCH: (u32, u32) = (8, 2);

/// Width of a box's line in pixels.
const LINE_WIDTH: u32 = 2;
/// Pixels of the picture per dot of a digit.
const DOT_SIDE: u32 = 2;

/// What there is to see on a picture.
#[derive(Debug, Clone, Copy, Default)]
pub struct Annotations<'a> {
    /// Drawn as numbered boxes in the colours of their classes.
    pub defects: &'a [Defect],
    /// Drawn as boxes of one colour, numbered D1, D2, ….
    pub differences: &'a [UnexplainedDifference],
    /// Hatched in yellow.
    pub uncovered: &'a [PixelBox],
    /// Hatched in grey, the other way.
    pub excluded: &'a [PixelBox],
    /// So many pixels along the border are hatched as those.
    pub border: u32,
}

/// The picture in grey with what there is to see on it, numbered from 1 in the order given.
#[must_use]
pub fn annotate(picture: &GrayImage, annotations: Annotations<'_>) -> RgbImage {
    let mut out = RgbImage::new(picture.width(), picture.height());
    for (to, from) in out.pixels_mut().zip(picture.pixels()) {
        // Black becomes dark grey, so that the dark colours stay visible on it.
        *to = Rgb([48 + (u16::from(from.0[0]) * 207 / 255) as u8; 3]);
    }
    for piece in annotations.excluded.iter().chain(&border_strips(picture, annotations.border)) {
        hatch_piece(&mut out, piece, EXCLUDED_COLOUR, |x, y| x + HATCH.0 * (1 + y / HATCH.0) - y);
    }
    for piece in annotations.uncovered {
        hatch_piece(&mut out, piece, UNCOVERED_COLOUR, |x, y| x + y);
    }
    for (number, difference) in (1_u32..).zip(annotations.differences) {
        draw_frame(&mut out, &difference.bounds, DIFFERENCE_COLOUR);
        draw_label(&mut out, &difference.bounds, &format!("D{number}"), DIFFERENCE_COLOUR);
    }
    for (number, defect) in (1_u32..).zip(annotations.defects) {
        draw_frame(&mut out, &defect.bounds, class_colour(defect.class));
        draw_label(&mut out, &defect.bounds, &number.to_string(), class_colour(defect.class));
    }
    out
}

/// The strips along the borders of a picture, up to its middle.
fn border_strips(picture: &GrayImage, border: u32) -> [PixelBox; 4] {
    let (width, height) = picture.dimensions();
    let (across, down) = (border.min(width / 2), border.min(height / 2));
    let beside = |x: u32| PixelBox { x, y: down, width: across, height: height - 2 * down };
    let level = |y: u32| PixelBox { x: 0, y, width, height: down };
    [level(0), level(height - down), beside(0), beside(width - across)]
}

fn hatch_piece(
    out: &mut RgbImage,
    piece: &PixelBox,
    colour: Rgb<u8>,
    across: impl Fn(u32, u32) -> u32,
) {
    let (right, bottom) =
        (piece.x.saturating_add(piece.width), piece.y.saturating_add(piece.height));
    let (step, line) = HATCH;
    for y in piece.y..bottom.min(out.height()) {
        for x in piece.x..right.min(out.width()) {
            if across(x, y) % step < line {
                out.put_pixel(x, y, colour);
            }
        }
    }
}

fn fill_rectangle(
    out: &mut RgbImage,
    (x, y): (u32, u32),
    (width, height): (u32, u32),
    colour: Rgb<u8>,
) {
    for y in y..(y.saturating_add(height)).min(out.height()) {
        for x in x..(x.saturating_add(width)).min(out.width()) {
            out.put_pixel(x, y, colour);
        }
    }
}

fn draw_frame(out: &mut RgbImage, bounds: &PixelBox, colour: Rgb<u8>) {
    let PixelBox { x, y, width, height } = *bounds;
    let right = x.saturating_add(width).saturating_sub(LINE_WIDTH);
    let bottom = y.saturating_add(height).saturating_sub(LINE_WIDTH);
    fill_rectangle(out, (x, y), (width, LINE_WIDTH), colour);
    fill_rectangle(out, (x, bottom), (width, LINE_WIDTH), colour);
    fill_rectangle(out, (x, y), (LINE_WIDTH, height), colour);
    fill_rectangle(out, (right, y), (LINE_WIDTH, height), colour);
}

/// The D of differences, of 3 × 5 dots as [`DIGITS`] are.
const LETTER_D: [u8; 5] = [6, 5, 5, 5, 6];
/// Digits of 3 × 5 dots, rows from the top, the leftmost dot in the highest bit.
const DIGITS: [[u8; 5]; 10] = [
    [7, 5, 5, 5, 7],
    [2, 6, 2, 2, 7],
    [7, 1, 7, 4, 7],
    [7, 1, 7, 1, 7],
    [5, 5, 7, 1, 1],
    [7, 4, 7, 1, 7],
    [7, 4, 7, 5, 7],
    [7, 1, 2, 2, 2],
    [7, 5, 7, 5, 7],
    [7, 5, 7, 1, 7],
];

/// The label in white on a plate of the box's colour, above the box, or inside it at the picture's
/// top.
fn draw_label(out: &mut RgbImage, bounds: &PixelBox, label: &str, colour: Rgb<u8>) {
    let width = label.len() as u32 * 4 * DOT_SIDE + DOT_SIDE;
    let height = 7 * DOT_SIDE;
    let left = bounds.x.min(out.width().saturating_sub(width));
    let top = bounds.y.checked_sub(height).unwrap_or(bounds.y);
    fill_rectangle(out, (left, top), (width, height), colour);
    let mut x = left + DOT_SIDE;
    for letter in label.bytes() {
        let rows = match letter {
            b'D' => LETTER_D,
            digit => DIGITS[usize::from(digit.saturating_sub(b'0')).min(9)],
        };
        for (row, dots) in (0_u32..).zip(rows) {
            for column in 0..3 {
                if (dots >> (2 - column)) & 1 == 1 {
                    let at = (x + column * DOT_SIDE, top + DOT_SIDE + row * DOT_SIDE);
                    fill_rectangle(out, at, (DOT_SIDE, DOT_SIDE), Rgb([255; 3]));
                }
            }
        }
        x += 4 * DOT_SIDE;
    }
}
