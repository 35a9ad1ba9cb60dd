//! What differs from piece to piece although all are good.

use crate::random::Random;

/// How one piece deviates from the plan.
pub(super) struct Variation {
    /// Seeds all that is uneven.
    pub(super) grain: u32,
    /// How much pieces differ from each other; see `BoardStyle`.
    pub(super) spread: f32,
    /// Positive makes copper wider; 70 is about a pixel.
    pub(super) etch: f32,
    /// How rough edges are, same unit.
    pub(super) roughness: f32,
    /// Where the mask lies, pixels.
    pub(super) mask_shift: (f32, f32),
    /// How much wider its openings are, pixels.
    pub(super) mask_growth: f32,
    /// Where the print lies, pixels.
    pub(super) print_shift: (f32, f32),
    /// How much farther ink runs, pixels.
    pub(super) ink: f32,
    /// How far drills wander, pixels.
    pub(super) drill_wander: f32,
    /// The mask's colour against the usual one, per channel.
    pub(super) tint: [f32; 3],
}

impl Variation {
    pub(super) fn draw(spread: f32, random: &mut Random) -> Self {
        let mut off = |reach: f32| (random.within(reach * spread), random.within(reach * spread));
        let (mask_shift, print_shift) = (off(1.5), off(3.0));
        let (mask_growth, ink) = off(0.6);
        let (etch, shade) = (random.within(16.0 * spread), 1.0 + random.within(0.05 * spread));
        Self {
            grain: random.next() as u32,
            spread,
            etch,
            roughness: 16.0 + 20.0 * random.fraction(),
            mask_shift,
            mask_growth,
            print_shift,
            ink,
            drill_wander: 0.3 + spread * random.fraction(),
            tint: [0, 1, 2].map(|_| shade * (1.0 + random.within(0.02 * spread))),
        }
    }
}
