//! Fitting offsets to what tiles say, sceptically: a tile far from what the others agree on loses its
//! say (iterated reweighting after Geman and McClure). An even growth is solved directly, a bend by
//! conjugate gradients on the grid, held by its resistance to bending as a thin plate is.

use super::field::{Affine, Field};
use super::tile::Tile;

/// Unit of length of the growth's equations, pixels; keeps them well conditioned.
const UNIT: f32 = 100.0;
/// How firmly the growth is held near none, in terms of tiles' say.
const HOLD_GROWTH: f32 = 40.0;
/// How firmly the shift is held where it is.
const HOLD_SHIFT: f32 = 2.0;
/// Resistance to bending, in terms of tiles' say: bends shorter than some five tiles are resisted.
const STIFF: f32 = 24.0;
/// Resistance to any departure from an even growth.
const HOLD: f32 = 0.6;
/// Steps of the solver; it stops when little is left.
const STEPS: usize = 40;
/// What is left then, relative to the start.
const LITTLE: f32 = 1e-4;

/// How much of its say a tile keeps at a residual.
fn trust(residual: f32, sceptical: f32) -> f32 {
    let ratio = residual / sceptical;
    let kept = 1.0 / (1.0 + ratio * ratio);
    kept * kept
}

/// Tiles that say something, their node, and their say as it counts at the offsets `now`.
fn heard<'a>(
    tiles: &'a [Option<Tile>],
    field: &'a Field,
    now: impl Fn(usize) -> [f32; 2] + 'a,
    sceptical: f32,
) -> impl Iterator<Item = (usize, [f32; 2], [f32; 3])> + 'a {
    tiles.iter().enumerate().filter_map(move |(node, tile)| {
        let tile = tile.as_ref()?;
        let (now, base) = (now(node), field.nodes[node]);
        let kept = trust(tile.residual([now[0] - base[0], now[1] - base[1]]), sceptical);
        let target = [base[0] + tile.beyond[0], base[1] + tile.beyond[1]];
        Some((node, target, tile.say.map(|say| say * kept)))
    })
}

/// The even growth that fits the tiles best, where those far from `now` count little.
pub(super) fn evenly(
    tiles: &[Option<Tile>],
    field: &Field,
    now: &Affine,
    sceptical: f32,
) -> Affine {
    let mut matrix = [[0.0_f32; 7]; 6];
    let place = |node: usize| field.beside_middle(node);
    let at = |node: usize| {
        let (x, y) = place(node);
        now.at(x, y)
    };
    for (node, target, [xx, yy, xy]) in heard(tiles, field, at, sceptical) {
        let (x, y) = place(node);
        let terms = [1.0, x / UNIT, y / UNIT];
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
        matrix[axis][axis] += HOLD_SHIFT;
        matrix[axis][6] += HOLD_SHIFT * shift;
        matrix[axis + 1][axis + 1] += HOLD_GROWTH;
        matrix[axis + 2][axis + 2] += HOLD_GROWTH;
    }
    let [x, right, down, y, right_y, down_y] = solve(matrix);
    Affine { x: [x, right / UNIT, down / UNIT], y: [y, right_y / UNIT, down_y / UNIT] }
}

/// Solves equations that are positive definite by construction, by elimination.
fn solve(mut matrix: [[f32; 7]; 6]) -> [f32; 6] {
    for pivot in 0..6 {
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
    [0, 1, 2, 3, 4, 5].map(|index| matrix[index][6] / matrix[index][index])
}

/// Bends `next` to what the tiles say, where those far from it count little; `even` is what it is
/// held to.
pub(super) fn bend(
    tiles: &[Option<Tile>],
    field: &Field,
    even: &[[f32; 2]],
    sceptical: f32,
    next: &mut Field,
) {
    let count = even.len();
    let mut say = vec![[0.0; 3]; count];
    let mut pull = vec![[0.0; 2]; count];
    for (node, target, [xx, yy, xy]) in heard(tiles, field, |node| next.nodes[node], sceptical) {
        let [x, y] = [target[0] - even[node][0], target[1] - even[node][1]];
        say[node] = [xx, yy, xy];
        pull[node] = [xx * x + xy * y, xy * x + yy * y];
    }
    let plate = Plate { columns: field.columns, rows: field.rows, say };
    let mut bend: Vec<[f32; 2]> =
        next.nodes.iter().zip(even).map(|(a, b)| [a[0] - b[0], a[1] - b[1]]).collect();
    plate.settle(&pull, &mut bend);
    for ((node, even), bend) in next.nodes.iter_mut().zip(even).zip(bend) {
        *node = [even[0] + bend[0], even[1] + bend[1]];
    }
}

/// The equations of a bend: tiles' say and the plate's stiffness.
struct Plate {
    columns: usize,
    rows: usize,
    say: Vec<[f32; 3]>,
}

impl Plate {
    /// What the plate answers to a bend.
    fn force(&self, bend: &[[f32; 2]], force: &mut [[f32; 2]]) {
        for ((force, bend), [xx, yy, xy]) in force.iter_mut().zip(bend).zip(&self.say) {
            *force = [(xx + HOLD) * bend[0] + xy * bend[1], xy * bend[0] + (yy + HOLD) * bend[1]];
        }
        let mut resist = |nodes: [(usize, f32); 4], stiff: f32| {
            for axis in 0..2 {
                let bent: f32 = nodes.iter().map(|&(node, part)| part * bend[node][axis]).sum();
                for (node, part) in nodes {
                    force[node][axis] += stiff * part * bent;
                }
            }
        };
        for row in 0..self.rows {
            for column in 0..self.columns {
                let node = row * self.columns + column;
                if column + 2 < self.columns {
                    resist([(node, 1.0), (node + 1, -2.0), (node + 2, 1.0), (node, 0.0)], STIFF);
                }
                if row + 2 < self.rows {
                    let (next, last) = (node + self.columns, node + 2 * self.columns);
                    resist([(node, 1.0), (next, -2.0), (last, 1.0), (node, 0.0)], STIFF);
                }
                if column + 1 < self.columns && row + 1 < self.rows {
                    let below = node + self.columns;
                    let corners = [(node, 1.0), (node + 1, -1.0), (below, -1.0), (below + 1, 1.0)];
                    resist(corners, 2.0 * STIFF);
                }
            }
        }
    }

    /// Conjugate gradients from `bend` on.
    fn settle(&self, pull: &[[f32; 2]], bend: &mut [[f32; 2]]) {
        let dot = |a: &[[f32; 2]], b: &[[f32; 2]]| -> f32 {
            a.iter().zip(b).map(|(a, b)| a[0] * b[0] + a[1] * b[1]).sum()
        };
        let add = |to: &mut [[f32; 2]], from: &[[f32; 2]], part: f32| {
            for (to, from) in to.iter_mut().zip(from) {
                *to = [to[0] + part * from[0], to[1] + part * from[1]];
            }
        };
        let mut force = vec![[0.0; 2]; bend.len()];
        self.force(bend, &mut force);
        let mut left = pull.to_vec();
        add(&mut left, &force, -1.0);
        let mut way = left.clone();
        let mut size = dot(&left, &left);
        let enough = LITTLE * dot(pull, pull).max(1.0);
        for _ in 0..STEPS {
            if size <= enough {
                break;
            }
            self.force(&way, &mut force);
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
