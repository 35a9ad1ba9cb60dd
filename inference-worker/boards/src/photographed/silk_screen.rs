//! The silk screen: print over the mask, laid on as one film, with ink that covers unevenly.

use super::grain::{patch_grain, pixel_grain};
use super::layer::Layer;
use super::outline::Outline;
use super::variation::Variation;

/// Prints all strokes. Nothing is printed in the mask's openings.
pub(super) fn print_strokes(strokes: &[Outline], openings: &Layer, variation: &Variation) -> Layer {
    let mut print = Layer::new(openings.width, openings.height);
    let width = openings.width as i32;
    let seed = variation.grain ^ 0x5117;
    for stroke in strokes {
        let inked = stroke.grown_by(variation.ink).moved_by(variation.print_shift);
        print.lay_each(&inked, |level, covered, index| {
            let (x, y) = (index as i32 % width, index as i32 / width);
            let thick = 0.93 + 0.07 * patch_grain(seed, x, y, 5) + 0.04 * pixel_grain(seed, x, y);
            let inked = f32::from(covered) * thick.min(1.0);
            *level = (*level).max(inked as u8).min(255 - openings.levels[index]);
        });
    }
    print
}
