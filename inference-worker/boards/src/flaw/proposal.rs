//! Proposals: strokes that may well do what a class of defect says. Whether they do is judged afterwards,
//! on the board.

use domain::DefectClass;

use super::adds_copper;
use crate::canvas::{Canvas, PixelPoint};
use crate::random::Random;
use crate::stroke::{self, Stroke};

/// A stroke that may well do what the class says.
pub(super) fn propose_stroke(
    board: &Canvas,
    class: DefectClass,
    random: &mut Random,
) -> Option<Stroke> {
    let paint = adds_copper(class);
    let seed = PixelPoint::new(
        random.between(12, board.width - 13),
        random.between(12, board.height - 13),
    );
    if board.is_copper(seed.x, seed.y) == paint {
        return None;
    }
    match class {
        DefectClass::PinHole | DefectClass::Copper => island_stroke(seed, random),
        DefectClass::Mousebite | DefectClass::Spur => edge_stroke(board, seed, random),
        DefectClass::Open | DefectClass::Short if random.chance(15) => {
            corner_stroke(board, seed, random)
        }
        DefectClass::Open | DefectClass::Short => bridge_stroke(board, seed, random),
        DefectClass::MissingHole => None,
    }
}

/// A blob, a hook, or a line that may be curved.
fn island_stroke(seed: PixelPoint, random: &mut Random) -> Option<Stroke> {
    let width = random.between(4, 8) + random.between(0, 4) * random.between(0, 2);
    let path = match random.between(0, 9) {
        0..=4 => {
            let length = random.between(4, 16) + random.between(0, 1) * random.between(0, 24);
            curved_path(
                seed,
                point_at(seed, random.pick(DIRECTIONS), length),
                random.around_zero(length),
            )
        }
        5 => {
            let width = random.between(8, 20);
            return stroke::draw_along(&[seed, seed], width, random);
        }
        6 if random.chance(50) => return scratch_stroke(seed, random.pick(DIRECTIONS), random),
        _ => {
            let reach = random.pick([1, 4, 8, 12, 12, 18]);
            wandering_path(seed, reach, random)
        }
    };
    stroke::draw_along(&path, width, random)
}

/// A stroke that starts a little outside an edge and runs into the region, or along its edge, or a
/// blob on the edge or a corner.
fn edge_stroke(board: &Canvas, seed: PixelPoint, random: &mut Random) -> Option<Stroke> {
    let nearest = DIRECTIONS
        .into_iter()
        .filter_map(|direction| Some((distance_to_edge(board, seed, direction, 40)?, direction)))
        .min_by_key(|&(reach, _)| reach);
    let any = random.pick(DIRECTIONS);
    let (reach, direction) = match nearest {
        Some(nearest) if random.chance(60) => nearest,
        _ => (distance_to_edge(board, seed, any, 40)?, any),
    };
    let wider = if random.chance(30) { random.between(0, 6) } else { 0 };
    let width = random.between(4, 7) + wider;
    let on_edge = point_at(seed, direction, reach);
    let kind = random.between(0, 9);
    if kind == 0 {
        let radius = random.between(5, 12);
        let centre = point_at(on_edge, direction, random.between(-radius / 2, radius / 2));
        return stroke::draw_along(&[centre, centre], 2 * radius, random);
    }
    if kind <= 2 || kind == 5 {
        let along = PixelPoint::new(-direction.y, direction.x);
        let length = if kind == 5 { random.between(24, 56) } else { random.between(8, 36) };
        let from = point_at(on_edge, direction, random.between(-3, 1));
        let path = curved_path(from, point_at(from, along, length), random.around_zero(6));
        return stroke::draw_along(&path, width, random);
    }
    if kind == 3 && random.chance(50) {
        let start = point_at(on_edge, direction, random.between(0, 4));
        let lean = random.pick(DIRECTIONS);
        let heading = PixelPoint::new((lean.x - direction.x) / 2, (lean.y - direction.y) / 2);
        return scratch_stroke(start, heading, random);
    }
    if kind == 4 && random.chance(40) {
        return frayed_stroke(on_edge, direction, random);
    }
    let farther = if random.chance(25) { random.between(0, 5) } else { 0 };
    let outside = random.between(-2, 2) + farther;
    let start = point_at(on_edge, direction, outside);
    let deeper = if random.chance(35) { random.between(0, 32) } else { 0 };
    let depth = outside + random.between(3, 8) + deeper;
    let lean = random.pick(DIRECTIONS);
    let end = point_at(point_at(start, direction, -depth), lean, random.between(0, 3 + depth / 2));
    let mut path = curved_path(start, end, random.around_zero(depth / 2));
    if random.chance(20) {
        path.extend(wandering_path(end, random.between(2, 8), random));
    }
    stroke::draw_along(&path, width, random)
}

/// A long thin line that trembles.
fn scratch_stroke(from: PixelPoint, heading: PixelPoint, random: &mut Random) -> Option<Stroke> {
    let length = random.between(24, 80);
    let bow = random.around_zero(length / 2);
    let mut path = curved_path(from, point_at(from, heading, length), bow);
    for point in path.iter_mut().skip(1) {
        *point = PixelPoint::new(point.x + random.between(-2, 2), point.y + random.between(-2, 2));
    }
    stroke::draw_along(&path, random.between(3, 5), random)
}

/// A line that runs to and fro across an edge.
fn frayed_stroke(
    on_edge: PixelPoint,
    direction: PixelPoint,
    random: &mut Random,
) -> Option<Stroke> {
    let along = PixelPoint::new(-direction.y, direction.x);
    let (pitch, tall) = (random.between(3, 6), random.between(3, 8));
    let path: Vec<PixelPoint> = (0..random.between(4, 12))
        .map(|turn| {
            let out = if turn % 2 == 0 { tall } else { -tall / 2 };
            point_at(point_at(on_edge, along, turn * pitch), direction, out + random.between(-1, 1))
        })
        .collect();
    stroke::draw_along(&path, random.between(3, 4), random)
}

/// A line that bows sideways by about half of `bow` pixels (a quadratic Bézier curve in four legs).
fn curved_path(from: PixelPoint, to: PixelPoint, bow: i32) -> Vec<PixelPoint> {
    let length = (to.x - from.x).abs().max((to.y - from.y).abs()).max(1);
    let control = PixelPoint::new(
        (from.x + to.x) / 2 - (to.y - from.y) * bow / length,
        (from.y + to.y) / 2 + (to.x - from.x) * bow / length,
    );
    let at = |a: i32, c: i32, b: i32, t: i32| {
        ((4 - t) * (4 - t) * a + 2 * t * (4 - t) * c + t * t * b) / 16
    };
    (0..=4)
        .map(|t| PixelPoint::new(at(from.x, control.x, to.x, t), at(from.y, control.y, to.y, t)))
        .collect()
}

/// A stroke across the region at its narrow side, with some overshoot on both ends.
fn bridge_stroke(board: &Canvas, seed: PixelPoint, random: &mut Random) -> Option<Stroke> {
    let limit = random.pick([12, 18, 30, 30, 45, 70]);
    let mut best: Option<(i32, PixelPoint, PixelPoint, PixelPoint)> = None;
    for direction in DIRECTIONS.into_iter().take(DIRECTIONS.len() / 2) {
        let back = PixelPoint::new(-direction.x, -direction.y);
        let (Some(ahead), Some(behind)) = (
            distance_to_edge(board, seed, direction, limit),
            distance_to_edge(board, seed, back, limit),
        ) else {
            continue;
        };
        let span = ahead + behind + random.between(0, 6);
        if best.is_none_or(|(shortest, ..)| span < shortest) {
            let (from, to) = (point_at(seed, direction, ahead), point_at(seed, back, behind));
            best = Some((span, direction, from, to));
        }
    }
    let (_, direction, from, to) = best?;
    let over = random.between(-1, 2) + random.between(0, 1) * random.between(0, 5);
    let back = PixelPoint::new(-direction.x, -direction.y);
    let (mut from, mut to) = (point_at(from, direction, over), point_at(to, back, over));
    if random.chance(40) {
        from = PixelPoint::new(from.x + random.around_zero(8), from.y + random.around_zero(8));
        to = PixelPoint::new(to.x + random.around_zero(8), to.y + random.around_zero(8));
    }
    let bow = random.pick([0, 0, 0, 2, 2, 4, 7, 7, 14]);
    let middle = PixelPoint::new(
        (from.x + to.x) / 2 + random.between(-bow, bow),
        (from.y + to.y) / 2 + random.between(-bow, bow),
    );
    let width = if random.chance(18) {
        random.between(12, 36)
    } else {
        random.between(4, 8) + random.between(0, 1) * random.between(0, 9)
    };
    stroke::draw_along(&[from, middle, to], width, random)
}

/// A thin stroke from one edge of the region to another one at right angles, as a crack that parts the corner of
/// a pad.
fn corner_stroke(board: &Canvas, seed: PixelPoint, random: &mut Random) -> Option<Stroke> {
    let one = random.pick(DIRECTIONS);
    let other = PixelPoint::new(-one.y, one.x);
    let mut end_along = |direction| {
        let reach = distance_to_edge(board, seed, direction, 40)?;
        Some(point_at(seed, direction, reach + random.between(0, 4)))
    };
    let (from, to) = (end_along(one)?, end_along(other)?);
    let path = curved_path(from, to, random.around_zero(16));
    stroke::draw_along(&path, random.between(3, 7), random)
}

/// Unit vectors times eight, opposite ones eight places apart.
const DIRECTIONS: [PixelPoint; 16] = [
    PixelPoint::new(8, 0),
    PixelPoint::new(7, 3),
    PixelPoint::new(6, 6),
    PixelPoint::new(3, 7),
    PixelPoint::new(0, 8),
    PixelPoint::new(-3, 7),
    PixelPoint::new(-6, 6),
    PixelPoint::new(-7, 3),
    PixelPoint::new(-8, 0),
    PixelPoint::new(-7, -3),
    PixelPoint::new(-6, -6),
    PixelPoint::new(-3, -7),
    PixelPoint::new(0, -8),
    PixelPoint::new(3, -7),
    PixelPoint::new(6, -6),
    PixelPoint::new(7, -3),
];

fn point_at(from: PixelPoint, direction: PixelPoint, distance: i32) -> PixelPoint {
    PixelPoint::new(from.x + direction.x * distance / 8, from.y + direction.y * distance / 8)
}

/// How far one can go before the colour changes; none beyond `limit` or the board.
fn distance_to_edge(
    board: &Canvas,
    from: PixelPoint,
    direction: PixelPoint,
    limit: i32,
) -> Option<i32> {
    let colour = board.is_copper(from.x, from.y);
    (1..=limit).find(|&distance| {
        let p = point_at(from, direction, distance);
        board.is_copper(p.x, p.y) != colour
    })
}

/// A short path of up to five legs.
fn wandering_path(start: PixelPoint, reach: i32, random: &mut Random) -> Vec<PixelPoint> {
    let mut path = vec![start];
    let mut at = start;
    for _ in 0..random.between(1, 4) {
        at = PixelPoint::new(at.x + random.around_zero(reach), at.y + random.around_zero(reach));
        path.push(at);
    }
    path
}
