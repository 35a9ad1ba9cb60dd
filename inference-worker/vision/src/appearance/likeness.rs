//! How like a photograph is to a golden sample, tile by tile: what is chosen by among several golden samples.
//! Seen on means of few pixels and placed roughly, which costs a fraction of a comparison.

use super::light;
use super::planes::{Channels, Plane};
use super::pyramid;
use super::slope::ChannelLight;
use super::warp::{RowSpan, warp_plane};
use super::{GoldenPhotograph, LIGHT_SCALE};
use crate::decode::ImageView;
use crate::field::{OffsetField, TILE};

/// Levels that two pictures of one board differ by anywhere; less says nothing about which is liker.
const USUAL_LEVELS: f32 = 2.0;
/// Means from here on hold clipped pixels.
const CLIPPED_LEVEL: f32 = 246.0;

impl GoldenPhotograph {
    /// How much the photograph differs from this golden sample on each tile, in levels, at least
    /// [`USUAL_LEVELS`]; none when one of them is grey and the other in colour.
    pub(crate) fn tile_costs(&self, picture: ImageView<'_>) -> Option<Vec<f32>> {
        let test = Channels::from_picture(picture);
        if test.levels.len() != self.channels.levels.len() {
            return None;
        }
        let pyramid = pyramid::build_pyramid(&test, self.source);
        let place = self.choose_place(&pyramid, &self.pair_levels(&pyramid));
        let field = OffsetField::from_affine(&place, self.size());
        let (columns, rows) = (self.size().0.div_ceil(TILE), self.size().1.div_ceil(TILE));
        let mut costs = vec![USUAL_LEVELS; columns * rows];
        for (channel, golden) in self.averaged.iter().enumerate() {
            let shrunk = test.shrunk_channel(channel, LIGHT_SCALE);
            let size = (golden.width, golden.height);
            let (warped, spans) = warp_plane(&shrunk, &field, size, LIGHT_SCALE, 1);
            add_differences(golden, &warped, &spans, (columns, &mut costs));
        }
        Some(costs)
    }
}

/// Adds by how many levels a channel differs on each tile in the light of the whole, by the root of the mean
/// square.
fn add_differences(
    golden: &Plane,
    test: &Plane,
    spans: &[RowSpan],
    (columns, costs): (usize, &mut [f32]),
) {
    let side = TILE / LIGHT_SCALE;
    let mut weight = Plane::new(golden.width, golden.height);
    for (y, span) in spans.iter().enumerate() {
        weight.row_mut(y)[span.start..span.end].fill(1.0);
    }
    for (weight, level) in weight.values.iter_mut().zip(golden.values.iter().zip(&test.values)) {
        if level.0.max(*level.1) >= CLIPPED_LEVEL {
            *weight = 0.0;
        }
    }
    let ChannelLight { gain, offset } = light::match_channel(golden, test, &weight);
    let mut sums = vec![[0.0_f32; 2]; costs.len()];
    for y in 0..golden.height {
        let pairs = golden.row(y).iter().zip(test.row(y)).zip(weight.row(y));
        for (x, ((golden, test), weight)) in pairs.enumerate() {
            let apart = gain * test + offset - golden;
            let [squares, count] = &mut sums[y / side * columns + x / side];
            *squares += weight * apart * apart;
            *count += weight;
        }
    }
    for (cost, [squares, count]) in costs.iter_mut().zip(sums) {
        *cost += (squares / count.max(1.0)).sqrt();
    }
}
