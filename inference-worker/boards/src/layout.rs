//! Layouts: copper layers as they are drawn, before any print. Each one mixes a few of the
//! structures that real boards show: buses, pads, vias, power traces, meanders, pours with gaps,
//! hatches, rings, text.

use super::canvas::{Area, Canvas, Point, Shape};
use super::random::Random;

mod structures;

/// Draws a layout of `side` × `side` pixels.
pub(super) fn draw(side: i32, random: &mut Random) -> Canvas {
    let mut pen = Pen { canvas: Canvas::new(side, side), random: random.clone(), side };
    match random.between(0, 9) {
        0..=2 => digital(&mut pen),
        3..=4 => power(&mut pen),
        5 => pour(&mut pen),
        6 => hatched(&mut pen),
        _ => mixed(&mut pen),
    }
    if random.chance(15) {
        pen.canvas.invert();
    }
    pen.canvas.relieve();
    pen.canvas
}

/// A drawing hand: everything it adds keeps a clearance from what is there.
pub(super) struct Pen {
    canvas: Canvas,
    random: Random,
    side: i32,
}

impl Pen {
    /// Draws shapes of one net, with a moat of `clearance` around them.
    fn net(&mut self, shapes: &[Shape], clearance: i32) {
        for shape in shapes {
            self.canvas.paint(shape.grown(clearance), false);
        }
        for &shape in shapes {
            self.canvas.paint(shape, true);
        }
    }

    fn cut(&mut self, shapes: &[Shape]) {
        for &shape in shapes {
            self.canvas.paint(shape, false);
        }
    }

    fn anywhere(&mut self) -> Point {
        Point::new(self.random.between(0, self.side), self.random.between(0, self.side))
    }
}

fn digital(pen: &mut Pen) {
    for _ in 0..pen.random.between(1, 3) {
        structures::bus(pen, (8, 30));
    }
    for _ in 0..pen.random.between(1, 3) {
        structures::pad_row(pen);
    }
    for _ in 0..pen.random.between(3, 9) {
        structures::trace(pen, (5, 14));
    }
    if pen.random.chance(30) {
        structures::meander(pen);
    }
    structures::vias(pen, (4, 14));
    if pen.random.chance(30) {
        structures::text(pen);
    }
}

fn power(pen: &mut Pen) {
    if pen.random.chance(50) {
        structures::bus(pen, (50, 100));
    }
    for _ in 0..pen.random.between(2, 5) {
        structures::trace(pen, (24, 90));
    }
    for _ in 0..pen.random.between(0, 3) {
        structures::big_pads(pen);
    }
    for _ in 0..pen.random.between(0, 3) {
        structures::trace(pen, (6, 20));
    }
    structures::vias(pen, (1, 6));
}

fn pour(pen: &mut Pen) {
    let all = Area { left: 0, top: 0, right: pen.side, bottom: pen.side };
    pen.canvas.paint(Shape::Rect { area: all, round: 0 }, true);
    for _ in 0..pen.random.between(2, 6) {
        structures::channel(pen);
    }
    for _ in 0..pen.random.between(0, 3) {
        structures::clearing(pen);
    }
    for _ in 0..pen.random.between(1, 5) {
        structures::thermal(pen);
    }
    for _ in 0..pen.random.between(0, 3) {
        structures::trace(pen, (8, 26));
    }
}

fn hatched(pen: &mut Pen) {
    structures::hatch(pen);
    for _ in 0..pen.random.between(2, 5) {
        structures::trace(pen, (8, 30));
    }
    structures::big_pads(pen);
    structures::vias(pen, (2, 8));
}

fn mixed(pen: &mut Pen) {
    for _ in 0..pen.random.between(3, 7) {
        match pen.random.between(0, 9) {
            0 => structures::bus(pen, (10, 60)),
            1 => structures::pad_row(pen),
            2 => structures::trace(pen, (8, 60)),
            3 => structures::big_pads(pen),
            4 => structures::plane(pen),
            5 => structures::ring(pen),
            6 => structures::meander(pen),
            7 => structures::thermal(pen),
            8 => structures::text(pen),
            _ => structures::trace(pen, (6, 20)),
        }
    }
    structures::vias(pen, (1, 8));
}
