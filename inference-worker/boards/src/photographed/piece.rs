//! One physical piece of a part: every material is laid on anew, in the order of a factory. The
//! copper is joined alike on all pieces.

use crate::random::Random;

use super::plan::BoardPlan;
use super::style::BoardStyle;
use super::surface::{Layers, Surface};
use super::variation::Variation;
use super::{dust, holes, mask, pads, silk_screen};

/// Makes a piece of the plan.
pub(super) fn make_surface(plan: &BoardPlan, style: &BoardStyle, seed: u64) -> Surface {
    let mut random = Random::new(&[seed, 0x7069_6563]);
    let variation = Variation::draw(style.spread, &mut random);
    let copper = mask::etch_copper(&plan.copper, &variation);
    let size = (copper.width, copper.height);
    let openings = mask::open_mask(&plan.pads, &variation, size);
    let layers = Layers {
        print: silk_screen::print_strokes(&plan.print, &openings, &variation),
        holes: holes::drill_holes(&plan.pads, &variation, size),
        pads: pads::finish_pads(&plan.pads, style.finish, &variation, size),
        dust: dust::scatter_dust(style.dust, size, &mut random),
        copper,
        openings,
    };
    layers.merge(style, &variation)
}
