//! Why two pictures that do not register do not: the part lies elsewhere, part of it is hidden, or
//! it is another part.
//!
//! Only pictures that are refused come here, so it may take some milliseconds; it never turns a
//! refusal into a comparison.

use super::binary_image::{BinaryImage, column_mask};
use super::{Incomparable, Misplacement};

/// Cells along the longer side of the coarse picture in which a lost part is looked for.
const CELLS_ALONG: usize = 80;
/// How far a part is looked for when it is not turned, in cells: a quarter of the picture.
const REACH_UPRIGHT: isize = 20;
/// How far it is looked for when it is turned, in cells.
const REACH_TURNED: isize = 6;
/// Farthest turn at which it is looked for, degree by degree.
const TURN_MAX: i32 = 15;
/// Half a turn and, on square pictures, quarter turns.
const RIGHT_ANGLES: [i32; 3] = [180, 90, 270];
/// Shifts up to this are followed, in pixels: a part that lies nearer is turned or distorted.
const SHIFT_FOLLOWED_MAX: i32 = 24;
/// Coarse pictures of one part correlate by at least this where they lie over one another; those of
/// two parts do not.
const SAME_PART_CORRELATION: f32 = 0.7;
/// Side of the tiles whose agreement is counted, in pixels.
const TILE: usize = 64;
/// A tile agrees when its copper correlates by this.
const TILE_CORRELATION_MIN: f32 = 0.8;
/// With at least this share of its tiles agreeing, a picture shows the part, and something over it.
const PARTLY_SHARE_MIN: f32 = 0.35;
/// With less than this share of its tiles agreeing, a photograph or a panel is not registered, whatever
/// the whole says.
const FITTING_SHARE_MIN: f32 = 0.75;
/// With fewer tiles a single flaw moves the share too much to say anything.
const TILES_MIN: u32 = 12;
/// Below this correlation, with the sign turned, the picture shows the part inverted.
const INVERTED_CORRELATION: f32 = -0.7;

/// Names the reason why `test` agrees with `golden` by `score` only; `tiles` are those of the golden sample
/// laid over it as well as may be.
pub(super) fn explain_refusal(
    test: &BinaryImage,
    golden: &BinaryImage,
    tiles: AgreeingTiles,
    score: f32,
) -> Incomparable {
    let partly = tiles.share();
    if partly >= PARTLY_SHARE_MIN {
        return Incomparable::Misplaced(Misplacement::Partly((partly * 100.0) as u8));
    }
    let (test, golden) = (CoarseCells::from_image(test), CoarseCells::from_image(golden));
    let (agreement, misplacement) = best_placement(&test, &golden);
    if agreement >= SAME_PART_CORRELATION {
        Incomparable::Misplaced(misplacement)
    } else {
        Incomparable::WrongPart { score }
    }
}

/// The golden sample's tiles with structure, and how many of them agree with the picture.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct AgreeingTiles {
    agreeing: u32,
    all: u32,
}

impl AgreeingTiles {
    /// Of a picture with the golden sample warped over it.
    pub(super) fn count(test: &BinaryImage, warped: &BinaryImage) -> Self {
        let mut tiles = Self::default();
        tiles.add(test, warped);
        tiles
    }

    /// Adds those of another window.
    pub(super) fn add(&mut self, test: &BinaryImage, warped: &BinaryImage) {
        for top in (0..test.height).step_by(TILE) {
            for left in (0..test.width).step_by(TILE) {
                let (right, bottom) =
                    ((left + TILE).min(test.width), (top + TILE).min(test.height));
                let mut counts = TileCounts::default();
                for y in top..bottom {
                    let index = left / 64;
                    let mask = column_mask(left, right, index);
                    counts.add(test.row(y)[index] & mask, warped.row(y)[index] & mask);
                }
                counts.pixels = ((right - left) * (bottom - top)) as f64;
                if let Some(correlation) = counts.correlation() {
                    self.all += 1;
                    self.agreeing += u32::from(correlation >= TILE_CORRELATION_MIN);
                }
            }
        }
    }

    /// True when the golden sample agrees with the picture nearly everywhere: where it does not,
    /// differences come from the registration and mean nothing.
    pub(super) fn fit_everywhere(self) -> bool {
        let enough = f64::from(FITTING_SHARE_MIN) * f64::from(self.all);
        self.all < TILES_MIN || f64::from(self.agreeing) >= enough
    }

    /// The share of the tiles that agree; all when no tile has structure.
    fn share(self) -> f32 {
        if self.all == 0 { 1.0 } else { self.agreeing as f32 / self.all as f32 }
    }
}

/// Copper of two pictures in one place.
#[derive(Default)]
struct TileCounts {
    pixels: f64,
    test: u32,
    golden: u32,
    both: u32,
}

/// A tile has structure when the rarer material takes this share.
const STRUCTURE: f64 = 0.05;

impl TileCounts {
    fn add(&mut self, test: u64, golden: u64) {
        self.test += test.count_ones();
        self.golden += golden.count_ones();
        self.both += (test & golden).count_ones();
    }

    /// Pearson's correlation; none where the golden sample has no structure.
    fn correlation(&self) -> Option<f32> {
        let (n, a, b) = (self.pixels, f64::from(self.test), f64::from(self.golden));
        if !(STRUCTURE..=1.0 - STRUCTURE).contains(&(b / n)) {
            return None;
        }
        let spread = (a * (n - a) * b * (n - b)).sqrt();
        let joint = n * f64::from(self.both) - a * b;
        Some(if spread > 0.0 { (joint / spread) as f32 } else { 0.0 })
    }
}

/// Where the part lies best, and how well it correlates there.
fn best_placement(test: &CoarseCells, golden: &CoarseCells) -> (f32, Misplacement) {
    if golden.correlation(test, 0, 0) <= INVERTED_CORRELATION {
        return (1.0, Misplacement::Inverted);
    }
    let (score, dx, dy) = golden.search_shift(test, REACH_UPRIGHT);
    let side = golden.side as i32;
    let (dx, dy) = (dx as i32 * side, dy as i32 * side);
    let near = dx.abs().max(dy.abs()) <= SHIFT_FOLLOWED_MAX;
    let moved = if near { Misplacement::Distorted } else { Misplacement::Moved { dx, dy } };
    let small = (-TURN_MAX..=TURN_MAX).filter(|degrees| *degrees != 0);
    let right = if test.width == test.height { &RIGHT_ANGLES[..] } else { &RIGHT_ANGLES[..1] };
    let turns = small.chain(right.iter().copied()).map(|degrees| {
        let (score, ..) = golden.search_shift(&test.turned_by(-degrees), REACH_TURNED);
        (score, Misplacement::Turned(degrees))
    });
    let better = |a: (f32, Misplacement), b: (f32, Misplacement)| if b.0 > a.0 { b } else { a };
    turns.fold((score, moved), better)
}

/// A picture in coarse cells: the share of copper in each.
struct CoarseCells {
    width: usize,
    height: usize,
    /// Side of a cell in pixels.
    side: usize,
    shares: Vec<f32>,
}

impl CoarseCells {
    fn from_image(bits: &BinaryImage) -> Self {
        let side = bits.width.max(bits.height).div_ceil(CELLS_ALONG).max(1);
        let (width, height) = (bits.width / side, bits.height / side);
        let mut shares = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let (left, right) = (x * side, (x + 1) * side);
                let mut copper = 0;
                for row in y * side..(y + 1) * side {
                    for index in left / 64..right.div_ceil(64) {
                        copper +=
                            (bits.row(row)[index] & column_mask(left, right, index)).count_ones();
                    }
                }
                shares.push(copper as f32 / (side * side) as f32);
            }
        }
        Self { width, height, side, shares }
    }

    fn share_at(&self, x: isize, y: isize) -> Option<f32> {
        let (x, y) = (usize::try_from(x).ok()?, usize::try_from(y).ok()?);
        (x < self.width && y < self.height).then(|| self.shares[y * self.width + x])
    }

    /// Correlation when `test` lies `dx`, `dy` cells to the right of and below `self`, over what
    /// both know; unknown cells are not numbers.
    fn correlation(&self, test: &Self, dx: isize, dy: isize) -> f32 {
        let (mut n, mut a, mut b, mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        for y in 0..self.height {
            for x in 0..self.width {
                let golden = self.shares[y * self.width + x];
                let Some(test) = test.share_at(x.cast_signed() + dx, y.cast_signed() + dy) else {
                    continue;
                };
                if test.is_nan() {
                    continue;
                }
                n += 1.0_f32;
                a += golden;
                b += test;
                aa += golden * golden;
                bb += test * test;
                ab += golden * test;
            }
        }
        // Less than half in common says little.
        if n < (self.width * self.height) as f32 / 2.0 {
            return 0.0;
        }
        let spread = ((n * aa - a * a) * (n * bb - b * b)).max(0.0).sqrt();
        if spread > 0.0 { (n * ab - a * b) / spread } else { 0.0 }
    }

    fn search_shift(&self, test: &Self, reach: isize) -> (f32, isize, isize) {
        let mut best = (0.0, 0, 0);
        for dy in -reach..=reach {
            for dx in -reach..=reach {
                let score = self.correlation(test, dx, dy);
                if score > best.0 {
                    best = (score, dx, dy);
                }
            }
        }
        best
    }

    /// Turned clockwise around its middle; unknown cells are not numbers.
    fn turned_by(&self, degrees: i32) -> Self {
        let (sine, cosine) = (degrees as f32).to_radians().sin_cos();
        let (middle_x, middle_y) =
            ((self.width as f32 - 1.0) / 2.0, (self.height as f32 - 1.0) / 2.0);
        let mut shares = Vec::with_capacity(self.shares.len());
        for y in 0..self.height {
            for x in 0..self.width {
                let (from_x, from_y) = (x as f32 - middle_x, y as f32 - middle_y);
                let at_x = from_x * cosine + from_y * sine + middle_x;
                let at_y = from_y * cosine - from_x * sine + middle_y;
                shares.push(self.share_between(at_x, at_y));
            }
        }
        Self { shares, ..*self }
    }

    /// The share between cells, not a number outside.
    fn share_between(&self, x: f32, y: f32) -> f32 {
        // A turn by a right angle lands on cells but for rounding.
        let (x, y) = ((x * 64.0).round() / 64.0, (y * 64.0).round() / 64.0);
        let (left, top) = (x.floor(), y.floor());
        let (right, down) = (x - left, y - top);
        let cell = |dx: isize, dy: isize, weight: f32| {
            if weight == 0.0 {
                return 0.0;
            }
            weight * self.share_at(left as isize + dx, top as isize + dy).unwrap_or(f32::NAN)
        };
        cell(0, 0, (1.0 - right) * (1.0 - down))
            + cell(1, 0, right * (1.0 - down))
            + cell(0, 1, (1.0 - right) * down)
            + cell(1, 1, right * down)
    }
}
