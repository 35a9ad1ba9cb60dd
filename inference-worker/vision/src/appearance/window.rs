//! Filters of a window of a picture: blurs and extremes of neighbours, in buffers that stay in the processor's
//! cache.

use super::planes::{Channels, Plane};

/// A part of a picture with `margin` pixels around it.
#[derive(Clone, Copy)]
pub(super) struct PictureWindow {
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) margin: usize,
}

impl PictureWindow {
    /// The window and its margin of one channel, blurred; beyond the picture its border goes on.
    pub(super) fn blur(
        self,
        picture: &Channels,
        channel: usize,
        weights: &[f32],
        (scratch, blurred): (&mut Plane, &mut Plane),
    ) {
        let radius = weights.len() - 1;
        let (width, height) = (self.width + 2 * self.margin, self.height + 2 * self.margin);
        scratch.resize(width, height + 2 * radius);
        blurred.resize(width, height);
        let mut line = vec![0.0_f32; width + 2 * radius];
        let reach = self.margin + radius;
        for y in 0..scratch.height {
            let row = (self.top + y).saturating_sub(reach).min(picture.height - 1);
            load_row(picture.row(channel, row), self.left, reach, &mut line);
            let to = scratch.row_mut(y);
            let middle = &line[radius..][..width];
            to.iter_mut().zip(middle).for_each(|(to, level)| *to = weights[0] * level);
            for (step, weight) in weights.iter().enumerate().skip(1) {
                let (left, right) =
                    (&line[radius - step..][..width], &line[radius + step..][..width]);
                let pairs = left.iter().zip(right);
                to.iter_mut().zip(pairs).for_each(|(to, (a, b))| *to += weight * (a + b));
            }
        }
        for y in 0..height {
            let to = blurred.row_mut(y);
            let middle = scratch.row(y + radius);
            to.iter_mut().zip(middle).for_each(|(to, level)| *to = weights[0] * level);
            for (step, weight) in weights.iter().enumerate().skip(1) {
                let pairs =
                    scratch.row(y + radius - step).iter().zip(scratch.row(y + radius + step));
                to.iter_mut().zip(pairs).for_each(|(to, (a, b))| *to += weight * (a + b));
            }
        }
    }
}

pub(super) fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

pub(super) fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// Levels from `reach` pixels left of `left` on.
fn load_row(row: &[u8], left: usize, reach: usize, line: &mut [f32]) {
    let before = reach.saturating_sub(left);
    let from = left.saturating_sub(reach);
    let known = (row.len() - from).min(line.len() - before);
    line[..before].fill(f32::from(row[0]));
    let levels = &row[from..from + known];
    line[before..before + known]
        .iter_mut()
        .zip(levels)
        .for_each(|(to, &level)| *to = f32::from(level));
    line[before + known..].fill(f32::from(row[row.len() - 1]));
}

/// The extremes of 3 × 3 values; the result is a pixel smaller on every side.
pub(super) fn find_extremes(
    from: &Plane,
    scratch: &mut Plane,
    to: &mut Plane,
    pick: impl Fn(f32, f32) -> f32 + Copy,
) {
    let (width, height) = (from.width - 2, from.height - 2);
    scratch.resize(width, from.height);
    to.resize(width, height);
    for y in 0..from.height {
        let row = from.row(y);
        let (left, middle, right) = (&row[..width], &row[1..][..width], &row[2..][..width]);
        let places = left.iter().zip(middle).zip(right);
        for (to, ((left, middle), right)) in scratch.row_mut(y).iter_mut().zip(places) {
            *to = pick(pick(*left, *middle), *right);
        }
    }
    for y in 0..height {
        let rows = scratch.row(y).iter().zip(scratch.row(y + 1)).zip(scratch.row(y + 2));
        for (to, ((above, here), below)) in to.row_mut(y).iter_mut().zip(rows) {
            *to = pick(pick(*above, *here), *below);
        }
    }
}
