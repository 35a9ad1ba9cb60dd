//! What the network is asked: a crop around each candidate. Crops of copper are kept as bits, 2.3 kB each, and
//! those of photographs as levels, 18 kB each; they become the network's numbers only where an engine wants them.

use std::sync::Arc;

use super::binary_image::BinaryImage;
use super::normalised_pair::NormalisedPair;

/// Width and height of a crop in pixels.
pub const CROP_SIDE: usize = 96;
/// Planes of a crop: the test picture and the golden sample, one laid over the other.
pub const CROP_PLANES: usize = 2;
/// Numbers per crop.
pub const CROP_LEN: usize = CROP_PLANES * CROP_SIDE * CROP_SIDE;

/// Pixels per word; a row is a whole number of words.
const WORD: usize = 32;
/// Words per crop.
const CROP_WORDS: usize = CROP_LEN / WORD;

/// Crops of shape `[n, 2, 96, 96]`: 0 is copper, 1 is substrate, and of photographs 0 is as bright and 1 as
/// dark as the golden sample is there. Crops of several boards, of both kinds, may follow one another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CropBatch {
    crops: Vec<Crop>,
}

/// One crop; plane by plane, row by row. Clones share it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Crop {
    /// The leftmost pixel in the lowest bit, set where there is copper.
    Bits(Arc<[u32; CROP_WORDS]>),
    /// From 0, as bright as the golden sample is there, to 255, as dark.
    Levels(Arc<[u8; CROP_LEN]>),
}

impl CropBatch {
    /// Number of crops.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.crops.len()
    }

    /// True when there is no crop.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.crops.is_empty()
    }

    /// All numbers, `len() * CROP_LEN` of them, crop by crop, plane by plane, row by row: 74 kB a
    /// crop, so take [`CropBatch::sub_batch`] first when there are many.
    #[must_use]
    pub fn to_pixels(&self) -> Vec<f32> {
        self.to_values(|number| number)
    }

    /// As [`CropBatch::to_pixels`], with something else for each number.
    #[must_use]
    pub fn to_values<T: Copy>(&self, value: impl Fn(f32) -> T) -> Vec<T> {
        let values: [T; 256] = std::array::from_fn(|level| value(level as f32 / 255.0));
        let (copper, substrate) = (values[0], values[255]);
        let mut pixels = Vec::with_capacity(self.len() * CROP_LEN);
        for crop in &self.crops {
            match crop {
                Crop::Bits(words) => {
                    for word in words.iter() {
                        let shown = |bit| if (word >> bit) & 1 == 1 { copper } else { substrate };
                        pixels.extend_from_slice(&std::array::from_fn::<T, WORD, _>(shown));
                    }
                }
                Crop::Levels(levels) => {
                    pixels.extend(levels.iter().map(|&level| values[usize::from(level)]));
                }
            }
        }
        pixels
    }

    /// Appends the crops of another batch.
    pub fn extend(&mut self, other: &Self) {
        self.crops.extend_from_slice(&other.crops);
    }

    /// Appends blank crops, all substrate, until there are `crops` of them; more stay.
    pub fn pad_to(&mut self, crops: usize) {
        if crops > self.len() {
            self.crops.resize(crops, Crop::Bits(Arc::new([0; CROP_WORDS])));
        }
    }

    /// Crops `range` as a batch of their own; what lies beyond the end is left out.
    #[must_use]
    pub fn sub_batch(&self, range: std::ops::Range<usize>) -> Self {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        Self { crops: self.crops[start..end].to_vec() }
    }

    /// Appends the crop around `centre`, which spans `centre - 48 .. centre + 48`; beyond the
    /// picture is substrate.
    pub(super) fn push_bits(&mut self, pair: &RegisteredPair, centre: (usize, usize)) {
        let left = centre.0.cast_signed() - (CROP_SIDE / 2).cast_signed();
        let top = centre.1.cast_signed() - (CROP_SIDE / 2).cast_signed();
        let mut words = [0; CROP_WORDS];
        let (rows, _) = words.as_chunks_mut::<{ CROP_SIDE / WORD }>();
        for (plane, bits) in rows.chunks_mut(CROP_SIDE).zip([&pair.test, &pair.golden]) {
            for (row, y) in plane.iter_mut().zip(top..) {
                let start = bits.word_at(left, y);
                let rest = bits.word_at(left + 64, y);
                *row = [start as u32, (start >> WORD) as u32, rest as u32];
            }
        }
        self.crops.push(Crop::Bits(Arc::new(words)));
    }

    /// Appends the crop of levels around `centre`, as [`NormalisedPair::crops_around`] cuts it.
    pub(super) fn push_levels(&mut self, pair: &NormalisedPair, centre: (usize, usize)) {
        let mut levels = [0; CROP_LEN];
        let planes = levels.chunks_mut(CROP_SIDE * CROP_SIDE);
        for (plane, crop) in planes.zip(pair.crops_around(centre, CROP_SIDE)) {
            plane.copy_from_slice(&crop);
        }
        self.crops.push(Crop::Levels(Arc::new(levels)));
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
