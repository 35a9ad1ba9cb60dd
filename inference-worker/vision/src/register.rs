//! Registration of the whole: by how much the test picture is shifted against its golden sample, and
//! how well the two agree then. Coarse on counted blocks, fine on single bits; whole pixels. A picture
//! that fits nowhere is tried turned and stretched; what is left after that is the field's to measure.

use super::bits::{Bits, span};
use super::field::{self, Affine, Field};
use super::lay::{self, Laid};
use super::stage::{Stage, Watch};

/// Side of the finer blocks in pixels; the coarser are twice as wide.
const BLOCK: usize = 4;
/// Largest shift that is looked for, in coarser blocks: 24 pixels.
const REACH: isize = 3;
/// Shifts that are refined, of those on the coarser and on the finer blocks.
const REFINED: [usize; 2] = [8, 5];
/// The fine search looks at every fourth row.
const SPARSE: usize = 4;
/// The fine search goes no farther than this from the best block, in pixels.
const FINE: isize = 5;

/// Turns that are tried when nothing else fits, as tangents: 2° and half of it.
const TURNS: [f32; 5] = [0.0, 0.0175, -0.0175, 0.035, -0.035];
/// Stretches that are tried along each axis.
const STRETCHES: [f32; 3] = [0.0, 0.015, -0.015];
/// Turned and stretched placements that are looked at closely.
const TRIED: usize = 4;

/// Pictures that agree at least this much are not tried turned or stretched...
const SURE: f32 = 0.9;
/// ...unless they seem to bend by more than this, in pixels: a turn may have been taken for a bend that
/// goes astray where traces repeat.
const BENT: f32 = 10.0;

/// The golden sample laid over a picture.
pub(super) struct Registered {
    pub(super) field: Field,
    pub(super) laid: Laid,
    /// Correlation of the two where both are known, 0 to 1.
    pub(super) score: f32,
}

impl Registered {
    /// The golden sample laid along a field.
    pub(super) fn laid(test: &Bits, golden: &Bits, field: Field) -> Self {
        let laid = lay::lay(golden, &field);
        let score = correlation(test, &laid);
        Self { field, laid, score }
    }

    fn settled(test: &Bits, golden: &Bits, guess: &Affine) -> Self {
        Self::laid(test, golden, field::measure(test, golden, guess))
    }
}

/// Finds how the golden sample lies in a picture of its size; the score says whether it does.
pub(super) fn register(
    test: &Bits,
    golden: (&Bits, &Coarse),
    watch: &mut impl Watch,
) -> Registered {
    let coarse = Coarse::of(test);
    let guess = place((test, &coarse), golden);
    watch.ended(Stage::Register);
    let mut best = Registered::settled(test, golden.0, &guess);
    if best.score < SURE || best.field.spread() > BENT {
        for guess in turned((test, &coarse), golden) {
            let next = Registered::settled(test, golden.0, &guess);
            if next.score > best.score {
                best = next;
            }
        }
    }
    watch.ended(Stage::Field);
    best
}

/// As [`register`], where a guess is tried before anything is searched.
pub(super) fn near(
    test: &Bits,
    golden: &Bits,
    guess: Option<Affine>,
    watch: &mut impl Watch,
) -> Registered {
    let first = guess.map(|guess| Registered::settled(test, golden, &guess));
    watch.ended(Stage::Field);
    match first {
        Some(first) if first.score >= SURE => first,
        first => {
            let searched = register(test, (golden, &Coarse::of(golden)), watch);
            match first {
                Some(first) if first.score >= searched.score => first,
                _ => searched,
            }
        }
    }
}

/// Copper pixels per block, on blocks of 4 and of 8 pixels.
#[derive(Debug, Clone)]
pub(super) struct Coarse {
    fine: Counts,
    rough: Counts,
}

#[derive(Debug, Clone)]
struct Counts {
    width: usize,
    height: usize,
    counts: Vec<u8>,
}

impl Coarse {
    pub(super) fn of(bits: &Bits) -> Self {
        let fine = Counts::of(bits);
        Self { rough: fine.halved(), fine }
    }
}

impl Counts {
    fn of(bits: &Bits) -> Self {
        let (width, height) = (bits.width / BLOCK, bits.height / BLOCK);
        let mut counts = vec![0; width * height];
        for (y, row) in counts.chunks_exact_mut(width.max(1)).enumerate() {
            for line in y * BLOCK..(y + 1) * BLOCK {
                for (blocks, &word) in row.chunks_mut(64 / BLOCK).zip(bits.row(line)) {
                    // The population of each nibble, sixteen at once.
                    let pairs = word - ((word >> 1) & 0x5555_5555_5555_5555);
                    let nibbles =
                        (pairs & 0x3333_3333_3333_3333) + ((pairs >> 2) & 0x3333_3333_3333_3333);
                    for (x, count) in blocks.iter_mut().enumerate() {
                        *count += ((nibbles >> (x * BLOCK)) & 0xf) as u8;
                    }
                }
            }
        }
        Self { width, height, counts }
    }

    fn halved(&self) -> Self {
        let (width, height) = (self.width / 2, self.height / 2);
        let mut counts = Vec::with_capacity(width * height);
        for y in 0..height {
            let row = |y: usize| self.counts[y * self.width..][..width * 2].chunks_exact(2);
            let sums = row(2 * y).zip(row(2 * y + 1));
            counts.extend(sums.map(|(a, b)| a.iter().chain(b).sum::<u8>()));
        }
        Self { width, height, counts }
    }

    /// These counts as they lie when the picture is turned and stretched about its middle.
    fn warped(&self, affine: &Affine) -> Self {
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
            // A picture has too few blocks to overflow; a checked sum is not computed many at once.
            let apart = test.iter().zip(golden).map(|(a, b)| u32::from(a.abs_diff(*b)));
            sum = apart.fold(sum, u32::wrapping_add);
        }
        let area = (columns.1 - columns.0) * (rows.1 - rows.0);
        sum as f32 / area.max(1) as f32
    }

    /// Disagreements at every shift within reach.
    fn everywhere(&self, golden: &Self) -> Vec<Found> {
        let shifts = (-REACH..=REACH).flat_map(|dy| (-REACH..=REACH).map(move |dx| (dx, dy)));
        shifts.map(|(dx, dy)| (self.disagreement(golden, dx, dy), dx, dy)).collect()
    }
}

/// The part of `length` that a picture shifted by `shift` shares with the unshifted one.
fn overlap(length: usize, shift: isize) -> (usize, usize) {
    let gap = shift.unsigned_abs().min(length);
    if shift >= 0 { (gap, length) } else { (0, length - gap) }
}

type Found = (f32, isize, isize);

fn better(a: Found, b: Found) -> Found {
    let key = |f: Found| (f.0, f.1.unsigned_abs() + f.2.unsigned_abs());
    if key(b) < key(a) { b } else { a }
}

/// The shift within about ±24 pixels at which the fewest pixels differ; on a tie the smallest.
fn place(test: (&Bits, &Coarse), golden: (&Bits, &Coarse)) -> Affine {
    let best = shift(test, (golden.0, &golden.1.fine), &golden.1.rough);
    Affine::shift(best.1 as f32, best.2 as f32)
}

fn shift(test: (&Bits, &Coarse), golden: (&Bits, &Counts), rough: &Counts) -> Found {
    let mut starts = test.1.rough.everywhere(rough);
    starts.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut finer: Vec<Found> = Vec::new();
    for &(_, dx, dy) in starts.iter().take(REFINED[0]) {
        for (dx, dy) in around((dx * 2, dy * 2), 1) {
            if finer.iter().all(|found| (found.1, found.2) != (dx, dy)) {
                finer.push((test.1.fine.disagreement(golden.1, dx, dy), dx, dy));
            }
        }
    }
    finer.sort_by(|a, b| a.0.total_cmp(&b.0));
    let block = BLOCK.cast_signed();
    let mut found: Vec<Found> = Vec::new();
    for &(_, dx, dy) in finer.iter().take(REFINED[1]) {
        let (dx, dy) = (dx * block, dy * block);
        let near = |found: &Found| (found.1 - dx).abs().max((found.2 - dy).abs()) <= FINE;
        if !found.iter().any(near) {
            found.push(descend(test.0, golden.0, (dx, dy)));
        }
    }
    found.into_iter().fold((f32::INFINITY, 0, 0), better)
}

/// Positions within `reach` of `centre`.
fn around(centre: (isize, isize), reach: isize) -> impl Iterator<Item = (isize, isize)> {
    (-reach..=reach)
        .flat_map(move |dy| (-reach..=reach).map(move |dx| (centre.0 + dx, centre.1 + dy)))
}

/// The best shift downhill from `start`: within a few pixels, differences grow with the distance.
fn descend(test: &Bits, golden: &Bits, start: (isize, isize)) -> Found {
    let mut best = (differing(test, golden, start), start.0, start.1);
    let mut step = 2;
    while step > 0 && (best.1 - start.0).abs().max((best.2 - start.1).abs()) < FINE {
        let before = best;
        for (dx, dy) in [(-step, 0), (step, 0), (0, -step), (0, step)] {
            let (dx, dy) = (before.1 + dx, before.2 + dy);
            best = better(best, (differing(test, golden, (dx, dy)), dx, dy));
        }
        step = if best == before { step - 1 } else { step };
    }
    best
}

/// The share of pixels that differ where the two overlap, on every fourth row.
fn differing(test: &Bits, golden: &Bits, (dx, dy): (isize, isize)) -> f32 {
    let columns = overlap(test.width, dx);
    let rows = overlap(test.height, dy);
    let mut count = 0;
    for y in (rows.0..rows.1).step_by(SPARSE) {
        let from = y.cast_signed() - dy;
        for (index, &word) in test.row(y).iter().enumerate() {
            let mask = span(columns.0, columns.1, index);
            let sample = golden.window((index * 64).cast_signed() - dx, from);
            count += ((word ^ sample) & mask).count_ones();
        }
    }
    let pixels = (rows.1 - rows.0).div_ceil(SPARSE) * (columns.1 - columns.0);
    count as f32 / pixels.max(1) as f32
}

/// Placements with a turn and a stretch, the most promising first.
fn turned(test: (&Bits, &Coarse), golden: (&Bits, &Coarse)) -> Vec<Affine> {
    let mut tried: Vec<(f32, Affine)> = Vec::new();
    for turn in TURNS {
        for across in STRETCHES {
            for down in STRETCHES {
                let affine = Affine::about_middle(turn, (across, down));
                let warped = golden.1.rough.warped(&affine);
                let found = test.1.rough.everywhere(&warped).into_iter();
                let least = found.fold(f32::INFINITY, |least, found| least.min(found.0));
                tried.push((least, affine));
            }
        }
    }
    tried.sort_by(|a, b| a.0.total_cmp(&b.0));
    let placed = tried.iter().take(TRIED).map(|(_, affine)| {
        let laid = lay::bare(golden.0, &Field::of(affine, test.0));
        let coarse = Coarse::of(&laid);
        let found = shift(test, (&laid, &coarse.fine), &coarse.rough);
        affine.moved(found.1 as f32, found.2 as f32)
    });
    placed.collect()
}

/// Pearson's correlation of a picture and the golden sample laid over it where that is known, 0 when
/// negative.
fn correlation(test: &Bits, laid: &Laid) -> f32 {
    let [mut n, mut a, mut b, mut both] = [0_u64; 4];
    for ((test, golden), known) in test.words().zip(laid.golden.words()).zip(laid.known.words()) {
        n += u64::from(known.count_ones());
        a += u64::from((test & known).count_ones());
        b += u64::from((golden & known).count_ones());
        both += u64::from((test & golden & known).count_ones());
    }
    let [n, a, b, both] = [n, a, b, both].map(|count| count as f64);
    let spread = (a * (n - a) * b * (n - b)).sqrt();
    if spread > 0.0 { ((n * both - a * b) / spread).clamp(0.0, 1.0) as f32 } else { 0.0 }
}
