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
    /// How the whole picture is stretched.
    pub(super) stretch: UnevenStretch,
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
    pub(super) fn blurred_from(layout: &Canvas) -> Self {
        let (width, height) = (layout.width, layout.height);
        let sharp: Vec<u8> = layout.cells().iter().map(|&c| if c { 255 } else { 0 }).collect();
        let side = usize::try_from(width).unwrap_or(1);
        let rows = blur_axis(&sharp, side, 1);
        let levels = blur_axis(&rows, side, side);
        Self { width, height, levels }
    }

    /// Bilinear sample at a position in 1/256 pixel; beyond the layout its border goes on.
    fn sample_bilinear(&self, (x, y): (i32, i32)) -> i32 {
        let (x, y) = (x.clamp(0, (self.width - 2) << 8), y.clamp(0, (self.height - 2) << 8));
        let (fx, fy) = (x & 255, y & 255);
        let index = usize::try_from((y >> 8) * self.width + (x >> 8)).unwrap_or(0);
        let side = usize::try_from(self.width).unwrap_or(1);
        let pair = |at: usize| match self.levels.get(at..at + 2) {
            Some(&[left, right]) => (i32::from(left), i32::from(right)),
            _ => (0, 0),
        };
        let (above, below) = (pair(index), pair(index + side));
        let sum = above.0 + above.1 + below.0 + below.1;
        if sum == 0 || sum == 4 * 255 {
            return sum / 4;
        }
        let blend = |(left, right): (i32, i32)| left * (256 - fx) + right * fx;
        (blend(above) * (256 - fy) + blend(below) * fy) >> 16
    }

    /// The same layout etched too long, or not long enough when `by` is negative: copper shrinks or
    /// grows by so many pixels, fewer where it would lose or join something.
    pub(super) fn etched(&self, by: i32) -> Option<Self> {
        (1..=by.abs()).rev().find_map(|reach| {
            let etched = self.spread_level(reach, by > 0);
            let back = etched.spread_level(reach, by < 0);
            let changed = |(a, b): (&u8, &u8)| (*a > 127) != (*b > 127);
            let lost = self.levels.iter().zip(&back.levels).filter(|&pair| changed(pair)).count();
            (lost <= self.levels.len() / 2000).then_some(etched)
        })
    }

    /// Every pixel takes the least level within `reach`, or the highest.
    fn spread_level(&self, reach: i32, least: bool) -> Self {
        let side = usize::try_from(self.width).unwrap_or(1);
        let pick = |a: u8, b: u8, c: u8| if least { a.min(b).min(c) } else { a.max(b).max(c) };
        let mut levels = self.levels.clone();
        for step in 0..reach {
            // A square and a cross in turn make an octagon.
            let before = levels.clone();
            for stride in [1, side] {
                let from = if step % 2 == 0 { levels.clone() } else { before.clone() };
                for index in side..levels.len().saturating_sub(side) {
                    let picked = pick(from[index - stride], from[index], from[index + stride]);
                    levels[index] =
                        if step % 2 == 0 { picked } else { pick(levels[index], picked, picked) };
                }
            }
        }
        Self { width: self.width, height: self.height, levels }
    }
}

fn blur_axis(levels: &[u8], side: usize, stride: usize) -> Vec<u8> {
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
pub(super) fn print_layout(
    density: &Density,
    size: i32,
    deviation: &Deviation,
    grain: u64,
) -> Canvas {
    let mut print = Canvas::new(size, size);
    let offsets = Offsets::from_deviation(deviation, size);
    let rough = Roughness::new(grain, size, deviation.roughness);
    let margin = ((density.width - size) / 2, (density.height - size) / 2);
    for y in 0..size {
        offsets.for_each_in_row(y, size, |x, (offset_x, offset_y)| {
            let at = (((x + margin.0) << 8) - offset_x, ((y + margin.1) << 8) - offset_y);
            let copper = match density.sample_bilinear(at) {
                // Noise never reaches what is plainly one or the other.
                0 => false,
                255 => true,
                level => level + rough.noise_at(x, y) > 127 + deviation.etch,
            };
            if copper {
                print.set(x, y, true);
            }
        });
    }
    print
}

/// How far the picture's content lies from where the layout has it, in 1/256 pixel, known at the
/// corners of small cells and even in between.
struct Offsets {
    across: usize,
    corners: Vec<(i32, i32)>,
}

/// Side of such a cell in pixels.
const CELL: i32 = 8;

impl Offsets {
    fn from_deviation(deviation: &Deviation, size: i32) -> Self {
        let cells = size / CELL + 2;
        let half = size / 2;
        let mut corners = Vec::new();
        for y in (0..cells).map(|row| row * CELL) {
            for x in (0..cells).map(|column| column * CELL) {
                let (from_x, from_y) = (x - half, y - half);
                let (push_x, push_y) = local_push(&deviation.warps, x, y);
                let (pull_x, pull_y) = deviation.stretch.offset_at(x, y, size);
                let turned_x = (from_x * deviation.zoom - from_y * deviation.turn) >> 8;
                let turned_y = (from_y * deviation.zoom + from_x * deviation.turn) >> 8;
                corners.push((
                    deviation.shift_x + push_x + pull_x - turned_x,
                    deviation.shift_y + push_y + pull_y - turned_y,
                ));
            }
        }
        Self { across: usize::try_from(cells).unwrap_or(1), corners }
    }

    /// Calls `see` with the offset of every pixel of a row.
    fn for_each_in_row(&self, y: i32, size: i32, mut see: impl FnMut(i32, (i32, i32))) {
        let row = usize::try_from(y / CELL).unwrap_or(0) * self.across;
        let down = y % CELL;
        let corner = |index: usize| {
            let (above, below) = (self.corners[index], self.corners[index + self.across]);
            let blend = |a: i32, b: i32| a * (CELL - down) + b * down;
            (blend(above.0, below.0), blend(above.1, below.1))
        };
        let mut left = corner(row);
        for (index, from) in (row..).zip((0..size).step_by(8)) {
            let right = corner(index + 1);
            for x in from..(from + CELL).min(size) {
                let along = x - from;
                let blend = |a: i32, b: i32| (a * (CELL - along) + b * along) >> 6;
                see(x, (blend(left.0, right.0), blend(left.1, right.1)));
            }
            left = right;
        }
    }
}

/// Control points of a stretch in each direction.
const POINTS: usize = 5;

/// An uneven stretch of the whole picture, as film and scanners have it: smooth, and of some pixels.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct UnevenStretch {
    points: [[(i32, i32); POINTS]; POINTS],
}

impl UnevenStretch {
    /// A random stretch of at most `reach`, in 1/256 pixel.
    pub(super) fn random_within(reach: i32, random: &mut Random) -> Self {
        let mut stretch = Self::default();
        if reach > 0 {
            let whole = (random.around_zero(reach), random.around_zero(reach));
            for point in stretch.points.iter_mut().flatten() {
                let own = (random.around_zero(reach), random.around_zero(reach));
                *point = ((own.0 + whole.0) / 2, (own.1 + whole.1) / 2);
            }
        }
        stretch
    }

    fn offset_at(&self, x: i32, y: i32, size: i32) -> (i32, i32) {
        let spans = i32::try_from(POINTS - 1).unwrap_or(1);
        let place = |at: i32| {
            let along = at.clamp(0, size) * spans * 256 / size.max(1);
            let cell = (along >> 8).min(spans - 1);
            (usize::try_from(cell).unwrap_or(0), along - (cell << 8))
        };
        let ((column, fx), (row, fy)) = (place(x), place(y));
        let blend = |axis: fn((i32, i32)) -> i32| {
            let value = |row: usize, column: usize| axis(self.points[row][column]);
            let above = value(row, column) * (256 - fx) + value(row, column + 1) * fx;
            let below = value(row + 1, column) * (256 - fx) + value(row + 1, column + 1) * fx;
            ((above >> 8) * (256 - fy) + (below >> 8) * fy) >> 8
        };
        (blend(|point| point.0), blend(|point| point.1))
    }
}

fn local_push(warps: &[Warp; 3], x: i32, y: i32) -> (i32, i32) {
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

    fn noise_at(&self, x: i32, y: i32) -> i32 {
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
