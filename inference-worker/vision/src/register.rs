//! Registration of the whole: by how much the test picture is shifted against its golden sample, and
//! how well the two agree then.
//!
//! Coarse to fine (a pyramid of copper counts on blocks of 8 and 4 pixels, then single bits), because
//! traces repeat: a search that only went downhill from no shift would end in the next period of a bus.
//! Several coarse minima are therefore refined, and the best on single bits wins. Whole pixels only. A
//! picture that fits nowhere is tried turned and stretched; what is left is the field's to measure.

use super::binary_image::{BinaryImage, column_mask};
use super::field::{self, AffineOffset, OffsetField, WarpedGolden};
use super::measure;
use super::stage::{Stage, StageWatch};

/// Side of the finer blocks in pixels; the coarser are twice as wide.
const BLOCK: usize = 4;
/// Largest shift that is looked for, in coarser blocks: 24 pixels.
const REACH_BLOCKS: isize = 3;
/// Shifts that are refined, of those on the coarser and on the finer blocks.
const REFINED_SHIFTS: [usize; 2] = [8, 5];
/// The fine search looks at every fourth row.
const ROW_STEP: usize = 4;
/// The fine search goes no farther than this from the best block, in pixels.
const FINE_REACH: isize = 5;

/// Turns that are tried when nothing else fits, as tangents: 2° and half of it.
const TURNS: [f32; 5] = [0.0, 0.0175, -0.0175, 0.035, -0.035];
/// Stretches that are tried along each axis.
const STRETCHES: [f32; 3] = [0.0, 0.015, -0.015];
/// Turned and stretched placements that are looked at closely.
const TURNED_TRIED: usize = 4;

/// Pictures that agree at least this much are not tried turned or stretched...
const SCORE_SURE: f32 = 0.9;
/// ...unless they seem to bend by more than this, in pixels: a turn may have been taken for a bend that
/// goes astray where traces repeat.
const BEND_SUSPICIOUS: f32 = 10.0;

/// The golden sample laid over a picture.
pub(super) struct RegisteredGolden {
    pub(super) field: OffsetField,
    pub(super) warped: WarpedGolden,
    /// Correlation of the two where both are known, 0 to 1.
    pub(super) score: f32,
}

impl RegisteredGolden {
    /// The golden sample laid along a field.
    pub(super) fn from_field(test: &BinaryImage, golden: &BinaryImage, field: OffsetField) -> Self {
        let warped = field::warp_golden(golden, &field);
        let score = correlation(test, &warped);
        Self { field, warped, score }
    }

    /// Leaves out what is not inspected, and says how far the rest agrees.
    pub(super) fn leave_out(&mut self, test: &BinaryImage, excluded: &BinaryImage) -> f32 {
        self.warped.leave_out(excluded);
        correlation(test, &self.warped)
    }

    fn from_guess(test: &BinaryImage, golden: &BinaryImage, guess: &AffineOffset) -> Self {
        Self::from_field(test, golden, measure::measure_field(test, golden, guess))
    }
}

/// Finds how the golden sample lies in a picture of its size; the score says whether it does.
pub(super) fn register_picture(
    test: &BinaryImage,
    golden: (&BinaryImage, &CoarseCounts),
    watch: &mut impl StageWatch,
) -> RegisteredGolden {
    let coarse = CoarseCounts::from_image(test);
    let guess = find_shift((test, &coarse), golden);
    watch.stage_ended(Stage::Register);
    let mut best = RegisteredGolden::from_guess(test, golden.0, &guess);
    if best.score < SCORE_SURE || best.field.offset_range() > BEND_SUSPICIOUS {
        for guess in turned_guesses((test, &coarse), golden) {
            let next = RegisteredGolden::from_guess(test, golden.0, &guess);
            if next.score > best.score {
                best = next;
            }
        }
    }
    watch.stage_ended(Stage::Field);
    best
}

/// As [`register_picture`], where a guess is tried before anything is searched.
pub(super) fn register_near(
    test: &BinaryImage,
    golden: &BinaryImage,
    guess: Option<AffineOffset>,
    watch: &mut impl StageWatch,
) -> RegisteredGolden {
    let first = guess.map(|guess| RegisteredGolden::from_guess(test, golden, &guess));
    watch.stage_ended(Stage::Field);
    match first {
        Some(first) if first.score >= SCORE_SURE => first,
        first => {
            let searched =
                register_picture(test, (golden, &CoarseCounts::from_image(golden)), watch);
            match first {
                Some(first) if first.score >= searched.score => first,
                _ => searched,
            }
        }
    }
}

/// Copper pixels per block, on blocks of 4 and of 8 pixels.
#[derive(Debug, Clone)]
pub(super) struct CoarseCounts {
    fine: BlockCounts,
    rough: BlockCounts,
}

#[derive(Debug, Clone)]
struct BlockCounts {
    width: usize,
    height: usize,
    counts: Vec<u8>,
}

impl CoarseCounts {
    pub(super) fn from_image(bits: &BinaryImage) -> Self {
        let fine = BlockCounts::count_blocks(bits);
        Self { rough: fine.half_resolution(), fine }
    }
}

impl BlockCounts {
    fn count_blocks(bits: &BinaryImage) -> Self {
        let (width, height) = (bits.width / BLOCK, bits.height / BLOCK);
        let mut counts = vec![0; width * height];
        for (y, row) in counts.chunks_exact_mut(width.max(1)).enumerate() {
            let lines: [&[u64]; BLOCK] = std::array::from_fn(|line| bits.row(y * BLOCK + line));
            for (index, blocks) in row.chunks_mut(64 / BLOCK).enumerate() {
                // Every other block has its count in a byte of its own, so that lines add up at once.
                let [even, odd] = lines.iter().fold([0_u64; 2], |[even, odd], line| {
                    let counts = nibble_counts(line[index]);
                    [even + (counts & LOW_NIBBLES), odd + ((counts >> 4) & LOW_NIBBLES)]
                });
                let pairs = even.to_le_bytes().into_iter().zip(odd.to_le_bytes());
                for (blocks, (even, odd)) in blocks.chunks_mut(2).zip(pairs) {
                    blocks[0] = even;
                    if let Some(block) = blocks.get_mut(1) {
                        *block = odd;
                    }
                }
            }
        }
        Self { width, height, counts }
    }

    fn half_resolution(&self) -> Self {
        let (width, height) = (self.width / 2, self.height / 2);
        let mut counts = Vec::with_capacity(width * height);
        for y in 0..height {
            let row = |y: usize| self.counts[y * self.width..][..width * 2].chunks_exact(2);
            let sums = row(2 * y).zip(row(2 * y + 1));
            counts.extend(sums.map(|(a, b)| a.iter().chain(b).sum::<u8>()));
        }
        Self { width, height, counts }
    }

    /// These counts as they lie when the picture is turned and stretched about its middle; the nearest
    /// block, which is enough to rank guesses.
    fn warped_by(&self, affine: &AffineOffset) -> Self {
        let (middle_x, middle_y) = (self.width as f32 / 2.0, self.height as f32 / 2.0);
        let mut counts = Vec::with_capacity(self.counts.len());
        for y in 0..self.height {
            for x in 0..self.width {
                let (dx, dy) = affine.growth_at(x as f32 - middle_x, y as f32 - middle_y);
                let column = (x as f32 - dx).round().clamp(0.0, self.width as f32 - 1.0);
                let row = (y as f32 - dy).round().clamp(0.0, self.height as f32 - 1.0);
                counts.push(self.counts[row as usize * self.width + column as usize]);
            }
        }
        Self { width: self.width, height: self.height, counts }
    }

    /// Mean disagreement per block when `self` lies `dx`, `dy` blocks to the right of and below
    /// `golden`.
    fn mean_difference(&self, golden: &Self, dx: isize, dy: isize) -> f32 {
        let columns = shared_range(self.width, dx);
        let rows = shared_range(self.height, dy);
        let mut sum = 0_u32;
        for y in rows.0..rows.1 {
            let from = y * self.width;
            let test = &self.counts[from + columns.0..from + columns.1];
            let at = y.saturating_add_signed(-dy) * self.width + columns.0;
            let start = at.saturating_add_signed(-dx);
            let golden = &golden.counts[start..start + test.len()];
            // A picture has too few blocks to overflow; a checked sum is not computed many at once.
            let ((test, test_rest), (golden, golden_rest)) =
                (test.as_chunks::<16>(), golden.as_chunks::<16>());
            for (test, golden) in test.iter().zip(golden) {
                sum = sum.wrapping_add(sum_apart(test, golden));
            }
            sum = sum.wrapping_add(sum_apart(test_rest, golden_rest));
        }
        let area = (columns.1 - columns.0) * (rows.1 - rows.0);
        sum as f32 / area.max(1) as f32
    }

    /// Disagreements at every shift within reach.
    fn search_all_shifts(&self, golden: &Self) -> Vec<ScoredShift> {
        let shifts = (-REACH_BLOCKS..=REACH_BLOCKS)
            .flat_map(|dy| (-REACH_BLOCKS..=REACH_BLOCKS).map(move |dx| (dx, dy)));
        shifts.map(|(dx, dy)| (self.mean_difference(golden, dx, dy), dx, dy)).collect()
    }
}

/// The sum of the differences of counts; written so that it is computed sixteen at once, in one step.
fn sum_apart(a: &[u8], b: &[u8]) -> u32 {
    let apart = |(a, b): (&u8, &u8)| (i32::from(*a) - i32::from(*b)).unsigned_abs();
    a.iter().zip(b).map(apart).fold(0, u32::wrapping_add)
}

const LOW_NIBBLES: u64 = 0x0f0f_0f0f_0f0f_0f0f;

/// How many bits of each nibble are set, sixteen at once.
const fn nibble_counts(word: u64) -> u64 {
    let pairs = word - ((word >> 1) & 0x5555_5555_5555_5555);
    (pairs & 0x3333_3333_3333_3333) + ((pairs >> 2) & 0x3333_3333_3333_3333)
}

/// The part of `length` that a picture shifted by `shift` shares with the unshifted one.
fn shared_range(length: usize, shift: isize) -> (usize, usize) {
    let gap = shift.unsigned_abs().min(length);
    if shift >= 0 { (gap, length) } else { (0, length - gap) }
}

type ScoredShift = (f32, isize, isize);

fn better_shift(a: ScoredShift, b: ScoredShift) -> ScoredShift {
    let key = |f: ScoredShift| (f.0, f.1.unsigned_abs() + f.2.unsigned_abs());
    if key(b) < key(a) { b } else { a }
}

/// The shift within about ±24 pixels at which the fewest pixels differ; on a tie the smallest, so that
/// a plain picture is not moved.
fn find_shift(
    test: (&BinaryImage, &CoarseCounts),
    golden: (&BinaryImage, &CoarseCounts),
) -> AffineOffset {
    let best = search_shifts(test, (golden.0, &golden.1.fine), &golden.1.rough);
    AffineOffset::from_shift(best.1 as f32, best.2 as f32)
}

fn search_shifts(
    test: (&BinaryImage, &CoarseCounts),
    golden: (&BinaryImage, &BlockCounts),
    rough: &BlockCounts,
) -> ScoredShift {
    let mut starts = test.1.rough.search_all_shifts(rough);
    starts.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut finer: Vec<ScoredShift> = Vec::new();
    for &(_, dx, dy) in starts.iter().take(REFINED_SHIFTS[0]) {
        for (dx, dy) in positions_within((dx * 2, dy * 2), 1) {
            if finer.iter().all(|found| (found.1, found.2) != (dx, dy)) {
                finer.push((test.1.fine.mean_difference(golden.1, dx, dy), dx, dy));
            }
        }
    }
    finer.sort_by(|a, b| a.0.total_cmp(&b.0));
    let block = BLOCK.cast_signed();
    let mut found: Vec<ScoredShift> = Vec::new();
    for &(_, dx, dy) in finer.iter().take(REFINED_SHIFTS[1]) {
        let (dx, dy) = (dx * block, dy * block);
        let near =
            |found: &ScoredShift| (found.1 - dx).abs().max((found.2 - dy).abs()) <= FINE_REACH;
        if !found.iter().any(near) {
            found.push(descend_to_minimum(test.0, golden.0, (dx, dy)));
        }
    }
    found.into_iter().fold((f32::INFINITY, 0, 0), better_shift)
}

/// Positions within `reach` of `centre`.
fn positions_within(centre: (isize, isize), reach: isize) -> impl Iterator<Item = (isize, isize)> {
    (-reach..=reach)
        .flat_map(move |dy| (-reach..=reach).map(move |dx| (centre.0 + dx, centre.1 + dy)))
}

/// The best shift downhill from `start`: within a few pixels, differences grow with the distance.
fn descend_to_minimum(
    test: &BinaryImage,
    golden: &BinaryImage,
    start: (isize, isize),
) -> ScoredShift {
    let mut best = (differing_share(test, golden, start), start.0, start.1);
    let mut step = 2;
    while step > 0 && (best.1 - start.0).abs().max((best.2 - start.1).abs()) < FINE_REACH {
        let before = best;
        for (dx, dy) in [(-step, 0), (step, 0), (0, -step), (0, step)] {
            let (dx, dy) = (before.1 + dx, before.2 + dy);
            best = better_shift(best, (differing_share(test, golden, (dx, dy)), dx, dy));
        }
        step = if best == before { step - 1 } else { step };
    }
    best
}

/// The share of pixels that differ where the two overlap, on every fourth row.
fn differing_share(test: &BinaryImage, golden: &BinaryImage, (dx, dy): (isize, isize)) -> f32 {
    let columns = shared_range(test.width, dx);
    let rows = shared_range(test.height, dy);
    let words = test.width.div_ceil(64);
    let masks: Vec<u64> = (0..words).map(|w| column_mask(columns.0, columns.1, w)).collect();
    // A word of nothing at either end: shifts are shorter than a word.
    let mut padded = vec![0; words + 2];
    let first = ((-dx).div_euclid(64) + 1).unsigned_abs();
    let bit = (-dx).rem_euclid(64) as u32;
    let mut count = 0_u32;
    for y in (rows.0..rows.1).step_by(ROW_STEP) {
        padded[1..=words].copy_from_slice(golden.row(y.saturating_add_signed(-dy)));
        let samples = padded[first..].windows(2);
        let apart = test.row(y).iter().zip(&masks).zip(samples).map(|((word, mask), sample)| {
            let sample = sample[0] >> bit | sample[1] << 1 << (63 - bit);
            ((word ^ sample) & mask).count_ones()
        });
        count += apart.fold(0, u32::wrapping_add);
    }
    let pixels = (rows.1 - rows.0).div_ceil(ROW_STEP) * (columns.1 - columns.0);
    count as f32 / pixels.max(1) as f32
}

/// Guesses with a turn and a stretch, the most promising first: 45 combinations are ranked on the
/// coarsest counts, which costs little, and only the best few are searched on single bits.
fn turned_guesses(
    test: (&BinaryImage, &CoarseCounts),
    golden: (&BinaryImage, &CoarseCounts),
) -> Vec<AffineOffset> {
    let mut tried: Vec<(f32, AffineOffset)> = Vec::new();
    for turn in TURNS {
        for across in STRETCHES {
            for down in STRETCHES {
                let affine = AffineOffset::from_turn_and_stretch(turn, (across, down));
                let warped = golden.1.rough.warped_by(&affine);
                let found = test.1.rough.search_all_shifts(&warped).into_iter();
                let least = found.fold(f32::INFINITY, |least, found| least.min(found.0));
                tried.push((least, affine));
            }
        }
    }
    tried.sort_by(|a, b| a.0.total_cmp(&b.0));
    let placed = tried.iter().take(TURNED_TRIED).map(|(_, affine)| {
        let warped = field::warp_copper(golden.0, &OffsetField::from_affine(affine, test.0.size()));
        let coarse = CoarseCounts::from_image(&warped);
        let found = search_shifts(test, (&warped, &coarse.fine), &coarse.rough);
        affine.shifted_by(found.1 as f32, found.2 as f32)
    });
    placed.collect()
}

/// Pearson's correlation of a picture and the golden sample laid over it where that is known, 0 when
/// negative.
fn correlation(test: &BinaryImage, warped: &WarpedGolden) -> f32 {
    let [mut n, mut a, mut b, mut both] = [0_u64; 4];
    for ((test, golden), known) in test.words().zip(warped.golden.words()).zip(warped.known.words())
    {
        n += u64::from(known.count_ones());
        a += u64::from((test & known).count_ones());
        b += u64::from((golden & known).count_ones());
        both += u64::from((test & golden & known).count_ones());
    }
    let [n, a, b, both] = [n, a, b, both].map(|count| count as f64);
    let spread = (a * (n - a) * b * (n - b)).sqrt();
    if spread > 0.0 { ((n * both - a * b) / spread).clamp(0.0, 1.0) as f32 } else { 0.0 }
}
