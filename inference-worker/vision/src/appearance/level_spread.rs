//! How far good boards differ from their golden sample: where accepted boards deviate by more than noise, and
//! the levels that they show there. There, and only there, the band around the golden sample reaches as far as
//! they do and a little farther.
//!
//! Levels are kept pixel by pixel: where a drill left a hole on every board, the metal around it was never seen, and
//! a hole that is missing stays a difference. How much farther than seen the next board may go is told by how far
//! boards differ nearby, because six levels of one pixel say little about their range. A level far from all that was
//! seen on good boards stays a difference, however many boards are accepted; and from [`AGREED_FROM`] boards on, a
//! place where only one of them deviates far and wide widens nothing, so that a flaw on an accepted board does not
//! make itself invisible.

use super::planes::Plane;
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
/// Ranges of levels are averaged over squares of this side and the squares around them, pixels.
const CELL_SIDE: usize = 4;
/// By which part of the range of levels that was seen it is widened on either side, for 1, 2, … boards and the
/// golden sample: so that the next board, if levels are normally distributed, lies outside at one place in a
/// hundred. Simulated with a million sets of each size. For one and two boards that would be 54 and 5.5 times
/// the range, which says nothing; they get what three get.
const WIDENED_BY: [f32; 12] = [2.5, 2.5, 2.5, 1.6, 1.2, 0.95, 0.8, 0.7, 0.63, 0.56, 0.51, 0.47];
/// Levels by which the range is widened at most: less than copper and substrate are apart under most masks. 24
/// hides 2 of 240 flaws more.
const WIDENED_MAX: f32 = 16.0;

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
    width: usize,
    /// The darkest and the brightest level of each pixel, channel by channel.
    seen: Vec<[Vec<u8>; 2]>,
    /// How far these are apart on average around each square of [`CELL_SIDE`] pixels, channel by channel.
    ranges: Vec<Plane>,
}

impl LevelSpread {
    /// Of no board yet.
    pub(super) fn new((width, height): (usize, usize), channels: usize) -> Self {
        let nothing = BinaryImage::new(width, height);
        let empty = [vec![u8::MAX; width * height], vec![0; width * height]];
        Self {
            boards: 0,
            places: nothing.clone(),
            once: nothing.clone(),
            twice: nothing.clone(),
            widened: nothing,
            width,
            seen: vec![empty; channels],
            ranges: vec![Plane::new(0, 0); channels],
        }
    }

    /// Adds a board that deviates at these pixels, and has these levels in each channel.
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
        self.widened = (0..SHRUNK_BY).fold(self.places.clone(), |shrunk, _| shrunk.eroded());
        if self.boards >= AGREED_FROM {
            self.widened.intersect_with(&self.twice);
        }
        for (channel, levels) in levels.iter().enumerate() {
            let [darkest, brightest] = &mut self.seen[channel];
            let mut range = Plane::new(self.width, levels.len() / self.width);
            let extremes = darkest.iter_mut().zip(brightest);
            for ((range, level), (low, high)) in range.values.iter_mut().zip(levels).zip(extremes) {
                (*low, *high) = ((*low).min(*level), (*high).max(*level));
                *range = f32::from(*high - *low);
            }
            self.ranges[channel] = range.shrunk_by(CELL_SIDE).box_means(1);
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
        let [darkest, brightest] = &self.seen[channel];
        let ranges = &self.ranges[channel];
        let ranges = ranges.row((y / CELL_SIDE).min(ranges.height - 1));
        for (from, at) in (0..golden.len()).step_by(64).zip((x..).step_by(64)) {
            let mut rest = self.widened.word_at(at.cast_signed(), y.cast_signed());
            while rest != 0 {
                let bit = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                let Some(golden) = golden.get(from + bit) else { break };
                let pixel = y * self.width + at + bit;
                let range = ranges[((at + bit) / CELL_SIDE).min(ranges.len() - 1)];
                let more = (part * range).min(WIDENED_MAX);
                let brightest = f32::from(brightest[pixel]).max(*golden);
                let darkest = f32::from(darkest[pixel]).min(*golden);
                high[from + bit] = high[from + bit].max(brightest + more);
                low[from + bit] = low[from + bit].min(darkest - more);
            }
        }
    }
}
