//! The structures that layouts are made of. Sizes in pixels at about 48 pixels a millimetre.

use super::super::canvas::{Area, Point, Shape};
use super::Pen;

/// The eight directions that traces run in.
const OCTANTS: [Point; 8] = [
    Point::new(1, 0),
    Point::new(1, 1),
    Point::new(0, 1),
    Point::new(-1, 1),
    Point::new(-1, 0),
    Point::new(-1, -1),
    Point::new(0, -1),
    Point::new(1, -1),
];

fn octant(index: i32) -> Point {
    OCTANTS[usize::try_from(index.rem_euclid(8)).unwrap_or(0)]
}

fn moved(from: Point, direction: Point, distance: i32) -> Point {
    Point::new(from.x + direction.x * distance, from.y + direction.y * distance)
}

fn flipped(point: Point, flip: bool) -> Point {
    if flip { Point::new(point.y, point.x) } else { point }
}

fn lines(path: &[Point], width: i32) -> Vec<Shape> {
    path.windows(2).map(|ends| Shape::Line { from: ends[0], to: ends[1], width }).collect()
}

fn square(centre: Point, half_x: i32, half_y: i32) -> Area {
    Area {
        left: centre.x - half_x,
        top: centre.y - half_y,
        right: centre.x + half_x,
        bottom: centre.y + half_y,
    }
}

/// Parallel traces that bend together, `pitch` pixels apart.
pub(super) fn bus(pen: &mut Pen, pitch: (i32, i32)) {
    let pitch = pen.random.between(pitch.0.max(11), pitch.1);
    let width = (pitch * pen.random.between(30, 66) / 100).max(5);
    let count = pen.random.between(3, 14).min(pen.side / pitch);
    let flip = pen.random.chance(50);
    let first = pen.random.between(-pitch, pen.side - pitch * count / 2);
    let bends = pen.random.between(0, 3);
    let mut plan = Vec::new();
    let mut at = 0;
    for _ in 0..bends {
        at += pen.random.between(60, 300);
        let length = pen.random.between(30, 220);
        plan.push((at, length, pen.random.pick([-1, 1])));
        at += length;
    }
    let wide = pen.random.chance(20);
    for line in 0..count {
        let x = first + line * pitch;
        let mut path = vec![Point::new(x, -20)];
        let mut offset = 0;
        for &(at, length, side) in &plan {
            // The bend of each line is displaced so that the pitch is kept on the diagonal.
            let at = at - side * line * pitch * 27 / 64;
            path.push(Point::new(x + offset, at));
            offset += side * length;
            path.push(Point::new(x + offset, at + length));
        }
        path.push(Point::new(x + offset, pen.side + 20));
        let path: Vec<Point> = path.into_iter().map(|p| flipped(p, flip)).collect();
        let width = if wide && line % 4 == 0 { (width * 3 / 2).min(pitch - 5) } else { width };
        pen.net(&lines(&path, width), (pitch - width - 1).clamp(3, 12));
    }
}

/// One trace of random turns, ending in pads at times.
pub(super) fn trace(pen: &mut Pen, width: (i32, i32)) {
    let width = pen.random.between(width.0, width.1);
    let mut at = pen.anywhere();
    let mut heading = pen.random.between(0, 7);
    let mut path = vec![at];
    for _ in 0..pen.random.between(2, 6) {
        at = moved(at, octant(heading), pen.random.between(30, 200).max(width));
        path.push(at);
        heading += pen.random.pick([-2, -1, -1, 0, 1, 1, 2]);
    }
    let clearance = pen.random.between(8, 16);
    let mut shapes = lines(&path, width);
    let radius = width / 2 + pen.random.between(3, 14);
    for end in [path[0], at] {
        match pen.random.between(0, 3) {
            0 => shapes.push(Shape::Disc { centre: end, radius }),
            1 => {
                let tall = radius + pen.random.between(0, 12);
                shapes.push(Shape::Rect { area: square(end, radius, tall), round: radius / 4 });
            }
            _ => {}
        }
    }
    pen.net(&shapes, clearance);
    if pen.random.chance(50) {
        let hole = Shape::Disc { centre: path[0], radius: (radius / 2).max(5) };
        pen.cut(&[hole]);
    }
}

/// A row of pads, each with a short trace that leads away.
pub(super) fn pad_row(pen: &mut Pen) {
    let pitch = pen.random.between(22, 60);
    let half_width = pitch * pen.random.between(22, 36) / 100;
    let half_height = half_width + pen.random.between(0, 40);
    let round = pen.random.pick([0, 2, half_width / 2, half_width - 1]);
    let flip = pen.random.chance(50);
    let start = pen.anywhere();
    let stub = pen.random.between(5, half_width.max(6));
    for index in 0..pen.random.between(3, 14) {
        let centre = Point::new(start.x + index * pitch, start.y);
        let away = pen.random.pick([-1, 1, 1]);
        let mut path = vec![centre, Point::new(centre.x, centre.y + away * (half_height + 20))];
        if pen.random.chance(40) {
            let side = pen.random.pick([-1, 1]);
            let length = pen.random.between(10, 90);
            let last = path[1];
            path.push(Point::new(last.x + side * length, last.y + away * length));
        }
        let path: Vec<Point> = path.into_iter().map(|p| flipped(p, flip)).collect();
        let (half_x, half_y) =
            if flip { (half_height, half_width) } else { (half_width, half_height) };
        let area = square(path[0], half_x, half_y);
        let mut shapes = vec![Shape::Rect { area, round }];
        if pen.random.chance(65) {
            shapes.extend(lines(&path, stub));
            if pen.random.chance(40) {
                let centre = path[path.len() - 1];
                shapes.push(Shape::Disc { centre, radius: stub / 2 + pen.random.between(3, 8) });
            }
        }
        pen.net(&shapes, (pitch - 2 * half_width).clamp(4, 8));
    }
}

/// Scattered discs, with and without a hole.
pub(super) fn vias(pen: &mut Pen, count: (i32, i32)) {
    let radius = pen.random.between(9, 34);
    let hole = radius * pen.random.pick([0, 0, 35, 50, 62, 72, 76, 80]) / 100;
    for _ in 0..pen.random.between(count.0, count.1) {
        let centre = pen.anywhere();
        pen.net(&[Shape::Disc { centre, radius }], 9);
        let hole = hole.min(radius - 6);
        if hole > 4 {
            // A drill that is off centre, as often seen.
            let off = (radius - hole - 5).clamp(1, 6) * 2 / 3;
            let (dx, dy) = (pen.random.between(-off, off), pen.random.between(-off, off));
            let centre = Point::new(centre.x + dx, centre.y + dy);
            pen.cut(&[Shape::Disc { centre, radius: hole }]);
        }
    }
}

/// A few large pads side by side.
pub(super) fn big_pads(pen: &mut Pen) {
    let at = pen.anywhere();
    let (half_x, half_y) = (pen.random.between(20, 110), pen.random.between(20, 110));
    let round = pen.random.pick([0, 0, 8, half_x.min(half_y) - 1]);
    let gap = pen.random.between(12, 60);
    let flip = pen.random.chance(50);
    for index in 0..pen.random.between(1, 4) {
        let centre = if flip {
            Point::new(at.x, at.y + index * (2 * half_y + gap))
        } else {
            Point::new(at.x + index * (2 * half_x + gap), at.y)
        };
        pen.net(&[Shape::Rect { area: square(centre, half_x, half_y), round }], 10);
        if pen.random.chance(50) {
            let radius = pen.random.between(6, 10 + half_x.min(half_y) / 2);
            pen.cut(&[Shape::Disc { centre, radius }]);
        }
    }
}

/// A filled plane, rectangular or with a corner cut off.
pub(super) fn plane(pen: &mut Pen) {
    let centre = pen.anywhere();
    let (half_x, half_y) = (pen.random.between(60, 280), pen.random.between(60, 280));
    let area = square(centre, half_x, half_y);
    let round = pen.random.pick([0, 0, 12, 40]);
    pen.net(&[Shape::Rect { area, round }], 14);
    if pen.random.chance(50) {
        let corner = Point::new(area.left, area.top);
        let across = pen.random.between(40, 160);
        let from = Point::new(corner.x - across, corner.y + across);
        let to = Point::new(corner.x + across, corner.y - across);
        pen.cut(&[Shape::Line { from, to, width: across * 5 / 4 }]);
    }
    for _ in 0..pen.random.between(0, 4) {
        let centre = Point::new(
            pen.random.between(area.left, area.right),
            pen.random.between(area.top, area.bottom),
        );
        let radius = pen.random.between(7, 26);
        pen.cut(&[Shape::Disc { centre, radius }]);
    }
}

/// A gap through copper that turns and may change its width, as between two planes.
pub(super) fn channel(pen: &mut Pen) {
    let width =
        if pen.random.chance(35) { pen.random.between(5, 10) } else { pen.random.between(9, 34) };
    let mut at = pen.anywhere();
    let mut heading = pen.random.pick([0, 2, 4, 6, 1, 7]);
    let right_angles = pen.random.chance(50);
    for _ in 0..pen.random.between(3, 12) {
        let next = moved(at, octant(heading), pen.random.between(40, 190));
        let narrow =
            if pen.random.chance(35) { (width / pen.random.between(2, 3)).max(5) } else { width };
        pen.cut(&[Shape::Line { from: at, to: next, width: narrow }]);
        at = next;
        heading += if right_angles {
            pen.random.pick([-2, 2])
        } else {
            pen.random.pick([-2, -1, 0, 1, 2])
        };
    }
}

/// A bare region with something in it.
pub(super) fn clearing(pen: &mut Pen) {
    let centre = pen.anywhere();
    if pen.random.chance(50) {
        let radius = pen.random.between(40, 160);
        pen.cut(&[Shape::Disc { centre, radius }]);
    } else {
        let (half_x, half_y) = (pen.random.between(40, 200), pen.random.between(40, 200));
        let round = pen.random.pick([0, 10, 30]);
        pen.cut(&[Shape::Rect { area: square(centre, half_x, half_y), round }]);
    }
    if pen.random.chance(50) {
        let radius = pen.random.between(10, 36);
        pen.net(&[Shape::Disc { centre, radius }], 0);
    }
}

/// A pad in a plane, tied to it with four spokes.
pub(super) fn thermal(pen: &mut Pen) {
    let centre = pen.anywhere();
    let radius = pen.random.between(14, 40);
    let gap = pen.random.between(8, 16);
    let spoke = pen.random.between(7, 14);
    pen.net(&[Shape::Disc { centre, radius: radius + gap + 12 }], 0);
    pen.cut(&[Shape::Disc { centre, radius: radius + gap }]);
    let reach = radius + gap + 3;
    let turn = pen.random.between(0, 1);
    for arm in 0..2 {
        let direction = octant(turn + 2 * arm);
        let reach = if turn == 1 { reach * 45 / 64 } else { reach };
        let from = moved(centre, direction, reach);
        let to = moved(centre, direction, -reach);
        pen.net(&[Shape::Line { from, to, width: spoke }], 0);
    }
    pen.net(&[Shape::Disc { centre, radius }], 0);
    if pen.random.chance(70) {
        pen.cut(&[Shape::Disc { centre, radius: radius / 2 }]);
    }
}

/// A grid of crossing lines.
pub(super) fn hatch(pen: &mut Pen) {
    let pitch = pen.random.between(26, 56);
    let width = pen.random.between(7, 12);
    let slanted = pen.random.chance(50);
    for index in -(pen.side / pitch)..=(2 * pen.side / pitch) {
        let at = index * pitch;
        let (lean, far) = if slanted { (pen.side, pen.side) } else { (0, pen.side) };
        let down = Shape::Line { from: Point::new(at, 0), to: Point::new(at + lean, far), width };
        let over = if slanted {
            Shape::Line { from: Point::new(at, 0), to: Point::new(at - lean, far), width }
        } else {
            Shape::Line { from: Point::new(0, at), to: Point::new(far, at), width }
        };
        pen.net(&[down, over], 0);
    }
}

/// Wide circles inside one another, often partly beyond the picture.
pub(super) fn ring(pen: &mut Pen) {
    let centre = pen.anywhere();
    let mut radius = pen.random.between(60, 320);
    let mut copper = true;
    for _ in 0..pen.random.between(1, 4) {
        pen.canvas.paint(Shape::Disc { centre, radius }, copper);
        radius -= pen.random.between(12, 90);
        copper = !copper;
        if radius < 10 {
            break;
        }
    }
}

/// A trace that runs to and fro.
pub(super) fn meander(pen: &mut Pen) {
    let width = pen.random.between(6, 12);
    let pitch = width + pen.random.between(7, 16);
    let tall = pen.random.between(30, 110);
    let start = pen.anywhere();
    let flip = pen.random.chance(50);
    let mut path = Vec::new();
    for turn in 0..pen.random.between(5, 16) {
        let x = start.x + turn * pitch;
        let (near, far) = (Point::new(x, start.y), Point::new(x, start.y + tall));
        path.extend(if turn % 2 == 0 { [near, far] } else { [far, near] });
    }
    let path: Vec<Point> = path.into_iter().map(|p| flipped(p, flip)).collect();
    pen.net(&lines(&path, width), (pitch - width - 1).clamp(3, 8));
}

/// Strokes of letters and digits on a 2 × 4 grid, as pairs of grid points.
const GLYPHS: [&[(i32, i32, i32, i32)]; 8] = [
    &[(0, 0, 2, 0), (2, 0, 2, 4), (2, 4, 0, 4), (0, 4, 0, 0)],
    &[(1, 0, 1, 4)],
    &[(0, 0, 2, 0), (2, 0, 2, 2), (2, 2, 0, 2), (0, 2, 0, 4), (0, 4, 2, 4)],
    &[(0, 4, 1, 0), (1, 0, 2, 4)],
    &[(0, 0, 0, 4), (0, 0, 2, 0), (0, 2, 2, 2), (0, 4, 2, 4)],
    &[(0, 0, 0, 4), (2, 0, 2, 4), (0, 2, 2, 2)],
    &[(0, 0, 0, 4), (2, 0, 0, 2), (0, 2, 2, 4)],
    &[(0, 0, 2, 0), (2, 0, 2, 2), (2, 2, 0, 2), (0, 0, 0, 4)],
];

/// A short line of letters.
pub(super) fn text(pen: &mut Pen) {
    let scale = pen.random.between(6, 18);
    let width = (scale / 2).max(5);
    let start = pen.anywhere();
    for index in 0..pen.random.between(2, 7) {
        let glyph = pen.random.pick(GLYPHS);
        let left = start.x + index * scale * 3;
        let place = |x: i32, y: i32| Point::new(left + x * scale, start.y + y * scale);
        let shapes: Vec<Shape> = glyph
            .iter()
            .map(|&(ax, ay, bx, by)| Shape::Line { from: place(ax, ay), to: place(bx, by), width })
            .collect();
        pen.net(&shapes, 4);
    }
}
