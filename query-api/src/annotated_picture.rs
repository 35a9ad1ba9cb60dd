//! A picture of a board with what was found on it: boxes with their classes and confidences, hatched where it was
//! not compared or not to be inspected, and a legend below. In the colours of reports.
//!
//! Invariant: the picture keeps its place, so that a pixel of it is the same pixel here; what is written grows
//! with it, and nothing that is written leaves it.

mod legend;
#[cfg(test)]
mod tests;

use domain::{Defect, Grade, PixelBox, UnexplainedDifference};
use image::{GrayImage, Rgb, RgbImage};

use crate::labels::{PlacedRect, place_labels};
use crate::lettering::Lettering;
use crate::palette::{Colour, EXCLUDED, INK, UNCOVERED, class_colour};

const WHITE: Colour = [255; 3];
/// Pixels of the longer side for each pixel of the words' size...
const SIDE_PER_SIZE: f32 = 110.0;
/// ...which is at least this...
const SIZE_MIN: f32 = 13.0;
/// ...unless the widest label is wider than the picture; then it shrinks to this at most.
const SIZE_LEAST: f32 = 5.0;
/// The width of a line, in parts of the words' size.
const LINE_PER_SIZE: f32 = 0.16;
/// Of a dashed line, how many of its widths are drawn, and how many are left out.
const DASH: (u32, u32) = (4, 3);
/// The same of a dotted one.
const DOTS: (u32, u32) = (1, 2);

/// What there is to see on a picture.
#[derive(Debug, Clone, Copy, Default)]
pub struct PictureMarks<'a> {
    /// Numbered from 1, with their grades: solid when it is a defect, else dashed.
    pub defects: &'a [(Defect, Grade)],
    /// Numbered D1, D2, …; dotted.
    pub differences: &'a [UnexplainedDifference],
    /// What was not compared.
    pub uncovered: &'a [PixelBox],
    /// What was not to be inspected.
    pub excluded: &'a [PixelBox],
    /// So many pixels along the border were not inspected either.
    pub border: u32,
}

/// A box to draw, and what is written beside it.
struct Mark {
    bounds: PixelBox,
    words: String,
    colour: Colour,
    style: LineStyle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineStyle {
    Solid,
    Dashed,
    Dotted,
}

/// The picture in grey with what there is to see on it, and below it a legend of that.
#[must_use]
pub fn annotate(picture: &GrayImage, marks: PictureMarks<'_>) -> RgbImage {
    let drawn = list_marks(&marks);
    let entries = legend::list_entries(&marks);
    let words = drawn.iter().map(|mark| mark.words.as_str());
    let letters = choose_lettering(picture.dimensions(), words.chain(legend::words(&entries)));
    let legend = legend::arrange_entries(entries, picture.width(), &letters);
    let (width, height) = picture.dimensions();
    let mut out = RgbImage::from_pixel(width, height + legend.height(), Rgb(WHITE));
    for (x, y, level) in picture.enumerate_pixels() {
        out.put_pixel(x, y, Rgb([level.0[0]; 3]));
    }
    let pen = LinePen { width: letters.line_width(), limit: (width, height) };
    for piece in marks.excluded.iter().chain(&border_strips((width, height), marks.border)) {
        pen.hatch(&mut out, piece, Hatching::Excluded);
    }
    for piece in marks.uncovered {
        pen.hatch(&mut out, piece, Hatching::Uncovered);
    }
    for mark in &drawn {
        pen.draw_frame(&mut out, &mark.bounds, mark.colour, mark.style);
    }
    write_labels(&mut out, &drawn, &letters, pen);
    legend.draw(&mut out, height, &letters);
    out
}

fn list_marks(marks: &PictureMarks<'_>) -> Vec<Mark> {
    let differences = (1..).zip(marks.differences).map(|(number, difference): (u32, _)| Mark {
        bounds: difference.bounds,
        words: format!("D{number} {} {:.1}", difference.kind, difference.strength),
        colour: INK,
        style: LineStyle::Dotted,
    });
    let defects = (1..).zip(marks.defects).map(|(number, (defect, grade)): (u32, _)| Mark {
        bounds: defect.bounds,
        words: format!("{number} {} {:.2}", defect.class, defect.confidence.get()),
        colour: class_colour(defect.class),
        style: if *grade == Grade::Defect { LineStyle::Solid } else { LineStyle::Dashed },
    });
    differences.chain(defects).collect()
}

/// Large enough for the picture, and as small as it takes for all words to lie on it.
fn choose_lettering<'a>(
    (width, height): (u32, u32),
    words: impl Iterator<Item = &'a str>,
) -> Lettering {
    let size = (width.max(height) as f32 / SIDE_PER_SIZE).max(SIZE_MIN);
    let letters = Lettering::new(size);
    let widest = words.map(|words| letters.measure(words).0).max().unwrap_or_default();
    if widest <= width {
        return letters;
    }
    letters.resized((size * width as f32 / widest as f32).max(SIZE_LEAST))
}

impl Lettering {
    /// The width of lines that go with the words, in pixels.
    fn line_width(&self) -> u32 {
        ((self.measure("").1 as f32 * LINE_PER_SIZE).round() as u32).max(1)
    }
}

/// Where the words of each mark are written.
fn place_words(drawn: &[Mark], letters: &Lettering, pen: LinePen) -> Vec<PlacedRect> {
    let boxes: Vec<_> = drawn
        .iter()
        .map(|mark| {
            let (width, height) = letters.measure(&mark.words);
            ((f64::from(width), f64::from(height)), pen.outer_rect(&mark.bounds))
        })
        .collect();
    let (width, height) = pen.limit;
    place_labels(&boxes, (f64::from(width), f64::from(height)))
}

/// Words on plates: of a defect in white on its colour, else in its colour on white.
fn write_labels(out: &mut RgbImage, drawn: &[Mark], letters: &Lettering, pen: LinePen) {
    for (mark, place) in drawn.iter().zip(place_words(drawn, letters, pen)) {
        let at = (place.x.round() as u32, place.y.round() as u32);
        let size = letters.measure(&mark.words);
        let (plate, ink) = match mark.style {
            LineStyle::Solid => (mark.colour, WHITE),
            LineStyle::Dashed | LineStyle::Dotted => (WHITE, mark.colour),
        };
        pen.fill(out, at, size, mark.colour);
        let edge = pen.width.div_ceil(2);
        let inner = (size.0.saturating_sub(2 * edge), size.1.saturating_sub(2 * edge));
        pen.fill(out, (at.0 + edge, at.1 + edge), inner, plate);
        letters.write(out, at, &mark.words, ink);
    }
}

/// The strips along the borders of a picture, up to its middle.
fn border_strips((width, height): (u32, u32), border: u32) -> [PixelBox; 4] {
    let (across, down) = (border.min(width / 2), border.min(height / 2));
    let beside = |x: u32| PixelBox { x, y: down, width: across, height: height - 2 * down };
    let level = |y: u32| PixelBox { x: 0, y, width, height: down };
    [level(0), level(height - down), beside(0), beside(width - across)]
}

/// What a piece is hatched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hatching {
    /// In lines that rise to the right, with a white edge, so that they show on copper and on substrate.
    Uncovered,
    /// In grey lines that fall.
    Excluded,
}

/// Draws lines of one width on the upper part of a picture, of so many pixels across and down.
#[derive(Debug, Clone, Copy)]
struct LinePen {
    width: u32,
    limit: (u32, u32),
}

impl LinePen {
    fn fill(
        self,
        out: &mut RgbImage,
        (x, y): (u32, u32),
        (width, height): (u32, u32),
        colour: Colour,
    ) {
        for y in y..y.saturating_add(height).min(self.limit.1) {
            for x in x..x.saturating_add(width).min(self.limit.0) {
                out.put_pixel(x, y, Rgb(colour));
            }
        }
    }

    fn hatch(self, out: &mut RgbImage, piece: &PixelBox, hatching: Hatching) {
        let step = 6 * self.width;
        let right = piece.x.saturating_add(piece.width).min(self.limit.0);
        let bottom = piece.y.saturating_add(piece.height).min(self.limit.1);
        for y in piece.y..bottom {
            for x in piece.x..right {
                let (across, edge, colour) = match hatching {
                    Hatching::Uncovered => (x + y, self.width, UNCOVERED),
                    Hatching::Excluded => (x + step * (1 + y / step) - y, 0, EXCLUDED),
                };
                let along = across % step;
                if along < self.width {
                    out.put_pixel(x, y, Rgb(colour));
                } else if along < self.width + edge || along >= step - edge {
                    out.put_pixel(x, y, Rgb(WHITE));
                }
            }
        }
    }

    /// The box with its frame, which lies around it: nothing of the flaw is hidden.
    fn outer_rect(self, bounds: &PixelBox) -> PlacedRect {
        let margin = 2 * self.width;
        let (x, y) = (bounds.x.saturating_sub(margin), bounds.y.saturating_sub(margin));
        let end = |start: u32, length: u32| start.saturating_add(length).saturating_add(margin);
        PlacedRect {
            x: f64::from(x),
            y: f64::from(y),
            width: f64::from(end(bounds.x, bounds.width).min(self.limit.0).saturating_sub(x)),
            height: f64::from(end(bounds.y, bounds.height).min(self.limit.1).saturating_sub(y)),
        }
    }

    /// A frame around the box with a white halo, so that it shows on copper and on substrate.
    fn draw_frame(self, out: &mut RgbImage, bounds: &PixelBox, colour: Colour, style: LineStyle) {
        let (outside, thickness) = (2 * self.width, 2 * self.width);
        let halo = BoxOutline { outside, thickness, colour: WHITE, style: LineStyle::Solid };
        self.draw_outline(out, bounds, halo);
        let (outside, thickness) = (self.width + self.width.div_ceil(2), self.width);
        self.draw_outline(out, bounds, BoxOutline { outside, thickness, colour, style });
    }

    fn draw_outline(self, out: &mut RgbImage, bounds: &PixelBox, outline: BoxOutline) {
        let BoxOutline { outside, thickness, colour, style } = outline;
        let (left, top) = (bounds.x.saturating_sub(outside), bounds.y.saturating_sub(outside));
        let end = |start: u32, length: u32, limit: u32| {
            start.saturating_add(length).saturating_add(outside).min(limit)
        };
        let right = end(bounds.x, bounds.width, self.limit.0);
        let bottom = end(bounds.y, bounds.height, self.limit.1);
        for y in top..bottom {
            for x in left..right {
                let is_level = y < top + thickness || y + thickness >= bottom;
                let is_upright = x < left + thickness || x + thickness >= right;
                let along = if is_level { x - left } else { y - top };
                if (is_level || is_upright) && style.is_drawn(along / self.width.max(1)) {
                    out.put_pixel(x, y, Rgb(colour));
                }
            }
        }
    }
}

/// A line around a box.
#[derive(Debug, Clone, Copy)]
struct BoxOutline {
    /// So many pixels outside of the box its outer edge lies.
    outside: u32,
    /// In pixels.
    thickness: u32,
    colour: Colour,
    style: LineStyle,
}

impl LineStyle {
    /// Whether it is drawn so many widths of the line from its start.
    const fn is_drawn(self, along: u32) -> bool {
        let (drawn, left_out) = match self {
            Self::Solid => return true,
            Self::Dashed => DASH,
            Self::Dotted => DOTS,
        };
        along % (drawn + left_out) < drawn
    }
}
