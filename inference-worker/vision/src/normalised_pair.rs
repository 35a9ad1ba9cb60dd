//! A photograph and its golden sample in one light, as grey levels for a network: crops around what differs.

use super::field::OffsetField;

/// What is within a crop's darkest and brightest part of this is not contrast but light.
const OUTLIERS_PART: usize = 50;
/// A crop of less contrast than this, in levels, shows one material and its noise.
const CONTRAST_MIN: f32 = 48.0;
/// Steps from the test picture back to the golden sample: offsets change little from pixel to pixel.
const BACK_STEPS: usize = 3;

/// Levels of the golden sample and of the photograph laid over it.
#[derive(Debug, Clone)]
pub struct NormalisedPair {
    pub(crate) size: (usize, usize),
    pub(crate) golden: Vec<u8>,
    pub(crate) test: Vec<u8>,
    /// From a pixel of the golden sample to its place in the photograph.
    pub(crate) field: OffsetField,
}

impl NormalisedPair {
    /// Width and height in pixels.
    #[must_use]
    pub const fn size(&self) -> (usize, usize) {
        self.size
    }

    /// The crop around `centre`, a pixel of the photograph: photograph, then golden sample, `side` × `side`
    /// each, row by row. 0 is as bright as anything in the golden crop, 255 as dark, as copper is 0 in crops of
    /// bits; a golden crop without contrast is held in the middle. Beyond the picture its border goes on.
    #[must_use]
    pub fn crops_around(&self, centre: (usize, usize), side: usize) -> [Vec<u8>; 2] {
        let (mut x, mut y) = (centre.0 as f32, centre.1 as f32);
        for _ in 0..BACK_STEPS {
            let [dx, dy] = self.field.offset_at_pixel(x, y);
            (x, y) = (centre.0 as f32 - dx, centre.1 as f32 - dy);
        }
        let corner = |at: f32| at.round() as isize - (side / 2).cast_signed();
        let (left, top) = (corner(x), corner(y));
        let [test, golden] = [&self.test, &self.golden].map(|levels| {
            let place = |at: isize, length: usize| at.clamp(0, length.cast_signed() - 1) as usize;
            let rows = (top..).take(side).map(|y| place(y, self.size.1) * self.size.0);
            let columns = || (left..).take(side).map(|x| place(x, self.size.0));
            rows.flat_map(|row| columns().map(move |x| levels[row + x])).collect::<Vec<u8>>()
        });
        let (bright, scale) = contrast_of(&golden);
        [test, golden].map(|crop| {
            let darkness = |level: u8| ((bright - f32::from(level)) * scale + 0.5) as u8;
            crop.into_iter().map(darkness).collect()
        })
    }
}

/// The brightest level of a crop, but for outliers, and what makes its contrast 255.
fn contrast_of(crop: &[u8]) -> (f32, f32) {
    let mut sorted = crop.to_vec();
    sorted.sort_unstable();
    let outliers = sorted.len() / OUTLIERS_PART;
    let dark = f32::from(sorted[outliers]);
    let bright = f32::from(sorted[sorted.len() - 1 - outliers]);
    let spare = (CONTRAST_MIN - (bright - dark)).max(0.0);
    (bright + spare / 2.0, 255.0 / (bright - dark + spare))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::AffineOffset;

    fn pair(
        golden: impl Fn(usize, usize) -> u8,
        test: impl Fn(usize, usize) -> u8,
    ) -> NormalisedPair {
        let size = (200, 160);
        let levels = |level: &dyn Fn(usize, usize) -> u8| {
            (0..size.1).flat_map(|y| (0..size.0).map(move |x| level(x, y))).collect()
        };
        let field = OffsetField::from_affine(&AffineOffset::from_shift(3.0, -2.0), size);
        NormalisedPair { size, golden: levels(&golden), test: levels(&test), field }
    }

    #[test]
    fn a_crop_is_cut_where_the_photograph_shows_it_and_bright_is_zero() {
        let striped = |x: usize, _: usize| if (x / 20).is_multiple_of(2) { 40 } else { 120 };
        let flawed = |x: usize, y: usize| if x == 100 && y == 80 { 40 } else { striped(x, y) };
        let [test, golden] = pair(striped, flawed).crops_around((103, 78), 96);
        assert_eq!(golden.len(), 96 * 96);
        let differing: Vec<usize> =
            (0..golden.len()).filter(|&at| test[at] != golden[at]).collect();
        assert_eq!(differing, [48 * 96 + 48]);
        assert_eq!((test[differing[0]], golden[differing[0]]), (255, 0));
    }

    #[test]
    fn a_crop_of_one_material_does_not_become_noise() {
        let noisy = |x: usize, y: usize| 90 + ((x * 7 + y * 13) % 5) as u8;
        let [_, golden] = pair(noisy, noisy).crops_around((0, 159), 96);
        assert!(golden.iter().all(|level| (100..=155).contains(level)));
    }
}
