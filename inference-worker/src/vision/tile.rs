//! What each tile of the picture says about its own offset, and in which directions it can tell: a
//! tile of diagonal traces knows how far it lies across them and nothing of how far along.

use super::bits::{Bits, span};
use super::field::Field;

/// Side of a tile in pixels: one word.
pub(super) const TILE: usize = 64;
/// Farthest offset that a tile is tried at, in pixels around what is known of it.
const REACH: isize = 6;
/// Fewer rows or columns that can be compared say nothing.
const LEAST: usize = 16;
/// Less than this many differing pixels per pixel of offset say nothing.
const FAINT: f32 = 12.0;
/// A tile with this many has half of the largest say.
const PLENTY: f32 = 200.0;

/// A tile's own offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tile {
    /// Offset to the right and down beyond that of the field it was measured from.
    pub(super) beyond: [f32; 2],
    /// Its say about offsets to the right, down, and both at once: a positive quadratic form.
    pub(super) say: [f32; 3],
}

impl Tile {
    /// How far an offset beyond the field's is from this tile's own, pixels, as far as the tile can
    /// tell.
    pub(super) fn residual(&self, offset: [f32; 2]) -> f32 {
        let [x, y] = [offset[0] - self.beyond[0], offset[1] - self.beyond[1]];
        let [xx, yy, xy] = self.say;
        ((xx * x * x + yy * y * y + 2.0 * xy * x * y) / (xx + yy)).max(0.0).sqrt()
    }
}

/// The tiles in the order of the field's nodes; none where there is nothing to tell by, or no offset
/// within reach that fits.
pub(super) fn measure(test: &Bits, golden: &Bits, field: &Field) -> Vec<Option<Tile>> {
    let tile = |(node, offset): (usize, &[f32; 2])| {
        let (column, row) = (node % field.columns, node / field.columns);
        let base = [offset[0].round() as isize, offset[1].round() as isize];
        let mut tile = Look::new((test, golden), (column, row), base)?.tile()?;
        for (beyond, (base, offset)) in tile.beyond.iter_mut().zip(base.iter().zip(offset)) {
            *beyond += *base as f32 - offset;
        }
        Some(tile)
    };
    field.nodes.iter().enumerate().map(tile).collect()
}

/// Offsets tried along one axis, with one to spare at either end.
const TRIED: usize = 2 * REACH as usize + 3;
const UNKNOWN: u32 = u32::MAX;

/// One tile under several offsets.
struct Look<'a> {
    test: &'a Bits,
    golden: &'a Bits,
    column: usize,
    rows: (usize, usize),
    mask: u64,
    base: [isize; 2],
    seen: [[u32; TRIED]; TRIED],
}

impl<'a> Look<'a> {
    fn new(
        (test, golden): (&'a Bits, &'a Bits),
        (column, row): (usize, usize),
        base: [isize; 2],
    ) -> Option<Self> {
        let inside = |index: usize, base: isize, length: usize| {
            let low = (base + REACH + 1).max(0).unsigned_abs().max(index * TILE);
            let high = length.saturating_add_signed((base - REACH - 1).min(0));
            (low, high.min((index + 1) * TILE))
        };
        let rows = inside(row, base[1], test.height);
        let columns = inside(column, base[0], test.width);
        let enough = rows.1 >= rows.0 + LEAST && columns.1 >= columns.0 + LEAST;
        enough.then(|| Self {
            test,
            golden,
            column,
            rows,
            mask: span(columns.0, columns.1, column),
            base,
            seen: [[UNKNOWN; TRIED]; TRIED],
        })
    }

    /// Pixels that differ at an offset from the base.
    fn differing(&mut self, x: isize, y: isize) -> u32 {
        let at = |offset: isize| (offset + REACH + 1).unsigned_abs();
        let seen = self.seen[at(y)][at(x)];
        if seen != UNKNOWN {
            return seen;
        }
        let left = (self.column * TILE).cast_signed() - self.base[0] - x;
        let up = self.base[1] + y;
        let golden = self.golden.column(left);
        // Gathered first: counting many words at once is faster.
        let mut differing = [0; TILE];
        for (differing, row) in differing.iter_mut().zip(self.rows.0..self.rows.1) {
            let sample = golden.at(row.saturating_add_signed(-up));
            *differing = (self.test.row(row)[self.column] ^ sample) & self.mask;
        }
        let count = differing.iter().map(|word| word.count_ones()).sum();
        self.seen[at(y)][at(x)] = count;
        count
    }

    /// Goes downhill from the base: within a few pixels, differences grow with the distance.
    fn tile(mut self) -> Option<Tile> {
        let (mut x, mut y) = (0, 0);
        let mut least = self.differing(0, 0);
        loop {
            let (from_x, from_y) = (x, y);
            for (dx, dy) in [(-1, 0), (1, 0), (0, -1), (0, 1)] {
                let found = self.differing(from_x + dx, from_y + dy);
                if found < least {
                    (least, x, y) = (found, from_x + dx, from_y + dy);
                }
            }
            if (x, y) == (from_x, from_y) {
                break;
            }
            if x.abs().max(y.abs()) == REACH {
                return None;
            }
        }
        let around = |look: &mut Self, dx: isize, dy: isize| {
            look.differing(x + dx, y + dy) as f32 - least as f32
        };
        let across = [around(&mut self, -1, 0), around(&mut self, 1, 0)];
        let down = [around(&mut self, 0, -1), around(&mut self, 0, 1)];
        let falling = around(&mut self, 1, 1) + around(&mut self, -1, -1);
        let rising = around(&mut self, 1, -1) + around(&mut self, -1, 1);
        let xx = (across[0] + across[1]) / 2.0;
        let yy = (down[0] + down[1]) / 2.0;
        if xx + yy < FAINT {
            return None;
        }
        let most = 0.98 * (xx * yy).max(0.0).sqrt();
        let xy = ((falling - rising) / 4.0).clamp(-most, most);
        let weight = PLENTY / (PLENTY + xx + yy);
        Some(Tile {
            beyond: [x as f32 + within(across), y as f32 + within(down)],
            say: [xx * weight, yy * weight, xy * weight],
        })
    }
}

/// The lowest point between two neighbours that lie higher, from -½ to ½.
fn within([before, after]: [f32; 2]) -> f32 {
    let steep = before.max(after);
    if steep > 0.0 { (before - after) / (2.0 * steep) } else { 0.0 }
}
