//! Focus: how wide the edges of copper are in a picture, whatever its light and contrast.

use image::GrayImage;

use super::levels::MaterialLevels;
use crate::binary_image::BinaryImage;

/// Width of upright and of level edges in pixels, a step being 1: the inverse of the mean slope
/// across straight edges, in parts of the local contrast per pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct EdgeWidths {
    /// Edges that run upwards; none when there are too few.
    pub(super) upright: Option<f32>,
    /// Edges that run sideways; none when there are too few.
    pub(super) level: Option<f32>,
}

/// Fewest places by which a direction is judged.
const MIN_PLACES: u32 = 200;
/// The slope is at least this, so that a width is a number.
const MIN_SLOPE: f32 = 0.01;

impl EdgeWidths {
    /// Measures the edges between `bits` in a picture of the given levels.
    pub(super) fn measure_in(
        picture: &GrayImage,
        levels: &MaterialLevels,
        bits: &BinaryImage,
    ) -> Self {
        let width = picture.width() as usize;
        let pixels = picture.as_raw();
        let (mut upright, mut level) = ((0.0, 0), (0.0, 0));
        let add = |sum: &mut (f32, u32), at: usize, (across, along): (usize, usize), up: bool| {
            // Three steps side by side; the sign comes from the copper, so noise averages out.
            let step = |at: usize| f32::from(pixels[at + across]) - f32::from(pixels[at]);
            let mean = (step(at - along) + 2.0 * step(at) + step(at + along)) / 4.0;
            let contrast = levels.contrast_at(at % width, at / width);
            sum.0 += if up { mean } else { -mean } / contrast;
            sum.1 += 1;
        };
        for y in 1..bits.height.saturating_sub(2) {
            for (index, &word) in bits.row(y).iter().enumerate() {
                let x = (index * 64).cast_signed();
                let row = |dx: isize, dy: isize| bits.word_at(x + dx, y.cast_signed() + dy);
                let flips = |dy: isize| row(0, dy) ^ row(1, dy);
                let inside = inner_columns(index, width);
                // Rows above and below change at the same place, columns left and right alike.
                let straight = flips(-1) & flips(0) & flips(1) & inside;
                for_each_set_bit(straight, |bit| {
                    let at = y * width + index * 64 + bit;
                    add(&mut upright, at, (1, width), word >> bit & 1 == 0);
                });
                let drops = |dx: isize| row(dx, 0) ^ row(dx, 1);
                let straight = drops(-1) & drops(0) & drops(1) & inside;
                for_each_set_bit(straight, |bit| {
                    let at = y * width + index * 64 + bit;
                    add(&mut level, at, (width, 1), word >> bit & 1 == 0);
                });
            }
        }
        let mean = |(sum, count): (f32, u32)| {
            (count >= MIN_PLACES).then(|| 1.0 / (sum / count as f32).max(MIN_SLOPE))
        };
        Self { upright: mean(upright), level: mean(level) }
    }
}

/// The columns of a word that have neighbours on both sides.
fn inner_columns(index: usize, width: usize) -> u64 {
    crate::binary_image::column_mask(1, width.saturating_sub(1), index)
}

fn for_each_set_bit(mut set: u64, mut see: impl FnMut(usize)) {
    while set != 0 {
        see(set.trailing_zeros() as usize);
        set &= set - 1;
    }
}
