//! Which golden sample of a set a picture is most like.
//!
//! Each tile says how much the picture differs from each golden sample there, and counts at most
//! [`COST_MAX`] times as much for one as for the best of them. So the mean over all tiles is decided by what
//! the variants differ by nearly everywhere, or by how many tiles they differ in; and a flaw, however gross, has
//! no more say than the few tiles that it lies in. Choosing the golden sample with the fewest differences
//! would choose the one that hides a flaw; this one cannot, unless the flaw is all that the two differ by, and
//! then the board is like a good one of that variant.

use super::{BinaryImage, ImageView, PreparedGoldenSet, Variant, read_copper};
use crate::register::{self, CoarseCounts};

/// A tile speaks against a golden sample at most so many times as much as against the likest.
const COST_MAX: f32 = 3.0;
/// Costs nearer than this part are equal; the golden sample that comes first is taken.
const EQUAL_PART: f32 = 0.01;
/// Pixels of a tile in which two pictures of one board differ anywhere: rough edges.
const USUAL_PIXELS: f32 = 48.0;
/// Side of the windows that are looked at of a large panel, pixels, and how many along each side.
const WINDOW_SIDE: usize = 640;
const WINDOWS_ALONG: usize = 3;

impl PreparedGoldenSet {
    /// The golden sample that a picture is most like; the first when it can be compared with none.
    pub(super) fn choose_variant(&self, picture: ImageView<'_>) -> usize {
        self.choose_by(|variant| {
            let golden = &variant.golden;
            if picture.dimensions() != golden.size {
                return None;
            }
            match &golden.photograph {
                Some(photograph) => photograph.tile_costs(picture),
                None => Some(copper_costs(&read_copper(picture, golden).ok()?, &golden.bits)),
            }
        })
    }

    /// As [`Self::choose_variant`], of copper.
    pub(super) fn choose_for_copper(&self, bits: &BinaryImage) -> usize {
        self.choose_by(|variant| {
            let golden = &variant.golden.bits;
            (bits.size() == golden.size()).then(|| copper_costs(bits, golden))
        })
    }

    fn choose_by(&self, tile_costs: impl Fn(&Variant) -> Option<Vec<f32>>) -> usize {
        // With one golden sample there is nothing to choose and nothing to pay for.
        if self.variants.len() == 1 {
            return 0;
        }
        least_costly(&self.variants.iter().map(tile_costs).collect::<Vec<_>>())
    }
}

/// The first of those with the least mean cost, tile by tile in parts of the least.
fn least_costly(costs: &[Option<Vec<f32>>]) -> usize {
    let known = || costs.iter().flatten();
    let tiles = known().map(Vec::len).min().unwrap_or(0);
    let least = |tile: usize| known().map(|costs| costs[tile]).fold(f32::MAX, f32::min);
    let least: Vec<f32> = (0..tiles).map(least).collect();
    let mean = |costs: &Vec<f32>| {
        let parts = costs.iter().zip(&least).map(|(cost, least)| (cost / least).min(COST_MAX));
        parts.sum::<f32>() / tiles.max(1) as f32
    };
    let means: Vec<Option<f32>> = costs.iter().map(|costs| costs.as_ref().map(mean)).collect();
    let best = means.iter().flatten().fold(f32::MAX, |best, mean| best.min(*mean));
    let is_best = |mean: &Option<f32>| mean.is_some_and(|mean| mean <= best * (1.0 + EQUAL_PART));
    means.iter().position(is_best).unwrap_or(0)
}

/// Differing pixels of each tile once the golden sample is laid over the picture; of a large panel, of tiles in a
/// few windows.
fn copper_costs(test: &BinaryImage, golden: &BinaryImage) -> Vec<f32> {
    let (width, height) = test.size();
    if width.max(height) <= crate::panel::LONGEST_WHOLE {
        return window_costs(test, golden);
    }
    let size = (WINDOW_SIDE.min(width), WINDOW_SIDE.min(height));
    let at = |part: usize, side: usize, length: usize| (length - side) * part / (WINDOWS_ALONG - 1);
    let windows = (0..WINDOWS_ALONG * WINDOWS_ALONG).map(|index| {
        (at(index % WINDOWS_ALONG, size.0, width), at(index / WINDOWS_ALONG, size.1, height))
    });
    let costs = windows.flat_map(|(left, top)| {
        window_costs(&test.cut_window(left, top, size), &golden.cut_window(left, top, size))
    });
    costs.collect()
}

fn window_costs(test: &BinaryImage, golden: &BinaryImage) -> Vec<f32> {
    let coarse = CoarseCounts::from_image(golden);
    let found = register::register_picture(test, (golden, &coarse), &mut ());
    let differing = test.difference(&found.warped.fill_unknown_from(test));
    let tile = 64;
    let rows = (0..test.height).step_by(tile);
    let tiles = rows.flat_map(|top| (0..test.width).step_by(tile).map(move |left| (left, top)));
    let costs = tiles.map(|(left, top)| {
        let extent = [left, top, (left + tile).min(test.width), (top + tile).min(test.height)];
        differing.count_within(extent) as f32 + USUAL_PIXELS
    });
    costs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flaw_in_a_few_tiles_does_not_choose_the_variant_that_hides_it() {
        // The second looks like the flaw in two tiles, and less like the board in all others.
        let (mut first, second) = (vec![10.0; 100], vec![13.0; 100]);
        first[40] = 5_000.0;
        first[41] = 5_000.0;
        assert_eq!(least_costly(&[Some(first.clone()), Some(second.clone())]), 0);
        assert_eq!(least_costly(&[Some(second), Some(first)]), 1);
    }

    #[test]
    fn equals_are_decided_by_their_order_and_what_cannot_be_compared_is_passed_over() {
        let same = Some(vec![10.0; 50]);
        assert_eq!(least_costly(&[same.clone(), same.clone()]), 0);
        assert_eq!(least_costly(&[None, same.clone(), same]), 1);
        assert_eq!(least_costly(&[None, None]), 0);
    }
}
