//! Outlines between pixels: what pads, holes, print and traces are made of. Known by their signed
//! distance, so that they can be drawn smooth wherever a piece has them.

use crate::canvas::{Area, Canvas};

/// A filled shape; all measures in pixels of the board.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Outline {
    /// A circle.
    Disc { x: f32, y: f32, radius: f32 },
    /// A rectangle with rounded corners.
    Rect { x: f32, y: f32, half_x: f32, half_y: f32, round: f32 },
    /// A straight line with round ends.
    Line { from: (f32, f32), to: (f32, f32), width: f32 },
}

impl Outline {
    /// How far a place lies outside; negative inside.
    pub(super) fn distance_to(&self, x: f32, y: f32) -> f32 {
        match *self {
            Self::Disc { x: at_x, y: at_y, radius } => (x - at_x).hypot(y - at_y) - radius,
            Self::Rect { x: at_x, y: at_y, half_x, half_y, round } => {
                let over_x = (x - at_x).abs() - half_x + round;
                let over_y = (y - at_y).abs() - half_y + round;
                let outside = over_x.max(0.0).hypot(over_y.max(0.0));
                outside + over_x.max(over_y).min(0.0) - round
            }
            Self::Line { from, to, width } => {
                let (along_x, along_y) = (to.0 - from.0, to.1 - from.1);
                let (x, y) = (x - from.0, y - from.1);
                let length2 = (along_x * along_x + along_y * along_y).max(1e-6);
                let part = ((x * along_x + y * along_y) / length2).clamp(0.0, 1.0);
                (x - part * along_x).hypot(y - part * along_y) - width / 2.0
            }
        }
    }

    /// The same outline elsewhere.
    pub(super) fn moved_by(self, (dx, dy): (f32, f32)) -> Self {
        match self {
            Self::Disc { x, y, radius } => Self::Disc { x: x + dx, y: y + dy, radius },
            Self::Rect { x, y, half_x, half_y, round } => {
                Self::Rect { x: x + dx, y: y + dy, half_x, half_y, round }
            }
            Self::Line { from, to, width } => {
                Self::Line { from: (from.0 + dx, from.1 + dy), to: (to.0 + dx, to.1 + dy), width }
            }
        }
    }

    /// The same outline, farther out by `margin` everywhere.
    pub(super) fn grown_by(self, margin: f32) -> Self {
        match self {
            Self::Disc { x, y, radius } => Self::Disc { x, y, radius: radius + margin },
            Self::Rect { x, y, half_x, half_y, round } => Self::Rect {
                x,
                y,
                half_x: half_x + margin,
                half_y: half_y + margin,
                round: (round + margin).max(0.0),
            },
            Self::Line { from, to, width } => Self::Line { from, to, width: width + 2.0 * margin },
        }
    }

    /// The middle.
    pub(super) fn centre(&self) -> (f32, f32) {
        match *self {
            Self::Disc { x, y, .. } | Self::Rect { x, y, .. } => (x, y),
            Self::Line { from, to, .. } => ((from.0 + to.0) / 2.0, (from.1 + to.1) / 2.0),
        }
    }

    /// From the middle to the nearest part of the edge.
    pub(super) fn inner_radius(&self) -> f32 {
        match *self {
            Self::Disc { radius, .. } => radius,
            Self::Rect { half_x, half_y, .. } => half_x.min(half_y),
            Self::Line { width, .. } => width / 2.0,
        }
    }

    /// All pixels that the outline touches, and one more on every side.
    pub(super) fn pixel_area(&self) -> Area {
        let (x, y) = self.centre();
        let (reach_x, reach_y) = match *self {
            Self::Disc { radius, .. } => (radius, radius),
            Self::Rect { half_x, half_y, .. } => (half_x, half_y),
            Self::Line { from, to, width } => {
                (((to.0 - from.0).abs() + width) / 2.0, ((to.1 - from.1).abs() + width) / 2.0)
            }
        };
        Area {
            left: (x - reach_x).floor() as i32 - 1,
            top: (y - reach_y).floor() as i32 - 1,
            right: (x + reach_x).ceil() as i32 + 2,
            bottom: (y + reach_y).ceil() as i32 + 2,
        }
    }

    /// Fills the pixels whose middle lies inside.
    pub(super) fn fill(&self, canvas: &mut Canvas, copper: bool) {
        let Area { left, top, right, bottom } = self.pixel_area();
        for y in top.max(0)..bottom.min(canvas.height) {
            for x in left.max(0)..right.min(canvas.width) {
                if self.distance_to(x as f32, y as f32) <= 0.0 {
                    canvas.set(x, y, copper);
                }
            }
        }
    }

    /// True when a filled pixel of the canvas lies inside.
    pub(super) fn touches(&self, canvas: &Canvas) -> bool {
        let Area { left, top, right, bottom } = self.pixel_area();
        (top.max(0)..bottom.min(canvas.height)).any(|y| {
            (left.max(0)..right.min(canvas.width))
                .any(|x| canvas.is_copper(x, y) && self.distance_to(x as f32, y as f32) <= 0.0)
        })
    }
}
