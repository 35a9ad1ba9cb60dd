//! Flaws: strokes of copper or of bare substrate, named by what they do to the copper's
//! connections.
//!
//! A stroke touches none, one, or several regions of the colour that it paints with: that is the
//! difference between an island (pin-hole, copper), an edge flaw (mousebite, spur) and a bridge
//! (open, short). The name is therefore a fact about the picture, never a wish.

use domain::{DefectClass, PixelBox};

use super::canvas::{Area, Canvas, PixelPoint};
use super::random::Random;
use super::stroke::Stroke;

mod proposal;

/// How far a label's box reaches beyond its stroke, in pixels, as in DeepPCB.
pub const LABEL_MARGIN: u32 = 10;
/// Regions and fragments with fewer pixels do not count as connections.
const CRUMB_PIXELS: usize = 14;
/// A flaw must change at least this many pixels.
const MIN_CHANGED: usize = 16;
/// What is looked at around a stroke to judge connections, in pixels.
const SURROUNDINGS: i32 = 16;
/// Strokes on one board keep at least this many pixels apart, and mostly a few more.
const APART: (i32, i32) = (5, 12);
/// Copper of up to this many pixels that a stroke cuts off, or substrate that it encloses, is part
/// of an edge flaw: nothing was connected by it.
const SCRAP_PIXELS: usize = 30;
/// From so many pixels on it is a piece of its own. In between nobody can say.
const PIECE_PIXELS: usize = 55;

/// A flaw that was drawn: its class, and the stroke's rectangle on the test picture.
pub(super) struct PaintedFlaw {
    pub(super) class: DefectClass,
    pub(super) area: Area,
}

impl PaintedFlaw {
    /// The labelled box: the stroke's rectangle with DeepPCB's margin, inside the picture.
    pub(super) fn labelled_box(&self, size: u32) -> PixelBox {
        let size = i32::try_from(size).unwrap_or(i32::MAX);
        let box_ = self.area.grown_by(i32::try_from(LABEL_MARGIN).unwrap_or(0));
        let side = |low: i32, high: i32| {
            let (low, high) = (low.clamp(0, size), high.clamp(0, size));
            (low.unsigned_abs(), (high - low).unsigned_abs())
        };
        let (x, width) = side(box_.left, box_.right);
        let (y, height) = side(box_.top, box_.bottom);
        PixelBox { x, y, width, height }
    }
}

/// What a stroke does to the region that it eats into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Island,
    Edge,
    Bridge,
}

/// Draws up to `count` flaws within `inside`, each of them where `is_visible` says so; fewer when the
/// board has no room for them.
pub(super) fn paint_flaws(
    board: &mut Canvas,
    inside: Area,
    count: usize,
    is_visible: impl Fn(&Stroke) -> bool,
    random: &mut Random,
) -> Vec<PaintedFlaw> {
    let mut flaws: Vec<PaintedFlaw> = Vec::with_capacity(count);
    let apart = random.between(APART.0, APART.1);
    for _ in 0..count {
        let class = random.pick(DefectClass::OF_COPPER);
        for _ in 0..ATTEMPTS {
            let Some(stroke) = proposal::propose_stroke(board, class, random) else { continue };
            let free = flaws.iter().all(|flaw| !flaw.area.grown_by(apart).overlaps(stroke.area));
            let allowed = free && inside.encloses(stroke.area) && is_visible(&stroke);
            if allowed && has_named_effect(board, &stroke, class) {
                apply_stroke(board, &stroke, adds_copper(class));
                flaws.push(PaintedFlaw { class, area: stroke.area });
                break;
            }
        }
    }
    flaws
}

/// Proposals per flaw before it is given up.
const ATTEMPTS: usize = 60;

const fn adds_copper(class: DefectClass) -> bool {
    matches!(class, DefectClass::Copper | DefectClass::Spur | DefectClass::Short)
}

/// True when the stroke visibly does to the board what the class says, and nothing else.
fn has_named_effect(board: &Canvas, stroke: &Stroke, class: DefectClass) -> bool {
    let wanted = match class {
        DefectClass::PinHole | DefectClass::Copper => Effect::Island,
        DefectClass::Mousebite | DefectClass::Spur => Effect::Edge,
        DefectClass::Open | DefectClass::Short => Effect::Bridge,
        // Not one of copper: no stroke does it.
        DefectClass::MissingHole => return false,
    };
    effect_of_stroke(board, stroke, adds_copper(class)) == Some(wanted)
}

/// Pixels of a window: what they were, and what the stroke makes of them.
struct Window<'a> {
    board: &'a Canvas,
    stroke: &'a Stroke,
    area: Area,
    paint: bool,
}

impl Window<'_> {
    fn is_changed(&self, x: i32, y: i32) -> bool {
        self.stroke.covers(x, y) && self.board.is_copper(x, y) != self.paint
    }

    /// Regions of pixels that `belongs` accepts, as lists of pixels.
    fn find_regions(&self, belongs: impl Fn(i32, i32) -> bool) -> Vec<Vec<PixelPoint>> {
        let Area { left, top, right, bottom } = self.area;
        let mut seen = Canvas::new(right - left, bottom - top);
        let mut regions = Vec::new();
        for y in top..bottom {
            for x in left..right {
                if seen.is_copper(x - left, y - top) || !belongs(x, y) {
                    continue;
                }
                let mut region = vec![PixelPoint::new(x, y)];
                seen.set(x - left, y - top, true);
                let mut next = 0;
                while let Some(&PixelPoint { x, y }) = region.get(next) {
                    next += 1;
                    for (x, y) in [(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)] {
                        let within = (left..right).contains(&x) && (top..bottom).contains(&y);
                        if within && !seen.is_copper(x - left, y - top) && belongs(x, y) {
                            seen.set(x - left, y - top, true);
                            region.push(PixelPoint::new(x, y));
                        }
                    }
                }
                if region.len() >= CRUMB_PIXELS {
                    regions.push(region);
                }
            }
        }
        regions
    }
}

/// What the stroke does; none when it is too faint to be seen, or too close to call.
fn effect_of_stroke(board: &Canvas, stroke: &Stroke, paint: bool) -> Option<Effect> {
    let area = stroke.area.grown_by(SURROUNDINGS);
    let window = Window { board, stroke, area, paint };
    let mut eaten = Vec::new();
    for y in stroke.area.top..stroke.area.bottom {
        for x in stroke.area.left..stroke.area.right {
            if window.is_changed(x, y) {
                eaten.push(PixelPoint::new(x, y));
            }
        }
    }
    let solid = |p: &&PixelPoint| {
        (-1..=1).all(|dy| (-1..=1).all(|dx| window.is_changed(p.x + dx, p.y + dy)))
    };
    if eaten.len() < MIN_CHANGED || eaten.iter().filter(solid).count() < 2 {
        return None;
    }
    let touches = |region: &Vec<PixelPoint>, reach: i32| {
        region.iter().any(|p| {
            (-reach..=reach)
                .any(|d| window.is_changed(p.x + d, p.y) || window.is_changed(p.x, p.y + d))
        })
    };
    let same = window.find_regions(|x, y| board.is_copper(x, y) == paint);
    let touched = same.iter().filter(|region| touches(region, 1)).count();
    let nearly = same.iter().filter(|region| touches(region, 3)).count();
    let before = window.find_regions(|x, y| board.is_copper(x, y) != paint);
    let after = window.find_regions(|x, y| board.is_copper(x, y) != paint && !stroke.covers(x, y));
    let more = after.len() > before.len();
    let pieces = |of: &[Vec<PixelPoint>], least| of.iter().filter(|r| r.len() > least).count();
    // What a stroke cuts off counts by its size.
    let cut = pieces(&after, PIECE_PIXELS) > pieces(&before, PIECE_PIXELS);
    let scraps = more && pieces(&after, SCRAP_PIXELS) <= pieces(&before, SCRAP_PIXELS);
    match (touched, nearly) {
        (0, 0) => Some(Effect::Island),
        (1, 1) if !more || scraps => Some(Effect::Edge),
        (0 | 1, _) if !more || !cut => None,
        _ => Some(Effect::Bridge),
    }
}

fn apply_stroke(board: &mut Canvas, stroke: &Stroke, copper: bool) {
    for y in stroke.area.top..stroke.area.bottom {
        for x in stroke.area.left..stroke.area.right {
            if stroke.covers(x, y) {
                board.set(x, y, copper);
            }
        }
    }
}
