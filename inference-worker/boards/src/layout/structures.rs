//! The structures that layouts are made of. Sizes in pixels at about 48 pixels a millimetre.

use super::super::canvas::{Area, PixelPoint, Shape};
use super::Pen;

/// The eight directions that traces run in.
const OCTANTS: [PixelPoint; 8] = [
    PixelPoint::new(1, 0),
    PixelPoint::new(1, 1),
    PixelPoint::new(0, 1),
    PixelPoint::new(-1, 1),
    PixelPoint::new(-1, 0),
    PixelPoint::new(-1, -1),
    PixelPoint::new(0, -1),
    PixelPoint::new(1, -1),
];

fn octant_direction(index: i32) -> PixelPoint {
    OCTANTS[usize::try_from(index.rem_euclid(8)).unwrap_or(0)]
}

fn move_along(from: PixelPoint, direction: PixelPoint, distance: i32) -> PixelPoint {
    PixelPoint::new(from.x + direction.x * distance, from.y + direction.y * distance)
}

fn swap_axes(point: PixelPoint, flip: bool) -> PixelPoint {
    if flip { PixelPoint::new(point.y, point.x) } else { point }
}

fn path_lines(path: &[PixelPoint], width: i32) -> Vec<Shape> {
    path.windows(2).map(|ends| Shape::Line { from: ends[0], to: ends[1], width }).collect()
}

fn area_around(centre: PixelPoint, half_x: i32, half_y: i32) -> Area {
    Area {
        left: centre.x - half_x,
        top: centre.y - half_y,
        right: centre.x + half_x,
        bottom: centre.y + half_y,
    }
}

/// Parallel traces that bend together, `pitch` pixels apart.
pub(super) fn draw_bus(pen: &mut Pen, pitch: (i32, i32)) {
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
        let mut path = vec![PixelPoint::new(x, -20)];
        let mut offset = 0;
        for &(at, length, side) in &plan {
            // The bend of each line is displaced so that the pitch is kept on the diagonal.
            let at = at - side * line * pitch * 27 / 64;
            path.push(PixelPoint::new(x + offset, at));
            offset += side * length;
            path.push(PixelPoint::new(x + offset, at + length));
        }
        path.push(PixelPoint::new(x + offset, pen.side + 20));
        let path: Vec<PixelPoint> = path.into_iter().map(|p| swap_axes(p, flip)).collect();
        let width = if wide && line % 4 == 0 { (width * 3 / 2).min(pitch - 5) } else { width };
        pen.draw_net(&path_lines(&path, width), (pitch - width - 1).clamp(3, 12));
    }
}

/// One trace of random turns, ending in pads at times.
pub(super) fn draw_trace(pen: &mut Pen, width: (i32, i32)) {
    let width = pen.random.between(width.0, width.1);
    let mut at = pen.random_point();
    let mut heading = pen.random.between(0, 7);
    let mut path = vec![at];
    for _ in 0..pen.random.between(2, 6) {
        at = move_along(at, octant_direction(heading), pen.random.between(30, 200).max(width));
        path.push(at);
        heading += pen.random.pick([-2, -1, -1, 0, 1, 1, 2]);
    }
    let clearance = pen.random.between(8, 16);
    let mut shapes = path_lines(&path, width);
    let radius = width / 2 + pen.random.between(3, 14);
    for end in [path[0], at] {
        match pen.random.between(0, 3) {
            0 => shapes.push(Shape::Disc { centre: end, radius }),
            1 => {
                let tall = radius + pen.random.between(0, 12);
                shapes
                    .push(Shape::Rect { area: area_around(end, radius, tall), round: radius / 4 });
            }
            _ => {}
        }
    }
    pen.draw_net(&shapes, clearance);
    if pen.random.chance(50) {
        let hole = Shape::Disc { centre: path[0], radius: (radius / 2).max(5) };
        pen.cut_out(&[hole]);
    }
}

/// A row of pads, each with a short trace that leads away.
pub(super) fn draw_pad_row(pen: &mut Pen) {
    let pitch = pen.random.between(22, 60);
    let half_width = pitch * pen.random.between(22, 36) / 100;
    let half_height = half_width + pen.random.between(0, 40);
    let round = pen.random.pick([0, 2, half_width / 2, half_width - 1]);
    let flip = pen.random.chance(50);
    let start = pen.random_point();
    let stub = pen.random.between(5, half_width.max(6));
    for index in 0..pen.random.between(3, 14) {
        let centre = PixelPoint::new(start.x + index * pitch, start.y);
        let away = pen.random.pick([-1, 1, 1]);
        let mut path =
            vec![centre, PixelPoint::new(centre.x, centre.y + away * (half_height + 20))];
        if pen.random.chance(40) {
            let side = pen.random.pick([-1, 1]);
            let length = pen.random.between(10, 90);
            let last = path[1];
            path.push(PixelPoint::new(last.x + side * length, last.y + away * length));
        }
        let path: Vec<PixelPoint> = path.into_iter().map(|p| swap_axes(p, flip)).collect();
        let (half_x, half_y) =
            if flip { (half_height, half_width) } else { (half_width, half_height) };
        let area = area_around(path[0], half_x, half_y);
        let mut shapes = vec![Shape::Rect { area, round }];
        if pen.random.chance(65) {
            shapes.extend(path_lines(&path, stub));
            if pen.random.chance(40) {
                let centre = path[path.len() - 1];
                shapes.push(Shape::Disc { centre, radius: stub / 2 + pen.random.between(3, 8) });
            }
        }
        pen.draw_net(&shapes, (pitch - 2 * half_width).clamp(4, 8));
    }
}

/// Scattered discs, with and without a hole.
pub(super) fn draw_vias(pen: &mut Pen, count: (i32, i32)) {
    let radius = pen.random.between(9, 34);
    let hole = radius * pen.random.pick([0, 0, 35, 50, 62, 72, 76, 80]) / 100;
    for _ in 0..pen.random.between(count.0, count.1) {
        let centre = pen.random_point();
        pen.draw_net(&[Shape::Disc { centre, radius }], 9);
        let hole = hole.min(radius - 6);
        if hole > 4 {
            // A drill that is off centre, as often seen; at times it leaves little of the ring.
            let off = if pen.random.chance(30) {
                (radius - hole - 3) * 3 / 4
            } else {
                (radius - hole - 5).clamp(1, 6) * 2 / 3
            };
            let (dx, dy) = (pen.random.between(-off, off), pen.random.between(-off, off));
            let centre = PixelPoint::new(centre.x + dx, centre.y + dy);
            pen.cut_out(&[Shape::Disc { centre, radius: hole }]);
        }
    }
}

/// A few large pads side by side.
pub(super) fn draw_big_pads(pen: &mut Pen) {
    let at = pen.random_point();
    let (half_x, half_y) = (pen.random.between(20, 110), pen.random.between(20, 110));
    let round = pen.random.pick([0, 0, 8, half_x.min(half_y) - 1]);
    let gap = pen.random.between(12, 60);
    let flip = pen.random.chance(50);
    for index in 0..pen.random.between(1, 4) {
        let centre = if flip {
            PixelPoint::new(at.x, at.y + index * (2 * half_y + gap))
        } else {
            PixelPoint::new(at.x + index * (2 * half_x + gap), at.y)
        };
        pen.draw_net(&[Shape::Rect { area: area_around(centre, half_x, half_y), round }], 10);
        if pen.random.chance(50) {
            let radius = pen.random.between(6, 10 + half_x.min(half_y) / 2);
            pen.cut_out(&[Shape::Disc { centre, radius }]);
        }
    }
}

/// A filled plane, rectangular or with a corner cut off.
pub(super) fn draw_plane(pen: &mut Pen) {
    let centre = pen.random_point();
    let (half_x, half_y) = (pen.random.between(60, 280), pen.random.between(60, 280));
    let area = area_around(centre, half_x, half_y);
    let round = pen.random.pick([0, 0, 12, 40]);
    pen.draw_net(&[Shape::Rect { area, round }], 14);
    if pen.random.chance(50) {
        let corner = PixelPoint::new(area.left, area.top);
        let across = pen.random.between(40, 160);
        let from = PixelPoint::new(corner.x - across, corner.y + across);
        let to = PixelPoint::new(corner.x + across, corner.y - across);
        pen.cut_out(&[Shape::Line { from, to, width: across * 5 / 4 }]);
    }
    for _ in 0..pen.random.between(0, 4) {
        let centre = PixelPoint::new(
            pen.random.between(area.left, area.right),
            pen.random.between(area.top, area.bottom),
        );
        let radius = pen.random.between(7, 26);
        pen.cut_out(&[Shape::Disc { centre, radius }]);
    }
}

/// A gap through copper that turns and may change its width, as between two planes.
pub(super) fn cut_channel(pen: &mut Pen) {
    let width =
        if pen.random.chance(35) { pen.random.between(5, 10) } else { pen.random.between(9, 34) };
    let mut at = pen.random_point();
    let mut heading = pen.random.pick([0, 2, 4, 6, 1, 7]);
    let right_angles = pen.random.chance(50);
    for _ in 0..pen.random.between(3, 12) {
        let next = move_along(at, octant_direction(heading), pen.random.between(40, 190));
        let narrow =
            if pen.random.chance(35) { (width / pen.random.between(2, 3)).max(5) } else { width };
        pen.cut_out(&[Shape::Line { from: at, to: next, width: narrow }]);
        at = next;
        heading += if right_angles {
            pen.random.pick([-2, 2])
        } else {
            pen.random.pick([-2, -1, 0, 1, 2])
        };
    }
}

/// A bare region with something in it.
pub(super) fn cut_clearing(pen: &mut Pen) {
    let centre = pen.random_point();
    if pen.random.chance(50) {
        let radius = pen.random.between(40, 160);
        pen.cut_out(&[Shape::Disc { centre, radius }]);
    } else {
        let (half_x, half_y) = (pen.random.between(40, 200), pen.random.between(40, 200));
        let round = pen.random.pick([0, 10, 30]);
        pen.cut_out(&[Shape::Rect { area: area_around(centre, half_x, half_y), round }]);
    }
    if pen.random.chance(50) {
        let radius = pen.random.between(10, 36);
        pen.draw_net(&[Shape::Disc { centre, radius }], 0);
    }
}

/// A pad in a plane, tied to it with four spokes.
pub(super) fn draw_thermal_pad(pen: &mut Pen) {
    let centre = pen.random_point();
    let radius = pen.random.between(14, 40);
    let gap = pen.random.between(8, 16);
    let spoke = pen.random.between(7, 14);
    pen.draw_net(&[Shape::Disc { centre, radius: radius + gap + 12 }], 0);
    pen.cut_out(&[Shape::Disc { centre, radius: radius + gap }]);
    let reach = radius + gap + 3;
    let turn = pen.random.between(0, 1);
    for arm in 0..2 {
        let direction = octant_direction(turn + 2 * arm);
        let reach = if turn == 1 { reach * 45 / 64 } else { reach };
        let from = move_along(centre, direction, reach);
        let to = move_along(centre, direction, -reach);
        pen.draw_net(&[Shape::Line { from, to, width: spoke }], 0);
    }
    pen.draw_net(&[Shape::Disc { centre, radius }], 0);
    if pen.random.chance(70) {
        pen.cut_out(&[Shape::Disc { centre, radius: radius / 2 }]);
    }
}

/// A grid of crossing lines.
pub(super) fn draw_hatch(pen: &mut Pen) {
    let pitch = pen.random.between(26, 56);
    let width = pen.random.between(7, 12);
    let slanted = pen.random.chance(50);
    for index in -(pen.side / pitch)..=(2 * pen.side / pitch) {
        let at = index * pitch;
        let (lean, far) = if slanted { (pen.side, pen.side) } else { (0, pen.side) };
        let down = Shape::Line {
            from: PixelPoint::new(at, 0),
            to: PixelPoint::new(at + lean, far),
            width,
        };
        let over = if slanted {
            Shape::Line { from: PixelPoint::new(at, 0), to: PixelPoint::new(at - lean, far), width }
        } else {
            Shape::Line { from: PixelPoint::new(0, at), to: PixelPoint::new(far, at), width }
        };
        pen.draw_net(&[down, over], 0);
    }
}

/// Wide circles inside one another, often partly beyond the picture.
pub(super) fn draw_rings(pen: &mut Pen) {
    let centre = pen.random_point();
    let mut radius = pen.random.between(60, 320);
    let mut copper = true;
    for _ in 0..pen.random.between(1, 4) {
        pen.canvas.paint_shape(Shape::Disc { centre, radius }, copper);
        radius -= pen.random.between(12, 90);
        copper = !copper;
        if radius < 10 {
            break;
        }
    }
}

/// A trace that runs to and fro.
pub(super) fn draw_meander(pen: &mut Pen) {
    let width = pen.random.between(6, 12);
    let pitch = width + pen.random.between(7, 16);
    let tall = pen.random.between(30, 110);
    let start = pen.random_point();
    let flip = pen.random.chance(50);
    let mut path = Vec::new();
    for turn in 0..pen.random.between(5, 16) {
        let x = start.x + turn * pitch;
        let (near, far) = (PixelPoint::new(x, start.y), PixelPoint::new(x, start.y + tall));
        path.extend(if turn % 2 == 0 { [near, far] } else { [far, near] });
    }
    let path: Vec<PixelPoint> = path.into_iter().map(|p| swap_axes(p, flip)).collect();
    pen.draw_net(&path_lines(&path, width), (pitch - width - 1).clamp(3, 8));
}

/// Strokes of letters and digits on a 2 × 4 grid, as pairs of grid points.
pub(crate) const GLYPHS: [&[(i32, i32, i32, i32)]; 8] = [
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
pub(super) fn draw_text(pen: &mut Pen) {
    let scale = pen.random.between(6, 18);
    let width = (scale / 2).max(5);
    let start = pen.random_point();
    for index in 0..pen.random.between(2, 7) {
        let glyph = pen.random.pick(GLYPHS);
        let left = start.x + index * scale * 3;
        let place = |x: i32, y: i32| PixelPoint::new(left + x * scale, start.y + y * scale);
        let shapes: Vec<Shape> = glyph
            .iter()
            .map(|&(ax, ay, bx, by)| Shape::Line { from: place(ax, ay), to: place(bx, by), width })
            .collect();
        pen.draw_net(&shapes, 4);
    }
}
