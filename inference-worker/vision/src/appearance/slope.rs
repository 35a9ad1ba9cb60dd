//! The light of a whole channel, and how it slopes across the picture: a gain that is a quadratic surface, as
//! light falls off towards the corners and slopes beneath a lamp, and an offset. Such a slope is more than a
//! local gain may differ, and too much for what a window at the border sees of it.

use super::planes::{MIDDLE_LEVEL, Plane, SIGMA_PER_MEDIAN, median};
use crate::measure;

/// Times that the slope is fitted, each without what did not fit before.
const SLOPE_ROUNDS: usize = 3;
/// Of the averaged pixels, every so many tell the slope.
const SLOPE_STEP: usize = 7;
/// The slope is at most this gain, or its inverse.
const SLOPE_REACH: f32 = 2.0;
/// What holds the slope near the whole's light, in parts of all weight: without it, one bright corner would
/// bend it.
const SLOPE_STIFFNESS: f32 = 1e-3;
/// Differences beyond so many sigmas of those that remain are no light.
const SUSPECT_SIGMAS: f32 = 3.0;

/// A channel's levels as those of the golden sample: `gain * level + offset`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ChannelLight {
    pub(super) gain: f32,
    pub(super) offset: f32,
}

/// The gain's parts by [`slope_terms`], the offset, and the light that both are held near.
pub(super) struct LightSlope {
    gain: [f32; 6],
    pub(super) offset: f32,
    whole: ChannelLight,
}

/// The terms of the surface at an averaged pixel.
pub(super) fn slope_terms(x: usize, y: usize, size: (usize, usize)) -> [f32; 6] {
    let place = |at: usize, length: usize| (2 * at) as f32 / length as f32 - 1.0;
    let (u, v) = (place(x, size.0), place(y, size.1));
    [1.0, u, v, u * u, u * v, v * v]
}

impl LightSlope {
    /// The slope, beginning with the light of the whole, fitted again without what did not fit before.
    pub(super) fn fit_robustly(
        golden: &Plane,
        test: &Plane,
        weight: &Plane,
        whole: ChannelLight,
    ) -> Self {
        let mut slope = Self::from_whole(whole);
        for _ in 0..SLOPE_ROUNDS {
            slope = slope.fit_again(golden, test, weight);
        }
        slope
    }

    const fn from_whole(whole: ChannelLight) -> Self {
        Self { gain: [whole.gain, 0.0, 0.0, 0.0, 0.0, 0.0], offset: whole.offset, whole }
    }

    pub(super) fn gain_at(&self, terms: [f32; 6]) -> f32 {
        let gain: f32 = self.gain.iter().zip(terms).map(|(part, term)| part * term).sum();
        gain.clamp(self.whole.gain / SLOPE_REACH, self.whole.gain * SLOPE_REACH)
    }

    /// The light that brings the levels nearest to the golden sample's, by least squares over what this one
    /// brings near.
    fn fit_again(&self, golden: &Plane, test: &Plane, weight: &Plane) -> Self {
        let size = (test.width, test.height);
        let known =
            (0..test.values.len()).step_by(SLOPE_STEP).filter(|&at| weight.values[at] > 0.0);
        let known: Vec<(usize, [f32; 6])> =
            known.map(|at| (at, slope_terms(at % size.0, at / size.0, size))).collect();
        let apart = |&(at, terms): &(usize, [f32; 6])| {
            (golden.values[at] - self.gain_at(terms) * test.values[at] - self.offset).abs()
        };
        let mut differences: Vec<f32> = known.iter().map(apart).collect();
        let limit = SUSPECT_SIGMAS * SIGMA_PER_MEDIAN * (median(&mut differences) + 0.3);
        let mut sums = [[0.0_f64; 8]; 7];
        for &(at, terms) in known.iter().filter(|place| apart(place) < limit) {
            // In parts of the middle level, so that all columns are of one magnitude.
            let (level, wanted) =
                (test.values[at] / MIDDLE_LEVEL, golden.values[at] / MIDDLE_LEVEL);
            let [a, b, c, d, e, f] = terms.map(|term| term * level);
            let row = [a, b, c, d, e, f, 1.0, wanted];
            for (sums, pull) in sums.iter_mut().zip(row) {
                for (sum, part) in sums.iter_mut().zip(row) {
                    *sum += f64::from(pull * part);
                }
            }
        }
        let all = sums[6][6].max(1.0);
        let mut matrix = sums.map(|row| row.map(|sum| (sum / all) as f32));
        for (index, row) in matrix.iter_mut().enumerate() {
            row[index] += SLOPE_STIFFNESS;
        }
        matrix[0][7] += SLOPE_STIFFNESS * self.whole.gain;
        matrix[6][7] += SLOPE_STIFFNESS * self.whole.offset / MIDDLE_LEVEL;
        let [a, b, c, d, e, f, offset] = measure::solve_linear(matrix);
        Self { gain: [a, b, c, d, e, f], offset: offset * MIDDLE_LEVEL, whole: self.whole }
    }
}
