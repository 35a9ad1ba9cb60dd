//! How much more one picture is blurred than the other, and whether a region is out of focus.
//!
//! A picture that is a little sharper differs along every edge. So the sharper of the two is blurred until
//! both differ least where the golden sample has most structure; a test picture that needs more than a little
//! is out of focus.

use super::planes::{Channels, Plane, gaussian_weights, median};
use super::slope::ChannelLight;
use super::warp::RowSpan;

/// Side of the squares that are looked at, in pixels, and how many at most.
const SQUARE_SIDE: usize = 96;
const SQUARES_MAX: usize = 12;
/// Sigmas that are tried, in pixels: blur of the golden sample, negative of the test picture.
const SIGMAS: [f32; 14] =
    [0.0, -1.0, -0.8, -0.6, -0.4, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.7, 2.0, 2.4];
/// The border of a square that is not looked at: as far as the widest blur reaches.
const MARGIN: usize = 8;
/// Blurring the test picture lowers its noise as well: it must lower the difference by this part.
const CLEAR_GAIN: f32 = 0.97;
/// Differences beyond this many levels are flaws and count no more.
const DIFFERENCE_CUT: f32 = 30.0;

/// The blur that makes the golden sample (positive) or the test picture (negative) as blurred as the other,
/// as a Gaussian's sigma in pixels.
pub(super) fn match_blur(
    golden: &Channels,
    (test, spans): (&Channels, &[RowSpan]),
    light: &[ChannelLight],
) -> f32 {
    let channel = golden.sharpest();
    let squares = structured_squares(golden, spans, channel);
    let pairs: Vec<(Plane, Plane)> = squares
        .into_iter()
        .map(|(left, top)| {
            let golden = cut_square(golden, channel, left, top);
            let mut test = cut_square(test, channel, left, top);
            let ChannelLight { gain, offset } = light[channel];
            test.values.iter_mut().for_each(|level| *level = gain * *level + offset);
            (golden, test)
        })
        .collect();
    let cost = |sigma: f32| {
        let mut costs: Vec<f32> =
            pairs.iter().map(|(golden, test)| unexplained_part(golden, test, sigma)).collect();
        median(&mut costs)
    };
    let (mut best, mut least) = (0.0, cost(0.0));
    let untouched = least;
    for sigma in SIGMAS.into_iter().skip(1) {
        let found = cost(sigma);
        if found < least && (sigma > 0.0 || found < CLEAR_GAIN * untouched) {
            (best, least) = (sigma, found);
        }
    }
    best
}

/// The covered squares with most structure.
fn structured_squares(golden: &Channels, spans: &[RowSpan], channel: usize) -> Vec<(usize, usize)> {
    let step = |length: usize| (length / 8).max(SQUARE_SIDE);
    let mut found = Vec::new();
    for top in (0..golden.height.saturating_sub(SQUARE_SIDE)).step_by(step(golden.height)) {
        for left in (0..golden.width.saturating_sub(SQUARE_SIDE)).step_by(step(golden.width)) {
            let mut rows = spans[top..top + SQUARE_SIDE].iter();
            if rows.all(|span| span.start <= left && left + SQUARE_SIDE <= span.end) {
                let square = cut_square(golden, channel, left, top).values;
                let mean = square.iter().sum::<f32>() / square.len() as f32;
                let spread: f32 = square.iter().map(|level| (level - mean) * (level - mean)).sum();
                found.push((spread, left, top));
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().take(SQUARES_MAX).map(|(_, left, top)| (left, top)).collect()
}

fn cut_square(picture: &Channels, channel: usize, left: usize, top: usize) -> Plane {
    let mut square = Plane::new(SQUARE_SIDE, SQUARE_SIDE);
    for y in 0..SQUARE_SIDE {
        let row = &picture.row(channel, top + y)[left..left + SQUARE_SIDE];
        square.row_mut(y).iter_mut().zip(row).for_each(|(to, &level)| *to = f32::from(level));
    }
    square
}

/// What of one square the other does not explain when one of them is blurred, in parts of its spread, away from
/// the border. Each square is in a light of its own: where light slopes steeply the test picture's contrast is
/// lower than in the whole's light, and so it would look like blur.
fn unexplained_part(golden: &Plane, test: &Plane, sigma: f32) -> f32 {
    let blurred;
    let (explained, by) = if sigma > 0.0 {
        blurred = blur_square(golden, sigma);
        (test, &blurred)
    } else if sigma < 0.0 {
        blurred = blur_square(test, -sigma);
        (golden, &blurred)
    } else {
        (test, golden)
    };
    let inner = MARGIN..SQUARE_SIDE - MARGIN;
    let pairs = inner
        .clone()
        .flat_map(|y| explained.row(y)[inner.clone()].iter().zip(&by.row(y)[inner.clone()]));
    let pairs: Vec<(f32, f32)> = pairs.map(|(explained, by)| (*explained, *by)).collect();
    let count = pairs.len() as f32;
    let middle = |pick: fn(&(f32, f32)) -> f32| pairs.iter().map(pick).sum::<f32>() / count;
    let (mean, mean_by) = (middle(|pair| pair.0), middle(|pair| pair.1));
    let sum = |product: fn(f32, f32) -> f32| {
        pairs.iter().map(|pair| product(pair.0 - mean, pair.1 - mean_by)).sum::<f32>()
    };
    let (own, other) = (sum(|own, _| own * own), sum(|_, other| other * other));
    let gain = sum(|own, other| own * other) / other.max(1.0);
    let cut = |pair: &(f32, f32)| {
        (pair.0 - mean - gain * (pair.1 - mean_by)).abs().min(DIFFERENCE_CUT).powi(2)
    };
    (pairs.iter().map(cut).sum::<f32>() / own.max(1.0)).sqrt()
}

/// A Gaussian blur; the border is not blurred, and nobody looks there.
fn blur_square(plane: &Plane, sigma: f32) -> Plane {
    let weights = gaussian_weights(sigma);
    let radius = weights.len() - 1;
    let (width, height) = (plane.width, plane.height);
    let mut across = plane.clone();
    for y in 0..height {
        let from = plane.row(y);
        let to = &mut across.row_mut(y)[radius..width - radius];
        for (x, value) in to.iter_mut().enumerate() {
            let middle = x + radius;
            *value = weights[0] * from[middle];
            for (step, weight) in weights.iter().enumerate().skip(1) {
                *value += weight * (from[middle - step] + from[middle + step]);
            }
        }
    }
    let mut whole = across.clone();
    for y in radius..height - radius {
        let to = whole.row_mut(y);
        to.iter_mut().zip(across.row(y)).for_each(|(to, from)| *to = weights[0] * from);
        for (step, weight) in weights.iter().enumerate().skip(1) {
            let pairs = across.row(y - step).iter().zip(across.row(y + step));
            to.iter_mut().zip(pairs).for_each(|(to, (a, b))| *to += weight * (a + b));
        }
    }
    whole
}
