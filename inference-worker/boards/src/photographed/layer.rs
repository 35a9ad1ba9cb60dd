//! A layer of one material: how much of each pixel it covers.

use crate::canvas::{Area, Canvas};

use super::outline::Outline;

/// Cover per pixel of the board, 0 to 255, row by row.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) levels: Vec<u8>,
}

impl Layer {
    /// Nothing anywhere.
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, height, levels: vec![0; width * height] }
    }

    /// What a canvas holds, blurred as etching rounds it: the binomial kernel 1-4-6-4-1 both ways.
    pub(super) fn blurred_from(canvas: &Canvas) -> Self {
        let width = usize::try_from(canvas.width).unwrap_or(1);
        let height = usize::try_from(canvas.height).unwrap_or(1);
        let levels = canvas.cells().iter().map(|&cell| u8::from(cell) * 255).collect();
        let mut layer = Self { width, height, levels };
        layer.blur();
        layer
    }

    /// Blurs with the binomial kernel 1-4-6-4-1 both ways; the outermost two pixels stay.
    pub(super) fn blur(&mut self) {
        for stride in [1, self.width] {
            let before = self.levels.clone();
            let taps = before.windows(4 * stride + 1);
            let middle = self.levels.iter_mut().skip(2 * stride);
            for (level, taps) in middle.zip(taps) {
                let [far, near, here, next, last] =
                    [0, 1, 2, 3, 4].map(|tap| u16::from(taps[tap * stride]));
                *level = ((far + last + 4 * (near + next) + 6 * here + 8) / 16) as u8;
            }
        }
    }

    /// Adds an outline, smooth over one pixel at its edge.
    pub(super) fn lay(&mut self, outline: &Outline) {
        self.lay_each(outline, |level, covered, _| *level = (*level).max(covered));
    }

    /// Takes an outline away, smooth over one pixel at its edge.
    pub(super) fn take_away(&mut self, outline: &Outline) {
        self.lay_each(outline, |level, covered, _| *level = (*level).min(255 - covered));
    }

    /// Calls `paint` with every level under the outline, its cover there and its index.
    pub(super) fn lay_each(
        &mut self,
        outline: &Outline,
        mut paint: impl FnMut(&mut u8, u8, usize),
    ) {
        for_each_pixel(outline.pixel_area(), (self.width, self.height), |x, y, index| {
            let covered = 0.5 - outline.distance_to(x, y);
            if covered > 0.0 {
                paint(&mut self.levels[index], (covered.min(1.0) * 255.0) as u8, index);
            }
        });
    }
}

/// Calls `see` with place and index of every pixel of the area that lies on the board.
pub(super) fn for_each_pixel(
    area: Area,
    (width, height): (usize, usize),
    mut see: impl FnMut(f32, f32, usize),
) {
    let end = |at: i32, side: usize| usize::try_from(at).unwrap_or(0).min(side);
    for y in end(area.top, height)..end(area.bottom, height) {
        for x in end(area.left, width)..end(area.right, width) {
            see(x as f32, y as f32, y * width + x);
        }
    }
}
