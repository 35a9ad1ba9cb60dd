//! Whether two aligned pictures show the same thing: the correlation of their structure, on the whole and tile
//! by tile. A part that lies somewhere else correlates nowhere; one that is half covered, on half of its tiles.

use super::planes::{Plane, dot};
use super::warp::RowSpan;

/// A tile has structure when its levels spread by this much.
const STRUCTURE_MIN: f32 = 4.0;
/// A tile agrees when its structure correlates by this.
const AGREEMENT_MIN: f32 = 0.7;

/// How far two pictures agree once they are aligned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Agreement {
    /// Correlation of the structure of the whole, -1 to 1.
    pub(super) correlation: f32,
    /// Tiles with structure.
    pub(super) tiles: u32,
    /// Of them, those that correlate.
    pub(super) agreeing: u32,
}

impl Agreement {
    /// Agreement of two planes where the spans cover them, in tiles of `side`.
    pub(super) fn measure(golden: &Plane, warped: &Plane, spans: &[RowSpan], side: usize) -> Self {
        let mut agreement = Self { correlation: 0.0, tiles: 0, agreeing: 0 };
        let mut all = Moments::default();
        for (index, rows) in spans.chunks(side).enumerate() {
            for left in (0..golden.width).step_by(side) {
                let mut tile = Moments::default();
                for (y, span) in (index * side..).zip(rows) {
                    let right = (left + side).min(golden.width).min(span.end);
                    let left = left.max(span.start).min(right);
                    tile.add_row(&golden.row(y)[left..right], &warped.row(y)[left..right]);
                }
                all.join(&tile);
                if tile.count >= (side * side / 2) as f32 && tile.golden_spread() >= STRUCTURE_MIN {
                    agreement.tiles += 1;
                    agreement.agreeing += u32::from(tile.correlation() >= AGREEMENT_MIN);
                }
            }
        }
        agreement.correlation = all.correlation();
        agreement
    }
}

/// Sums of two pictures' values in one place.
#[derive(Default)]
struct Moments {
    count: f32,
    golden: f32,
    test: f32,
    golden_squared: f32,
    test_squared: f32,
    product: f32,
}

impl Moments {
    fn add_row(&mut self, golden: &[f32], test: &[f32]) {
        self.count += golden.len() as f32;
        self.golden += golden.iter().sum::<f32>();
        self.test += test.iter().sum::<f32>();
        self.golden_squared += dot(golden, golden);
        self.test_squared += dot(test, test);
        self.product += dot(golden, test);
    }

    fn join(&mut self, other: &Self) {
        self.count += other.count;
        self.golden += other.golden;
        self.test += other.test;
        self.golden_squared += other.golden_squared;
        self.test_squared += other.test_squared;
        self.product += other.product;
    }

    fn golden_spread(&self) -> f32 {
        let mean = self.golden / self.count.max(1.0);
        (self.golden_squared / self.count.max(1.0) - mean * mean).max(0.0).sqrt()
    }

    /// Pearson's correlation.
    fn correlation(&self) -> f32 {
        let joint = self.count * self.product - self.golden * self.test;
        let spread = (self.count * self.golden_squared - self.golden * self.golden)
            * (self.count * self.test_squared - self.test * self.test);
        if spread > 0.0 { joint / spread.sqrt() } else { 0.0 }
    }
}
