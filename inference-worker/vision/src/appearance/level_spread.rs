//! How far good boards differ from their golden sample: where accepted boards deviate by more than noise, and
//! the levels that they show there. There, and only there, the band around the golden sample reaches as far as
//! they do and a little farther.
//!
//! Levels are pooled over what lies near: solder is as bright on the left of a pad as it was on the right. A level
//! far from all that was seen on good boards stays a difference, however many boards are accepted; and from
//! [`AGREED_FROM`] boards on, a place where only one of them deviates far and wide widens nothing, so that a flaw
//! on an accepted board does not make itself invisible.

use crate::binary_image::BinaryImage;

/// Pixels that deviate are one place when they are not farther apart than twice this, pixels...
const NEAR: usize = 6;
/// ...and the place reaches so many pixels less far around them: as far as the next board may lie off.
const SHRUNK_BY: usize = 1;
/// From so many boards on, at least two of them have to deviate: of fewer, one alone is often the only one that
/// shows what the next board will...
const AGREED_FROM: u32 = 8;
/// ...within so many pixels: on the same pad, along the same line of print.
const AGREED_WITHIN: usize = 16;
/// Levels are pooled over squares of this side and the squares around them, pixels: less than pads are apart.
const CELL_SIDE: usize = 8;
/// By which part of the range of levels that was seen it is widened on either side, for 1, 2, … boards and the
/// golden sample: so that the next board, if levels are normally distributed, lies outside at one place in a
/// hundred. Simulated with a million sets of each size. For one and two boards that would be 54 and 5.5 times
/// the range, which says nothing; they get what three get.
const WIDENED_BY: [f32; 12] = [2.5, 2.5, 2.5, 1.6, 1.2, 0.95, 0.8, 0.7, 0.63, 0.56, 0.51, 0.47];
/// Levels by which the range is widened at most: less than most materials are apart.
const WIDENED_MAX: f32 = 24.0;
/// What accepted boards show, in levels of the golden sample's light.
#[derive(Debug, Clone)]
pub(crate) struct LevelSpread {
    boards: u32,
    /// Near where one board deviates.
    places: BinaryImage,
    /// Where one board deviates within [`AGREED_WITHIN`], and where two do.
    once: BinaryImage,
    twice: BinaryImage,
    /// Where the band is widened.
    widened: BinaryImage,
    /// Squares along the width.
    columns: usize,
    /// The darkest and the brightest level that deviates in each square, channel by channel.
    seen: Vec<Vec<LevelRange>>,
    /// The same of each square and those around it.
    pooled: Vec<Vec<LevelRange>>,
}

/// Levels from the darkest to the brightest; none when the first is above the second.
#[derive(Debug, Clone, Copy)]
struct LevelRange {
    darkest: u8,
    brightest: u8,
}

impl LevelRange {
    const EMPTY: Self = Self { darkest: u8::MAX, brightest: 0 };

    fn join(&mut self, other: Self) {
        self.darkest = self.darkest.min(other.darkest);
        self.brightest = self.brightest.max(other.brightest);
    }
}

impl LevelSpread {
    /// Of no board yet.
    pub(super) fn new((width, height): (usize, usize), channels: usize) -> Self {
        let columns = width.div_ceil(CELL_SIDE);
        let empty = vec![LevelRange::EMPTY; columns * height.div_ceil(CELL_SIDE)];
        let nothing = BinaryImage::new(width, height);
        Self {
            boards: 0,
            places: nothing.clone(),
            once: nothing.clone(),
            twice: nothing.clone(),
            widened: nothing,
            columns,
            seen: vec![empty.clone(); channels],
            pooled: vec![empty; channels],
        }
    }

    /// Adds a board that deviates at these pixels, where its channels have these levels.
    pub(super) fn add_board(&mut self, deviating: &BinaryImage, levels: &[Vec<u8>]) {
        self.boards += 1;
        let grown =
            |bits: &BinaryImage, by: usize| (0..by).fold(bits.clone(), |grown, _| grown.dilated());
        let near = grown(deviating, NEAR);
        let around = grown(&near, AGREED_WITHIN - NEAR);
        self.places.join_with(&near);
        let mut again = self.once.clone();
        again.intersect_with(&around);
        self.twice.join_with(&again);
        self.once.join_with(&around);
        let shrunk = (0..SHRUNK_BY).fold(self.places.clone(), |shrunk, _| shrunk.eroded());
        self.widened = shrunk;
        if self.boards >= AGREED_FROM {
            self.widened.intersect_with(&self.twice);
        }
        for (channel, levels) in levels.iter().enumerate() {
            let seen = &mut self.seen[channel];
            deviating.for_each_set(|x, y| {
                let level = levels[y * deviating.width + x];
                let range = LevelRange { darkest: level, brightest: level };
                seen[y / CELL_SIDE * self.columns + x / CELL_SIDE].join(range);
            });
            self.pooled[channel] = pool_neighbours(seen, self.columns);
        }
    }

    /// Pixels at which the band is widened.
    pub(super) fn count_widened(&self) -> u64 {
        self.widened.count_copper()
    }

    /// Widens the band along a row from column `x` on, where `golden` are the golden sample's own levels.
    pub(super) fn widen_band(
        &self,
        channel: usize,
        (x, y): (usize, usize),
        golden: &[f32],
        (high, low): (&mut [f32], &mut [f32]),
    ) {
        let part = WIDENED_BY[(self.boards as usize).clamp(1, WIDENED_BY.len()) - 1];
        let cells = &self.pooled[channel][y / CELL_SIDE * self.columns..];
        for (from, at) in (0..golden.len()).step_by(64).zip((x..).step_by(64)) {
            let mut rest = self.widened.word_at(at.cast_signed(), y.cast_signed());
            while rest != 0 {
                let bit = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                let Some(golden) = golden.get(from + bit) else { break };
                let range = cells[(at + bit) / CELL_SIDE];
                let brightest = f32::from(range.brightest).max(*golden);
                let darkest = f32::from(range.darkest).min(*golden);
                let more = (part * (brightest - darkest)).min(WIDENED_MAX);
                high[from + bit] = high[from + bit].max(brightest + more);
                low[from + bit] = low[from + bit].min(darkest - more);
            }
        }
    }
}

/// The ranges of all squares with those around them.
fn pool_neighbours(seen: &[LevelRange], columns: usize) -> Vec<LevelRange> {
    let rows = seen.len() / columns;
    let mut pooled = seen.to_vec();
    for (at, range) in pooled.iter_mut().enumerate() {
        let (column, row) = (at % columns, at / columns);
        for row in row.saturating_sub(1)..(row + 2).min(rows) {
            for column in column.saturating_sub(1)..(column + 2).min(columns) {
                range.join(seen[row * columns + column]);
            }
        }
    }
    pooled
}
