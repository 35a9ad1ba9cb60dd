//! Crops: what the network sees of a candidate.

use super::bits::Bits;

/// Width and height of a crop in pixels.
pub const CROP_SIDE: usize = 96;
/// Planes of a crop: the test picture, then the golden sample laid over it.
pub const CROP_PLANES: usize = 2;
/// Numbers per crop.
pub const CROP_LEN: usize = CROP_PLANES * CROP_SIDE * CROP_SIDE;

/// Crops of shape `[n, 2, 96, 96]`: 0 is copper, 1 is substrate; crops of several boards may follow
/// one another.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CropBatch {
    pixels: Vec<f32>,
}

impl CropBatch {
    /// Number of crops.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pixels.len() / CROP_LEN
    }

    /// True when there is no crop.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// All numbers, `len() * CROP_LEN` of them, crop by crop, plane by plane, row by row.
    #[must_use]
    pub fn pixels(&self) -> &[f32] {
        &self.pixels
    }

    /// Crops of given numbers; `None` unless they are whole crops.
    #[cfg(test)]
    pub(crate) fn from_pixels(pixels: Vec<f32>) -> Option<Self> {
        pixels.len().is_multiple_of(CROP_LEN).then_some(Self { pixels })
    }

    /// Appends the crops of another batch.
    pub fn extend(&mut self, other: &Self) {
        self.pixels.extend_from_slice(&other.pixels);
    }

    /// Crops `range` as a batch of their own; what lies beyond the end is left out.
    #[must_use]
    pub fn part(&self, range: std::ops::Range<usize>) -> Self {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        Self { pixels: self.pixels[start * CROP_LEN..end * CROP_LEN].to_vec() }
    }

    fn push_plane(&mut self, rows: &[u128], side: usize) {
        for &row in rows {
            self.pixels.extend((0..side).map(|x| if (row >> x) & 1 == 1 { 0.0 } else { 1.0 }));
        }
    }

    /// Appends the crop around `centre`.
    pub(super) fn push(&mut self, pair: &Pair, centre: (usize, usize)) {
        let [test, golden] = pair.planes(centre, CROP_SIDE);
        self.push_plane(&test, CROP_SIDE);
        self.push_plane(&golden, CROP_SIDE);
    }
}

/// A test picture with the golden sample laid over it.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) test: Bits,
    /// The golden sample where it is known; elsewhere the test picture itself, so that nothing
    /// differs.
    pub(crate) golden: Bits,
}

impl Pair {
    /// Rows of the two planes around `centre`, copper as set bits; `side` is even and at most 128.
    /// The crop spans `centre - side / 2 .. centre + side / 2`; beyond the picture is substrate.
    pub(crate) fn planes(&self, centre: (usize, usize), side: usize) -> [Vec<u128>; 2] {
        let left = centre.0.cast_signed() - (side / 2).cast_signed();
        let top = centre.1.cast_signed() - (side / 2).cast_signed();
        let rows = |bits: &Bits| {
            (top..)
                .take(side)
                .map(|y| {
                    let row = u128::from(bits.window(left, y))
                        | u128::from(bits.window(left + 64, y)) << 64;
                    if side < 128 { row & ((1 << side) - 1) } else { row }
                })
                .collect()
        };
        [rows(&self.test), rows(&self.golden)]
    }
}
