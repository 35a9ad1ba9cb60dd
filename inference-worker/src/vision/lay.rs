//! Laying the golden sample over the test picture: beyond a shift, a slight turn or scale of the
//! picture is measured on a grid of tiles and followed, so that straight edges stay quiet all over
//! the board.

use super::bits::{Bits, span};

/// Side of a tile in pixels.
const TILE: usize = 128;
/// Farthest offset that a tile is tried at, in pixels around the shift of the whole.
const REACH: isize = 4;
/// The picture counts as turned or scaled when a corner is off by more than this, in pixels.
const NEGLIGIBLE: f32 = 0.6;
/// Farthest that a corner may be off, in pixels: more is not a slight turn but a wrong measurement.
const FARTHEST: f32 = 6.0;
/// Columns that share one offset when the golden sample is laid over.
const STEP: usize = 16;

/// Along the border the picture may show what the golden sample just does not; so many pixels there
/// are not compared.
const BAND: usize = 3;

/// Where each pixel of the golden sample lies in the test picture: an offset that may grow evenly
/// over the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Field {
    /// Offset to the right in the picture's middle, and its growth per pixel to the right and down.
    pub(super) x: [f32; 3],
    /// Offset downwards in the picture's middle, and its growth per pixel to the right and down.
    pub(super) y: [f32; 3],
}

impl Field {
    /// The same offset everywhere.
    pub(super) const fn shift(dx: isize, dy: isize) -> Self {
        Self { x: [dx as f32, 0.0, 0.0], y: [dy as f32, 0.0, 0.0] }
    }

    /// Offset in whole pixels at a place given from the picture's middle.
    fn at(&self, x: f32, y: f32) -> (isize, isize) {
        let offset = |axis: &[f32; 3]| (axis[0] + axis[1] * x + axis[2] * y).round() as isize;
        (offset(&self.x), offset(&self.y))
    }

    fn is_even(&self) -> bool {
        [self.x[1], self.x[2], self.y[1], self.y[2]].iter().all(|&growth| growth == 0.0)
    }
}

/// The golden sample as it lies in the test picture, and where it is known.
pub(super) struct Laid {
    pub(super) golden: Bits,
    pub(super) known: Bits,
}

/// Lays the golden sample over a picture of the same size. A band of [`BAND`] pixels along the
/// border of what is known counts as unknown.
pub(super) fn lay(golden: &Bits, field: &Field) -> Laid {
    let everywhere = Bits::full(golden.width, golden.height);
    let known = (0..BAND).fold(spread(&everywhere, field), |known, _| known.eroded());
    Laid { golden: spread(golden, field), known }
}

fn spread(from: &Bits, field: &Field) -> Bits {
    if field.is_even() {
        let (dx, dy) = field.at(0.0, 0.0);
        return from.moved(dx, dy);
    }
    let (middle_x, middle_y) = (from.width as f32 / 2.0, from.height as f32 / 2.0);
    Bits::build(from.width, from.height, |word, y| {
        (0..64 / STEP).fold(0, |bits, part| {
            let x = word * 64 + part * STEP;
            let centre = (x + STEP / 2) as f32 - middle_x;
            let (dx, dy) = field.at(centre, y as f32 - middle_y);
            let sample = from.window(x.cast_signed() - dx, y.cast_signed() - dy);
            bits | ((sample & ((1 << STEP) - 1)) << (part * STEP))
        })
    })
}

/// Refines a shift to a field; the plain shift when the picture is neither turned nor scaled to
/// speak of.
pub(super) fn refine(test: &Bits, golden: &Bits, dx: isize, dy: isize) -> Field {
    let mut tiles = Vec::new();
    for top in (0..test.height).step_by(TILE) {
        for left in (0..test.width).step_by(TILE) {
            tiles.extend(measure(test, golden, (left, top), (dx, dy)));
        }
    }
    let (width, height) = (test.width as f32, test.height as f32);
    let x = fit(&tiles, |tile| tile.x);
    let y = fit(&tiles, |tile| tile.y);
    let far = |axis: &[f32; 3]| {
        axis[0].abs() + axis[1].abs() * width / 2.0 + axis[2].abs() * height / 2.0
    };
    let worst = far(&x).max(far(&y));
    if !(NEGLIGIBLE..=FARTHEST).contains(&worst) {
        return Field::shift(dx, dy);
    }
    let field = Field { x: [x[0] + dx as f32, x[1], x[2]], y: [y[0] + dy as f32, y[1], y[2]] };
    let differing = |field: &Field| {
        let laid = lay(golden, field);
        let mut difference = test.difference(&laid.golden);
        difference.mask(&laid.known);
        difference.count() as f32 / laid.known.count().max(1) as f32
    };
    let plain = Field::shift(dx, dy);
    if differing(&field) < 0.95 * differing(&plain) { field } else { plain }
}

/// What a tile says about its own offset, beyond the shift of the whole.
struct Tile {
    /// Middle of the tile from the picture's middle, pixels.
    from_middle: (f32, f32),
    /// Offset to the right and how sure it is.
    x: (f32, f32),
    /// Offset downwards and how sure it is.
    y: (f32, f32),
}

fn measure(
    test: &Bits,
    golden: &Bits,
    (left, top): (usize, usize),
    (dx, dy): (isize, isize),
) -> Option<Tile> {
    let right = (left + TILE).min(test.width);
    let bottom = (top + TILE).min(test.height);
    let differing = |ox: isize, oy: isize| -> f32 {
        let mut count = 0;
        for y in (top..bottom).step_by(2) {
            let from = y.cast_signed() - dy - oy;
            for word in left / 64..right.div_ceil(64) {
                let sample = golden.window((word * 64).cast_signed() - dx - ox, from);
                let differing = (test.row(y)[word] ^ sample) & span(left, right, word);
                count += differing.count_ones();
            }
        }
        count as f32
    };
    // Downhill from the shift of the whole: within a few pixels, differences grow with the distance.
    let (mut ox, mut oy) = (0, 0);
    let mut least = differing(0, 0);
    loop {
        let around = [(ox - 1, oy), (ox + 1, oy), (ox, oy - 1), (ox, oy + 1)];
        let next = around.map(|(x, y)| (differing(x, y), x, y));
        let [first, ..] = next;
        let lower = |a: (f32, isize, isize), b: (f32, isize, isize)| if b.0 < a.0 { b } else { a };
        let (found, x, y) = next.into_iter().fold(first, lower);
        if found >= least {
            break;
        }
        (least, ox, oy) = (found, x, y);
        if ox.abs().max(oy.abs()) == REACH {
            return None;
        }
    }
    let here = differing(ox, oy);
    let axis = |before: f32, after: f32, at: isize| {
        let sure = (before.min(after) - here).max(0.0);
        let steep = before.max(after) - here;
        let within = if steep > 0.0 { (before - after) / (2.0 * steep) } else { 0.0 };
        (at as f32 + within, sure)
    };
    Some(Tile {
        from_middle: (
            (left + right) as f32 / 2.0 - test.width as f32 / 2.0,
            (top + bottom) as f32 / 2.0 - test.height as f32 / 2.0,
        ),
        x: axis(differing(ox - 1, oy), differing(ox + 1, oy), ox),
        y: axis(differing(ox, oy - 1), differing(ox, oy + 1), oy),
    })
}

/// Weighted least squares of an evenly growing offset; the growth is held near zero when little
/// speaks for it.
fn fit(tiles: &[Tile], axis: impl Fn(&Tile) -> (f32, f32)) -> [f32; 3] {
    let mut matrix = [[0.0_f64; 4]; 3];
    for tile in tiles {
        let (offset, sure) = axis(tile);
        let terms = [1.0, f64::from(tile.from_middle.0), f64::from(tile.from_middle.1)];
        for (row, &a) in matrix.iter_mut().zip(&terms) {
            for (cell, &b) in row.iter_mut().zip(&terms) {
                *cell += f64::from(sure) * a * b;
            }
            row[3] += f64::from(sure) * a * f64::from(offset);
        }
    }
    let hold = [20.0, 20.0 * 150.0 * 150.0, 20.0 * 150.0 * 150.0];
    for (index, hold) in hold.into_iter().enumerate() {
        matrix[index][index] += hold;
    }
    solve(matrix).map(|value| value as f32)
}

/// Solves three equations, positive definite by construction, by elimination.
fn solve(mut matrix: [[f64; 4]; 3]) -> [f64; 3] {
    for pivot in 0..3 {
        for row in 0..3 {
            if row != pivot {
                let factor = matrix[row][pivot] / matrix[pivot][pivot];
                let source = matrix[pivot];
                for (cell, value) in matrix[row].iter_mut().zip(source) {
                    *cell -= factor * value;
                }
            }
        }
    }
    [0, 1, 2].map(|index| matrix[index][3] / matrix[index][index])
}
