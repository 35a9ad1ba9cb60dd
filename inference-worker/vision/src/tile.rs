//! What each tile of the picture tells about its own offset, and in which directions it can tell: a
//! tile of diagonal traces knows how far it lies across them and nothing of how far along (the aperture
//! problem). So its weight is a quadratic form and not a number, after Anandan (1989): the curvature of
//! the count of differing pixels around its minimum.

use super::binary_image::{BinaryImage, column_mask};
use super::field::{OffsetField, TILE};

/// Farthest offset that a tile is tried at, in pixels around what is known of it.
const REACH: isize = 6;
/// Fewer rows or columns that can be compared tell nothing.
const COMPARED_MIN: usize = 16;
/// Less than this many differing pixels per pixel of offset tell nothing.
const SENSITIVITY_MIN: f32 = 12.0;
/// A tile with this many has half of the largest weight: many edges count more than few, but a tile
/// full of them does not drown its neighbours.
const SENSITIVITY_HALF: f32 = 200.0;

/// A tile's own offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct MeasuredTile {
    /// Offset to the right and down beyond that of the field it was measured from.
    pub(super) correction: [f32; 2],
    /// Its weight about offsets to the right, down, and both at once, `[xx, yy, xy]`: a positive quadratic
    /// form, in differing pixels per pixel of offset.
    pub(super) weight: [f32; 3],
}

impl MeasuredTile {
    /// How far an offset beyond the field's is from this tile's own, pixels, as far as the tile can
    /// tell.
    pub(super) fn residual(&self, offset: [f32; 2]) -> f32 {
        let [x, y] = [offset[0] - self.correction[0], offset[1] - self.correction[1]];
        let [xx, yy, xy] = self.weight;
        ((xx * x * x + yy * y * y + 2.0 * xy * x * y) / (xx + yy)).max(0.0).sqrt()
    }
}

/// The tiles in the order of the field's nodes; none where there is nothing to tell by, or no offset
/// within reach that fits.
pub(super) fn measure_tiles(
    test: &BinaryImage,
    golden: &BinaryImage,
    field: &OffsetField,
) -> Vec<Option<MeasuredTile>> {
    let tile = |(node, offset): (usize, &[f32; 2])| {
        let (column, row) = (node % field.columns, node / field.columns);
        let base = [offset[0].round() as isize, offset[1].round() as isize];
        let mut tile = TileMatcher::new((test, golden), (column, row), base)?.find_offset()?;
        for (correction, (base, offset)) in tile.correction.iter_mut().zip(base.iter().zip(offset))
        {
            *correction += *base as f32 - offset;
        }
        Some(tile)
    };
    field.nodes.iter().enumerate().map(tile).collect()
}

/// Offsets tried along one axis, with one to spare at either end.
const OFFSETS_TRIED: usize = 2 * REACH as usize + 3;
/// The outermost of them.
const OFFSET_MAX: isize = REACH + 1;
/// Rows of the golden sample that a tile is compared with.
const GOLDEN_ROWS: usize = TILE + 2 * OFFSET_MAX as usize;
const UNKNOWN: u32 = u32::MAX;

/// One tile under several offsets: what is looked at again and again lies together, and no count is
/// taken twice.
struct TileMatcher {
    /// The tile's rows of the test picture.
    test: [u64; TILE],
    /// The golden sample's from [`OFFSET_MAX`] above and to the left of the base on: 64 columns, and
    /// those to the right of them.
    golden: [u64; GOLDEN_ROWS],
    right: [u64; GOLDEN_ROWS],
    rows: usize,
    mask: u64,
    seen: [[u32; OFFSETS_TRIED]; OFFSETS_TRIED],
}

impl TileMatcher {
    fn new(
        (test, golden): (&BinaryImage, &BinaryImage),
        (column, row): (usize, usize),
        base: [isize; 2],
    ) -> Option<Self> {
        let inside = |index: usize, base: isize, length: usize| {
            let low = (base + OFFSET_MAX).max(0).unsigned_abs().max(index * TILE);
            let high = length.saturating_add_signed((base - OFFSET_MAX).min(0));
            (low, high.min((index + 1) * TILE))
        };
        let (top, bottom) = inside(row, base[1], test.height);
        let columns = inside(column, base[0], test.width);
        if bottom < top + COMPARED_MIN || columns.1 < columns.0 + COMPARED_MIN {
            return None;
        }
        let mut look = Self {
            test: [0; TILE],
            golden: [0; GOLDEN_ROWS],
            right: [0; GOLDEN_ROWS],
            rows: bottom - top,
            mask: column_mask(columns.0, columns.1, column),
            seen: [[UNKNOWN; OFFSETS_TRIED]; OFFSETS_TRIED],
        };
        for (word, row) in look.test.iter_mut().zip(top..bottom) {
            *word = test.row(row)[column];
        }
        let left = (column * TILE).cast_signed() - base[0] - OFFSET_MAX;
        let (words, right) = (golden.column_words(left), golden.column_words(left + 64));
        let from = top.saturating_add_signed(-base[1] - OFFSET_MAX);
        let rows = from..from + look.rows + 2 * OFFSET_MAX.unsigned_abs();
        for ((golden, beside), row) in look.golden.iter_mut().zip(&mut look.right).zip(rows) {
            (*golden, *beside) = (words.word_in_row(row), right.word_in_row(row));
        }
        Some(look)
    }

    /// Pixels that differ at an offset from the base.
    fn count_differing(&mut self, x: isize, y: isize) -> u32 {
        let at = |offset: isize| (offset + OFFSET_MAX).unsigned_abs();
        let seen = &mut self.seen[at(y)][at(x)];
        if *seen != UNKNOWN {
            return *seen;
        }
        let (down, shift) = (at(-y), at(-x) as u32);
        let golden = self.golden[down..].iter().zip(&self.right[down..]);
        let golden = golden.map(|(word, right)| word >> shift | right << 1 << (63 - shift));
        let rows = self.test.iter().zip(golden).take(self.rows);
        // At most all pixels of the tile; a checked sum is not computed many at once.
        let count = rows.map(|(test, golden)| ((test ^ golden) & self.mask).count_ones());
        *seen = count.fold(0, u32::wrapping_add);
        *seen
    }

    /// Goes downhill from the base: within a few pixels, differences grow with the distance. Then the
    /// eight neighbours of the minimum give its place between pixels and its curvature.
    fn find_offset(mut self) -> Option<MeasuredTile> {
        let (mut x, mut y) = (0, 0);
        let mut least = self.count_differing(0, 0);
        loop {
            let (from_x, from_y) = (x, y);
            for (dx, dy) in [(-1, 0), (1, 0), (0, -1), (0, 1)] {
                let found = self.count_differing(from_x + dx, from_y + dy);
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
            look.count_differing(x + dx, y + dy) as f32 - least as f32
        };
        let across = [around(&mut self, -1, 0), around(&mut self, 1, 0)];
        let down = [around(&mut self, 0, -1), around(&mut self, 0, 1)];
        let falling = around(&mut self, 1, 1) + around(&mut self, -1, -1);
        let rising = around(&mut self, 1, -1) + around(&mut self, -1, 1);
        let xx = (across[0] + across[1]) / 2.0;
        let yy = (down[0] + down[1]) / 2.0;
        if xx + yy < SENSITIVITY_MIN {
            return None;
        }
        // Just below what keeps the form positive: rounding must not turn it over.
        let most = 0.98 * (xx * yy).max(0.0).sqrt();
        let xy = ((falling - rising) / 4.0).clamp(-most, most);
        let weight = SENSITIVITY_HALF / (SENSITIVITY_HALF + xx + yy);
        Some(MeasuredTile {
            correction: [x as f32 + subpixel_minimum(across), y as f32 + subpixel_minimum(down)],
            weight: [xx * weight, yy * weight, xy * weight],
        })
    }
}

/// The lowest point between two neighbours that lie higher, from -½ to ½: where two lines of equal and
/// opposite slope meet, since a count of differing pixels grows linearly with the offset (Shimizu and
/// Okutomi, 2005), not as a parabola.
fn subpixel_minimum([before, after]: [f32; 2]) -> f32 {
    let steep = before.max(after);
    if steep > 0.0 { (before - after) / (2.0 * steep) } else { 0.0 }
}
