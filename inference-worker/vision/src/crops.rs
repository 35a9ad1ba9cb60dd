//! What the network is asked: a crop around each candidate. Crops are kept as bits, 2.3 kB each, and become
//! the network's numbers only where an engine wants them.

use super::binary_image::BinaryImage;

/// Width and height of a crop in pixels.
pub const CROP_SIDE: usize = 96;
/// Planes of a crop: the test picture, then the golden sample warped over it.
pub const CROP_PLANES: usize = 2;
/// Numbers per crop.
pub const CROP_LEN: usize = CROP_PLANES * CROP_SIDE * CROP_SIDE;

/// Pixels per word; a row is a whole number of words.
const WORD: usize = 32;
/// Words per row.
const ROW_WORDS: usize = CROP_SIDE / WORD;
/// Words per crop.
const CROP_WORDS: usize = CROP_LEN / WORD;

/// Crops of shape `[n, 2, 96, 96]`: 0 is copper, 1 is substrate; crops of several boards may follow
/// one another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CropBatch {
    /// Crop by crop, plane by plane, row by row; the leftmost pixel in the lowest bit, set where
    /// there is copper.
    words: Vec<u32>,
}

impl CropBatch {
    /// Number of crops.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.words.len() / CROP_WORDS
    }

    /// True when there is no crop.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// All numbers, `len() * CROP_LEN` of them, crop by crop, plane by plane, row by row: 74 kB a
    /// crop, so take [`CropBatch::sub_batch`] first when there are many.
    #[must_use]
    pub fn to_pixels(&self) -> Vec<f32> {
        self.to_values(0.0, 1.0)
    }

    /// As [`CropBatch::to_pixels`], with something else for the numbers of copper and substrate.
    #[must_use]
    pub fn to_values<T: Copy>(&self, copper: T, substrate: T) -> Vec<T> {
        let mut pixels = Vec::with_capacity(self.words.len() * WORD);
        for word in &self.words {
            let shown = |bit| if (word >> bit) & 1 == 1 { copper } else { substrate };
            pixels.extend_from_slice(&std::array::from_fn::<T, WORD, _>(shown));
        }
        pixels
    }

    /// Appends the crops of another batch.
    pub fn extend(&mut self, other: &Self) {
        self.words.extend_from_slice(&other.words);
    }

    /// Appends blank crops, all substrate, until there are `crops` of them; more stay.
    pub fn pad_to(&mut self, crops: usize) {
        self.words.resize(self.words.len().max(crops * CROP_WORDS), 0);
    }

    /// Crops `range` as a batch of their own; what lies beyond the end is left out.
    #[must_use]
    pub fn sub_batch(&self, range: std::ops::Range<usize>) -> Self {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        Self { words: self.words[start * CROP_WORDS..end * CROP_WORDS].to_vec() }
    }

    /// Appends the crop around `centre`, which spans `centre - 48 .. centre + 48`; beyond the
    /// picture is substrate.
    pub(super) fn push(&mut self, pair: &RegisteredPair, centre: (usize, usize)) {
        self.words.reserve(CROP_WORDS);
        let left = centre.0.cast_signed() - (CROP_SIDE / 2).cast_signed();
        let top = centre.1.cast_signed() - (CROP_SIDE / 2).cast_signed();
        for bits in [&pair.test, &pair.golden] {
            for y in (top..).take(CROP_SIDE) {
                let row = bits.word_at(left, y);
                let rest = bits.word_at(left + 64, y);
                let words: [u32; ROW_WORDS] = [row as u32, (row >> WORD) as u32, rest as u32];
                self.words.extend_from_slice(&words);
            }
        }
    }
}

/// A test picture with the golden sample warped over it.
#[derive(Debug, Clone)]
pub struct RegisteredPair {
    pub(crate) test: BinaryImage,
    /// The golden sample where it is known; elsewhere the test picture itself, so that nothing
    /// differs.
    pub(crate) golden: BinaryImage,
}

impl RegisteredPair {
    /// Width and height in pixels.
    #[must_use]
    pub const fn size(&self) -> (usize, usize) {
        (self.test.width, self.test.height)
    }

    /// Rows of the two planes around `centre`, copper as set bits; `side` is even and at most 128.
    /// The crop spans `centre - side / 2 .. centre + side / 2`; beyond the picture is substrate.
    #[must_use]
    pub fn planes_around(&self, centre: (usize, usize), side: usize) -> [Vec<u128>; 2] {
        let left = centre.0.cast_signed() - (side / 2).cast_signed();
        let top = centre.1.cast_signed() - (side / 2).cast_signed();
        let rows = |bits: &BinaryImage| {
            (top..)
                .take(side)
                .map(|y| {
                    let row = u128::from(bits.word_at(left, y))
                        | u128::from(bits.word_at(left + 64, y)) << 64;
                    if side < 128 { row & ((1 << side) - 1) } else { row }
                })
                .collect()
        };
        [rows(&self.test), rows(&self.golden)]
    }
}
