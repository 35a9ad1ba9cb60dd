//! The light of the test picture made that of the golden sample: gain and offset of each channel, first of the
//! whole, then a gain that slopes across it, then locally.
//!
//! Lamps age, and a board does not lie under them as the golden sample did. So the test picture's levels are
//! fitted to the golden sample's in windows (least squares, as the guided filter of He, Sun and Tang, 2013),
//! twice: the first fit finds what differs for another reason than light, the second does without it, or a
//! large flaw would explain itself away. Outside the test picture there is nothing to fit; windows at the
//! border fit what lies inside.

use super::planes::{Channels, MIDDLE_LEVEL, Plane, SIGMA_PER_MEDIAN, median};
use super::slope::{ChannelLight, LightSlope, slope_terms};
use super::warp::RowSpan;
use crate::binary_image::BinaryImage;

/// Pixels along a side that are averaged before levels are fitted.
pub(super) const LIGHT_SCALE: usize = 4;
/// The pixels of a row of such a square.
const SQUARE_ROW: u64 = (1 << LIGHT_SCALE) - 1;
/// Radius of a window in averaged pixels: about 60 pixels a side, wider than any flaw, narrower than shadows.
const WINDOW_RADIUS: usize = 7;
/// A variance that holds the gain near that of the whole where a window shows one material, in squared levels.
const GAIN_STIFFNESS: f32 = 60.0;
/// The local gain differs from that of the slope by at most this.
const GAIN_REACH: f32 = 0.15;
/// Differences beyond so many sigmas and levels, and this part of the local contrast, are not light.
const SUSPECT_SIGMAS: f32 = 3.0;
const SUSPECT_LEVELS: f32 = 1.5;
const SUSPECT_CONTRAST: f32 = 0.25;
/// The weight of what is left out: it counts where a window shows nothing else.
const SUSPECT_WEIGHT: f32 = 1e-3;

/// Gain and offset of one channel at each averaged pixel.
pub(super) struct LocalLight {
    gain: Plane,
    offset: Plane,
    /// The gain of the whole.
    whole: f32,
}

/// The averaged pixels of two pictures, and which of them tell the light.
pub(super) struct AveragedPair<'a> {
    golden: &'a [Plane],
    test: Vec<Plane>,
    /// Of each channel, 1 where all of a square is covered and none of it is clipped.
    weights: Vec<Plane>,
}

impl<'a> AveragedPair<'a> {
    /// `clipped` are the clipped pixels of the golden sample and of the test picture, channel by channel.
    pub(super) fn new(
        golden: &'a [Plane],
        test: &Channels,
        spans: &[RowSpan],
        clipped: &[Vec<BinaryImage>; 2],
    ) -> Self {
        let channels = 0..test.levels.len();
        let test = channels.map(|channel| test.shrunk_channel(channel, LIGHT_SCALE)).collect();
        let mut covered = Plane::new(golden[0].width, golden[0].height);
        for y in 0..covered.height {
            let rows = &spans[y * LIGHT_SCALE..(y + 1) * LIGHT_SCALE];
            let start = rows.iter().map(|span| span.start).max().unwrap_or(0);
            let end = rows.iter().map(|span| span.end).min().unwrap_or(0) / LIGHT_SCALE;
            let start = start.div_ceil(LIGHT_SCALE).min(end);
            covered.row_mut(y)[start..end].fill(1.0);
        }
        let [golden_clipped, test_clipped] = clipped;
        let weigh = |(golden, test): (&BinaryImage, &BinaryImage)| {
            let mut weight = covered.clone();
            leave_out(golden, &mut weight);
            leave_out(test, &mut weight);
            weight
        };
        let weights = golden_clipped.iter().zip(test_clipped).map(weigh).collect();
        Self { golden, test, weights }
    }

    /// The light of the whole, channel by channel.
    pub(super) fn match_whole(&self) -> Vec<ChannelLight> {
        let channels = self.golden.iter().zip(&self.test).zip(&self.weights);
        channels.map(|((golden, test), weight)| match_channel(golden, test, weight)).collect()
    }

    /// The light at each averaged pixel, beginning with that of the whole.
    pub(super) fn match_locally(&self, whole: &[ChannelLight]) -> Vec<LocalLight> {
        let sloped: Vec<SlopedChannel> = (0..self.test.len())
            .map(|channel| self.follow_slope(channel, whole[channel]))
            .collect();
        let near_suspects = self.find_suspects(&sloped).box_sums(1);
        let channels = self.golden.iter().zip(&self.weights).zip(sloped.into_iter().zip(whole));
        channels
            .map(|((golden, weight), (sloped, whole))| {
                let mut weight = weight.clone();
                for (weight, near) in weight.values.iter_mut().zip(&near_suspects.values) {
                    let kept = if *near > 0.5 { SUSPECT_WEIGHT } else { 1.0 };
                    *weight *= kept;
                }
                WindowSums::new(&weight).fit_light(golden, sloped, whole.gain)
            })
            .collect()
    }

    fn follow_slope(&self, channel: usize, whole: ChannelLight) -> SlopedChannel {
        let test = &self.test[channel];
        let weight = &self.weights[channel];
        let slope = LightSlope::fit_robustly(&self.golden[channel], test, weight, whole);
        let mut gain = Plane::new(test.width, test.height);
        for y in 0..gain.height {
            for (x, value) in gain.row_mut(y).iter_mut().enumerate() {
                *value = slope.gain_at(slope_terms(x, y, (test.width, test.height)));
            }
        }
        let mut lit = test.clone();
        multiply(&mut lit, &gain);
        lit.values.iter_mut().for_each(|level| *level += slope.offset);
        SlopedChannel { lit, gain, offset: slope.offset }
    }

    /// 1 where some channel differs for another reason than light.
    fn find_suspects(&self, sloped: &[SlopedChannel]) -> Plane {
        let mut suspected = Plane::new(self.golden[0].width, self.golden[0].height);
        let channels = self.golden.iter().zip(&self.weights).zip(sloped);
        for ((golden, weight), SlopedChannel { lit, .. }) in channels {
            let covered = weight.box_sums(WINDOW_RADIUS);
            let mut difference = golden.clone();
            for (value, level) in difference.values.iter_mut().zip(&lit.values) {
                *value -= level;
            }
            let mut shade = difference.clone();
            multiply(&mut shade, weight);
            let shade = shade.box_sums(WINDOW_RADIUS);
            let rest = difference.values.iter_mut().zip(shade.values.iter().zip(&covered.values));
            for (value, (sum, count)) in rest {
                *value = (*value - sum / count.max(0.5)).abs();
            }
            // What is clipped differs for that reason, and says nothing about the other channels.
            multiply(&mut difference, weight);
            let known = difference.values.iter().zip(&weight.values);
            let known = known.filter(|(_, weight)| **weight > 0.0).step_by(5);
            let mut known: Vec<f32> = known.map(|(value, _)| *value).collect();
            let limit = SUSPECT_SIGMAS * SIGMA_PER_MEDIAN * median(&mut known) + SUSPECT_LEVELS;
            mark_suspects(&difference, golden, limit, &mut suspected);
        }
        suspected
    }
}

/// Takes the weight of squares that hold one of these pixels.
fn leave_out(pixels: &BinaryImage, weight: &mut Plane) {
    for y in 0..weight.height * LIGHT_SCALE {
        for (word, weights) in
            pixels.row(y).iter().zip(weight.row_mut(y / LIGHT_SCALE).chunks_mut(64 / LIGHT_SCALE))
        {
            if *word == 0 {
                continue;
            }
            for (square, weight) in weights.iter_mut().enumerate() {
                if word >> (square * LIGHT_SCALE) & SQUARE_ROW != 0 {
                    *weight = 0.0;
                }
            }
        }
    }
}

/// Equal means and spreads, then again without what does not fit.
pub(super) fn match_channel(golden: &Plane, test: &Plane, weight: &Plane) -> ChannelLight {
    let pairs = golden.values.iter().zip(&test.values).zip(&weight.values);
    let mut pairs: Vec<(f32, f32)> = pairs
        .step_by(3)
        .filter(|(_, weight)| **weight > 0.0)
        .map(|((golden, test), _)| (*golden, *test))
        .collect();
    let first = equal_spread(&pairs);
    let apart = |&(golden, test): &(f32, f32)| (first.gain * test + first.offset - golden).abs();
    let mut differences: Vec<f32> = pairs.iter().map(apart).collect();
    let limit = SUSPECT_SIGMAS * SIGMA_PER_MEDIAN * (median(&mut differences) + 0.3);
    pairs.retain(|pair| apart(pair) < limit);
    equal_spread(&pairs)
}

/// A channel of the test picture in the light of the whole and of the slope across it, and that light.
struct SlopedChannel {
    lit: Plane,
    gain: Plane,
    offset: f32,
}

fn mark_suspects(difference: &Plane, golden: &Plane, limit: f32, suspected: &mut Plane) {
    let (width, height) = (golden.width, golden.height);
    for y in 0..height {
        let rows = [y.saturating_sub(1), y, (y + 1).min(height - 1)].map(|y| golden.row(y));
        for x in 0..width {
            let value = difference.values[y * width + x];
            if value <= limit {
                continue;
            }
            let (mut low, mut high) = (f32::MAX, f32::MIN);
            for row in rows {
                for &level in &row[x.saturating_sub(1)..(x + 2).min(width)] {
                    (low, high) = (low.min(level), high.max(level));
                }
            }
            if value > limit + SUSPECT_CONTRAST * (high - low) {
                suspected.values[y * width + x] = 1.0;
            }
        }
    }
}

fn multiply(plane: &mut Plane, by: &Plane) {
    plane.values.iter_mut().zip(&by.values).for_each(|(value, by)| *value *= by);
}

/// The light that gives `(golden, test)` levels equal means and spreads.
fn equal_spread(pairs: &[(f32, f32)]) -> ChannelLight {
    let count = pairs.len().max(1) as f64;
    let mean = |pick: fn(&(f32, f32)) -> f32| {
        pairs.iter().map(|pair| f64::from(pick(pair))).sum::<f64>() / count
    };
    let (golden, test) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let spread = |pick: fn(&(f32, f32)) -> f32, middle: f64| {
        let squares = pairs.iter().map(|pair| (f64::from(pick(pair)) - middle).powi(2));
        (squares.sum::<f64>() / count).sqrt().max(1.0)
    };
    let gain = spread(|pair| pair.0, golden) / spread(|pair| pair.1, test);
    ChannelLight { gain: gain as f32, offset: (golden - gain * test) as f32 }
}

/// Weights and their sums in windows.
struct WindowSums<'a> {
    weight: &'a Plane,
    sums: Plane,
}

impl<'a> WindowSums<'a> {
    fn new(weight: &'a Plane) -> Self {
        Self { weight, sums: weight.box_sums(WINDOW_RADIUS) }
    }

    /// The weighted means of products of two planes' values about [`MIDDLE_LEVEL`].
    fn means(&self, values: impl Iterator<Item = f32>) -> Plane {
        let mut plane = Plane::new(self.weight.width, self.weight.height);
        let each = plane.values.iter_mut().zip(values).zip(&self.weight.values);
        each.for_each(|((to, value), weight)| *to = value * weight);
        let mut means = plane.box_sums(WINDOW_RADIUS);
        for (mean, sum) in means.values.iter_mut().zip(&self.sums.values) {
            *mean /= sum.max(1e-4);
        }
        means
    }

    /// The local light on top of that in which the channel is; `whole` is the gain of the whole.
    fn fit_light(&self, golden: &Plane, sloped: SlopedChannel, whole: f32) -> LocalLight {
        let SlopedChannel { lit, gain: slope, offset: shifted } = sloped;
        let near = |level: &f32| level - MIDDLE_LEVEL;
        let (x, y) = (|| lit.values.iter().map(near), || golden.values.iter().map(near));
        let mean_x = self.means(x());
        let mean_y = self.means(y());
        let mut gain = self.means(x().map(|x| x * x));
        let mut offset = self.means(x().zip(y()).map(|(x, y)| x * y));
        let means = mean_x.values.iter().zip(&mean_y.values).zip(&self.sums.values);
        let lights = gain.values.iter_mut().zip(&mut offset.values).zip(&slope.values);
        for (((gain, offset), slope), ((x, y), sum)) in lights.zip(means) {
            let (variance, covariance) = ((*gain - x * x).max(0.0), *offset - x * y);
            let fitted = (covariance + GAIN_STIFFNESS) / (variance + GAIN_STIFFNESS);
            let fitted = fitted.clamp(1.0 - GAIN_REACH, 1.0 + GAIN_REACH);
            // Where nothing is known the light of the whole stands.
            let (fitted, shift) = if *sum > 1e-4 {
                (fitted, y + MIDDLE_LEVEL - fitted * (x + MIDDLE_LEVEL))
            } else {
                (1.0, 0.0)
            };
            *gain = fitted * slope;
            *offset = fitted * shifted + shift;
        }
        LocalLight { gain, offset, whole }
    }
}

impl LocalLight {
    /// By how much more than in the whole levels are amplified at a pixel, and their noise with them; at
    /// least 1.
    pub(super) fn amplification_at(&self, x: usize, y: usize) -> f32 {
        let place = |at: usize, length: usize| (at / LIGHT_SCALE).min(length - 1);
        let row = self.gain.row(place(y, self.gain.height));
        (row[place(x, self.gain.width)] / self.whole).max(1.0)
    }

    /// Gain and offset along a row of pixels from `left` on, bilinear between averaged pixels.
    pub(super) fn along_row(&self, y: usize, left: usize, gain: &mut [f32], offset: &mut [f32]) {
        interpolate_row(&self.gain, y, left, gain);
        interpolate_row(&self.offset, y, left, offset);
    }
}

fn interpolate_row(plane: &Plane, y: usize, left: usize, values: &mut [f32]) {
    let place = |at: usize, length: usize| {
        let at = (at as f32 + 0.5) / LIGHT_SCALE as f32 - 0.5;
        let at = at.clamp(0.0, (length - 1) as f32);
        (at as usize, at - (at as usize) as f32)
    };
    let (row, down) = place(y, plane.height);
    let (upper, lower) = (plane.row(row), plane.row((row + 1).min(plane.height - 1)));
    let at = |column: usize| {
        let column = column.min(plane.width - 1);
        upper[column] + (lower[column] - upper[column]) * down
    };
    let mut known = (usize::MAX, 0.0, 0.0);
    for (x, value) in (left..).zip(values) {
        let (column, across) = place(x, plane.width);
        if known.0 != column {
            known = (column, at(column), at(column + 1));
        }
        *value = known.1 + (known.2 - known.1) * across;
    }
}
