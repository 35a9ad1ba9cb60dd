//! Differences of connectivity: copper that the golden sample keeps apart and the picture joins, and copper
//! that the golden sample keeps together and the picture parts, however thin the join or the cut is.
//!
//! A bridge is test copper beyond the golden sample's, connected by eight neighbours, that ends at golden
//! copper in two places. Places are told apart along the rim of the bridge and not over the whole board: a
//! hairline between two arms of one net is a flaw too. A crack is the same of the substrate: it joins the
//! substrate on either side of a trace. So one search finds both, once in the pictures and once in their
//! inverses; and since the substrate is connected by eight neighbours then, the copper that it parts is
//! connected by four. A diagonal hairline one pixel wide joins, and a diagonal crack one pixel wide parts.
//!
//! Edges lie a little off without any flaw, and what they fill or eat through is no bridge. So a bridge has
//! to reach [`DEPTH_MIN`] pixels away from golden copper: gaps and traces of less than five pixels are not
//! resolved, and neither is what cuts a corner off nearer to it than that.

use domain::{DifferenceKind, PixelBox, UnexplainedDifference};

use super::binary_image::{BinaryImage, column_mask};

/// So far from golden copper a bridge has to reach, pixels: edges lie up to two off, measured on DeepPCB's
/// trainval boards after repair, of which ten in 996 have a bridge or a crack all the same.
const DEPTH_MIN: usize = 3;
/// The shortest bridge, in pixels: over a gap in which one of them is [`DEPTH_MIN`] away from either side.
const LENGTH_MIN: usize = 2 * DEPTH_MIN - 1;

/// A bridge or a crack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Connection {
    /// Joined or parted, where, and its length in parts of the shortest that is found.
    pub(super) difference: UnexplainedDifference,
    /// Its pixel nearest to the middle of its box.
    pub(super) middle: (usize, usize),
}

/// The bridges, then the cracks, of a registered pair, from top to bottom.
pub(super) fn find_connections(test: &BinaryImage, golden: &BinaryImage) -> Vec<Connection> {
    let mut found = Vec::new();
    // There is none on most boards without a flaw, so that only flawed ones cost more than a look.
    if let Some(deep) = far_from_golden(test, golden, Material::Copper) {
        find_bridges((test, golden), deep, DifferenceKind::Joined, &mut found);
    }
    if let Some(deep) = far_from_golden(test, golden, Material::Substrate) {
        let inverted = (&test.inverted(), &golden.inverted());
        find_bridges(inverted, deep, DifferenceKind::Parted, &mut found);
    }
    found
}

/// Finds the bridges that hold one of the `deep` pixels, which are beyond golden copper.
fn find_bridges(
    (test, golden): (&BinaryImage, &BinaryImage),
    mut deep: BinaryImage,
    kind: DifferenceKind,
    found: &mut Vec<Connection>,
) {
    let Some(mut start) = deep.first_set() else { return };
    let grown = golden.dilated();
    let mut beyond = test.without(&grown);
    loop {
        let piece = Piece::take_from(&mut beyond, start);
        for &pixel in &piece.pixels {
            deep.clear(pixel);
        }
        if piece.count_ends(test, &grown) >= 2 {
            found.push(piece.as_connection(kind));
        }
        match deep.first_set() {
            Some(next) => start = next,
            None => return,
        }
    }
}

/// What bridges are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Material {
    Copper,
    Substrate,
}

/// Test copper at least [`DEPTH_MIN`] pixels away from golden copper, or substrate from substrate; none when
/// there is none. Words in which nothing differs are passed over.
fn far_from_golden(
    test: &BinaryImage,
    golden: &BinaryImage,
    material: Material,
) -> Option<BinaryImage> {
    const REACH: usize = DEPTH_MIN - 1;
    let flipped = if material == Material::Copper { 0 } else { u64::MAX };
    // Beyond the right edge there is neither.
    let all: Vec<u64> = (0..golden.row(0).len()).map(|w| column_mask(0, golden.width, w)).collect();
    let of_material = |row: &[u64], index: usize| (row[index] ^ flipped) & all[index];
    let mut far: Option<BinaryImage> = None;
    for y in 0..test.height {
        for (index, (test, here)) in test.row(y).iter().zip(golden.row(y)).enumerate() {
            let beyond = (test ^ flipped) & !(here ^ flipped);
            if beyond == 0 {
                continue;
            }
            let [mut left, mut middle, mut right] = [0; 3];
            for row in y.saturating_sub(REACH)..(y + REACH + 1).min(golden.height) {
                let row = golden.row(row);
                left |= index.checked_sub(1).map_or(0, |index| of_material(row, index));
                middle |= of_material(row, index);
                right |= if index + 1 < row.len() { of_material(row, index + 1) } else { 0 };
            }
            let across =
                |by: usize| middle << by | left >> (64 - by) | middle >> by | right << (64 - by);
            let deep = beyond & !(1..=REACH).fold(middle, |near, by| near | across(by));
            if deep != 0 {
                let far = far.get_or_insert_with(|| BinaryImage::new(golden.width, golden.height));
                far.row_mut(y)[index] = deep;
            }
        }
    }
    far
}

/// Connected pixels, by eight neighbours.
struct Piece {
    pixels: Vec<(usize, usize)>,
}

impl Piece {
    /// Takes the piece that holds `start` out of `bits`.
    fn take_from(bits: &mut BinaryImage, start: (usize, usize)) -> Self {
        bits.clear(start);
        let (mut pixels, mut next) = (vec![start], 0);
        while let Some(&(x, y)) = pixels.get(next) {
            next += 1;
            for near_y in y.saturating_sub(1)..=y + 1 {
                for near_x in x.saturating_sub(1)..=x + 1 {
                    if bits.is_set(near_x, near_y) {
                        bits.clear((near_x, near_y));
                        pixels.push((near_x, near_y));
                    }
                }
            }
        }
        Self { pixels }
    }

    /// Left, top, right and bottom, the last two included.
    fn extent(&self) -> [usize; 4] {
        let start = [usize::MAX, usize::MAX, 0, 0];
        self.pixels.iter().fold(start, |[left, top, right, bottom], &(x, y)| {
            [left.min(x), top.min(y), right.max(x), bottom.max(y)]
        })
    }

    /// At how many places of golden copper the piece ends. `grown` is the golden sample's copper grown by a
    /// pixel, which the piece lies beside; it ends where test copper goes on into it.
    fn count_ends(&self, test: &BinaryImage, grown: &BinaryImage) -> usize {
        let [left, top, right, bottom] = self.extent();
        let (left, top) = (left.saturating_sub(1), top.saturating_sub(1));
        let size = ((right + 2).min(test.width) - left, (bottom + 2).min(test.height) - top);
        let mut piece = BinaryImage::new(size.0, size.1);
        for &(x, y) in &self.pixels {
            piece.set((x - left, y - top));
        }
        let mut rim = piece.dilated();
        rim.intersect_with(&grown.cut_window(left, top, size));
        let mut reached = test.cut_window(left, top, size);
        reached.intersect_with(&rim);
        let mut ends = 0;
        while let Some(start) = reached.first_set() {
            ends += 1;
            for pixel in Self::take_from(&mut rim, start).pixels {
                reached.clear(pixel);
            }
        }
        ends
    }

    fn as_connection(&self, kind: DifferenceKind) -> Connection {
        let [left, top, right, bottom] = self.extent();
        let (width, height) = (right - left + 1, bottom - top + 1);
        let middle = (left + width / 2, top + height / 2);
        let far = |&(x, y): &(usize, usize)| x.abs_diff(middle.0).max(y.abs_diff(middle.1));
        let bounds =
            PixelBox { x: left as u32, y: top as u32, width: width as u32, height: height as u32 };
        // The piece ends a pixel before golden copper on either side.
        let length = width.max(height) + 2;
        let strength = (length as f32 / LENGTH_MIN as f32).max(1.0);
        Connection {
            difference: UnexplainedDifference { kind, bounds, strength },
            middle: self.pixels.iter().copied().min_by_key(far).unwrap_or(middle),
        }
    }
}
