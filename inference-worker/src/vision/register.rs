//! Registration: by how much the test picture is shifted against its golden sample, and how well
//! the two agree then. Coarse on blocks of 4 × 4 pixels, fine on single bits; whole pixels.

use super::bits::{Bits, span};

/// Side of a coarse block in pixels.
const BLOCK: usize = 4;
/// Largest shift that is looked for, in coarse blocks: 24 pixels.
const REACH: isize = 6;
/// Coarse shifts that are refined.
const REFINED: usize = 6;
/// The fine search looks at every fourth row first.
const SPARSE: usize = 4;

/// Copper pixels per coarse block.
#[derive(Debug, Clone)]
pub(super) struct Coarse {
    width: usize,
    height: usize,
    counts: Vec<u8>,
}

impl Coarse {
    pub(super) fn of(bits: &Bits) -> Self {
        let (width, height) = (bits.width / BLOCK, bits.height / BLOCK);
        let mut counts = vec![0; width * height];
        for (y, row) in counts.chunks_exact_mut(width.max(1)).enumerate() {
            for line in y * BLOCK..(y + 1) * BLOCK {
                let words = bits.row(line);
                for (x, count) in row.iter_mut().enumerate() {
                    let nibble = (words[x / 16] >> ((x % 16) * BLOCK)) & 0xf;
                    *count += POPULATION[usize::from(nibble as u8)];
                }
            }
        }
        Self { width, height, counts }
    }

    /// Mean disagreement per block when `self` lies `dx`, `dy` blocks to the right of and below
    /// `golden`.
    fn disagreement(&self, golden: &Self, dx: isize, dy: isize) -> f32 {
        let columns = overlap(self.width, dx);
        let rows = overlap(self.height, dy);
        let mut sum = 0_u32;
        for y in rows.0..rows.1 {
            let from = y * self.width;
            let test = &self.counts[from + columns.0..from + columns.1];
            let at = y.saturating_add_signed(-dy) * self.width + columns.0;
            let start = at.saturating_add_signed(-dx);
            let golden = &golden.counts[start..start + test.len()];
            sum += test.iter().zip(golden).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>();
        }
        let area = (columns.1 - columns.0) * (rows.1 - rows.0);
        sum as f32 / area.max(1) as f32
    }
}

const POPULATION: [u8; 16] = [0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4];

/// The part of `length` that a picture shifted by `shift` shares with the unshifted one.
fn overlap(length: usize, shift: isize) -> (usize, usize) {
    let gap = shift.unsigned_abs().min(length);
    if shift >= 0 { (gap, length) } else { (0, length - gap) }
}

/// Where the test picture lies over the golden sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Placement {
    pub(super) dx: isize,
    pub(super) dy: isize,
    /// Correlation of the two pictures there, 0 to 1.
    pub(super) score: f32,
}

/// Finds the shift within ±24 pixels at which the fewest pixels differ; on a tie the smallest
/// shift.
pub(super) fn place(test: &Bits, golden: &Bits, golden_coarse: &Coarse) -> Placement {
    let coarse = Coarse::of(test);
    let mut starts: Vec<(f32, isize, isize)> = Vec::new();
    for dy in -REACH..=REACH {
        for dx in -REACH..=REACH {
            starts.push((coarse.disagreement(golden_coarse, dx, dy), dx, dy));
        }
    }
    starts.sort_by(|a, b| a.0.total_cmp(&b.0));
    let block = BLOCK.cast_signed();
    let mut best = (f32::INFINITY, 0, 0);
    for &(_, dx, dy) in starts.iter().take(REFINED) {
        let found = search(test, golden, ((dx * block, dy * block), block - 1), SPARSE);
        best = better(best, found);
    }
    let (_, dx, dy) = search(test, golden, ((best.1, best.2), 1), 1);
    Placement { dx, dy, score: correlation(test, golden, dx, dy) }
}

type Found = (f32, isize, isize);

fn better(a: Found, b: Found) -> Found {
    let key = |f: Found| (f.0, f.1.unsigned_abs() + f.2.unsigned_abs());
    if key(b) < key(a) { b } else { a }
}

/// The best shift within `reach` pixels of `centre`, on every `step`-th row.
fn search(
    test: &Bits,
    golden: &Bits,
    (centre, reach): ((isize, isize), isize),
    step: usize,
) -> Found {
    let mut best = (f32::INFINITY, centre.0, centre.1);
    for dy in centre.1 - reach..=centre.1 + reach {
        for dx in centre.0 - reach..=centre.0 + reach {
            let share = differing(test, golden, (dx, dy), step);
            best = better(best, (share, dx, dy));
        }
    }
    best
}

/// Calls `see` with words of the test picture and of the golden sample shifted under it, where the
/// two overlap, on every `step`-th row; returns the number of pixels.
fn walk(
    test: &Bits,
    golden: &Bits,
    ((dx, dy), step): ((isize, isize), usize),
    mut see: impl FnMut(u64, u64),
) -> usize {
    let columns = overlap(test.width, dx);
    let rows = overlap(test.height, dy);
    for y in (rows.0..rows.1).step_by(step) {
        let from = y.cast_signed() - dy;
        for (index, &word) in test.row(y).iter().enumerate() {
            let mask = span(columns.0, columns.1, index);
            see(word & mask, golden.window((index * 64).cast_signed() - dx, from) & mask);
        }
    }
    (rows.1 - rows.0).div_ceil(step) * (columns.1 - columns.0)
}

/// The share of pixels that differ, of those looked at.
fn differing(test: &Bits, golden: &Bits, shift: (isize, isize), step: usize) -> f32 {
    let mut count = 0;
    let pixels = walk(test, golden, (shift, step), |a, b| count += (a ^ b).count_ones());
    count as f32 / pixels.max(1) as f32
}

/// Pearson's correlation of the two binary pictures where they overlap, 0 when negative.
fn correlation(test: &Bits, golden: &Bits, dx: isize, dy: isize) -> f32 {
    let (mut a, mut b, mut both) = (0, 0, 0);
    let pixels = walk(test, golden, ((dx, dy), 1), |test, golden| {
        a += test.count_ones();
        b += golden.count_ones();
        both += (test & golden).count_ones();
    });
    let (n, a, b, both) = (pixels as f64, f64::from(a), f64::from(b), f64::from(both));
    let spread = (a * (n - a) * b * (n - b)).sqrt();
    if spread > 0.0 { ((n * both - a * b) / spread).clamp(0.0, 1.0) as f32 } else { 0.0 }
}
