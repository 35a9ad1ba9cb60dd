//! Where each pixel of the golden sample lies in the test picture: an offset per node of a grid,
//! bilinear in between. A field bends only as far as wide areas of the picture agree on: what a few
//! tiles say against their surroundings is a difference, not a bend.

use super::bits::Bits;
use super::relax;
use super::tile::{self, TILE, Tile};

/// An offset that grows evenly over the picture: in its middle, per pixel to the right, per pixel
/// down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Affine {
    pub(super) x: [f32; 3],
    pub(super) y: [f32; 3],
}

impl Affine {
    pub(super) const fn shift(dx: f32, dy: f32) -> Self {
        Self { x: [dx, 0.0, 0.0], y: [dy, 0.0, 0.0] }
    }

    /// A turn by its tangent and a stretch along each axis.
    pub(super) const fn about_middle(turn: f32, stretch: (f32, f32)) -> Self {
        Self { x: [0.0, stretch.0, -turn], y: [0.0, turn, stretch.1] }
    }

    pub(super) fn moved(mut self, dx: f32, dy: f32) -> Self {
        self.x[0] += dx;
        self.y[0] += dy;
        self
    }

    /// The offset at a place given from the picture's middle, less the offset in the middle.
    pub(super) fn growth_at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x[1] * x + self.x[2] * y, self.y[1] * x + self.y[2] * y)
    }

    pub(super) fn at(&self, x: f32, y: f32) -> [f32; 2] {
        let (dx, dy) = self.growth_at(x, y);
        [self.x[0] + dx, self.y[0] + dy]
    }
}

/// Offsets at the middles of tiles of [`TILE`] pixels, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) columns: usize,
    pub(super) rows: usize,
    pub(super) nodes: Vec<[f32; 2]>,
    size: (usize, usize),
}

impl Field {
    /// The field of an even growth over a picture of the size of `bits`.
    pub(super) fn of(affine: &Affine, bits: &Bits) -> Self {
        let (columns, rows) = (bits.width.div_ceil(TILE), bits.height.div_ceil(TILE));
        let mut field = Self { columns, rows, nodes: Vec::new(), size: (bits.width, bits.height) };
        field.nodes = (0..columns * rows)
            .map(|node| {
                let (x, y) = field.beside_middle(node);
                affine.at(x, y)
            })
            .collect();
        field
    }

    /// Where a node lies, from the picture's middle.
    pub(super) fn beside_middle(&self, node: usize) -> (f32, f32) {
        let place =
            |index: usize, length: usize| (index * TILE + TILE / 2) as f32 - length as f32 / 2.0;
        (place(node % self.columns, self.size.0), place(node / self.columns, self.size.1))
    }

    /// Offsets along the row of pixels `y`, at the nodes' columns.
    pub(super) fn along(&self, y: usize, offsets: &mut Vec<[f32; 2]>) {
        let (row, within) = between(y as f32, self.rows);
        let next = (row + 1).min(self.rows - 1);
        let (upper, lower) =
            (&self.nodes[row * self.columns..], &self.nodes[next * self.columns..]);
        let blend = |(a, b): (&[f32; 2], &[f32; 2])| lerp(*a, *b, within);
        offsets.clear();
        offsets.extend(upper.iter().zip(lower).take(self.columns).map(blend));
    }

    /// The even growth from border to border.
    pub(super) fn even(&self) -> Affine {
        let (width, height) = (self.size.0 as f32, self.size.1 as f32);
        let mut row = Vec::new();
        let mut at = |x: f32, y: f32| {
            self.along(y as usize, &mut row);
            at_column(&row, x)
        };
        let [left, right] = [at(0.0, height / 2.0), at(width, height / 2.0)];
        let [top, bottom] = [at(width / 2.0, 0.0), at(width / 2.0, height)];
        let middle = at(width / 2.0, height / 2.0);
        let axis =
            |i: usize| [middle[i], (right[i] - left[i]) / width, (bottom[i] - top[i]) / height];
        Affine { x: axis(0), y: axis(1) }
    }

    /// By how much offsets differ at most along either axis, pixels.
    pub(super) fn spread(&self) -> f32 {
        let along = |axis: usize| {
            let offsets = self.nodes.iter().map(|node| node[axis]);
            offsets.clone().fold(f32::MIN, f32::max) - offsets.fold(f32::MAX, f32::min)
        };
        along(0).max(along(1))
    }

    /// Offset in the picture's middle.
    pub(super) fn middle(&self) -> [f32; 2] {
        let mut row = Vec::new();
        self.along(self.size.1 / 2, &mut row);
        at_column(&row, (self.size.0 / 2) as f32)
    }
}

fn lerp(a: [f32; 2], b: [f32; 2], t: f32) -> [f32; 2] {
    [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t]
}

/// The node before a place and how far it is to the next; beyond the outer nodes, offsets go on
/// growing.
fn between(place: f32, nodes: usize) -> (usize, f32) {
    let at = (place - TILE as f32 / 2.0) / TILE as f32;
    let node = at.floor().clamp(0.0, nodes.saturating_sub(2) as f32);
    (node as usize, at - node)
}

/// The offset in column `x` of a row of nodes.
pub(super) fn at_column(row: &[[f32; 2]], x: f32) -> [f32; 2] {
    let (node, within) = between(x, row.len());
    lerp(row[node], row[(node + 1).min(row.len() - 1)], within)
}

/// How the residual that halves a tile's say shrinks, in pixels, while a field is fitted.
const SCEPTICAL: [f32; 4] = [6.0, 3.0, 2.0, 1.5];
/// Offsets below this are of no account, in pixels.
const NEGLIGIBLE: f32 = 0.5;
/// Times that the growth, then the bend, is measured anew.
const ROUNDS: usize = 2;

/// Measures how the golden sample lies in the test picture, from a first guess.
pub(super) fn measure(test: &Bits, golden: &Bits, guess: &Affine) -> Field {
    let mut affine = *guess;
    let mut field = Field::of(&affine, test);
    let mut tiles = tile::measure(test, golden, &field);
    for _ in 0..ROUNDS {
        affine = grown(&tiles, &field, &affine);
        let next = Field::of(&affine, test);
        if farthest(&field, &next) < NEGLIGIBLE {
            break;
        }
        field = next;
        tiles = tile::measure(test, golden, &field);
    }
    for _ in 0..ROUNDS {
        let next = bent(&tiles, &field, &affine);
        let change = farthest(&field, &next);
        field = next;
        if change < NEGLIGIBLE {
            break;
        }
        tiles = tile::measure(test, golden, &field);
    }
    field
}

fn farthest(a: &Field, b: &Field) -> f32 {
    let apart = |(a, b): (&[f32; 2], &[f32; 2])| (a[0] - b[0]).abs().max((a[1] - b[1]).abs());
    a.nodes.iter().zip(&b.nodes).map(apart).fold(0.0, f32::max)
}

/// The even growth that most tiles agree on.
fn grown(tiles: &[Option<Tile>], field: &Field, before: &Affine) -> Affine {
    let mut affine = *before;
    for sceptical in SCEPTICAL {
        let next = relax::evenly(tiles, field, &affine, sceptical);
        affine = next;
    }
    affine
}

/// The field that follows what neighbouring tiles agree on beyond an even growth.
fn bent(tiles: &[Option<Tile>], field: &Field, affine: &Affine) -> Field {
    let even: Vec<[f32; 2]> = (0..field.nodes.len())
        .map(|node| {
            let (x, y) = field.beside_middle(node);
            affine.at(x, y)
        })
        .collect();
    let mut next = field.clone();
    for sceptical in SCEPTICAL {
        relax::bend(tiles, field, &even, sceptical, &mut next);
    }
    next
}
