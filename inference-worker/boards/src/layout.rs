//! Layouts: copper layers as they are drawn, before any print. Each one mixes a few of the
//! structures that real boards show: buses, pads, vias, power traces, meanders, pours with gaps,
//! hatches, rings, text.

use super::canvas::{Area, Canvas, PixelPoint, Shape};
use super::random::Random;

mod structures;

pub(super) use structures::GLYPHS;

/// Draws a layout of `side` × `side` pixels.
pub(super) fn draw_layout(side: i32, random: &mut Random) -> Canvas {
    let mut pen = Pen { canvas: Canvas::new(side, side), random: random.clone(), side };
    match random.between(0, 9) {
        0..=2 => draw_digital(&mut pen),
        3..=4 => draw_power(&mut pen),
        5 => draw_pour(&mut pen),
        6 => draw_hatched(&mut pen),
        _ => draw_mixed(&mut pen),
    }
    if random.chance(15) {
        pen.canvas.invert_copper();
    }
    pen.canvas.remove_slivers();
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
    fn draw_net(&mut self, shapes: &[Shape], clearance: i32) {
        for shape in shapes {
            self.canvas.paint_shape(shape.grown_by(clearance), false);
        }
        for &shape in shapes {
            self.canvas.paint_shape(shape, true);
        }
    }

    fn cut_out(&mut self, shapes: &[Shape]) {
        for &shape in shapes {
            self.canvas.paint_shape(shape, false);
        }
    }

    fn random_point(&mut self) -> PixelPoint {
        PixelPoint::new(self.random.between(0, self.side), self.random.between(0, self.side))
    }
}

fn draw_digital(pen: &mut Pen) {
    for _ in 0..pen.random.between(1, 3) {
        structures::draw_bus(pen, (8, 30));
    }
    for _ in 0..pen.random.between(1, 3) {
        structures::draw_pad_row(pen);
    }
    for _ in 0..pen.random.between(3, 9) {
        structures::draw_trace(pen, (5, 14));
    }
    if pen.random.chance(30) {
        structures::draw_meander(pen);
    }
    structures::draw_vias(pen, (4, 14));
    if pen.random.chance(30) {
        structures::draw_text(pen);
    }
}

fn draw_power(pen: &mut Pen) {
    if pen.random.chance(50) {
        structures::draw_bus(pen, (50, 100));
    }
    for _ in 0..pen.random.between(2, 5) {
        structures::draw_trace(pen, (24, 90));
    }
    for _ in 0..pen.random.between(0, 3) {
        structures::draw_big_pads(pen);
    }
    for _ in 0..pen.random.between(0, 3) {
        structures::draw_trace(pen, (6, 20));
    }
    structures::draw_vias(pen, (1, 6));
}

fn draw_pour(pen: &mut Pen) {
    let all = Area { left: 0, top: 0, right: pen.side, bottom: pen.side };
    pen.canvas.paint_shape(Shape::Rect { area: all, round: 0 }, true);
    for _ in 0..pen.random.between(2, 6) {
        structures::cut_channel(pen);
    }
    for _ in 0..pen.random.between(0, 3) {
        structures::cut_clearing(pen);
    }
    for _ in 0..pen.random.between(1, 5) {
        structures::draw_thermal_pad(pen);
    }
    for _ in 0..pen.random.between(0, 3) {
        structures::draw_trace(pen, (8, 26));
    }
}

fn draw_hatched(pen: &mut Pen) {
    structures::draw_hatch(pen);
    for _ in 0..pen.random.between(2, 5) {
        structures::draw_trace(pen, (8, 30));
    }
    structures::draw_big_pads(pen);
    structures::draw_vias(pen, (2, 8));
}

fn draw_mixed(pen: &mut Pen) {
    for _ in 0..pen.random.between(3, 7) {
        match pen.random.between(0, 9) {
            0 => structures::draw_bus(pen, (10, 60)),
            1 => structures::draw_pad_row(pen),
            2 => structures::draw_trace(pen, (8, 60)),
            3 => structures::draw_big_pads(pen),
            4 => structures::draw_plane(pen),
            5 => structures::draw_rings(pen),
            6 => structures::draw_meander(pen),
            7 => structures::draw_thermal_pad(pen),
            8 => structures::draw_text(pen),
            _ => structures::draw_trace(pen, (6, 20)),
        }
    }
    structures::draw_vias(pen, (1, 8));
}
