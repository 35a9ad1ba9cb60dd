//! Binary pictures in packed words: a bit is set where there is copper. Difference, morphology and
//! counting then cost a few instructions per 64 pixels.

use domain::PixelBox;
use image::GrayImage;

/// Grey levels below this are copper.
const COPPER_BELOW: u8 = 128;

/// The copper of up to 64 pixels.
fn pack_levels(levels: &[u8]) -> u64 {
    let (eights, rest) = levels.as_chunks::<8>();
    if let Ok(eights) = <&[[u8; 8]; 8]>::try_from(eights) {
        return u64::from_le_bytes(eights.map(pack_eight));
    }
    let mut word = 0;
    for (bit, eight) in (0..).step_by(8).zip(eights) {
        word |= u64::from(pack_eight(*eight)) << bit;
    }
    for (bit, level) in (8 * eights.len()..).zip(rest) {
        word |= u64::from(*level < COPPER_BELOW) << bit;
    }
    word
}

/// The copper of eight pixels: copper is dark, so the highest bit of its level is clear; one product gathers
/// them.
const fn pack_eight(levels: [u8; 8]) -> u8 {
    let dark = !u64::from_le_bytes(levels) >> 7 & 0x0101_0101_0101_0101;
    (dark.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
}

/// A binary picture; bits beyond the right edge are zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BinaryImage {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Words per row.
    stride: usize,
    words: Vec<u64>,
}

impl BinaryImage {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        let stride = width.div_ceil(64);
        Self { width, height, stride, words: vec![0; stride * height] }
    }

    pub(super) const fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Copper where the picture is dark.
    pub(crate) fn from_picture(picture: &GrayImage) -> Self {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let mut bits = Self::new(width, height);
        for (y, levels) in picture.as_raw().chunks_exact(width.max(1)).take(height).enumerate() {
            bits.set_row(y, levels);
        }
        bits
    }

    /// Copper where a row's levels are dark.
    pub(super) fn set_row(&mut self, y: usize, levels: &[u8]) {
        for (word, levels) in self.row_mut(y).iter_mut().zip(levels.chunks(64)) {
            *word = pack_levels(levels);
        }
    }

    pub(crate) fn row(&self, y: usize) -> &[u64] {
        &self.words[y * self.stride..(y + 1) * self.stride]
    }

    pub(super) fn row_mut(&mut self, y: usize) -> &mut [u64] {
        &mut self.words[y * self.stride..(y + 1) * self.stride]
    }

    /// The part of `size` from `left`, `top` on; zero beyond the picture.
    pub(super) fn cut_window(&self, left: usize, top: usize, size: (usize, usize)) -> Self {
        let mut part = Self::new(size.0, size.1);
        for word in 0..part.stride {
            let column = self.column_words((left + word * 64).cast_signed());
            for y in 0..size.1.min(self.height.saturating_sub(top)) {
                part.row_mut(y)[word] = column.word_in_row(top + y);
            }
        }
        part.clear_padding();
        part
    }

    /// The words that begin in column `x`, which may be negative, row by row; zero outside the
    /// picture.
    pub(super) fn column_words(&self, x: isize) -> ColumnWords<'_> {
        let word = x.div_euclid(64);
        let inside = |word: isize| usize::try_from(word).ok().filter(|&word| word < self.stride);
        let bit = x.rem_euclid(64) as u32;
        ColumnWords { bits: self, low: inside(word), high: inside(word + 1), bit }
    }

    /// All words, row by row.
    pub(super) fn words(&self) -> impl Iterator<Item = u64> {
        self.words.iter().copied()
    }

    pub(crate) fn is_set(&self, x: usize, y: usize) -> bool {
        x < self.width && y < self.height && (self.row(y)[x / 64] >> (x % 64)) & 1 == 1
    }

    pub(super) fn set(&mut self, (x, y): (usize, usize)) {
        self.row_mut(y)[x / 64] |= 1 << (x % 64);
    }

    pub(super) fn clear(&mut self, (x, y): (usize, usize)) {
        self.row_mut(y)[x / 64] &= !(1 << (x % 64));
    }

    /// The first pixel that is set, in reading order.
    pub(super) fn first_set(&self) -> Option<(usize, usize)> {
        let index = self.words.iter().position(|&word| word != 0)?;
        let bit = self.words[index].trailing_zeros() as usize;
        Some((index % self.stride * 64 + bit, index / self.stride))
    }

    /// Calls `see` with each pixel that is set, in reading order.
    pub(super) fn for_each_set(&self, mut see: impl FnMut(usize, usize)) {
        for y in 0..self.height {
            for (index, &word) in self.row(y).iter().enumerate() {
                let mut rest = word;
                while rest != 0 {
                    see(index * 64 + rest.trailing_zeros() as usize, y);
                    rest &= rest - 1;
                }
            }
        }
    }

    /// What is set here and not in `other`, of one size.
    pub(super) fn without(&self, other: &Self) -> Self {
        let words = self.words.iter().zip(&other.words).map(|(a, b)| a & !b).collect();
        Self { width: self.width, height: self.height, stride: self.stride, words }
    }

    /// Substrate for copper and copper for substrate.
    pub(super) fn inverted(&self) -> Self {
        let words = self.words.iter().map(|word| !word).collect();
        let mut inverted =
            Self { width: self.width, height: self.height, stride: self.stride, words };
        inverted.clear_padding();
        inverted
    }

    pub(crate) fn count_copper(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// The 64 pixels of row `y` from column `x` on, which may be negative; zero outside the
    /// picture.
    pub(crate) fn word_at(&self, x: isize, y: isize) -> u64 {
        let Ok(y) = usize::try_from(y) else { return 0 };
        if y >= self.height {
            return 0;
        }
        let row = self.row(y);
        let (word, bit) = (x.div_euclid(64), x.rem_euclid(64));
        let at = |index: isize| {
            usize::try_from(index).ok().and_then(|index| row.get(index)).copied().unwrap_or(0)
        };
        if bit == 0 { at(word) } else { (at(word) >> bit) | (at(word + 1) << (64 - bit)) }
    }

    /// Clears the bits beyond the right edge.
    pub(super) fn clear_padding(&mut self) {
        let used = self.width % 64;
        if used != 0 {
            let mask = (1 << used) - 1;
            let stride = self.stride;
            for row in self.words.chunks_exact_mut(stride) {
                row[stride - 1] &= mask;
            }
        }
    }

    /// Keeps what is set in `other` as well.
    pub(crate) fn intersect_with(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }

    /// Sets what is set in `other` as well.
    pub(super) fn join_with(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    /// Sets everything from a left and top to a right and bottom, the last two excluded.
    pub(super) fn fill_extent(&mut self, [left, top, right, bottom]: [usize; 4]) {
        for y in top..bottom.max(top) {
            let words = left / 64..right.div_ceil(64).max(left / 64);
            for (index, word) in self.row_mut(y)[words.clone()].iter_mut().enumerate() {
                *word |= column_mask(left, right, words.start + index);
            }
        }
    }

    /// How many pixels are set from a left and top to a right and bottom, the last two excluded.
    pub(super) fn count_within(&self, [left, top, right, bottom]: [usize; 4]) -> u64 {
        let masks: Vec<u64> = (0..self.stride).map(|word| column_mask(left, right, word)).collect();
        let count = |y: usize| {
            let row = self.row(y).iter().zip(&masks);
            row.map(|(word, mask)| u64::from((word & mask).count_ones())).sum::<u64>()
        };
        (top..bottom.max(top)).map(count).sum()
    }

    /// True when every pixel of a box is set; of a box that reaches beyond the picture, no.
    pub(super) fn holds_box(&self, bounds: &PixelBox) -> bool {
        let [x, y, width, height] =
            [bounds.x, bounds.y, bounds.width, bounds.height].map(|side| side as usize);
        x + width <= self.width
            && y + height <= self.height
            && self.count_within([x, y, x + width, y + height]) == (width * height) as u64
    }

    /// Sets what is set in `window`, whose first pixel lies at `origin`, within an extent of this picture.
    pub(super) fn paste_window(
        &mut self,
        window: &Self,
        origin: (usize, usize),
        [left, top, right, bottom]: [usize; 4],
    ) {
        for y in top..bottom {
            let from = y.cast_signed() - origin.1.cast_signed();
            for index in left / 64..right.div_ceil(64) {
                let x = (index * 64).cast_signed() - origin.0.cast_signed();
                self.row_mut(y)[index] |= window.word_at(x, from) & column_mask(left, right, index);
            }
        }
    }

    /// Pixels in which two pictures of one size differ.
    pub(crate) fn difference(&self, other: &Self) -> Self {
        let words = self.words.iter().zip(&other.words).map(|(a, b)| a ^ b).collect();
        Self { width: self.width, height: self.height, stride: self.stride, words }
    }

    /// Grows what is set by one pixel in all eight directions.
    pub(crate) fn dilated(&self) -> Self {
        self.combine_neighbours(|left, middle, right| left | middle | right)
    }

    /// Shrinks what is set by one pixel; beyond the picture counts as not set.
    pub(crate) fn eroded(&self) -> Self {
        self.combine_neighbours(|left, middle, right| left & middle & right)
    }

    /// Grows what is set by one pixel to the sides, up and down.
    pub(super) fn dilated_crosswise(&self) -> Self {
        self.combine_cross(|here, beside, above, below| {
            here | beside[0] | beside[1] | above | below
        })
    }

    /// Shrinks what is set by one pixel from the sides, above and below.
    pub(super) fn eroded_crosswise(&self) -> Self {
        self.combine_cross(|here, beside, above, below| {
            here & beside[0] & beside[1] & above & below
        })
    }

    /// The last pixels of the squares of two by two pixels that are set. Done n times it leaves the last
    /// pixels of the squares of side n + 1.
    pub(super) fn squares_of_two(&self) -> Self {
        let mut squares = Self::new(self.width, self.height);
        for y in 1..self.height {
            let rows = self.row(y - 1).iter().zip(self.row(y));
            let mut before = 0;
            for (word, (above, here)) in squares.row_mut(y).iter_mut().zip(rows) {
                let both = above & here;
                *word = both & (both << 1 | before);
                before = both >> 63;
            }
        }
        squares
    }

    /// What squares of two by two pixels can cover.
    pub(super) fn opened_by_two(&self) -> Self {
        let squares = self.squares_of_two();
        let mut opened = Self::new(self.width, self.height);
        for y in 0..self.height {
            let here = squares.row(y);
            let below = squares.row((y + 1).min(self.height - 1));
            let rows = here.iter().zip(below).rev();
            let mut after = 0;
            for (word, (here, below)) in opened.row_mut(y).iter_mut().rev().zip(rows) {
                let either = here | below;
                *word = either | either >> 1 | after;
                after = either << 63;
            }
        }
        opened
    }

    /// Sets what is set in `other` from a left and top to a right and bottom, the last two excluded.
    pub(super) fn copy_extent(&mut self, other: &Self, [left, top, right, bottom]: [usize; 4]) {
        for y in top..bottom {
            let row = self.row_mut(y).iter_mut().zip(other.row(y)).enumerate();
            for (index, (word, other)) in row.take(right.div_ceil(64)).skip(left / 64) {
                *word |= other & column_mask(left, right, index);
            }
        }
    }

    fn combine_cross(&self, join: impl Fn(u64, [u64; 2], u64, u64) -> u64) -> Self {
        let mut whole = Self::new(self.width, self.height);
        let nothing = vec![0; self.stride];
        for y in 0..self.height {
            let above = y.checked_sub(1).map_or(nothing.as_slice(), |y| self.row(y));
            let below = if y + 1 < self.height { self.row(y + 1) } else { &nothing };
            let row = self.row(y);
            for (index, word) in whole.row_mut(y).iter_mut().enumerate() {
                let before = index.checked_sub(1).map_or(0, |index| row[index] >> 63);
                let after = row.get(index + 1).map_or(0, |next| next << 63);
                let beside = [(row[index] << 1) | before, (row[index] >> 1) | after];
                *word = join(row[index], beside, above[index], below[index]);
            }
        }
        whole.clear_padding();
        whole
    }

    /// Joins each pixel with those beside it, then what comes of it with those above and below. Of nothing
    /// has to come nothing: where nothing is set, as nearly everywhere in most pictures, nothing is done.
    fn combine_neighbours(&self, join: impl Fn(u64, u64, u64) -> u64) -> Self {
        let mut whole = Self::new(self.width, self.height);
        // A word more at either end, so that every word has one beside it.
        let mut padded = vec![0; self.stride + 2];
        // The rows above, here and below, joined across; none when nothing is set.
        let mut rows = [(); 3].map(|()| (vec![0; self.stride], false));
        for y in 0..=self.height {
            rows.rotate_left(1);
            let (below, is_set) = &mut rows[2];
            *is_set = y < self.height && self.row(y).iter().any(|&word| word != 0);
            if *is_set {
                padded[1..=self.stride].copy_from_slice(self.row(y));
                for (word, beside) in below.iter_mut().zip(padded.windows(3)) {
                    let [before, here, after] = [beside[0], beside[1], beside[2]];
                    *word = join(here << 1 | before >> 63, here, here >> 1 | after << 63);
                }
            } else {
                below.fill(0);
            }
            let Some(y) = y.checked_sub(1) else { continue };
            let [(above, above_is_set), (here, is_set), (below, below_is_set)] = &rows;
            if *above_is_set || *is_set || *below_is_set {
                let joined = above.iter().zip(here).zip(below);
                for (word, ((above, here), below)) in whole.row_mut(y).iter_mut().zip(joined) {
                    *word = join(*above, *here, *below);
                }
            }
        }
        whole.clear_padding();
        whole
    }
}

/// Words of a picture that begin in one column.
pub(super) struct ColumnWords<'a> {
    bits: &'a BinaryImage,
    low: Option<usize>,
    high: Option<usize>,
    bit: u32,
}

impl ColumnWords<'_> {
    #[inline]
    pub(super) fn word_in_row(&self, y: usize) -> u64 {
        let row = self.bits.row(y);
        let low = self.low.map_or(0, |word| row[word]);
        let high = self.high.map_or(0, |word| row[word]);
        (low >> self.bit) | (high << 1 << (63 - self.bit))
    }
}

/// The bits of word number `word` that lie in columns `left..right`.
pub(crate) fn column_mask(left: usize, right: usize, word: usize) -> u64 {
    let below = |column: usize| {
        let bits = column.saturating_sub(word * 64);
        if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
    };
    below(right) & !below(left)
}
