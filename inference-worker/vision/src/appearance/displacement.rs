//! What lies elsewhere on this piece as a whole: the print, the mask's openings, or the copper when the registration
//! followed these.
//!
//! Films are laid on a board one by one, and each lies off as one. So a shift counts only when it explains what
//! differs in many places of the board; a flaw lies in one, and cannot bring a shift about. How far a film lies off
//! cannot be learnt from five boards: the sixth lies farther off than all of them once in a few, and then along
//! every line of print.
//!
//! Where a shift stands, a pixel is explained by it only if both ends agree: the board shows here what the golden
//! sample shows beside it, and what the golden sample shows here lies as far on the other side. Metal in a hole that
//! nobody drilled is like the metal beside it, but the hole is nowhere; copper that is bitten off is like the
//! substrate beside it, but the edge is not.

use super::BORDER;
use super::excess::{
    AlignedPair, EXCESS_MIN, EXCESS_UNIT, ExcessMap, SMOOTHING, TOLERANCE_CONTRAST,
    TOLERANCE_LEVELS, TOLERANCE_SIGMAS,
};
use super::planes::{Plane, gaussian_weights};
use super::window::{PictureWindow, find_extremes, larger, smaller};

/// A film lies off by at most this, pixels along each axis; the band reaches one farther. Not more than [`BORDER`].
const REACH: usize = 3;
const SIDE: usize = 2 * REACH + 1;
const SHIFTS: usize = SIDE * SIDE;
/// So many films may lie off, each by its own shift.
const FILMS_MAX: usize = 3;
/// A shift explains what differs in at least so many squares of this side, pixels: more than boards have flaws...
const SQUARES_MIN: usize = 12;
const SQUARE_SIDE: usize = 24;
/// ...of those in which the excess is at least this, and all but this part of it.
const SQUARE_EXCESS_MIN: f32 = 4.0;
const SQUARE_LEFT_MAX: f32 = 0.3;
/// The nearest shift is taken that explains this part of what the best one does.
const NEARLY_BEST: f32 = 0.9;
/// A shift counts around a square of this side when at most this part of what differs there is left.
const PLACE_SIDE: usize = 12;
const PLACE_LEFT_MAX: f32 = 0.5;
/// A pixel counts at most so much: a strong flaw is one place like another.
const PIXEL_MOST: f32 = 3.0;
/// With more pixels than this that differ nothing is explained: the board differs everywhere.
const PIXELS_MAX: usize = 200_000;
/// Pixels along a side that are looked at together.
const BLOCK: usize = 32;

/// A pixel that differs, and what is left of its excess by each shift.
struct DifferingPixel {
    x: usize,
    y: usize,
    excess: f32,
    left: [f32; SHIFTS],
}

/// Takes out of the map what the films of the board explain that lie off as a whole.
pub(super) fn explain_by_shifts(pair: &AlignedPair<'_>, map: &mut ExcessMap) {
    if map.differing.count_copper() > PIXELS_MAX as u64 {
        return;
    }
    let pixels = ShiftedLook::new(pair).measure_pixels(map);
    let shifts = choose_shifts(&pixels, map.width);
    let places = Squares::new(map.width, PLACE_SIDE);
    let before = places.sum(&pixels, |pixel| pixel.excess);
    let mut best: Vec<f32> = pixels.iter().map(|pixel| pixel.excess).collect();
    for shift in shifts {
        let after = places.sum(&pixels, |pixel| pixel.excess.min(pixel.left[shift]));
        for (pixel, best) in pixels.iter().zip(&mut best) {
            let [before, after] = [&before, &after].map(|sums| places.sum_around(pixel, sums));
            if after < PLACE_LEFT_MAX * before {
                *best = best.min(pixel.left[shift]);
            }
        }
    }
    for (pixel, best) in pixels.iter().zip(best) {
        map.values[pixel.y * map.width + pixel.x] = (best / EXCESS_UNIT) as u16;
        if best <= EXCESS_MIN {
            map.differing.clear((pixel.x, pixel.y));
        }
    }
}

/// The shifts that explain what differs in many places, each what those before it do not.
fn choose_shifts(pixels: &[DifferingPixel], width: usize) -> Vec<usize> {
    let squares = Squares::new(width, SQUARE_SIDE);
    let mut rest: Vec<f32> = pixels.iter().map(|pixel| pixel.excess).collect();
    let mut shifts = Vec::new();
    while shifts.len() < FILMS_MAX {
        let left_by = |shift: Option<usize>| {
            let left = pixels.iter().zip(&rest);
            let left = left.map(|(pixel, rest)| {
                (pixel, shift.map_or(*rest, |shift| rest.min(pixel.left[shift])))
            });
            squares.sum_each(left)
        };
        let before = left_by(None);
        let explained = |shift: usize| {
            let after = left_by(Some(shift));
            let pairs = before.iter().zip(after);
            let explained = pairs.filter(|(before, after)| {
                **before >= SQUARE_EXCESS_MIN && *after <= SQUARE_LEFT_MAX * **before
            });
            explained.count()
        };
        let counts: Vec<usize> = (0..SHIFTS).map(explained).collect();
        let most = counts.iter().copied().max().unwrap_or(0);
        let good = |shift: &usize| counts[*shift] as f32 >= NEARLY_BEST * most as f32;
        let nearest = (0..SHIFTS).filter(good).min_by_key(|shift| {
            let [dx, dy] = [shift % SIDE, shift / SIDE].map(|at| at.abs_diff(REACH));
            dx * dx + dy * dy
        });
        let Some(shift) = nearest.filter(|_| most >= SQUARES_MIN) else { break };
        for (pixel, rest) in pixels.iter().zip(&mut rest) {
            *rest = rest.min(pixel.left[shift]);
        }
        shifts.push(shift);
    }
    shifts
}

/// Squares of the golden sample over which excess is summed.
struct Squares {
    side: usize,
    columns: usize,
}

impl Squares {
    const fn new(width: usize, side: usize) -> Self {
        Self { side, columns: width.div_ceil(side) }
    }

    fn sum(&self, pixels: &[DifferingPixel], excess: impl Fn(&DifferingPixel) -> f32) -> Vec<f32> {
        self.sum_each(pixels.iter().map(|pixel| (pixel, excess(pixel))))
    }

    fn sum_each<'a>(&self, each: impl Iterator<Item = (&'a DifferingPixel, f32)>) -> Vec<f32> {
        let mut sums = Vec::new();
        for (pixel, excess) in each {
            let square = pixel.y / self.side * self.columns + pixel.x / self.side;
            if sums.len() <= square {
                sums.resize((square / self.columns + 1) * self.columns, 0.0);
            }
            sums[square] += excess.min(PIXEL_MOST);
        }
        sums
    }

    /// The sum over the square of a pixel and those around it.
    fn sum_around(&self, pixel: &DifferingPixel, sums: &[f32]) -> f32 {
        let (column, row) = (pixel.x / self.side, pixel.y / self.side);
        let rows = row.saturating_sub(1)..(row + 2).min(sums.len() / self.columns);
        let columns = column.saturating_sub(1)..(column + 2).min(self.columns);
        rows.flat_map(|row| &sums[row * self.columns..][columns.clone()]).sum()
    }
}

#[derive(Clone, Copy)]
struct Block {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

/// Buffers for one block: as in `excess`, with [`REACH`] pixels more around it.
struct ShiftedLook<'a> {
    pair: &'a AlignedPair<'a>,
    weights: [Vec<f32>; 2],
    scratch: Plane,
    golden: Plane,
    test: Plane,
    /// Extremes of 3 × 3 golden levels, and of accepted boards, with one pixel around; of 5 × 5.
    near: [Plane; 2],
    wide: [Plane; 2],
}

impl<'a> ShiftedLook<'a> {
    fn new(pair: &'a AlignedPair<'a>) -> Self {
        let weights = |blur: f32| gaussian_weights(SMOOTHING.hypot(blur.max(0.0)));
        let empty = || Plane::new(0, 0);
        Self {
            pair,
            weights: [weights(pair.blur), weights(-pair.blur)],
            scratch: empty(),
            golden: empty(),
            test: empty(),
            near: [(); 2].map(|()| empty()),
            wide: [(); 2].map(|()| empty()),
        }
    }

    /// What each pixel that differs is by each shift, and its partner at the other end.
    fn measure_pixels(&mut self, map: &ExcessMap) -> Vec<DifferingPixel> {
        let (width, height) = (self.pair.golden.width, self.pair.golden.height);
        let (right, bottom) = (width - BORDER, height - BORDER);
        let mut pixels = Vec::new();
        for top in (BORDER..bottom).step_by(BLOCK) {
            for left in (BORDER..right).step_by(BLOCK) {
                let (width, height) = (BLOCK.min(right - left), BLOCK.min(bottom - top));
                let block = Block { left, top, width, height };
                self.measure_block(block, map, &mut pixels);
            }
        }
        pixels
    }

    fn measure_block(&mut self, block: Block, map: &ExcessMap, pixels: &mut Vec<DifferingPixel>) {
        let first = pixels.len();
        let Block { left, top, width, height } = block;
        for (y, x) in (top..top + height).flat_map(|y| (left..left + width).map(move |x| (y, x))) {
            if map.differing.is_set(x, y) {
                let excess = f32::from(map.values[y * map.width + x]) * EXCESS_UNIT;
                pixels.push(DifferingPixel { x, y, excess, left: [0.0; SHIFTS] });
            }
        }
        let pixels = &mut pixels[first..];
        if pixels.is_empty() {
            return;
        }
        let mut there = vec![[0.0_f32; SHIFTS]; pixels.len()];
        for channel in 0..self.pair.golden.levels.len() {
            self.load_channel(block, channel);
            let (x, y) = (left + width / 2, top + height / 2);
            let amplified = map.noise[channel] * self.pair.light[channel].amplification_at(x, y);
            let noise = TOLERANCE_LEVELS.max(TOLERANCE_SIGMAS * amplified);
            for (pixel, there) in pixels.iter_mut().zip(&mut there) {
                let (x, y) = (pixel.x - left, pixel.y - top);
                let middle = (x + REACH, y + REACH);
                let both = pixel.left.iter_mut().zip(there).enumerate();
                for (shift, (here, there)) in both {
                    let (dx, dy) = (shift % SIDE, shift / SIDE);
                    let opposite = (x + 2 * REACH - dx, y + 2 * REACH - dy);
                    *here += self.excess_between((x + dx, y + dy), middle, noise).powi(2);
                    *there += self.excess_between(middle, opposite, noise).powi(2);
                }
            }
        }
        for (pixel, there) in pixels.iter_mut().zip(there) {
            let both = pixel.left.iter_mut().zip(there);
            both.for_each(|(here, there)| *here = larger(*here, there).sqrt());
        }
    }

    /// Blurs both pictures around a block, and puts the test picture into the golden sample's light.
    fn load_channel(&mut self, block: Block, channel: usize) {
        let Self { pair, weights, scratch, golden, test, near: [high, low], wide } = self;
        let Block { left, top, width, height } = block;
        let around = |margin| PictureWindow { left, top, width, height, margin };
        around(REACH + 2).blur(pair.golden, channel, &weights[0], (scratch, golden));
        around(REACH).blur(pair.test, channel, &weights[1], (scratch, test));
        find_extremes(golden, scratch, high, larger);
        find_extremes(golden, scratch, low, smaller);
        find_extremes(high, scratch, &mut wide[0], larger);
        find_extremes(low, scratch, &mut wide[1], smaller);
        let columns = test.width;
        let (mut gain, mut offset) = (vec![0.0; columns], vec![0.0; columns]);
        for y in 0..test.height {
            let place = (left - REACH, top - REACH + y);
            pair.light[channel].along_row(place.1, place.0, &mut gain, &mut offset);
            let light = gain.iter().zip(&offset);
            for (level, (gain, offset)) in test.row_mut(y).iter_mut().zip(light) {
                *level = gain * *level + offset;
            }
            if let Some(levels) = pair.levels {
                let band = (
                    &mut high.row_mut(y + 1)[1..][..columns],
                    &mut low.row_mut(y + 1)[1..][..columns],
                );
                levels.widen_band(channel, place, &golden.row(y + 2)[2..][..columns], band);
            }
        }
    }

    /// How far the test picture at one place lies beyond the golden sample at another.
    fn excess_between(&self, golden: (usize, usize), test: (usize, usize), noise: f32) -> f32 {
        let (x, y) = golden;
        let contrast = self.wide[0].row(y)[x] - self.wide[1].row(y)[x];
        let [high, low] = [0, 1].map(|side: usize| self.near[side].row(y + 1)[x + 1]);
        let level = self.test.row(test.1)[test.0];
        let beyond = larger(level - high, low - level) - noise - TOLERANCE_CONTRAST * contrast;
        larger(beyond, 0.0) / noise
    }
}
