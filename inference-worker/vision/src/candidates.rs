//! Candidates: connected places where the test picture differs from its golden sample by more than
//! rough edges do.
//!
//! A morphological opening removes the one or two pixels along every edge that printing and registration
//! leave; a closing then joins what is one defect. Connected regions come from one pass over the runs of
//! set bits in each row with union-find (Rosenfeld and Pfaltz, 1966), so that cost grows with the runs.
//!
//! Bridges and cracks are candidates too, however thin. Those, and places that differ by more than edges
//! do, are significant: when no finding explains one, it is a difference all the same.

use domain::{DifferenceKind, PixelBox, UnexplainedDifference};

use super::area::LaidArea;
use super::binary_image::BinaryImage;
use super::connectivity;
use super::crops::RegisteredPair;
use super::{Incomparable, MAX_CANDIDATES, MAX_DIFFERING};

/// The side of the square of copper too many or too few that makes a place significant, pixels. Of DeepPCB's
/// 996 trainval boards after repair, 14 that would have passed have such a place that the network calls
/// background; 40 with a side of four, six with one of six.
pub(super) const SIGNIFICANT_SIDE: usize = 5;

/// Where a registered pair differs.
#[derive(Debug, Clone, Default)]
pub(super) struct Candidates {
    /// The centres of the crops to look at.
    pub(super) centres: Vec<(usize, usize)>,
    /// What is a difference when no finding explains it.
    pub(super) significant: Vec<UnexplainedDifference>,
    /// What would be, in tolerated zones: findings that touch it count, it does not.
    pub(super) tolerated: Vec<UnexplainedDifference>,
    /// True when only findings where something significant or tolerated lies count.
    pub(super) only_significant: bool,
    /// Pixels of the picture that are not inspected on purpose; none when there are none.
    pub(super) excluded: Option<BinaryImage>,
}

/// The candidates of a registered pair, which does not differ where nothing is inspected; `connections` says
/// whether bridges and cracks are among them. What lies in the tolerated zones of `area` is looked at, and is
/// not significant.
///
/// # Errors
/// [`Incomparable::TooManyDifferences`].
pub(super) fn find_candidates(
    pair: &RegisteredPair,
    connections: bool,
    area: Option<&LaidArea>,
) -> Result<Candidates, Incomparable> {
    let places = clean_difference(&pair.test.difference(&pair.golden));
    let share = places.count_copper() as f64 / (places.width * places.height) as f64;
    let regions = (share <= MAX_DIFFERING)
        .then(|| find_regions(&places, MAX_CANDIDATES))
        .flatten()
        .ok_or(Incomparable::TooManyDifferences)?;
    let tolerated = area.and_then(|area| area.tolerated.as_ref());
    let mut found = Candidates::default();
    for region in &regions {
        let centres = region_centres(&places, region);
        let inspected = centres.into_iter().map(|centre| match area {
            Some(area) => nearest_inspected(&places, region, &area.excluded, centre),
            None => centre,
        });
        found.centres.extend(inspected);
        found.significant.extend(as_significant(pair, region, tolerated));
    }
    if connections {
        for connection in connectivity::find_connections(&pair.test, &pair.golden) {
            // A wide one is a region already, and looked at in its middle.
            if !regions.iter().any(|region| region.holds(connection.middle)) {
                found.centres.push(connection.middle);
            }
            let bounds = connection.difference.bounds;
            if !tolerated.is_some_and(|zones| zones.holds_box(&bounds)) {
                found.significant.push(connection.difference);
            }
        }
    }
    let too_many = found.centres.len() > MAX_CANDIDATES;
    if too_many { Err(Incomparable::TooManyDifferences) } else { Ok(found) }
}

/// The place to look at, or the region's nearest pixel to it that is inspected: what reaches out of a keep-out
/// is looked at outside.
fn nearest_inspected(
    places: &BinaryImage,
    region: &Region,
    excluded: &BinaryImage,
    centre: (usize, usize),
) -> (usize, usize) {
    if !excluded.is_set(centre.0, centre.1) {
        return centre;
    }
    let rows = (region.top..=region.bottom)
        .flat_map(|y| (region.left..=region.right).map(move |x| (x, y)));
    let inspected = rows.filter(|&(x, y)| places.is_set(x, y) && !excluded.is_set(x, y));
    inspected.min_by_key(|&(x, y)| x.abs_diff(centre.0).max(y.abs_diff(centre.1))).unwrap_or(centre)
}

/// The region as a difference, when copper too many or too few in it, outside of what is tolerated, holds a
/// square of [`SIGNIFICANT_SIDE`].
fn as_significant(
    pair: &RegisteredPair,
    region: &Region,
    tolerated: Option<&BinaryImage>,
) -> Option<UnexplainedDifference> {
    let size = (region.right + 1 - region.left, region.bottom + 1 - region.top);
    let cut = |bits: &BinaryImage| {
        let part = |bits: &BinaryImage| bits.cut_window(region.left, region.top, size);
        tolerated.map_or_else(|| part(bits), |zones| part(bits).without(&part(zones)))
    };
    let (test, golden) = (cut(&pair.test), cut(&pair.golden));
    let side = largest_square(test.without(&golden)).max(largest_square(golden.without(&test)));
    (side >= SIGNIFICANT_SIDE).then(|| UnexplainedDifference {
        kind: DifferenceKind::Appearance,
        bounds: region.bounds(),
        strength: side as f32 / SIGNIFICANT_SIDE as f32,
    })
}

/// The side of the largest square that is set.
fn largest_square(mut bits: BinaryImage) -> usize {
    let mut side = 0;
    while bits.first_set().is_some() {
        side += 1;
        bits = bits.squares_of_two();
    }
    side
}

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

    pub(super) const fn bounds(&self) -> PixelBox {
        PixelBox {
            x: self.left as u32,
            y: self.top as u32,
            width: (self.right - self.left + 1) as u32,
            height: (self.bottom - self.top + 1) as u32,
        }
    }

    fn holds(&self, (x, y): (usize, usize)) -> bool {
        (self.left..=self.right).contains(&x) && (self.top..=self.bottom).contains(&y)
    }

    /// A run of pixels in one row that count as so many.
    const fn from_run(left: usize, right: usize, y: usize, pixels: u32) -> Self {
        Self { left, top: y, right, bottom: y, pixels }
    }

    fn join(&mut self, other: &Self) {
        self.left = self.left.min(other.left);
        self.top = self.top.min(other.top);
        self.right = self.right.max(other.right);
        self.bottom = self.bottom.max(other.bottom);
        self.pixels = self.pixels.saturating_add(other.pixels);
    }
}

/// A place of two pixels' thickness counts when it has at least so many pixels...
const THIN_PIXELS_MIN: u32 = 16;
/// ...and is not longer than this: a longer one is an edge that lies a little off, in pixels.
const THIN_LENGTH_MAX: usize = 24;

/// Removes what is thinner than three pixels, but for compact places two pixels thick; then closes
/// gaps of up to four. Small pin holes are two pixels thick, and so is the rim of a trace that lies a
/// pixel off: the rim is long, which tells them apart.
pub(super) fn clean_difference(difference: &BinaryImage) -> BinaryImage {
    let mut opened = difference.eroded().dilated();
    let thin = difference.opened_by_two();
    for region in find_regions(&thin, usize::MAX).unwrap_or_default() {
        let Region { left, top, right, bottom, pixels } = region;
        let longest = (right - left).max(bottom - top) + 1;
        if pixels >= THIN_PIXELS_MIN && longest <= THIN_LENGTH_MAX {
            opened.copy_extent(&thin, [left, top, right + 1, bottom + 1]);
        }
    }
    opened.dilated().dilated().eroded().eroded()
}

/// A region that is longer than this does not fit a crop and is looked at in several places, in
/// pixels.
const REGION_SIDE_MAX: usize = 88;
/// Side of those places in pixels.
const PIECE_SIDE: usize = 56;

/// Where to look at a region: its middle or, when it is long or winding, the middle of each of its
/// pieces, since its own middle may lie far from anything that differs.
pub(super) fn region_centres(bits: &BinaryImage, region: &Region) -> Vec<(usize, usize)> {
    let Region { left, top, right, bottom, .. } = *region;
    if right - left < REGION_SIDE_MAX && bottom - top < REGION_SIDE_MAX {
        return vec![region.centre()];
    }
    let mut centres = Vec::new();
    for cell_top in (top..=bottom).step_by(PIECE_SIDE) {
        for cell_left in (left..=right).step_by(PIECE_SIDE) {
            let mut piece: Option<Region> = None;
            for y in cell_top..(cell_top + PIECE_SIDE).min(bottom + 1) {
                let width = PIECE_SIDE.min(right + 1 - cell_left);
                let row =
                    bits.word_at(cell_left.cast_signed(), y.cast_signed()) & ((1 << width) - 1);
                if row != 0 {
                    let left = cell_left + row.trailing_zeros() as usize;
                    let right = cell_left + 63 - row.leading_zeros() as usize;
                    let line = Region::from_run(left, right, y, row.count_ones());
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
pub(super) fn find_regions(bits: &BinaryImage, limit: usize) -> Option<Vec<Region>> {
    find_counted_regions(bits, limit, |left, right, _| (right - left + 1) as u32)
}

/// As [`find_regions`], where `count` says for how many pixels a run counts, by its first and last column and
/// its row.
pub(super) fn find_counted_regions(
    bits: &BinaryImage,
    limit: usize,
    count: impl Fn(usize, usize, usize) -> u32,
) -> Option<Vec<Region>> {
    let mut forest = Forest::default();
    let mut above: Vec<Run> = Vec::new();
    for y in 0..bits.height {
        let mut here = Vec::new();
        let mut first = 0;
        for (left, right) in find_runs(bits.row(y)) {
            let region = forest.add(Region::from_run(left, right, y, count(left, right, y)));
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
    let roots = forest.root_regions();
    (roots.len() <= limit).then_some(roots)
}

/// First and last columns of the runs of set bits in a row.
fn find_runs(words: &[u64]) -> Vec<(usize, usize)> {
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

    fn find_root(&mut self, mut index: usize) -> usize {
        while self.parents[index] != index {
            self.parents[index] = self.parents[self.parents[index]];
            index = self.parents[index];
        }
        index
    }

    /// Joins two regions under the older one, so that roots stay in reading order.
    fn unite(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find_root(a), self.find_root(b));
        let (old, new) = (a.min(b), a.max(b));
        if old != new {
            self.parents[new] = old;
            let joined = self.regions[new];
            self.regions[old].join(&joined);
        }
    }

    fn root_regions(&self) -> Vec<Region> {
        let is_root = |&(index, _): &(usize, &Region)| self.parents[index] == index;
        self.regions.iter().enumerate().filter(is_root).map(|(_, region)| *region).collect()
    }
}
