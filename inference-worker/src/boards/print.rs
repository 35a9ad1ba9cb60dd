//! From a layout to a picture: a print is the layout seen through optics, etching and a scanner, so
//! two prints of one layout differ along every edge, lie a little apart, and may be slightly
//! turned.

use super::canvas::Canvas;
use super::random::Random;

/// How one print deviates from the layout. All integers, so that a seed means the same everywhere.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Deviation {
    /// Shift of the picture's content, 1/256 pixel.
    pub(super) shift_x: i32,
    /// Shift of the picture's content, 1/256 pixel.
    pub(super) shift_y: i32,
    /// Tangent of the turn, 1/65536.
    pub(super) turn: i32,
    /// Magnification less one, 1/65536.
    pub(super) zoom: i32,
    /// Threshold's offset: positive makes copper thinner. An edge is about 70 wide per pixel.
    pub(super) etch: i32,
    /// Amplitude of edge roughness, same unit.
    pub(super) roughness: i32,
    /// Places where the material is stretched by up to some pixels.
    pub(super) warps: [Warp; 3],
}

/// A local stretch: full in the middle, fading to nothing at `radius`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Warp {
    /// Centre, pixels of the picture.
    pub(super) x: i32,
    /// Centre, pixels of the picture.
    pub(super) y: i32,
    /// Reach in pixels; zero switches it off.
    pub(super) radius: i32,
    /// Shift in the middle, 1/256 pixel.
    pub(super) push_x: i32,
    /// Shift in the middle, 1/256 pixel.
    pub(super) push_y: i32,
}

/// The layout's optical density, 0 (substrate) to 255 (copper), blurred as by a lens.
pub(super) struct Density {
    width: i32,
    height: i32,
    levels: Vec<u8>,
}

impl Density {
    /// Blurs a layout with the binomial kernel 1-4-6-4-1 in both directions.
    pub(super) fn of(layout: &Canvas) -> Self {
        let (width, height) = (layout.width, layout.height);
        let sharp: Vec<u8> = layout.cells().iter().map(|&c| if c { 255 } else { 0 }).collect();
        let side = usize::try_from(width).unwrap_or(1);
        let rows = blur(&sharp, side, 1);
        let levels = blur(&rows, side, side);
        Self { width, height, levels }
    }

    fn level(&self, x: i32, y: i32) -> i32 {
        let (x, y) = (x.clamp(0, self.width - 1), y.clamp(0, self.height - 1));
        usize::try_from(y * self.width + x).map_or(0, |index| i32::from(self.levels[index]))
    }

    /// Bilinear sample at a position in 1/256 pixel.
    fn sample(&self, x: i32, y: i32) -> i32 {
        let (column, row) = (x >> 8, y >> 8);
        let (fx, fy) = (x & 255, y & 255);
        let blend = |a: i32, b: i32, f: i32| a * (256 - f) + b * f;
        let above = blend(self.level(column, row), self.level(column + 1, row), fx);
        let below = blend(self.level(column, row + 1), self.level(column + 1, row + 1), fx);
        blend(above, below, fy) >> 16
    }
}

fn blur(levels: &[u8], side: usize, stride: usize) -> Vec<u8> {
    let last = levels.len();
    let at = |index: usize, back: bool, steps: usize| -> u32 {
        let offset = stride * steps;
        let other = if back { index.checked_sub(offset) } else { Some(index + offset) };
        let same_row = |other: usize| stride != 1 || other / side == index / side;
        let index = other.filter(|&o| o < last && same_row(o)).unwrap_or(index);
        u32::from(levels[index])
    };
    (0..last)
        .map(|i| {
            let near = at(i, true, 1) + at(i, false, 1);
            let far = at(i, true, 2) + at(i, false, 2);
            u8::try_from((6 * at(i, true, 0) + 4 * near + far + 8) / 16).unwrap_or(255)
        })
        .collect()
}

/// Prints the middle `size` × `size` pixels of the layout with a deviation; `grain` seeds the
/// roughness.
pub(super) fn print(density: &Density, size: i32, deviation: &Deviation, grain: u64) -> Canvas {
    let mut print = Canvas::new(size, size);
    let (margin_x, margin_y) = ((density.width - size) / 2, (density.height - size) / 2);
    let half = size / 2;
    let rough = Roughness::new(grain, size, deviation.roughness);
    for y in 0..size {
        for x in 0..size {
            let (from_x, from_y) = (x - half, y - half);
            let (push_x, push_y) = pushed(&deviation.warps, x, y);
            let turned_x = (from_x * deviation.zoom - from_y * deviation.turn) >> 8;
            let turned_y = (from_y * deviation.zoom + from_x * deviation.turn) >> 8;
            let at_x = ((x + margin_x) << 8) + turned_x - deviation.shift_x - push_x;
            let at_y = ((y + margin_y) << 8) + turned_y - deviation.shift_y - push_y;
            let level = density.sample(at_x, at_y) + rough.at(x, y);
            if level > 127 + deviation.etch {
                print.set(x, y, true);
            }
        }
    }
    print
}

fn pushed(warps: &[Warp; 3], x: i32, y: i32) -> (i32, i32) {
    let mut push = (0, 0);
    for warp in warps.iter().filter(|warp| warp.radius > 0) {
        let far = (x - warp.x).abs().max((y - warp.y).abs());
        let weight = (warp.radius - far).clamp(0, warp.radius) * 256 / warp.radius;
        // A plateau in the middle, so that an edge moves as a whole.
        let weight = (weight * 2).min(256);
        push.0 += (warp.push_x * weight) >> 8;
        push.1 += (warp.push_y * weight) >> 8;
    }
    push
}

/// Noise of two grains: cells of several pixels, and single pixels.
struct Roughness {
    size: i32,
    cell: i32,
    coarse: Vec<i16>,
    fine: Vec<i16>,
}

impl Roughness {
    fn new(grain: u64, size: i32, amplitude: i32) -> Self {
        let mut random = Random::new(&[grain, 0x726f_7567]);
        let cell = random.between(3, 7);
        let across = size / cell + 1;
        let mut cells = |count: i32, amplitude: i32| -> Vec<i16> {
            let level = |_| i16::try_from(random.between(-amplitude, amplitude)).unwrap_or(0);
            (0..count).map(level).collect()
        };
        let coarse = cells(across * across, amplitude);
        let fine = cells(4096, amplitude / 3);
        Self { size, cell, coarse, fine }
    }

    fn at(&self, x: i32, y: i32) -> i32 {
        let across = self.size / self.cell + 1;
        let coarse = (y / self.cell) * across + x / self.cell;
        let fine = (y * 61 + x * 7 + (x * y) / 5) & 4095;
        let pick = |from: &[i16], index: i32| {
            usize::try_from(index)
                .ok()
                .and_then(|i| from.get(i))
                .map_or(0, |&level| i32::from(level))
        };
        pick(&self.coarse, coarse) + pick(&self.fine, fine)
    }
}
