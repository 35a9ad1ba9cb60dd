//! Holes: drilled into the pads, each a little beside its middle.

use crate::random::Random;

use super::footprints::Pad;
use super::layer::Layer;
use super::variation::Variation;

/// Drills the holes of all open pads; what the mask goes over is not seen through.
pub(super) fn drill_holes(
    pads: &[Pad],
    variation: &Variation,
    (width, height): (usize, usize),
) -> Layer {
    let mut holes = Layer::new(width, height);
    for (number, pad) in (0..).zip(pads).filter(|(_, pad)| pad.open) {
        let mut random = Random::new(&[u64::from(variation.grain), number, 0x6472_696c]);
        let wander = variation.drill_wander;
        let off = (random.within(wander), random.within(wander));
        if let Some(hole) = pad.hole() {
            holes.lay(&hole.grown_by(random.within(0.4)).moved_by(off));
        }
    }
    holes
}
