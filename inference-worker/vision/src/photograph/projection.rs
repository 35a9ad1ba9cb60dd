//! From colour to one level per pixel: the combination of red, green and blue in which copper
//! stands out most from the substrate on the golden sample.

use image::{GrayImage, RgbImage};

use super::levels::{self, MaterialLevels};

/// A combination of red, green and blue; copper is above substrate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ColourProjection {
    /// Weights of red, green and blue, in 1/256.
    weights: [i32; 3],
    /// Level of black.
    pub(super) zero: u8,
}

/// Brightness (ITU-R BT.601).
pub(super) const LUMA: ColourProjection = ColourProjection { weights: [77, 150, 29], zero: 0 };

/// Combinations that are tried: brightness, the channels, and differences of colour.
const CANDIDATES: [ColourProjection; 6] = [
    LUMA,
    ColourProjection { weights: [256, 0, 0], zero: 0 },
    ColourProjection { weights: [0, 256, 0], zero: 0 },
    ColourProjection { weights: [0, 0, 256], zero: 0 },
    ColourProjection { weights: [128, -128, 0], zero: 128 },
    ColourProjection { weights: [128, 0, -128], zero: 128 },
];

/// Another combination than brightness is taken when it separates better by this: brightness is
/// what JPEG keeps sharpest.
const PREFERENCE: f64 = 0.04;
/// Where the materials differ in brightness by less than this, the redder one is copper.
const SAME_BRIGHTNESS: f32 = 6.0;

impl ColourProjection {
    /// The best combination for a golden sample.
    pub(super) fn best_for(golden: &RgbImage) -> Self {
        let mut best = (separability(&LUMA.apply(golden)) + PREFERENCE, LUMA);
        for candidate in &CANDIDATES[1..] {
            let found = separability(&candidate.apply(golden));
            if found > best.0 {
                best = (found, *candidate);
            }
        }
        best.1.oriented_for(golden)
    }

    /// The picture in levels.
    pub(super) fn apply(&self, picture: &RgbImage) -> GrayImage {
        let mut out = GrayImage::new(picture.width(), picture.height());
        let [red, green, blue] = self.weights;
        let zero = i32::from(self.zero) * 256 + 128;
        for (out, pixel) in out.iter_mut().zip(picture.as_raw().as_chunks::<3>().0) {
            let [r, g, b] = pixel.map(i32::from);
            *out = ((red * r + green * g + blue * b + zero) >> 8).clamp(0, 255) as u8;
        }
        out
    }

    /// The projection, negated when its upper material is the darker one.
    fn oriented_for(self, golden: &RgbImage) -> Self {
        let projected = self.apply(golden);
        let Some(levels) = MaterialLevels::measure_in(&projected, self.zero) else { return self };
        let mut sums = [[0.0_f64; 3]; 2];
        let mut counts = [0.0_f64; 2];
        let bits = levels.copper_of(&projected);
        for (y, row) in golden.rows().enumerate() {
            for (x, pixel) in row.enumerate() {
                let material = usize::from(bits.row(y)[x / 64] >> (x % 64) & 1 == 1);
                counts[material] += 1.0;
                for (sum, level) in sums[material].iter_mut().zip(pixel.0) {
                    *sum += f64::from(level);
                }
            }
        }
        let mean = |material: usize, channel: usize| {
            (sums[material][channel] / counts[material].max(1.0)) as f32
        };
        let over = [0, 1, 2].map(|channel| mean(1, channel) - mean(0, channel));
        let brighter = 0.299 * over[0] + 0.587 * over[1] + 0.114 * over[2];
        let redder = over[0] - (over[1] + over[2]) / 2.0;
        let copper = if brighter.abs() < SAME_BRIGHTNESS { redder } else { brighter };
        if copper >= 0.0 { self } else { self.negated() }
    }

    fn negated(self) -> Self {
        Self { weights: self.weights.map(|weight| -weight), zero: 255 - self.zero }
    }
}

/// How much of the variance within windows lies between two classes (Otsu, 1979; Fisher's ratio),
/// 0 to 1; 0 when the classes are too close to be trusted.
fn separability(levels: &GrayImage) -> f64 {
    let (mut between, mut total, mut contrast, mut share) = (0.0, 0.0, 0.0, 0.0);
    levels::for_each_split(levels, |_, split| {
        between += f64::from(split.between);
        total += f64::from(split.total);
        contrast += f64::from(split.between) * f64::from(split.high - split.low);
        share += f64::from(split.between);
    });
    if share <= 0.0 || contrast / share < f64::from(levels::MIN_CONTRAST) {
        return 0.0;
    }
    between / total.max(1e-9)
}
