//! The surface of a piece: all materials merged to what light meets, pixel by pixel.

use super::layer::Layer;
use super::mask::{coat_at, weave_at};
use super::pads::PadRelief;
use super::style::{BoardStyle, PadFinish};
use super::variation::Variation;

/// What light meets in one place.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SurfacePoint {
    /// Share of the light that is scattered, per channel; its root times 255.
    pub(super) albedo: [u8; 3],
    /// Share of the light that is mirrored, times 255.
    pub(super) gloss: u8,
    /// Where the surface leans: to the right and down, as tangents times 127.
    pub(super) lean: [i8; 2],
    /// How much of it is a hole, times 255.
    pub(super) hole: u8,
}

/// A piece as light meets it.
pub(super) struct Surface {
    pub(super) width: usize,
    pub(super) points: Vec<SurfacePoint>,
}

/// The materials of one piece; all layers of one size.
pub(super) struct Layers {
    pub(super) copper: Layer,
    pub(super) openings: Layer,
    pub(super) pads: PadRelief,
    pub(super) print: Layer,
    pub(super) holes: Layer,
    pub(super) dust: Layer,
}

/// A colour in linear light.
type Tone = [f32; 3];

const INK: Tone = [0.66, 0.68, 0.62];
const LAMINATE: Tone = [0.11, 0.095, 0.035];
const TIN: Tone = [0.27, 0.25, 0.23];
const GOLD: Tone = [0.50, 0.34, 0.10];
const LINT: Tone = [0.6, 0.6, 0.58];
const MASK_GLOSS: f32 = 0.05;
const METAL_GLOSS: f32 = 0.75;
const INK_GLOSS: f32 = 0.02;
/// Lean of the mask over the edge of copper, at the steepest.
const EDGE_LEAN: f32 = 0.8;

impl Layers {
    /// What lies on top of each other as one surface.
    pub(super) fn merge(&self, style: &BoardStyle, variation: &Variation) -> Surface {
        let linear = |tone: [u8; 3]| tone.map(|level| (f32::from(level) / 255.0).powf(2.2));
        let tones = style.mask.tones().map(linear);
        let metal = if style.finish == PadFinish::Tin { TIN } else { GOLD };
        let width = self.copper.width;
        let point = |index: usize| {
            let (x, y) = ((index % width) as i32, (index / width) as i32);
            let share = |layer: &Layer| f32::from(layer.levels[index]) / 255.0;
            let (copper, open, print) =
                (share(&self.copper), share(&self.openings), share(&self.print));
            let mut albedo = [0.0; 3];
            let (mut lean, mut gloss) = ([0; 2], 0.0);
            if open < 1.0 {
                let coat = 1.0 + coat_at(variation.grain, x, y);
                let weave = 1.0 + (1.0 - copper) * weave_at(variation.grain >> 1, x, y);
                albedo = mix(tones[1], tones[0], copper).map(|tone| tone * coat * weave);
                (0..3).for_each(|channel| albedo[channel] *= variation.tint[channel]);
                (lean, gloss) = (self.lean_over_edge(index), MASK_GLOSS);
            }
            if open > 0.0 {
                let sheen = f32::from(self.pads.sheen[index]) / 128.0;
                let bare = mix(LAMINATE, metal.map(|tone| tone * sheen), copper);
                albedo = mix(albedo, bare, open);
                gloss += (METAL_GLOSS * copper - gloss) * open;
                lean = if open * copper > 0.5 { self.pads.lean[index] } else { lean };
            }
            if print > 0.0 {
                (albedo, gloss) = (mix(albedo, INK, print), gloss + (INK_GLOSS - gloss) * print);
            }
            let dust = share(&self.dust);
            if dust > 0.0 {
                (albedo, gloss) = (mix(albedo, LINT, dust), gloss * (1.0 - dust));
            }
            SurfacePoint {
                albedo: albedo.map(|share| (share.clamp(0.0, 1.0).sqrt() * 255.0 + 0.5) as u8),
                gloss: (gloss * 255.0) as u8,
                lean,
                hole: self.holes.levels[index],
            }
        };
        Surface { width, points: (0..self.copper.levels.len()).map(point).collect() }
    }

    /// The mask runs down at the edges of copper.
    fn lean_over_edge(&self, index: usize) -> [i8; 2] {
        let levels = &self.copper.levels;
        let level = |index: usize| f32::from(levels.get(index).copied().unwrap_or(0));
        [1, self.copper.width].map(|step| {
            let drop = level(index.saturating_sub(step)) - level(index + step);
            (drop / 255.0 * EDGE_LEAN * 127.0) as i8
        })
    }
}

fn mix(from: Tone, to: Tone, share: f32) -> Tone {
    [0, 1, 2].map(|channel| from[channel] + (to[channel] - from[channel]) * share)
}
