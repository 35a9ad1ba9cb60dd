//! Pads: how tin and gold lie on them. Each piece is dipped anew, so no two domes are alike.

use crate::random::Random;

use super::footprints::Pad;
use super::grain::{patch_grain, pixel_grain};
use super::layer::for_each_pixel;
use super::style::PadFinish;
use super::variation::Variation;

/// What the metal of the pads is like, per pixel of the board.
pub(super) struct PadRelief {
    /// Brightness, 128 is usual.
    pub(super) sheen: Vec<u8>,
    /// Where the surface leans: to the right and down, as tangents times 127.
    pub(super) lean: Vec<[i8; 2]>,
}

/// A dome of metal with blobs.
struct Dome {
    sheen: f32,
    /// Lean at the rim.
    height: f32,
    lean: (f32, f32),
    /// Place in radii, lean.
    blobs: [(f32, f32, f32); 2],
    /// How uneven the surface is, as a lean.
    brushed: f32,
}

impl Dome {
    /// A pad's shape decides most of how metal lies on it, the dip the rest.
    fn draw(finish: PadFinish, number: u64, variation: &Variation) -> Self {
        let mut pad = Random::new(&[number, 0x646f_6d65]);
        let mut dip = Random::new(&[u64::from(variation.grain), number, 0x7061_6473]);
        let spread = variation.spread;
        let mut mixed = |reach: f32| 0.7 * pad.within(reach) + 0.3 * spread * dip.within(reach);
        let uneven = if finish == PadFinish::Tin { 1.0 } else { 0.3 };
        Self {
            sheen: 1.0 + uneven * mixed(0.2),
            height: uneven * (0.375 + mixed(0.225)),
            lean: (uneven * mixed(0.12), uneven * mixed(0.12)),
            blobs: [(); 2].map(|()| (mixed(0.7), mixed(0.7), uneven * mixed(0.5))),
            brushed: 0.03 + 0.03 * uneven,
        }
    }

    /// Lean at a place that is given in radii from the middle.
    fn lean_at(&self, x: f32, y: f32) -> (f32, f32) {
        let far2 = (x * x + y * y).min(1.7);
        let mut lean = (self.height * far2 * x + self.lean.0, self.height * far2 * y + self.lean.1);
        for &(at_x, at_y, strength) in &self.blobs {
            let (dx, dy) = (x - at_x, y - at_y);
            // A hump that fades to nothing half a radius away.
            let near = (1.0 - 4.0 * (dx * dx + dy * dy)).max(0.0);
            lean.0 += strength * near * dx * 4.0;
            lean.1 += strength * near * dy * 4.0;
        }
        lean
    }
}

/// Covers all open pads with metal.
pub(super) fn finish_pads(
    pads: &[Pad],
    finish: PadFinish,
    variation: &Variation,
    size: (usize, usize),
) -> PadRelief {
    let pixels = size.0 * size.1;
    let mut relief = PadRelief { sheen: vec![128; pixels], lean: vec![[0; 2]; pixels] };
    let seed = variation.grain;
    for (number, pad) in (0..).zip(pads).filter(|(_, pad)| pad.open) {
        let dome = Dome::draw(finish, number, variation);
        let ((at_x, at_y), radius) = (pad.land.centre(), pad.land.inner_radius());
        for_each_pixel(pad.land.grown_by(4.0).pixel_area(), size, |x, y, index| {
            let (dx, dy) = ((x - at_x) / radius, (y - at_y) / radius);
            let lean = dome.lean_at(dx.clamp(-1.3, 1.3), dy.clamp(-1.3, 1.3));
            let (x, y) = (x as i32, y as i32);
            let brushed = |lean: f32, seed: u32| {
                let rough = patch_grain(seed, x, y, 3) + 0.4 * pixel_grain(seed, x, y);
                ((lean + dome.brushed * rough) * 127.0).clamp(-127.0, 127.0) as i8
            };
            let stains = 0.12 * variation.spread;
            let stained =
                1.0 + stains * patch_grain(seed, x, y, 7) + 0.05 * pixel_grain(seed, x, y);
            relief.sheen[index] = (128.0 * dome.sheen * stained).clamp(0.0, 255.0) as u8;
            relief.lean[index] = [brushed(lean.0, seed ^ 1), brushed(lean.1, seed ^ 2)];
        });
    }
    relief
}
