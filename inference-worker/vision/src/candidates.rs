//! Candidates: connected places where the test picture differs from its golden sample by more than
//! rough edges do.

use super::bits::Bits;

/// A connected difference: its bounding box and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) left: usize,
    pub(super) top: usize,
    /// Last column.
    pub(super) right: usize,
    /// Last row.
    pub(super) bottom: usize,
    /// Number of pixels.
    pub(super) pixels: u32,
}

impl Region {
    /// The middle of the bounding box.
    pub(super) const fn centre(&self) -> (usize, usize) {
        ((self.left + self.right).div_ceil(2), (self.top + self.bottom).div_ceil(2))
    }

    /// A run of pixels in one row.
    const fn line(left: usize, right: usize, y: usize) -> Self {
        Self { left, top: y, right, bottom: y, pixels: (right - left + 1) as u32 }
    }

    fn join(&mut self, other: &Self) {
        self.left = self.left.min(other.left);
        self.top = self.top.min(other.top);
        self.right = self.right.max(other.right);
        self.bottom = self.bottom.max(other.bottom);
        self.pixels += other.pixels;
    }
}

/// A place of two pixels' thickness counts when it has at least so many pixels...
const THIN_LEAST: u32 = 16;
/// ...and is not longer than this: a longer one is an edge that lies a little off, in pixels.
const THIN_LONGEST: usize = 24;

/// Removes what is thinner than three pixels, but for compact places two pixels thick; then closes
/// gaps of up to four.
pub(super) fn clean(difference: &Bits) -> Bits {
    let mut opened = difference.eroded().dilated();
    let thin = difference.opened_by_two();
    for region in regions(&thin, usize::MAX).unwrap_or_default() {
        let Region { left, top, right, bottom, pixels } = region;
        let longest = (right - left).max(bottom - top) + 1;
        if pixels >= THIN_LEAST && longest <= THIN_LONGEST {
            opened.copy(&thin, (left, top), (right, bottom));
        }
    }
    opened.dilated().dilated().eroded().eroded()
}

/// A region that is longer than this does not fit a crop and is looked at in several places, in
/// pixels.
const LONG: usize = 88;
/// Side of those places in pixels.
const CELL: usize = 56;

/// Where to look at a region: its middle or, when it is long or winding, the middle of each of its
/// pieces, since its own middle may lie far from anything that differs.
pub(super) fn centres(bits: &Bits, region: &Region) -> Vec<(usize, usize)> {
    let Region { left, top, right, bottom, .. } = *region;
    if right - left < LONG && bottom - top < LONG {
        return vec![region.centre()];
    }
    let mut centres = Vec::new();
    for cell_top in (top..=bottom).step_by(CELL) {
        for cell_left in (left..=right).step_by(CELL) {
            let mut piece: Option<Region> = None;
            for y in cell_top..(cell_top + CELL).min(bottom + 1) {
                let width = CELL.min(right + 1 - cell_left);
                let row =
                    bits.window(cell_left.cast_signed(), y.cast_signed()) & ((1 << width) - 1);
                if row != 0 {
                    let left = cell_left + row.trailing_zeros() as usize;
                    let right = cell_left + 63 - row.leading_zeros() as usize;
                    let line = Region::line(left, right, y);
                    piece.get_or_insert(line).join(&line);
                }
            }
            centres.extend(piece.map(|piece| piece.centre()));
        }
    }
    centres
}

/// A run of set pixels in one row and the region it belongs to.
struct Run {
    left: usize,
    right: usize,
    region: usize,
}

/// Connected regions (eight neighbours), from top to bottom; none when there are more than `limit`.
pub(super) fn regions(bits: &Bits, limit: usize) -> Option<Vec<Region>> {
    let mut forest = Forest::default();
    let mut above: Vec<Run> = Vec::new();
    for y in 0..bits.height {
        let mut here = Vec::new();
        let mut first = 0;
        for (left, right) in runs(bits.row(y)) {
            let region = forest.add(Region::line(left, right, y));
            while above.get(first).is_some_and(|run| run.right + 1 < left) {
                first += 1;
            }
            for run in above[first..].iter().take_while(|run| run.left <= right + 1) {
                forest.unite(run.region, region);
            }
            here.push(Run { left, right, region });
        }
        above = here;
    }
    let roots = forest.roots();
    (roots.len() <= limit).then_some(roots)
}

/// First and last columns of the runs of set bits in a row.
fn runs(words: &[u64]) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (index, &word) in words.iter().enumerate() {
        let mut rest = word;
        while rest != 0 {
            let start = rest.trailing_zeros() as usize;
            let length = (!(rest >> start)).trailing_zeros() as usize;
            let (left, right) = (index * 64 + start, index * 64 + start + length - 1);
            match runs.last_mut() {
                Some(last) if last.1 + 1 == left => last.1 = right,
                _ => runs.push((left, right)),
            }
            rest =
                if start + length >= 64 { 0 } else { rest >> (start + length) << (start + length) };
        }
    }
    runs
}

/// Union-find over regions.
#[derive(Default)]
struct Forest {
    parents: Vec<usize>,
    regions: Vec<Region>,
}

impl Forest {
    fn add(&mut self, region: Region) -> usize {
        self.parents.push(self.parents.len());
        self.regions.push(region);
        self.parents.len() - 1
    }

    fn root(&mut self, mut index: usize) -> usize {
        while self.parents[index] != index {
            self.parents[index] = self.parents[self.parents[index]];
            index = self.parents[index];
        }
        index
    }

    /// Joins two regions under the older one, so that roots stay in reading order.
    fn unite(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        let (old, new) = (a.min(b), a.max(b));
        if old != new {
            self.parents[new] = old;
            let joined = self.regions[new];
            self.regions[old].join(&joined);
        }
    }

    fn roots(&self) -> Vec<Region> {
        let is_root = |&(index, _): &(usize, &Region)| self.parents[index] == index;
        self.regions.iter().enumerate().filter(is_root).map(|(_, region)| *region).collect()
    }
}
