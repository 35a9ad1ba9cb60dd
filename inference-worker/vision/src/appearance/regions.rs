//! From the excess to differences: cleaned, joined, summed up, and placed in the test picture.

use domain::{DifferenceKind, PixelBox, UnexplainedDifference};

use super::excess::{EXCESS_UNIT, ExcessMap};
use crate::candidates::{self, Region};
use crate::field::OffsetField;

/// A difference scores at least this: the excess summed over its pixels, in units of the noise. The weakest flaw
/// on 140 photographs scored 371; on 24 second shots of flawless boards nothing scored as much as this.
const SCORE_MIN: f32 = 60.0;
/// Differences nearer than this are one, in pixels.
const GAP_MAX: u32 = 8;
/// More places than this are not told apart: the picture is not comparable.
const REGIONS_MAX: usize = 20_000;

/// The differences, strongest first; none when there are too many places to tell apart.
pub(super) fn find_differences(
    map: &ExcessMap,
    field: &OffsetField,
    size: (u32, u32),
) -> Option<Vec<UnexplainedDifference>> {
    // Single pixels and lines of one are noise; an octagon of radius three joins what is one flaw.
    let opened = map.differing.eroded_crosswise().dilated_crosswise();
    let closed = opened.dilated().dilated_crosswise().dilated_crosswise();
    let closed = closed.eroded_crosswise().eroded_crosswise().eroded();
    let excess = |left: usize, right: usize, y: usize| {
        let run = &map.values[y * map.width + left..=y * map.width + right];
        run.iter().fold(0_u32, |sum, &value| sum.saturating_add(u32::from(value)))
    };
    let regions = candidates::find_counted_regions(&closed, REGIONS_MAX, excess)?;
    let score = |region: &Region| region.pixels as f32 * EXCESS_UNIT;
    let strong = regions.iter().filter(|region| score(region) >= SCORE_MIN);
    let placed = strong.map(|region| UnexplainedDifference {
        kind: DifferenceKind::Appearance,
        bounds: place_box(region, field, size),
        strength: score(region) / SCORE_MIN,
    });
    let mut differences = join_near(placed.collect());
    differences.sort_by(|a, b| b.strength.total_cmp(&a.strength));
    Some(differences)
}

/// The upright box around a region of the golden sample as it lies in the test picture.
fn place_box(region: &Region, field: &OffsetField, size: (u32, u32)) -> PixelBox {
    let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
    for x in [region.left, region.right] {
        for y in [region.top, region.bottom] {
            let offset = field.offset_at_pixel(x as f32, y as f32);
            for (axis, place) in
                [x as f32 + offset[0], y as f32 + offset[1]].into_iter().enumerate()
            {
                low[axis] = low[axis].min(place);
                high[axis] = high[axis].max(place);
            }
        }
    }
    let side = |axis: usize, length: u32| {
        let low = low[axis].round().clamp(0.0, (length - 1) as f32) as u32;
        let high = (high[axis] + 1.0).round().clamp(0.0, length as f32) as u32;
        (low, high.max(low + 1) - low)
    };
    let ((x, width), (y, height)) = (side(0, size.0), side(1, size.1));
    PixelBox { x, y, width, height }
}

/// Joins differences until no two are near each other.
fn join_near(mut differences: Vec<UnexplainedDifference>) -> Vec<UnexplainedDifference> {
    let mut joined: Vec<UnexplainedDifference> = Vec::new();
    while let Some(mut difference) = differences.pop() {
        while let Some(near) =
            joined.iter().position(|other| are_near(&other.bounds, &difference.bounds))
        {
            let other = joined.swap_remove(near);
            difference.bounds = around_both(&other.bounds, &difference.bounds);
            difference.strength += other.strength;
        }
        joined.push(difference);
    }
    joined
}

fn are_near(a: &PixelBox, b: &PixelBox) -> bool {
    let apart = |a: u32, a_length: u32, b: u32, b_length: u32| {
        a.max(b).saturating_sub((a + a_length).min(b + b_length))
    };
    apart(a.x, a.width, b.x, b.width).max(apart(a.y, a.height, b.y, b.height)) < GAP_MAX
}

fn around_both(a: &PixelBox, b: &PixelBox) -> PixelBox {
    let side = |a: u32, a_length: u32, b: u32, b_length: u32| {
        let low = a.min(b);
        (low, (a + a_length).max(b + b_length) - low)
    };
    let (x, width) = side(a.x, a.width, b.x, b.width);
    let (y, height) = side(a.y, a.height, b.y, b.height);
    PixelBox { x, y, width, height }
}
