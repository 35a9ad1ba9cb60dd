//! Dust and fibres: they lie on a piece, and elsewhere on another one.

use crate::random::Random;

use super::layer::Layer;
use super::outline::Outline;

/// Specks, and a third as many fibres, `per_megapixel` on average.
pub(super) fn scatter_dust(
    per_megapixel: u32,
    (width, height): (usize, usize),
    random: &mut Random,
) -> Layer {
    let mut dust = Layer::new(width, height);
    let most = (width * height) as f32 / 1e6 * per_megapixel as f32;
    let place =
        |random: &mut Random| (random.fraction() * width as f32, random.fraction() * height as f32);
    for _ in 0..(most + random.fraction()) as u32 {
        let (x, y) = place(random);
        let speck = Outline::Disc { x, y, radius: 0.8 + 1.4 * random.fraction() };
        lay_thin(&mut dust, &speck, 60 + (random.fraction() * 80.0) as u8);
    }
    for _ in 0..(most / 3.0 + random.fraction()) as u32 {
        let shade = 50 + (random.fraction() * 60.0) as u8;
        let (mut from, mut heading) = (place(random), random.within(std::f32::consts::PI));
        let curl = random.within(0.5);
        for _ in 0..random.between(5, 12) {
            heading += curl + random.within(0.25);
            let to = (from.0 + 9.0 * heading.cos(), from.1 + 9.0 * heading.sin());
            lay_thin(&mut dust, &Outline::Line { from, to, width: 1.3 }, shade);
            from = to;
        }
    }
    dust
}

/// Lays something that lets through what lies under it.
fn lay_thin(dust: &mut Layer, outline: &Outline, shade: u8) {
    dust.lay_each(outline, |level, covered, _| {
        *level = (*level).max((u16::from(covered) * u16::from(shade) / 255) as u8);
    });
}
