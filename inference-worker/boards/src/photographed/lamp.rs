//! The lamp: where it stands, and what comes back from a surface that it lights.

use super::surface::SurfacePoint;

/// A lamp beside the camera, and the room's even light. Places in half diagonals of the photograph.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lamp {
    /// Where it stands over the board: right, down, above.
    pub(super) place: [f32; 3],
    /// Its colour and strength.
    pub(super) light: [f32; 3],
}

/// Share of the light that comes from everywhere.
const AMBIENT: f32 = 0.55;
/// How much brighter a mirrored lamp is than white paper.
const GLARE: f32 = 1.3;

/// Light as it falls on one place.
pub(super) struct Ray {
    /// Towards the lamp.
    towards: [f32; 3],
    /// Between the lamp and the camera.
    halfway: [f32; 3],
    /// Against the middle of the board.
    strength: f32,
}

impl Lamp {
    /// What falls on a place, in half diagonals from the middle.
    pub(super) fn ray_at(&self, x: f32, y: f32) -> Ray {
        let [lamp_x, lamp_y, above] = self.place;
        let whole = lamp_x * lamp_x + lamp_y * lamp_y + above * above;
        let to = [lamp_x - x, lamp_y - y, above];
        let far2 = to[0] * to[0] + to[1] * to[1] + to[2] * to[2];
        let towards = to.map(|side| side / far2.sqrt());
        let half = [towards[0], towards[1], towards[2] + 1.0];
        let length = (half[0] * half[0] + half[1] * half[1] + half[2] * half[2]).sqrt();
        let strength = whole / far2 * (whole.sqrt() / above);
        Ray { towards, halfway: half.map(|side| side / length), strength }
    }
}

impl Ray {
    /// What a surface sends to the camera, per channel, white paper in even light being 1.
    pub(super) fn reflect(&self, albedo: [f32; 3], gloss: f32, lean: (f32, f32)) -> [f32; 3] {
        let length = (lean.0 * lean.0 + lean.1 * lean.1 + 1.0).sqrt();
        let facing = |to: &[f32; 3]| (to[0] * lean.0 + to[1] * lean.1 + to[2]) / length;
        let direct = facing(&self.towards).max(0.0) * self.strength * (1.0 - AMBIENT);
        // A lobe of exponent 64 by six squarings.
        let lobe = (0..6).fold(facing(&self.halfway).max(0.0), |lobe, _| lobe * lobe);
        let glare = gloss * lobe * GLARE * self.strength;
        albedo.map(|share| share * (AMBIENT + direct) + glare)
    }
}

/// Between pixels of a surface: the mean of four points by their shares.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BlendedPoint {
    pub(super) albedo: [f32; 3],
    pub(super) gloss: f32,
    pub(super) lean: (f32, f32),
    pub(super) hole: f32,
}

impl BlendedPoint {
    pub(super) fn add(&mut self, point: &SurfacePoint, share: f32) {
        for (sum, root) in self.albedo.iter_mut().zip(point.albedo) {
            let root = f32::from(root) / 255.0;
            *sum += root * root * share;
        }
        self.gloss += f32::from(point.gloss) / 255.0 * share;
        self.lean.0 += f32::from(point.lean[0]) / 127.0 * share;
        self.lean.1 += f32::from(point.lean[1]) / 127.0 * share;
        self.hole += f32::from(point.hole) / 255.0 * share;
    }
}
