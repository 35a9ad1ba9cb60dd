//! One shot: how the piece lies, where the lamp stands, how the camera sees.

use crate::random::Random;

use super::lamp::Lamp;
use super::lens::Lens;

/// How far beside the middle the lamp stands, in half diagonals.
const ASIDE: f32 = 2.0;

/// How a photograph is taken. A station shoots its golden sample and every piece nearly alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shot {
    /// Shift of the board in pixels to the right and down.
    pub shift: (f32, f32),
    /// Turn of the board in degrees, clockwise.
    pub turn: f32,
    /// Magnification.
    pub zoom: f32,
    /// How much farther away the right and the lower edge are, in parts.
    pub tilt: (f32, f32),
    /// Barrel distortion of the lens at the corners, in parts.
    pub distortion: f32,
    /// Direction of the lamp in degrees, clockwise from the right.
    pub lamp_turn: f32,
    /// Height of the lamp over the board, in half diagonals; it stands two of them aside.
    pub lamp_height: f32,
    /// Light times exposure time; 1 shows white paper as white.
    pub exposure: f32,
    /// The light's colour, per channel.
    pub balance: [f32; 3],
    /// Share of the light that the corners lose, 0 to 1.
    pub vignetting: f32,
    /// Standard deviation of the optics' blur in pixels.
    pub blur: f32,
    /// Standard deviation of the noise at half brightness, in parts of the full scale.
    pub noise: f32,
    /// Seeds the noise.
    pub seed: u64,
}

impl Shot {
    /// The shot of the golden sample at the station of this seed.
    #[must_use]
    pub fn for_station(station: u64) -> Self {
        let mut random = Random::new(&[station, 0x7374_6174]);
        Self {
            shift: (0.0, 0.0),
            turn: 0.0,
            zoom: 1.0,
            tilt: (0.0, 0.0),
            distortion: 0.004 * random.fraction(),
            lamp_turn: random.within(180.0),
            lamp_height: 2.2 + 1.2 * random.fraction(),
            exposure: 0.9 + random.within(0.08),
            balance: [1.0 + random.within(0.05), 1.0, 1.0 + random.within(0.05)],
            vignetting: 0.05 + 0.2 * random.fraction(),
            blur: 0.7 + random.within(0.15),
            noise: 0.006 + 0.004 * random.fraction(),
            seed: station,
        }
    }

    /// Another shot at the same station. With a `reach` of 1 the board lies up to 8 pixels and 0.4
    /// degrees off, and the lamp up to 8 degrees; 2 is twice as far.
    #[must_use]
    pub fn repeated(&self, seed: u64, reach: f32) -> Self {
        let mut random = Random::new(&[self.seed, seed, 0x7368_6f74]);
        let mut off = |most: f32| random.within(most * reach);
        Self {
            shift: (self.shift.0 + off(8.0), self.shift.1 + off(8.0)),
            turn: self.turn + off(0.4),
            zoom: self.zoom * (1.0 + off(0.003)),
            tilt: (self.tilt.0 + off(0.001), self.tilt.1 + off(0.001)),
            distortion: self.distortion + off(0.0005),
            lamp_turn: self.lamp_turn + off(8.0),
            lamp_height: self.lamp_height * (1.0 + off(0.06)),
            exposure: self.exposure * (1.0 + off(0.08)),
            balance: self.balance.map(|channel| channel * (1.0 + off(0.02))),
            vignetting: (self.vignetting + off(0.05)).clamp(0.0, 0.6),
            blur: (self.blur + off(0.2)).max(0.4),
            noise: self.noise * (1.0 + off(0.2)),
            seed: random.next(),
        }
    }

    pub(super) fn lens(&self, (width, height): (u32, u32), bleed: usize) -> Lens {
        Lens {
            size: (width as f32, height as f32),
            bleed: bleed as f32,
            shift: self.shift,
            turn: self.turn.to_radians(),
            zoom: self.zoom,
            tilt: self.tilt,
            distortion: self.distortion,
        }
    }

    pub(super) fn lamp(&self) -> Lamp {
        let (sine, cosine) = self.lamp_turn.to_radians().sin_cos();
        Lamp {
            place: [ASIDE * cosine, ASIDE * sine, self.lamp_height],
            light: self.balance.map(|channel| channel * self.exposure),
        }
    }
}
