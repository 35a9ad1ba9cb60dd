//! The brush: hand-like strokes of several kinds, as real flaws and the painted ones of DeepPCB
//! look.

use super::canvas::{Area, Canvas, PixelPoint, Shape};
use super::random::Random;

/// A stroke's pixels, in coordinates of its own, and where they lie on the board.
#[derive(Debug, Clone)]
pub(super) struct Stroke {
    mask: Canvas,
    origin: PixelPoint,
    /// The smallest rectangle on the board that holds the stroke.
    pub(super) area: Area,
}

impl Stroke {
    /// True when the stroke covers a filled pixel of the canvas.
    pub(super) fn touches(&self, canvas: &Canvas) -> bool {
        let Area { left, top, right, bottom } = self.area;
        (top..bottom).any(|y| (left..right).any(|x| canvas.is_copper(x, y) && self.covers(x, y)))
    }

    /// True when the stroke covers this pixel of the board.
    pub(super) fn covers(&self, x: i32, y: i32) -> bool {
        self.mask.is_copper(x - self.origin.x, y - self.origin.y)
    }
}

/// How the brush behaves along a path.
#[derive(Debug, Clone, Copy)]
enum Brush {
    /// One even line.
    Pen,
    /// A line that swells or thins, at times to a wedge.
    Tapered,
    /// Many thin lines to and fro, with gaps between them.
    Scribble,
    /// A square nib.
    Square,
}

/// Draws along `path` with a brush of about `width` pixels; none when nothing was drawn.
pub(super) fn draw_along(path: &[PixelPoint], width: i32, random: &mut Random) -> Option<Stroke> {
    let reach = width + 4;
    let left = path.iter().map(|p| p.x).min()? - reach;
    let top = path.iter().map(|p| p.y).min()? - reach;
    let right = path.iter().map(|p| p.x).max()? + reach;
    let bottom = path.iter().map(|p| p.y).max()? + reach;
    let origin = PixelPoint::new(left, top);
    let mut mask = Canvas::new(right - left, bottom - top);
    let local: Vec<PixelPoint> =
        path.iter().map(|p| PixelPoint::new(p.x - left, p.y - top)).collect();
    let brush = match random.between(0, 9) {
        0..=4 => Brush::Pen,
        5..=6 => Brush::Tapered,
        7 => Brush::Square,
        _ => Brush::Scribble,
    };
    draw_path(&mut mask, &local, (brush, width), random);
    if random.chance(8) {
        remove_spots(&mut mask, random);
    }
    let extent = mask.copper_extent()?;
    let area = Area {
        left: extent.left + left,
        top: extent.top + top,
        right: extent.right + left,
        bottom: extent.bottom + top,
    };
    Some(Stroke { mask, origin, area })
}

fn draw_path(
    mask: &mut Canvas,
    path: &[PixelPoint],
    (brush, width): (Brush, i32),
    random: &mut Random,
) {
    let steep = if random.chance(30) { 4 } else { 2 };
    let slope = random.between(-steep, steep);
    for (leg, ends) in (0..).zip(path.windows(2)) {
        let (from, to) = (ends[0], ends[1]);
        match brush {
            Brush::Pen => mask.paint_shape(Shape::Line { from, to, width }, true),
            Brush::Tapered => {
                let width = (width + slope * leg).max(3);
                mask.paint_shape(Shape::Line { from, to, width }, true);
            }
            Brush::Square => stamp_square(mask, (from, to), width),
            Brush::Scribble => draw_scribble(mask, (from, to), width, random),
        }
    }
}

/// Stamps a square of `width` along the line.
fn stamp_square(mask: &mut Canvas, (from, to): (PixelPoint, PixelPoint), width: i32) {
    let steps = (to.x - from.x).abs().max((to.y - from.y).abs()).max(1);
    for step in 0..=steps {
        let x = from.x + (to.x - from.x) * step / steps - width / 2;
        let y = from.y + (to.y - from.y) * step / steps - width / 2;
        let area = Area { left: x, top: y, right: x + width, bottom: y + width };
        mask.paint_shape(Shape::Rect { area, round: 0 }, true);
    }
}

/// Thin lines to and fro within `width` of the line; the first one is solid, so that the stroke
/// holds together.
fn draw_scribble(
    mask: &mut Canvas,
    (from, to): (PixelPoint, PixelPoint),
    width: i32,
    random: &mut Random,
) {
    let thin = random.between(3, 4);
    mask.paint_shape(Shape::Line { from, to, width: thin }, true);
    let reach = width * 2 / 3 + 1;
    let mut last = from;
    for _ in 0..random.between(3, 7) {
        let at = random.between(0, 16);
        let next = PixelPoint::new(
            from.x + (to.x - from.x) * at / 16 + random.between(-reach, reach),
            from.y + (to.y - from.y) * at / 16 + random.between(-reach, reach),
        );
        mask.paint_shape(Shape::Line { from: last, to: next, width: random.between(2, 3) }, true);
        last = next;
    }
}

/// Takes away some small spots, as a dry brush does.
fn remove_spots(mask: &mut Canvas, random: &mut Random) {
    let spots = mask.width * mask.height / 60;
    for _ in 0..spots {
        let x = random.between(0, mask.width - 1);
        let y = random.between(0, mask.height - 1);
        mask.set(x, y, false);
        mask.set(x + random.between(0, 1), y + random.between(0, 1), false);
    }
}
