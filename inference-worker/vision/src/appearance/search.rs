//! Where a photograph lies roughly: the shift, turn and scale at which its structure correlates best with the
//! golden sample's, searched on the coarsest level, where everything within reach can be tried.
//!
//! Structure is divided by its local strength first, so that a few bright pads do not outweigh the tracks.
//! Regular patterns correlate again a period further on: several peaks are given, and the alignment decides.

use super::planes::{Plane, dot};
use super::pyramid::PyramidLevel;
use crate::field::AffineOffset;

/// Farthest shift that is looked for, in parts of the longer side.
const REACH: f32 = 0.08;
/// Local strength is measured in squares of this radius, pixels of the level.
const STRENGTH_RADIUS: usize = 6;
/// Structure weaker than this many levels is not made as strong as the rest: it may be noise.
const STRENGTH_MIN: f32 = 3.0;
/// Structure is cut off at this many times its local strength.
const STRENGTH_CUT: f32 = 2.0;
/// Peaks that are given, of shifts alone and of turns.
const PEAKS: usize = 3;
/// Peaks nearer than this are one, in pixels of the level.
const PEAKS_APART: isize = 3;
/// Turns that are tried, in degrees either way.
const TURN_MAX: i32 = 4;
/// Scales that are tried.
const SCALES: [f32; 3] = [0.98, 1.0, 1.02];

/// A place where the photograph may lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoughPlace {
    /// Correlation of the structure there, up to 1.
    pub(super) correlation: f32,
    pub(super) affine: AffineOffset,
}

/// A picture as it is searched: equalised structure, on the level and at half of its resolution.
#[derive(Debug, Clone)]
pub(super) struct SearchPicture {
    scale: usize,
    whole: Plane,
    half: Plane,
}

impl SearchPicture {
    pub(super) fn from_level(level: &PyramidLevel) -> Self {
        let structure = &level.structure;
        let mut whole = structure.clone();
        whole.values.iter_mut().for_each(|value| *value *= *value);
        whole = whole.box_means(STRENGTH_RADIUS);
        for (value, structure) in whole.values.iter_mut().zip(&structure.values) {
            let strength = value.max(0.0).sqrt() + STRENGTH_MIN;
            *value = (structure / strength).clamp(-STRENGTH_CUT, STRENGTH_CUT);
        }
        Self { scale: level.scale, half: whole.shrunk_by(2), whole }
    }

    /// The best shifts without a turn.
    pub(super) fn search_shifts(&self, test: &Self) -> Vec<RoughPlace> {
        let reach = search_reach(&self.whole);
        let peaks = best_shifts(&self.whole, &test.whole, (0, 0), reach, PEAKS);
        let scale = self.scale as f32;
        let place = |(correlation, dx, dy): (f32, isize, isize)| RoughPlace {
            correlation,
            affine: AffineOffset::from_shift(dx as f32 * scale, dy as f32 * scale),
        };
        peaks.into_iter().map(place).collect()
    }

    /// The best turns and scales, each with its shift: ranked at half of the resolution, the most promising
    /// are looked at closely.
    pub(super) fn search_turns(&self, test: &Self) -> Vec<RoughPlace> {
        let reach = search_reach(&self.half);
        let mut tried: Vec<(f32, isize, isize, AffineOffset)> = Vec::new();
        for degrees in -TURN_MAX..=TURN_MAX {
            for scale in SCALES {
                let affine = similarity(degrees as f32, scale);
                let turned = turned_plane(&test.half, &affine);
                for (correlation, dx, dy) in best_shifts(&self.half, &turned, (0, 0), reach, 1) {
                    tried.push((correlation, dx, dy, affine));
                }
            }
        }
        tried.sort_by(|a, b| b.0.total_cmp(&a.0));
        let closely = |&(_, dx, dy, affine): &(f32, isize, isize, AffineOffset)| {
            let turned = turned_plane(&test.whole, &affine);
            let peaks = best_shifts(&self.whole, &turned, (2 * dx, 2 * dy), 2, 1);
            let scale = self.scale as f32;
            peaks.into_iter().map(move |(correlation, dx, dy)| {
                // The shift was found after the turn: it is turned along.
                let (dx, dy) = (dx as f32 * scale, dy as f32 * scale);
                let (more_x, more_y) = affine.growth_at(dx, dy);
                RoughPlace { correlation, affine: affine.shifted_by(dx + more_x, dy + more_y) }
            })
        };
        let mut places: Vec<RoughPlace> = tried.iter().take(PEAKS).flat_map(closely).collect();
        places.sort_by(|a, b| b.correlation.total_cmp(&a.correlation));
        places
    }
}

fn search_reach(plane: &Plane) -> isize {
    (plane.width.max(plane.height) as f32 * REACH).ceil() as isize + 1
}

/// A turn about the picture's middle, clockwise, and a scale.
fn similarity(degrees: f32, scale: f32) -> AffineOffset {
    let (sine, cosine) = degrees.to_radians().sin_cos();
    let (sine, cosine) = (sine * scale, cosine * scale);
    AffineOffset { x: [0.0, cosine - 1.0, -sine], y: [0.0, sine, cosine - 1.0] }
}

/// The plane turned back by `affine`, zero where it is not known.
fn turned_plane(plane: &Plane, affine: &AffineOffset) -> Plane {
    let mut turned = Plane::new(plane.width, plane.height);
    let middle = ((plane.width - 1) as f32 / 2.0, (plane.height - 1) as f32 / 2.0);
    let inside = |at: f32, length: usize| at >= 0.0 && at <= (length - 1) as f32;
    for y in 0..plane.height {
        for (x, value) in turned.row_mut(y).iter_mut().enumerate() {
            let (dx, dy) = affine.growth_at(x as f32 - middle.0, y as f32 - middle.1);
            let (x, y) = (x as f32 + dx, y as f32 + dy);
            if inside(x, plane.width) && inside(y, plane.height) {
                *value = plane.value_between(x, y);
            }
        }
    }
    turned
}

/// The `count` best shifts of `test` within `reach` of `centre`, and their correlations.
fn best_shifts(
    golden: &Plane,
    test: &Plane,
    centre: (isize, isize),
    reach: isize,
    count: usize,
) -> Vec<(f32, isize, isize)> {
    let strength = |plane: &Plane| dot(&plane.values, &plane.values);
    let all = (strength(golden) * strength(test)).sqrt().max(1e-6);
    let mut found = Vec::new();
    for dy in centre.1 - reach..=centre.1 + reach {
        for dx in centre.0 - reach..=centre.0 + reach {
            found.push((shifted_product(golden, test, dx, dy) / all, dx, dy));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut peaks: Vec<(f32, isize, isize)> = Vec::new();
    for shift in found {
        let near = |peak: &(f32, isize, isize)| {
            (peak.1 - shift.1).abs().max((peak.2 - shift.2).abs()) < PEAKS_APART
        };
        if !peaks.iter().any(near) {
            peaks.push(shift);
            if peaks.len() == count {
                break;
            }
        }
    }
    peaks
}

/// The sum of products when the test picture lies `dx`, `dy` to the right of and below the golden sample.
fn shifted_product(golden: &Plane, test: &Plane, dx: isize, dy: isize) -> f32 {
    let shared = |length: usize, shift: isize| {
        let low = (-shift).max(0).unsigned_abs().min(length);
        (low, length.saturating_sub(shift.max(0).unsigned_abs()).max(low))
    };
    let (left, right) = shared(golden.width.min(test.width), dx);
    let (top, bottom) = shared(golden.height.min(test.height), dy);
    let mut sum = 0.0;
    for y in top..bottom {
        let other = test.row(y.saturating_add_signed(dy));
        let (from, to) = (left.saturating_add_signed(dx), right.saturating_add_signed(dx));
        sum += dot(&golden.row(y)[left..right], &other[from..to]);
    }
    sum
}
