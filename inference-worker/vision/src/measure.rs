//! Measuring a field: by how much each part of the golden sample is shifted in the test picture.
//!
//! A field bends only as far as wide areas of the picture agree on: what a few tiles tell against their
//! surroundings is a difference, not a bend. Were it otherwise, the field would follow a missing or
//! moved trace and heal the very defect that is looked for. So an affine offset is fitted first, then a
//! bend that is stiff, and tiles are measured again around what was found. A tile far from what the
//! others agree on loses its weight (iteratively reweighted least squares with the weight of Geman and
//! McClure, 1985).
//!
//! The affine offset has six unknowns and is solved directly. The bend has two unknowns per tile and is
//! solved by conjugate gradients (Hestenes and Stiefel, 1952) on the grid of tiles, held together by the
//! bending energy of a thin plate (Duchon, 1977), discretised by second differences. All offsets are in
//! pixels, positions in pixels from the picture's middle.

use super::binary_image::BinaryImage;
use super::field::{AffineOffset, OffsetField};
use super::tile::{self, MeasuredTile};

/// The residuals, in pixels, at which a tile keeps a quarter of its weight, one fit after the other.
/// The first is wide, so that a fit that begins wrong is pulled to most tiles; the last is as narrow as
/// edges are rough (graduated non-convexity, Blake and Zisserman, 1987).
const RESIDUAL_SCALES: [f32; 4] = [6.0, 3.0, 2.0, 1.5];
/// Changes below this are of no account, in pixels: the golden sample is warped by whole pixels.
const OFFSET_CHANGE_MIN: f32 = 0.5;
/// Times that the growth, then the bend, is measured anew.
const ROUNDS_MAX: usize = 2;

/// Unit of length in the affine equations, pixels: with positions near 1 the six equations have
/// coefficients of one magnitude, so that elimination in 32 bits loses nothing.
const LENGTH_UNIT: f32 = 100.0;
/// How firmly the growth is held near none, in the unit of a tile's weight: a picture with structure
/// in one corner only must not be thought turned or stretched.
const GROWTH_STIFFNESS: f32 = 40.0;
/// How firmly the shift is held where it is, in the same unit: it keeps the equations definite when no
/// tile tells anything along one axis.
const SHIFT_STIFFNESS: f32 = 2.0;
/// Resistance to bending, in the same unit: bends shorter than some five tiles are resisted.
const BENDING_STIFFNESS: f32 = 24.0;
/// Resistance to any departure from the affine offset, in the same unit: where no tile tells anything
/// the field returns to it.
const DEPARTURE_STIFFNESS: f32 = 0.6;
/// Most steps of the solver; it stops earlier when little is left.
const SOLVER_STEPS_MAX: usize = 40;
/// What is left then: the squared residual relative to that of the right-hand side.
const RESIDUAL_MIN: f32 = 1e-4;

/// Measures how the golden sample lies in the test picture, from a first guess.
///
/// Tiles look only a few pixels around what is known of them. So they are measured, the field is fitted,
/// and they are measured again around it, until nothing moves; the affine part comes first, because it
/// carries the tiles at the border, which a turn moves most, into their reach.
pub(super) fn measure_field(
    test: &BinaryImage,
    golden: &BinaryImage,
    guess: &AffineOffset,
) -> OffsetField {
    let mut affine = *guess;
    let mut field = OffsetField::from_affine(&affine, test.size());
    let mut tiles = tile::measure_tiles(test, golden, &field);
    for _ in 0..ROUNDS_MAX {
        affine = fit_growth(&tiles, &field, &affine);
        let next = OffsetField::from_affine(&affine, test.size());
        if largest_change(&field, &next) < OFFSET_CHANGE_MIN {
            break;
        }
        field = next;
        tiles = tile::measure_tiles(test, golden, &field);
    }
    for _ in 0..ROUNDS_MAX {
        let next = fit_bending(&tiles, &field, &affine);
        let change = largest_change(&field, &next);
        field = next;
        if change < OFFSET_CHANGE_MIN {
            break;
        }
        tiles = tile::measure_tiles(test, golden, &field);
    }
    field
}

pub(super) fn largest_change(a: &OffsetField, b: &OffsetField) -> f32 {
    let apart = |(a, b): (&[f32; 2], &[f32; 2])| (a[0] - b[0]).abs().max((a[1] - b[1]).abs());
    a.nodes.iter().zip(&b.nodes).map(apart).fold(0.0, f32::max)
}

/// The affine offset that most tiles agree on.
fn fit_growth(
    tiles: &[Option<MeasuredTile>],
    field: &OffsetField,
    before: &AffineOffset,
) -> AffineOffset {
    let mut affine = *before;
    for residual_scale in RESIDUAL_SCALES {
        affine = fit_affine(tiles, field, &affine, residual_scale);
    }
    affine
}

/// The field that follows what neighbouring tiles agree on beyond the affine offset.
fn fit_bending(
    tiles: &[Option<MeasuredTile>],
    field: &OffsetField,
    affine: &AffineOffset,
) -> OffsetField {
    let even: Vec<[f32; 2]> = (0..field.nodes.len())
        .map(|node| {
            let (x, y) = field.node_position(node);
            affine.offset_at(x, y)
        })
        .collect();
    let mut next = field.clone();
    for residual_scale in RESIDUAL_SCALES {
        fit_plate(tiles, field, &even, residual_scale, &mut next);
    }
    next
}

/// The part of its weight that a tile keeps at a residual, both in pixels, 0 to 1: a quarter at
/// `residual_scale`. It falls with the fourth power, so that a tile over a defect soon counts nothing.
fn robust_weight(residual: f32, residual_scale: f32) -> f32 {
    let ratio = residual / residual_scale;
    let kept = 1.0 / (1.0 + ratio * ratio);
    kept * kept
}

/// The tiles that could be measured: their node, their own offset, and their weight `[xx, yy, xy]` as it
/// counts when the offsets are `now`.
fn weigh_tiles<'a>(
    tiles: &'a [Option<MeasuredTile>],
    field: &'a OffsetField,
    now: impl Fn(usize) -> [f32; 2] + 'a,
    residual_scale: f32,
) -> impl Iterator<Item = (usize, [f32; 2], [f32; 3])> + 'a {
    tiles.iter().enumerate().filter_map(move |(node, tile)| {
        let tile = tile.as_ref()?;
        let (now, base) = (now(node), field.nodes[node]);
        let kept =
            robust_weight(tile.residual([now[0] - base[0], now[1] - base[1]]), residual_scale);
        let target = [base[0] + tile.correction[0], base[1] + tile.correction[1]];
        Some((node, target, tile.weight.map(|weight| weight * kept)))
    })
}

/// The affine offset that fits the tiles best, where those far from `now` count little.
///
/// Minimises `Σ (A p - o)ᵀ W (A p - o)` over the tiles at positions `p` with offsets `o` and weights `W`,
/// plus the two stiffnesses; the matrix holds its normal equations, right-hand side in column 6.
pub(super) fn fit_affine(
    tiles: &[Option<MeasuredTile>],
    field: &OffsetField,
    now: &AffineOffset,
    residual_scale: f32,
) -> AffineOffset {
    let mut matrix = [[0.0_f32; 7]; 6];
    let place = |node: usize| field.node_position(node);
    let at = |node: usize| {
        let (x, y) = place(node);
        now.offset_at(x, y)
    };
    for (node, target, [xx, yy, xy]) in weigh_tiles(tiles, field, at, residual_scale) {
        let (x, y) = place(node);
        let terms = [1.0, x / LENGTH_UNIT, y / LENGTH_UNIT];
        let (pull_x, pull_y) = (xx * target[0] + xy * target[1], xy * target[0] + yy * target[1]);
        for (i, a) in terms.into_iter().enumerate() {
            for (j, b) in terms.into_iter().enumerate() {
                matrix[i][j] += xx * a * b;
                matrix[i][j + 3] += xy * a * b;
                matrix[i + 3][j] += xy * a * b;
                matrix[i + 3][j + 3] += yy * a * b;
            }
            matrix[i][6] += pull_x * a;
            matrix[i + 3][6] += pull_y * a;
        }
    }
    for (axis, shift) in [(0, now.x[0]), (3, now.y[0])] {
        matrix[axis][axis] += SHIFT_STIFFNESS;
        matrix[axis][6] += SHIFT_STIFFNESS * shift;
        matrix[axis + 1][axis + 1] += GROWTH_STIFFNESS;
        matrix[axis + 2][axis + 2] += GROWTH_STIFFNESS;
    }
    let [x, right, down, y, right_y, down_y] = solve_linear(matrix);
    AffineOffset {
        x: [x, right / LENGTH_UNIT, down / LENGTH_UNIT],
        y: [y, right_y / LENGTH_UNIT, down_y / LENGTH_UNIT],
    }
}

/// Solves the equations, whose right-hand side is the last column, by elimination (Gauss and Jordan). No pivot is looked for: the stiffnesses make
/// the matrix positive definite, and then the diagonal is safe.
pub(super) fn solve_linear<const UNKNOWNS: usize, const COLUMNS: usize>(
    mut matrix: [[f32; COLUMNS]; UNKNOWNS],
) -> [f32; UNKNOWNS] {
    for pivot in 0..UNKNOWNS {
        let source = matrix[pivot];
        for (row, cells) in matrix.iter_mut().enumerate() {
            if row != pivot {
                let factor = cells[pivot] / source[pivot];
                for (cell, value) in cells.iter_mut().zip(source) {
                    *cell -= factor * value;
                }
            }
        }
    }
    std::array::from_fn(|index| matrix[index][UNKNOWNS] / matrix[index][index])
}

/// Bends `next` towards the tiles' own offsets, where those far from it count little; `even` is the
/// affine offset at every node, which it is held to.
///
/// What is solved for is the departure from `even`, which is near zero almost everywhere: conjugate
/// gradients that start at the departure so far need few steps.
pub(super) fn fit_plate(
    tiles: &[Option<MeasuredTile>],
    field: &OffsetField,
    even: &[[f32; 2]],
    residual_scale: f32,
    next: &mut OffsetField,
) {
    let count = even.len();
    let mut weight = vec![[0.0; 3]; count];
    let mut pull = vec![[0.0; 2]; count];
    for (node, target, [xx, yy, xy]) in
        weigh_tiles(tiles, field, |node| next.nodes[node], residual_scale)
    {
        let [x, y] = [target[0] - even[node][0], target[1] - even[node][1]];
        weight[node] = [xx, yy, xy];
        pull[node] = [xx * x + xy * y, xy * x + yy * y];
    }
    let plate = Plate { columns: field.columns, rows: field.rows, weight };
    let mut bend: Vec<[f32; 2]> =
        next.nodes.iter().zip(even).map(|(a, b)| [a[0] - b[0], a[1] - b[1]]).collect();
    plate.solve_conjugate_gradients(&pull, &mut bend);
    for ((node, even), bend) in next.nodes.iter_mut().zip(even).zip(bend) {
        *node = [even[0] + bend[0], even[1] + bend[1]];
    }
}

/// The equations of a bend, `(W + K) b = f`: the tiles' weights on the diagonal, the plate's stiffness
/// between neighbours. The matrix is never built; only its product with a vector is needed.
struct Plate {
    columns: usize,
    rows: usize,
    weight: Vec<[f32; 3]>,
}

impl Plate {
    /// The matrix times `bend`: what the plate and the tiles answer to it.
    fn apply_stiffness(&self, bend: &[[f32; 2]], force: &mut [[f32; 2]]) {
        for ((force, bend), [xx, yy, xy]) in force.iter_mut().zip(bend).zip(&self.weight) {
            *force = [
                (xx + DEPARTURE_STIFFNESS) * bend[0] + xy * bend[1],
                xy * bend[0] + (yy + DEPARTURE_STIFFNESS) * bend[1],
            ];
        }
        // The energy of a thin plate is the sum of its squared second derivatives, `xx² + yy² + 2 xy²`;
        // on the grid each is a difference of three or four nodes, and its gradient comes back to them.
        for row in 0..self.rows {
            for column in 0..self.columns {
                let node = row * self.columns + column;
                let below = node + self.columns;
                if column + 2 < self.columns {
                    resist_line(bend, force, [node, node + 1, node + 2]);
                }
                if row + 2 < self.rows {
                    resist_line(bend, force, [node, below, below + self.columns]);
                }
                if column + 1 < self.columns && row + 1 < self.rows {
                    resist_square(bend, force, [node, node + 1, below, below + 1]);
                }
            }
        }
    }

    /// Conjugate gradients from `bend` on, towards the bend that answers with `pull`. The matrix is
    /// symmetric and positive definite, which the method needs.
    fn solve_conjugate_gradients(&self, pull: &[[f32; 2]], bend: &mut [[f32; 2]]) {
        let dot = |a: &[[f32; 2]], b: &[[f32; 2]]| -> f32 {
            a.iter().zip(b).map(|(a, b)| a[0] * b[0] + a[1] * b[1]).sum()
        };
        let add = |to: &mut [[f32; 2]], from: &[[f32; 2]], part: f32| {
            for (to, from) in to.iter_mut().zip(from) {
                *to = [to[0] + part * from[0], to[1] + part * from[1]];
            }
        };
        let mut force = vec![[0.0; 2]; bend.len()];
        self.apply_stiffness(bend, &mut force);
        let mut left = pull.to_vec();
        add(&mut left, &force, -1.0);
        let mut way = left.clone();
        let mut size = dot(&left, &left);
        let enough = RESIDUAL_MIN * dot(pull, pull).max(1.0);
        for _ in 0..SOLVER_STEPS_MAX {
            if size <= enough {
                break;
            }
            self.apply_stiffness(&way, &mut force);
            let step = size / dot(&way, &force);
            add(bend, &way, step);
            add(&mut left, &force, -step);
            let next = dot(&left, &left);
            for (way, left) in way.iter_mut().zip(&left) {
                *way = [left[0] + next / size * way[0], left[1] + next / size * way[1]];
            }
            size = next;
        }
    }
}

/// What three nodes in a line answer to being bent.
#[inline]
fn resist_line(bend: &[[f32; 2]], force: &mut [[f32; 2]], [a, b, c]: [usize; 3]) {
    for axis in 0..2 {
        let bent = bend[a][axis] - 2.0 * bend[b][axis] + bend[c][axis];
        force[a][axis] += BENDING_STIFFNESS * bent;
        force[b][axis] -= 2.0 * BENDING_STIFFNESS * bent;
        force[c][axis] += BENDING_STIFFNESS * bent;
    }
}

/// What four nodes in a square answer to being twisted.
#[inline]
fn resist_square(bend: &[[f32; 2]], force: &mut [[f32; 2]], [a, b, c, d]: [usize; 4]) {
    for axis in 0..2 {
        let bent = bend[a][axis] - bend[b][axis] - bend[c][axis] + bend[d][axis];
        let answer = 2.0 * BENDING_STIFFNESS * bent;
        force[a][axis] += answer;
        force[b][axis] -= answer;
        force[c][axis] -= answer;
        force[d][axis] += answer;
    }
}
