//! Photographs of bare boards that never were: copper under a solder mask, shiny pads, drilled
//! holes, print, dust, a lamp aside and a lens. For tests and training; no picture under inspection
//! passes here.
//!
//! Three things vary, each by a seed of its own: the part ([`PhotographedBoard`]), the piece
//! ([`BoardPiece`]: mask, print, metal, drills, edges and dust differ, the copper's connections do
//! not) and the shot ([`Shot`]: place, light, sharpness and noise).

use image::RgbImage;

use super::canvas::Area;
use super::manifest::LabelledBox;
use super::random::Random;
use super::signed;

mod dust;
mod flaws;
mod footprints;
mod grain;
mod holes;
mod lamp;
mod layer;
mod lens;
mod mask;
mod outline;
mod pads;
mod piece;
mod plan;
mod routes;
mod sensor;
mod set;
mod shot;
mod silk_screen;
mod style;
mod surface;
#[cfg(test)]
mod tests;
mod variation;

pub use set::{PhotographOptions, PhotographedUnits, write_photographs};
pub use shot::Shot;
pub use style::{Backdrop, BoardStyle, MaskColour, PadFinish};

use flaws::BoardFlaw;
use lamp::BlendedPoint;
use lens::Lens;
use plan::BoardPlan;
use sensor::Light;
use surface::Surface;

/// A part of which pieces are photographed.
pub struct PhotographedBoard {
    seed: u64,
    style: BoardStyle,
    plan: BoardPlan,
    /// The board reaches so many pixels beyond the photograph on every side.
    bleed: usize,
}

/// One physical piece of a part.
pub struct BoardPiece {
    style: BoardStyle,
    surface: Surface,
    flaws: Vec<BoardFlaw>,
    bleed: usize,
}

/// A photograph with the truth about it.
#[derive(Debug, Clone)]
pub struct Photograph {
    /// What the camera saw.
    pub picture: RgbImage,
    /// What is wrong, in its pixels; boxes reach [`super::LABEL_MARGIN`] beyond the flaw.
    pub labels: Vec<LabelledBox>,
}

impl PhotographedBoard {
    /// The part of this seed.
    #[must_use]
    pub fn new(seed: u64, style: BoardStyle) -> Self {
        let bleed = 32 + style.width.max(style.height) / 40;
        let side = |side: u32| signed(side + 2 * bleed);
        let mut random = Random::new(&[seed, 0x626f_6172]);
        let plan = BoardPlan::draw(side(style.width), side(style.height), &mut random);
        Self { seed, style, plan, bleed: bleed as usize }
    }

    /// The good piece of this number.
    #[must_use]
    pub fn piece(&self, number: u64) -> BoardPiece {
        self.make_piece(&self.plan, number, Vec::new())
    }

    /// The same piece with up to `count` flaws of this seed, fewer when it has no room for them.
    #[must_use]
    pub fn flawed_piece(&self, number: u64, flaws: u64, count: usize) -> BoardPiece {
        let mut random = Random::new(&[self.seed, flaws, 0x666c_6177]);
        let mut plan = self.plan.clone();
        let whole = Area { left: 0, top: 0, right: plan.copper.width, bottom: plan.copper.height };
        // As far from the photograph's border as a shot may shift it out.
        let margin = signed(self.style.width.max(self.style.height)) / 80 + 24;
        let inside = whole.grown_by(-(self.bleed as i32 + margin));
        let flaws = flaws::add_flaws(&mut plan, inside, count, &mut random);
        self.make_piece(&plan, number, flaws)
    }

    fn make_piece(&self, plan: &BoardPlan, number: u64, flaws: Vec<BoardFlaw>) -> BoardPiece {
        let seed = Random::new(&[self.seed, number]).next();
        let surface = piece::make_surface(plan, &self.style, seed);
        BoardPiece { style: self.style, surface, flaws, bleed: self.bleed }
    }
}

impl BoardPiece {
    /// A photograph of this piece.
    #[must_use]
    pub fn photograph(&self, shot: &Shot) -> Photograph {
        let lens = shot.lens((self.style.width, self.style.height), self.bleed);
        let mut light = self.collect_light(&lens, shot);
        light.blur(shot.blur);
        let mut random = Random::new(&[shot.seed, 0x6e6f_6973]);
        let picture = light.develop(shot.noise, &mut random);
        let labels = self.flaws.iter().filter_map(|flaw| flaws::label_flaw(flaw, &lens));
        Photograph { picture, labels: labels.collect() }
    }

    fn collect_light(&self, lens: &Lens, shot: &Shot) -> Light {
        let lamp = shot.lamp();
        let (width, height) = (self.style.width as usize, self.style.height as usize);
        let mut pixels = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let (x, y) = (x as f32, y as f32);
                let (out_x, out_y) = lens.offset_from_middle(x, y);
                let place = lens.board_place(x, y);
                let point = self.blend_at(place);
                let mut light =
                    lamp.ray_at(out_x, out_y).reflect(point.albedo, point.gloss, point.lean);
                if point.hole > 0.0 {
                    // The far end of a hole is seen shifted, the more the farther outside.
                    let far = (place.0 - DEPTH * out_x, place.1 - DEPTH * out_y);
                    let inside = self.look_into(self.blend_at(far).hole * point.hole);
                    light = light.map(|light| light + (inside - light) * point.hole);
                }
                let corner = 1.0 - shot.vignetting * (out_x * out_x + out_y * out_y);
                pixels.push([0, 1, 2].map(|at| light[at] * lamp.light[at] * corner));
            }
        }
        Light { width, pixels }
    }

    /// Light from a hole whose far end is open to this part.
    fn look_into(&self, open: f32) -> f32 {
        let behind = match self.style.backdrop {
            Backdrop::Dark => 0.012,
            Backdrop::Light => 0.55,
            Backdrop::Solder => return SOLDER,
        };
        WALL + (behind - WALL) * open
    }

    /// The surface between its pixels; beyond it the border goes on.
    fn blend_at(&self, (x, y): (f32, f32)) -> BlendedPoint {
        let Surface { width, points } = &self.surface;
        let height = points.len() / width;
        let x = x.clamp(0.0, (width - 2) as f32);
        let y = y.clamp(0.0, (height - 2) as f32);
        let (left, top) = (x as usize, y as usize);
        let (right, down) = (x - left as f32, y - top as f32);
        let index = top * width + left;
        let mut blended = BlendedPoint::default();
        for (corner, share) in [
            (index, (1.0 - right) * (1.0 - down)),
            (index + 1, right * (1.0 - down)),
            (index + width, (1.0 - right) * down),
            (index + width + 1, right * down),
        ] {
            blended.add(&points[corner], share);
        }
        blended
    }
}

/// How far the far end of a hole is shifted at the corners, in pixels.
const DEPTH: f32 = 9.0;
/// Brightness of a hole's wall.
const WALL: f32 = 0.05;
/// Brightness of solder in a hole.
const SOLDER: f32 = 0.8;
