//! Copper and the solder mask over it: etched edges, openings, and the colours under the mask.

use crate::canvas::Canvas;

use super::footprints::Pad;
use super::grain::{patch_grain, pixel_grain};
use super::layer::Layer;
use super::variation::Variation;

/// How much farther an opening reaches than its pad, in pixels.
const OPENING_MARGIN: f32 = 3.0;
/// Threads of the laminate's weave lie so many pixels apart.
const THREADS: i32 = 11;

/// The copper of one piece: rounded by etching, with edges that are rough in its own way.
pub(super) fn etch_copper(designed: &Canvas, variation: &Variation) -> Layer {
    let mut copper = Layer::blurred_from(designed);
    let (width, seed) = (copper.width as i32, variation.grain);
    for (index, level) in (0..).zip(&mut copper.levels) {
        // Roughness moves edges and never reaches what is plainly copper or substrate.
        if *level != 0 && *level != 255 {
            let (x, y) = (index % width, index / width);
            let rough = patch_grain(seed, x, y, 4) + 0.3 * pixel_grain(seed, x, y);
            let moved = f32::from(*level) - 127.5 + variation.etch + variation.roughness * rough;
            *level = (moved * 1.8 + 127.5).clamp(0.0, 255.0) as u8;
        }
    }
    copper
}

/// The openings of the mask, laid on as one film: all of them lie off alike.
pub(super) fn open_mask(
    pads: &[Pad],
    variation: &Variation,
    (width, height): (usize, usize),
) -> Layer {
    let mut openings = Layer::new(width, height);
    for pad in pads.iter().filter(|pad| pad.open) {
        let margin = OPENING_MARGIN + variation.mask_growth;
        openings.lay(&pad.land.grown_by(margin).moved_by(variation.mask_shift));
        // A hole that nobody drilled is closed by the mask at times.
        if let Some(plug) = pad.plug {
            openings.take_away(&plug);
        }
    }
    openings
}

/// How much darker or lighter the laminate's weave makes substrate under the mask, around 0.
pub(super) fn weave_at(seed: u32, x: i32, y: i32) -> f32 {
    let thread =
        |at: i32| (at.rem_euclid(THREADS) * 2 - THREADS).abs() as f32 / THREADS as f32 - 0.5;
    let over = (x.div_euclid(THREADS) + y.div_euclid(THREADS)) % 2 == 0;
    let lit = if over { thread(x) } else { thread(y) };
    0.09 * lit + 0.05 * patch_grain(seed, x, y, 23)
}

/// How much thinner or thicker than usual the mask is, around 0: each piece is coated anew.
pub(super) fn coat_at(seed: u32, x: i32, y: i32) -> f32 {
    0.025 * patch_grain(seed, x, y, 61) + 0.012 * pixel_grain(seed, x, y)
}
