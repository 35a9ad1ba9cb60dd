//! Where each pixel of the golden sample lies in the test picture, an offset per node of a grid, bilinear
//! in between; and the golden sample warped over the picture along it. How a field is measured is
//! `measure`'s.
//!
//! Binary pictures are warped by whole pixels, in strips that share one offset: a strip is then a shift
//! of words, sixteen pixels at once, and a field that bends by less than a pixel over a strip loses
//! nothing.

use std::ops::Range;

use super::binary_image::{BinaryImage, column_mask};

/// Side of a tile in pixels, one word; a node of the grid is the middle of a tile.
pub(super) const TILE: usize = 64;

/// Columns and rows that share one offset, in pixels.
const STRIP: (usize, usize) = (16, 4);
/// Strips per word.
const STRIPS: usize = 64 / STRIP.0;

/// Along the border the picture may show what the golden sample just does not; so many pixels there
/// are not compared.
const BORDER: usize = 3;

/// An affine offset, which grows evenly over the picture: `[in its middle, per pixel to the right, per
/// pixel down]` for each axis, pixels. Turns and stretches are small, so a turn by an angle is its tangent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct AffineOffset {
    pub(super) x: [f32; 3],
    pub(super) y: [f32; 3],
}

impl AffineOffset {
    pub(super) const fn from_shift(dx: f32, dy: f32) -> Self {
        Self { x: [dx, 0.0, 0.0], y: [dy, 0.0, 0.0] }
    }

    /// A turn by its tangent and a stretch along each axis.
    pub(super) const fn from_turn_and_stretch(turn: f32, stretch: (f32, f32)) -> Self {
        Self { x: [0.0, stretch.0, -turn], y: [0.0, turn, stretch.1] }
    }

    pub(super) fn shifted_by(mut self, dx: f32, dy: f32) -> Self {
        self.x[0] += dx;
        self.y[0] += dy;
        self
    }

    /// The offset at a place given from the picture's middle, less the offset in the middle.
    pub(super) fn growth_at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x[1] * x + self.x[2] * y, self.y[1] * x + self.y[2] * y)
    }

    pub(super) fn offset_at(&self, x: f32, y: f32) -> [f32; 2] {
        let (dx, dy) = self.growth_at(x, y);
        [self.x[0] + dx, self.y[0] + dy]
    }
}

/// Offsets `[dx, dy]` in pixels at the middles of tiles of [`TILE`] pixels, row by row: the golden
/// sample's pixel `p` lies at `p + offset` in the test picture.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OffsetField {
    pub(super) columns: usize,
    pub(super) rows: usize,
    pub(super) nodes: Vec<[f32; 2]>,
    size: (usize, usize),
}

impl OffsetField {
    /// The field of an affine offset over a picture of `size`.
    pub(super) fn from_affine(affine: &AffineOffset, size: (usize, usize)) -> Self {
        let (columns, rows) = (size.0.div_ceil(TILE), size.1.div_ceil(TILE));
        let mut field = Self { columns, rows, nodes: Vec::new(), size };
        field.nodes = (0..columns * rows)
            .map(|node| {
                let (x, y) = field.node_position(node);
                affine.offset_at(x, y)
            })
            .collect();
        field
    }

    /// Where a node lies, from the picture's middle.
    pub(super) fn node_position(&self, node: usize) -> (f32, f32) {
        let place =
            |index: usize, length: usize| (index * TILE + TILE / 2) as f32 - length as f32 / 2.0;
        (place(node % self.columns, self.size.0), place(node / self.columns, self.size.1))
    }

    /// Offsets along the row of pixels `y`, at the nodes' columns.
    pub(super) fn offsets_along_row(&self, y: f32, offsets: &mut Vec<[f32; 2]>) {
        let (row, within) = node_before(y, self.rows);
        let next = (row + 1).min(self.rows - 1);
        let (upper, lower) =
            (&self.nodes[row * self.columns..], &self.nodes[next * self.columns..]);
        let blend = |(a, b): (&[f32; 2], &[f32; 2])| interpolate(*a, *b, within);
        offsets.clear();
        offsets.extend(upper.iter().zip(lower).take(self.columns).map(blend));
    }

    /// Where the pixels of a row at a resolution lie in the other picture at the same one: `scale` pixels
    /// of the picture make one of the resolution; columns into `across`, rows into `down`.
    pub(super) fn positions_along_row(
        &self,
        y: usize,
        scale: usize,
        (across, down): (&mut [f32], &mut [f32]),
    ) {
        let whole = |index: usize| (index * scale) as f32 + (scale - 1) as f32 / 2.0;
        let mut nodes = Vec::with_capacity(self.columns);
        self.offsets_along_row(whole(y), &mut nodes);
        let unit = 1.0 / scale as f32;
        let mut x = 0;
        while x < across.len() {
            let (node, within) = node_before(whole(x), self.columns);
            let next = (node + 1).min(self.columns - 1);
            let from = interpolate(nodes[node], nodes[next], within);
            let slope = [0, 1].map(|axis| (nodes[next][axis] - nodes[node][axis]) / TILE as f32);
            // Up to the next node; beyond the last but one, offsets go on growing.
            let last = node + 2 >= self.columns;
            let end = (((node + 1) * TILE + TILE / 2).div_ceil(scale)).max(x + 1);
            let end = if last { across.len() } else { end.min(across.len()) };
            let places = across[x..end].iter_mut().zip(&mut down[x..end]);
            for (step, (across, down)) in places.enumerate() {
                let step = step as f32;
                *across = (x as f32 + step) + from[0] * unit + slope[0] * step;
                *down = y as f32 + from[1] * unit + slope[1] * step;
            }
            x = end;
        }
    }

    /// The affine offset from border to border: what the next window of a panel begins with.
    pub(super) fn overall_affine(&self) -> AffineOffset {
        let (width, height) = (self.size.0 as f32, self.size.1 as f32);
        let mut row = Vec::new();
        let mut at = |x: f32, y: f32| {
            self.offsets_along_row(y.floor(), &mut row);
            offset_at_column(&row, x)
        };
        let [left, right] = [at(0.0, height / 2.0), at(width, height / 2.0)];
        let [top, bottom] = [at(width / 2.0, 0.0), at(width / 2.0, height)];
        let middle = at(width / 2.0, height / 2.0);
        let axis =
            |i: usize| [middle[i], (right[i] - left[i]) / width, (bottom[i] - top[i]) / height];
        AffineOffset { x: axis(0), y: axis(1) }
    }

    /// By how much offsets differ at most along either axis, pixels: a wide range is suspicious, because
    /// a turn that was taken for a bend looks like that.
    pub(super) fn offset_range(&self) -> f32 {
        let along = |axis: usize| {
            let offsets = self.nodes.iter().map(|node| node[axis]);
            offsets.clone().fold(f32::MIN, f32::max) - offsets.fold(f32::MAX, f32::min)
        };
        along(0).max(along(1))
    }

    /// How far offsets are at most from those of the similarity (a shift, a turn and a stretch alike in both
    /// directions) that fits all nodes best, pixels: what a stiff board in front of another lens does not do.
    pub(super) fn bend(&self) -> f32 {
        let count = self.nodes.len() as f32;
        let places: Vec<(f32, f32)> =
            (0..self.nodes.len()).map(|n| self.node_position(n)).collect();
        let mean = |values: &mut dyn Iterator<Item = f32>| values.sum::<f32>() / count;
        let (middle_x, middle_y) =
            (mean(&mut places.iter().map(|p| p.0)), mean(&mut places.iter().map(|p| p.1)));
        let shift = [0, 1].map(|axis| mean(&mut self.nodes.iter().map(|node| node[axis])));
        let centred = || {
            let from = |(p, node): (&(f32, f32), &[f32; 2])| {
                [p.0 - middle_x, p.1 - middle_y, node[0] - shift[0], node[1] - shift[1]]
            };
            places.iter().zip(&self.nodes).map(from)
        };
        // With everything centred, the two unknowns of the linear part are independent.
        let spread: f32 = centred().map(|[x, y, ..]| x * x + y * y).sum::<f32>().max(1.0);
        let stretch = centred().map(|[x, y, dx, dy]| x * dx + y * dy).sum::<f32>() / spread;
        let turn = centred().map(|[x, y, dx, dy]| x * dy - y * dx).sum::<f32>() / spread;
        let residual = |[x, y, dx, dy]: [f32; 4]| {
            (dx - stretch * x + turn * y).hypot(dy - stretch * y - turn * x)
        };
        centred().map(residual).fold(0.0, f32::max)
    }

    /// Offset at a pixel.
    pub(super) fn offset_at_pixel(&self, x: f32, y: f32) -> [f32; 2] {
        let mut row = Vec::with_capacity(self.columns);
        self.offsets_along_row(y, &mut row);
        offset_at_column(&row, x)
    }

    /// Offset at the pixel of the picture that is nearest to a place.
    pub(super) fn offset_near_pixel(&self, x: f32, y: f32) -> [f32; 2] {
        let within = |at: f32, length: usize| at.clamp(0.0, length as f32);
        self.offset_at_pixel(within(x, self.size.0), within(y, self.size.1))
    }

    /// Offset in the picture's middle.
    pub(super) fn middle_offset(&self) -> [f32; 2] {
        let mut row = Vec::new();
        self.offsets_along_row((self.size.1 / 2) as f32, &mut row);
        offset_at_column(&row, (self.size.0 / 2) as f32)
    }
}

fn interpolate(a: [f32; 2], b: [f32; 2], t: f32) -> [f32; 2] {
    [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t]
}

/// The node before a place and how far it is to the next; beyond the outer nodes, offsets go on
/// growing.
fn node_before(place: f32, nodes: usize) -> (usize, f32) {
    let at = (place - TILE as f32 / 2.0) / TILE as f32;
    let node = at.floor().clamp(0.0, nodes.saturating_sub(2) as f32);
    (node as usize, at - node)
}

/// The offset in column `x` of a row of nodes.
fn offset_at_column(row: &[[f32; 2]], x: f32) -> [f32; 2] {
    let (node, within) = node_before(x, row.len());
    interpolate(row[node], row[(node + 1).min(row.len() - 1)], within)
}

/// The golden sample as it lies in the test picture, and where it is known.
pub(super) struct WarpedGolden {
    pub(super) golden: BinaryImage,
    pub(super) known: BinaryImage,
}

impl WarpedGolden {
    /// Counts what is not inspected as not known, so that nothing differs there.
    pub(super) fn leave_out(&mut self, excluded: &BinaryImage) {
        self.known = self.known.without(excluded);
    }

    /// The golden sample where it is known, elsewhere the picture itself, so that nothing differs.
    pub(super) fn fill_unknown_from(&self, test: &BinaryImage) -> BinaryImage {
        let mut difference = test.difference(&self.golden);
        difference.intersect_with(&self.known);
        test.difference(&difference)
    }
}

/// Warps the golden sample over a picture of the same size. A band of [`BORDER`] pixels along the
/// border of what is known counts as unknown.
pub(super) fn warp_golden(golden: &BinaryImage, field: &OffsetField) -> WarpedGolden {
    let (width, height) = (golden.width, golden.height);
    let mut known = BinaryImage::new(width, height);
    let inside = |place: isize, length: usize| {
        place >= BORDER.cast_signed() && place < (length - BORDER).cast_signed()
    };
    let warped = warp_strips(golden, field, |rows, word, offsets| {
        let mut mask = column_mask(BORDER, width - BORDER, word);
        for (part, &(dx, _)) in offsets.iter().enumerate() {
            let low = BORDER.saturating_add_signed(dx);
            let high = (width - BORDER).saturating_add_signed(dx);
            mask &= !strip_mask(part) | column_mask(low, high, word);
        }
        for y in rows.filter(|y| inside(y.cast_signed(), height)) {
            let mut mask = mask;
            for (part, &(_, dy)) in offsets.iter().enumerate() {
                if !inside(y.cast_signed() - dy, height) {
                    mask &= !strip_mask(part);
                }
            }
            known.row_mut(y)[word] = mask;
        }
    });
    WarpedGolden { golden: warped, known }
}

/// The warped golden sample alone, substrate where it is not known.
pub(super) fn warp_copper(golden: &BinaryImage, field: &OffsetField) -> BinaryImage {
    warp_strips(golden, field, |_, _, _| ())
}

/// Where a box of the golden sample lies in a picture of `size`: left, top, right and bottom, the last two
/// excluded. It may reach beyond the golden sample, and is then known there all the same.
pub(super) fn warp_reach(
    size: (usize, usize),
    field: &OffsetField,
    [left, top, right, bottom]: [isize; 4],
) -> BinaryImage {
    let mut laid = BinaryImage::new(size.0, size.1);
    let at = |side: isize, dx: isize| (side + dx).max(0).unsigned_abs();
    warp_strips(&BinaryImage::new(size.0, size.1), field, |rows, word, offsets| {
        for (part, &(dx, dy)) in offsets.iter().enumerate() {
            let mask = strip_mask(part) & column_mask(at(left, dx), at(right, dx), word);
            for y in rows.clone().filter(|y| (top..bottom).contains(&(y.cast_signed() - dy))) {
                laid.row_mut(y)[word] |= mask;
            }
        }
    });
    laid.clear_padding();
    laid
}

/// The columns of strip number `part` of a word.
const fn strip_mask(part: usize) -> u64 {
    ((1 << STRIP.0) - 1) << (part * STRIP.0)
}

/// Warps strip by strip; `see` is told the offsets of each word of the rows that share them.
fn warp_strips(
    golden: &BinaryImage,
    field: &OffsetField,
    mut see: impl FnMut(Range<usize>, usize, &[(isize, isize); STRIPS]),
) -> BinaryImage {
    let mut warped = BinaryImage::new(golden.width, golden.height);
    let middle = |strip: usize| (strip * STRIP.0 + STRIP.0 / 2) as f32;
    let strips = golden.width.div_ceil(64) * STRIPS;
    let places: Vec<_> =
        (0..strips).map(|strip| node_before(middle(strip), field.columns)).collect();
    let mut nodes = Vec::new();
    for top in (0..golden.height).step_by(STRIP.1) {
        let rows = top..(top + STRIP.1).min(golden.height);
        field.offsets_along_row((top + STRIP.1 / 2) as f32, &mut nodes);
        for (word, places) in places.as_chunks::<STRIPS>().0.iter().enumerate() {
            let offsets = places.map(|(node, within)| {
                let next = (node + 1).min(nodes.len() - 1);
                let [dx, dy] = interpolate(nodes[node], nodes[next], within);
                (round_offset(dx), round_offset(dy))
            });
            lay_word(golden, (rows.clone(), word), &offsets, &mut warped);
            see(rows.clone(), word, &offsets);
        }
    }
    warped.clear_padding();
    warped
}

/// Lays the golden sample over one word of some rows; strips of one offset are laid at once.
fn lay_word(
    golden: &BinaryImage,
    (rows, word): (Range<usize>, usize),
    offsets: &[(isize, isize); STRIPS],
    warped: &mut BinaryImage,
) {
    let mut part = 0;
    for same in offsets.chunk_by(|a, b| a == b) {
        let (dx, dy) = same[0];
        let mask = column_mask(part * STRIP.0, (part + same.len()) * STRIP.0, 0);
        let column = golden.column_words((word * 64).cast_signed() - dx);
        for y in rows.clone() {
            let from = y.checked_add_signed(-dy).filter(|from| *from < golden.height);
            let sample = from.map_or(0, |from| column.word_in_row(from));
            warped.row_mut(y)[word] |= sample & mask;
        }
        part += same.len();
    }
}

/// An offset in whole pixels, as [`f32::round`] does, which is a call into a library.
pub(super) const fn round_offset(offset: f32) -> isize {
    let whole = offset as isize;
    let rest = offset - whole as f32;
    whole + (rest >= 0.5) as isize - (rest <= -0.5) as isize
}
