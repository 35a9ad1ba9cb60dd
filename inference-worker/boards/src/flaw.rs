//! Flaws: strokes of copper or of bare substrate, named by what they do to the copper's
//! connections.
//!
//! A stroke touches none, one, or several regions of the colour that it paints with: that is the
//! difference between an island (pin-hole, copper), an edge flaw (mousebite, spur) and a bridge
//! (open, short). The name is therefore a fact about the picture, never a wish.

use domain::{DefectClass, PixelBox};

use super::canvas::{Area, Canvas, Point};
use super::random::Random;
use super::stroke::{self, Stroke};

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
pub(super) struct Flaw {
    pub(super) class: DefectClass,
    pub(super) area: Area,
}

impl Flaw {
    /// The labelled box: the stroke's rectangle with DeepPCB's margin, inside the picture.
    pub(super) fn label(&self, size: u32) -> PixelBox {
        let size = i32::try_from(size).unwrap_or(i32::MAX);
        let box_ = self.area.grown(i32::try_from(LABEL_MARGIN).unwrap_or(0));
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

/// Draws up to `count` flaws within `inside`; fewer when the board has no room for them.
pub(super) fn scatter(
    board: &mut Canvas,
    inside: Area,
    count: usize,
    random: &mut Random,
) -> Vec<Flaw> {
    let mut flaws: Vec<Flaw> = Vec::with_capacity(count);
    let apart = random.between(APART.0, APART.1);
    for _ in 0..count {
        let class = random.pick(DefectClass::ALL);
        for _ in 0..ATTEMPTS {
            let Some(stroke) = propose(board, class, random) else { continue };
            let free = flaws.iter().all(|flaw| !flaw.area.grown(apart).meets(stroke.area));
            if free && inside.holds(stroke.area) && does(board, &stroke, class) {
                apply(board, &stroke, adds_copper(class));
                flaws.push(Flaw { class, area: stroke.area });
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

/// A stroke that may well do what the class says.
fn propose(board: &Canvas, class: DefectClass, random: &mut Random) -> Option<Stroke> {
    let paint = adds_copper(class);
    let seed =
        Point::new(random.between(12, board.width - 13), random.between(12, board.height - 13));
    if board.at(seed.x, seed.y) == paint {
        return None;
    }
    match class {
        DefectClass::PinHole | DefectClass::Copper => island(seed, random),
        DefectClass::Mousebite | DefectClass::Spur => edge(board, seed, random),
        DefectClass::Open | DefectClass::Short => bridge(board, seed, random),
    }
}

/// A blob, a hook, or a line that may be curved.
fn island(seed: Point, random: &mut Random) -> Option<Stroke> {
    let width = random.between(4, 8) + random.between(0, 4) * random.between(0, 2);
    let path = match random.between(0, 9) {
        0..=4 => {
            let length = random.between(4, 16) + random.between(0, 1) * random.between(0, 24);
            curve(seed, step(seed, random.pick(DIRECTIONS), length), random.around_zero(length))
        }
        5 => {
            let width = random.between(8, 20);
            return stroke::along(&[seed, seed], width, random);
        }
        6 if random.chance(50) => return scratch(seed, random.pick(DIRECTIONS), random),
        _ => {
            let reach = random.pick([1, 4, 8, 12, 12, 18]);
            wander(seed, reach, random)
        }
    };
    stroke::along(&path, width, random)
}

/// A stroke that starts a little outside an edge and runs into the region, or along its edge, or a
/// blob on the edge or a corner.
fn edge(board: &Canvas, seed: Point, random: &mut Random) -> Option<Stroke> {
    let nearest = DIRECTIONS
        .into_iter()
        .filter_map(|direction| Some((run(board, seed, direction, 40)?, direction)))
        .min_by_key(|&(reach, _)| reach);
    let any = random.pick(DIRECTIONS);
    let (reach, direction) = match nearest {
        Some(nearest) if random.chance(60) => nearest,
        _ => (run(board, seed, any, 40)?, any),
    };
    let wider = if random.chance(30) { random.between(0, 6) } else { 0 };
    let width = random.between(4, 7) + wider;
    let on_edge = step(seed, direction, reach);
    let kind = random.between(0, 9);
    if kind == 0 {
        let radius = random.between(5, 12);
        let centre = step(on_edge, direction, random.between(-radius / 2, radius / 2));
        return stroke::along(&[centre, centre], 2 * radius, random);
    }
    if kind <= 2 {
        let along = Point::new(-direction.y, direction.x);
        let length = random.between(8, 36);
        let from = step(on_edge, direction, random.between(-3, 1));
        let path = curve(from, step(from, along, length), random.around_zero(6));
        return stroke::along(&path, width, random);
    }
    if kind == 3 && random.chance(50) {
        let start = step(on_edge, direction, random.between(0, 4));
        let lean = random.pick(DIRECTIONS);
        let heading = Point::new((lean.x - direction.x) / 2, (lean.y - direction.y) / 2);
        return scratch(start, heading, random);
    }
    if kind == 4 && random.chance(40) {
        return fray(on_edge, direction, random);
    }
    let farther = if random.chance(25) { random.between(0, 5) } else { 0 };
    let outside = random.between(-2, 2) + farther;
    let start = step(on_edge, direction, outside);
    let deeper = if random.chance(35) { random.between(0, 32) } else { 0 };
    let depth = outside + random.between(3, 8) + deeper;
    let lean = random.pick(DIRECTIONS);
    let end = step(step(start, direction, -depth), lean, random.between(0, 3 + depth / 2));
    let mut path = curve(start, end, random.around_zero(depth / 2));
    if random.chance(20) {
        path.extend(wander(end, random.between(2, 8), random));
    }
    stroke::along(&path, width, random)
}

/// A long thin line that trembles.
fn scratch(from: Point, heading: Point, random: &mut Random) -> Option<Stroke> {
    let length = random.between(24, 80);
    let bow = random.around_zero(length / 2);
    let mut path = curve(from, step(from, heading, length), bow);
    for point in path.iter_mut().skip(1) {
        *point = Point::new(point.x + random.between(-2, 2), point.y + random.between(-2, 2));
    }
    stroke::along(&path, random.between(3, 5), random)
}

/// A line that runs to and fro across an edge.
fn fray(on_edge: Point, direction: Point, random: &mut Random) -> Option<Stroke> {
    let along = Point::new(-direction.y, direction.x);
    let (pitch, tall) = (random.between(3, 6), random.between(3, 8));
    let path: Vec<Point> = (0..random.between(4, 12))
        .map(|turn| {
            let out = if turn % 2 == 0 { tall } else { -tall / 2 };
            step(step(on_edge, along, turn * pitch), direction, out + random.between(-1, 1))
        })
        .collect();
    stroke::along(&path, random.between(3, 4), random)
}

/// A line that bows sideways by about half of `bow` pixels (a quadratic Bézier curve in four legs).
fn curve(from: Point, to: Point, bow: i32) -> Vec<Point> {
    let length = (to.x - from.x).abs().max((to.y - from.y).abs()).max(1);
    let control = Point::new(
        (from.x + to.x) / 2 - (to.y - from.y) * bow / length,
        (from.y + to.y) / 2 + (to.x - from.x) * bow / length,
    );
    let at = |a: i32, c: i32, b: i32, t: i32| {
        ((4 - t) * (4 - t) * a + 2 * t * (4 - t) * c + t * t * b) / 16
    };
    (0..=4)
        .map(|t| Point::new(at(from.x, control.x, to.x, t), at(from.y, control.y, to.y, t)))
        .collect()
}

/// A stroke across the region at its narrow side, with some overshoot on both ends.
fn bridge(board: &Canvas, seed: Point, random: &mut Random) -> Option<Stroke> {
    let limit = random.pick([12, 18, 30, 30, 45, 70]);
    let mut best: Option<(i32, Point, Point, Point)> = None;
    for direction in DIRECTIONS.into_iter().take(DIRECTIONS.len() / 2) {
        let back = Point::new(-direction.x, -direction.y);
        let (Some(ahead), Some(behind)) =
            (run(board, seed, direction, limit), run(board, seed, back, limit))
        else {
            continue;
        };
        let span = ahead + behind + random.between(0, 6);
        if best.is_none_or(|(shortest, ..)| span < shortest) {
            let (from, to) = (step(seed, direction, ahead), step(seed, back, behind));
            best = Some((span, direction, from, to));
        }
    }
    let (_, direction, from, to) = best?;
    let over = random.between(-1, 2) + random.between(0, 1) * random.between(0, 5);
    let back = Point::new(-direction.x, -direction.y);
    let (mut from, mut to) = (step(from, direction, over), step(to, back, over));
    if random.chance(40) {
        from = Point::new(from.x + random.around_zero(8), from.y + random.around_zero(8));
        to = Point::new(to.x + random.around_zero(8), to.y + random.around_zero(8));
    }
    let bow = random.pick([0, 0, 2, 4, 7]);
    let middle = Point::new(
        (from.x + to.x) / 2 + random.between(-bow, bow),
        (from.y + to.y) / 2 + random.between(-bow, bow),
    );
    let width = if random.chance(18) {
        random.between(12, 36)
    } else {
        random.between(4, 8) + random.between(0, 1) * random.between(0, 9)
    };
    stroke::along(&[from, middle, to], width, random)
}

/// Unit vectors times eight, opposite ones eight places apart.
const DIRECTIONS: [Point; 16] = [
    Point::new(8, 0),
    Point::new(7, 3),
    Point::new(6, 6),
    Point::new(3, 7),
    Point::new(0, 8),
    Point::new(-3, 7),
    Point::new(-6, 6),
    Point::new(-7, 3),
    Point::new(-8, 0),
    Point::new(-7, -3),
    Point::new(-6, -6),
    Point::new(-3, -7),
    Point::new(0, -8),
    Point::new(3, -7),
    Point::new(6, -6),
    Point::new(7, -3),
];

fn step(from: Point, direction: Point, distance: i32) -> Point {
    Point::new(from.x + direction.x * distance / 8, from.y + direction.y * distance / 8)
}

/// How far one can go before the colour changes; none beyond `limit` or the board.
fn run(board: &Canvas, from: Point, direction: Point, limit: i32) -> Option<i32> {
    let colour = board.at(from.x, from.y);
    (1..=limit).find(|&distance| {
        let p = step(from, direction, distance);
        board.at(p.x, p.y) != colour
    })
}

/// A short path of up to five legs.
fn wander(start: Point, reach: i32, random: &mut Random) -> Vec<Point> {
    let mut path = vec![start];
    let mut at = start;
    for _ in 0..random.between(1, 4) {
        at = Point::new(at.x + random.around_zero(reach), at.y + random.around_zero(reach));
        path.push(at);
    }
    path
}

/// True when the stroke visibly does to the board what the class says, and nothing else.
fn does(board: &Canvas, stroke: &Stroke, class: DefectClass) -> bool {
    let wanted = match class {
        DefectClass::PinHole | DefectClass::Copper => Effect::Island,
        DefectClass::Mousebite | DefectClass::Spur => Effect::Edge,
        DefectClass::Open | DefectClass::Short => Effect::Bridge,
    };
    effect(board, stroke, adds_copper(class)) == Some(wanted)
}

/// Pixels of a window: what they were, and what the stroke makes of them.
struct Window<'a> {
    board: &'a Canvas,
    stroke: &'a Stroke,
    area: Area,
    paint: bool,
}

impl Window<'_> {
    fn eaten(&self, x: i32, y: i32) -> bool {
        self.stroke.covers(x, y) && self.board.at(x, y) != self.paint
    }

    /// Regions of pixels that `belongs` accepts, as lists of pixels.
    fn regions(&self, belongs: impl Fn(i32, i32) -> bool) -> Vec<Vec<Point>> {
        let Area { left, top, right, bottom } = self.area;
        let mut seen = Canvas::new(right - left, bottom - top);
        let mut regions = Vec::new();
        for y in top..bottom {
            for x in left..right {
                if seen.at(x - left, y - top) || !belongs(x, y) {
                    continue;
                }
                let mut region = vec![Point::new(x, y)];
                seen.set(x - left, y - top, true);
                let mut next = 0;
                while let Some(&Point { x, y }) = region.get(next) {
                    next += 1;
                    for (x, y) in [(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)] {
                        let within = (left..right).contains(&x) && (top..bottom).contains(&y);
                        if within && !seen.at(x - left, y - top) && belongs(x, y) {
                            seen.set(x - left, y - top, true);
                            region.push(Point::new(x, y));
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
fn effect(board: &Canvas, stroke: &Stroke, paint: bool) -> Option<Effect> {
    let area = stroke.area.grown(SURROUNDINGS);
    let window = Window { board, stroke, area, paint };
    let mut eaten = Vec::new();
    for y in stroke.area.top..stroke.area.bottom {
        for x in stroke.area.left..stroke.area.right {
            if window.eaten(x, y) {
                eaten.push(Point::new(x, y));
            }
        }
    }
    let solid = |p: &&Point| (-1..=1).all(|dy| (-1..=1).all(|dx| window.eaten(p.x + dx, p.y + dy)));
    if eaten.len() < MIN_CHANGED || eaten.iter().filter(solid).count() < 2 {
        return None;
    }
    let touches = |region: &Vec<Point>, reach: i32| {
        region.iter().any(|p| {
            (-reach..=reach).any(|d| window.eaten(p.x + d, p.y) || window.eaten(p.x, p.y + d))
        })
    };
    let same = window.regions(|x, y| board.at(x, y) == paint);
    let touched = same.iter().filter(|region| touches(region, 1)).count();
    let nearly = same.iter().filter(|region| touches(region, 3)).count();
    let before = window.regions(|x, y| board.at(x, y) != paint);
    let after = window.regions(|x, y| board.at(x, y) != paint && !stroke.covers(x, y));
    let more = after.len() > before.len();
    let pieces = |of: &[Vec<Point>], least| of.iter().filter(|r| r.len() > least).count();
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

fn apply(board: &mut Canvas, stroke: &Stroke, copper: bool) {
    for y in stroke.area.top..stroke.area.bottom {
        for x in stroke.area.left..stroke.area.right {
            if stroke.covers(x, y) {
                board.set(x, y, copper);
            }
        }
    }
}
