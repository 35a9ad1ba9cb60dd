//! Large panels: compared window by window, so that memory is two pictures of bits and one window.
//!
//! The first window is registered near the middle; from there each window begins where its neighbours
//! were found, so a turn that moves the corners by hundreds of pixels is followed. Windows overlap, and
//! a candidate belongs to the window whose core holds it, so that nothing on a seam is lost or looked at
//! twice. Limits hold for each window, so they count per area; the number of candidates is bounded for the
//! whole as well. A window that should be registered and is not
//! is not compared, and the coverage says so; when there are many, the whole panel is refused, for the
//! same reasons as a smaller picture.

use domain::inspection::Registration;
use domain::{PixelBox, UnexplainedDifference};

use super::binary_image::BinaryImage;
use super::candidates::{self, Candidates};
use super::coverage::CoverageTally;
use super::crops::{CropBatch, RegisteredPair};
use super::field::{AffineOffset, OffsetField};
use super::refusal::{self, AgreeingTiles};
use super::register::{self, RegisteredGolden};
use super::stage::{Stage, StageWatch};
use super::{
    BEND_MAX, CANDIDATES_PER_MEGAPIXEL, Incomparable, MAX_CANDIDATES, MIN_CONTENT, MIN_SCORE,
    PANEL_CANDIDATES_MAX, PreparedPicture,
};

mod rows;

pub use rows::Panel;

/// Pictures with a longer side are compared window by window, in pixels.
pub(super) const LONGEST_WHOLE: usize = 1024;
/// Side of a window's core in pixels.
const CORE_SIDE: usize = 512;
/// How far a window reaches beyond its core: a crop around a candidate there is whole.
const MARGIN: usize = 64;
/// How far beyond the core a candidate may lie and still belong to the window, in pixels: two windows
/// may see its middle a little apart.
const SEAM_TOLERANCE: usize = 6;
/// Two candidates of different windows this near are one.
const SAME_CANDIDATE_MAX: usize = 9;
/// Of the windows with structure, this share must be registered.
const REGISTERED_SHARE_MIN: f64 = 0.8;
/// When so many windows with structure were looked at and none of them is registered, none will be.
const LOST_AFTER: u32 = 16;

/// The most candidates on a panel of so many pixels; a small one may have those of a whole picture.
const fn candidates_max(pixels: usize) -> usize {
    let by_area = pixels.saturating_mul(CANDIDATES_PER_MEGAPIXEL) / 1_000_000;
    if by_area < MAX_CANDIDATES {
        MAX_CANDIDATES
    } else if by_area > PANEL_CANDIDATES_MAX {
        PANEL_CANDIDATES_MAX
    } else {
        by_area
    }
}

/// True when a picture is compared window by window.
pub(super) fn is_large(bits: &BinaryImage) -> bool {
    bits.width.max(bits.height) > LONGEST_WHOLE
}

/// A window's place on the windows.
#[derive(Debug, Clone, Copy)]
struct WindowPlace {
    column: usize,
    row: usize,
    /// Core: left, top, right, bottom.
    core: [usize; 4],
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

/// What is known of a window once it was compared.
struct ComparedWindow {
    /// Offset of the golden sample in the window's middle, and its growth.
    offset: AffineOffset,
    centres: Vec<(usize, usize)>,
}

/// The golden sample laid over a window.
struct RegisteredWindow {
    registered: RegisteredGolden,
    /// As in [`ComparedWindow`].
    offset: AffineOffset,
    /// False when there is structure to register by, and it does not fit.
    fits: bool,
}

/// Compares two panels of one size.
pub(super) fn prepare_windows(
    test: &BinaryImage,
    golden: &BinaryImage,
    watch: &mut impl StageWatch,
) -> Result<PreparedPicture, Incomparable> {
    let mut windows = Windows::new(test, golden);
    let (order, pixels) = (windows.comparison_order(), test.width * test.height);
    for &index in &order {
        windows.compare_window(index, watch);
        let is_over = windows.candidates.centres.len() > candidates_max(pixels);
        windows.too_many |= is_over;
        if is_over || windows.registered == 0 && windows.structured >= LOST_AFTER {
            break;
        }
    }
    let score = windows.refuse_unfit()?;
    let first = order.first().and_then(|&index| windows.seen[index].as_ref());
    let [dx, dy] = first.map_or([0.0; 2], |seen| seen.offset.offset_at(0.0, 0.0));
    Ok(PreparedPicture {
        crops: windows.crops,
        registration: Registration { dx, dy, score, bend: None },
        coverage: windows.coverage.into_coverage()?,
        candidates: windows.candidates,
        size: (test.width as u32, test.height as u32),
    })
}

struct Windows<'a> {
    test: &'a BinaryImage,
    golden: &'a BinaryImage,
    columns: usize,
    rows: usize,
    seen: Vec<Option<ComparedWindow>>,
    /// Windows with structure, how many of them are registered, and the sum of their scores.
    structured: u32,
    registered: u32,
    scores: f64,
    /// The farthest bend of a registered window, pixels.
    bend: f32,
    /// A registered window, or all so far, have more differences than mean anything.
    too_many: bool,
    tiles: AgreeingTiles,
    coverage: CoverageTally,
    /// Of all windows so far.
    crops: CropBatch,
    candidates: Candidates,
}

impl<'a> Windows<'a> {
    fn new(test: &'a BinaryImage, golden: &'a BinaryImage) -> Self {
        let (columns, rows) = (test.width.div_ceil(CORE_SIDE), test.height.div_ceil(CORE_SIDE));
        let seen = std::iter::repeat_with(|| None).take(columns * rows).collect();
        Self {
            test,
            golden,
            columns,
            rows,
            seen,
            structured: 0,
            registered: 0,
            scores: 0.0,
            bend: 0.0,
            too_many: false,
            tiles: AgreeingTiles::default(),
            coverage: CoverageTally::new((test.width, test.height)),
            crops: CropBatch::default(),
            candidates: Candidates::default(),
        }
    }

    fn window_place(&self, index: usize) -> WindowPlace {
        let (column, row) = (index % self.columns, index / self.columns);
        // The last core of a row ends with the picture and is never a sliver.
        let extent = |index: usize, count: usize, length: usize| {
            let at = |index: usize| index * length / count;
            let (low, high) = (at(index), at(index + 1));
            let start = low.saturating_sub(MARGIN);
            (low, high, start, (high + MARGIN).min(length) - start)
        };
        let (low_x, high_x, left, width) = extent(column, self.columns, self.test.width);
        let (low_y, high_y, top, height) = extent(row, self.rows, self.test.height);
        WindowPlace { column, row, core: [low_x, low_y, high_x, high_y], left, top, width, height }
    }

    /// All windows: from the structured one nearest to the middle outwards.
    fn comparison_order(&self) -> Vec<usize> {
        let middle = (self.columns as f64 / 2.0 - 0.5, self.rows as f64 / 2.0 - 0.5);
        let from = |index: usize, (x, y): (f64, f64)| {
            let (column, row) = ((index % self.columns) as f64, (index / self.columns) as f64);
            (column - x).abs().max((row - y).abs())
        };
        let mut order: Vec<usize> = (0..self.columns * self.rows).collect();
        order.sort_by(|&a, &b| from(a, middle).total_cmp(&from(b, middle)));
        let structured = |&&index: &&usize| {
            let place = self.window_place(index);
            has_structure(&self.golden.cut_window(
                place.left,
                place.top,
                (place.width, place.height),
            ))
        };
        if let Some(&first) = order.iter().find(structured) {
            let start = ((first % self.columns) as f64, (first / self.columns) as f64);
            order.sort_by(|&a, &b| from(a, start).total_cmp(&from(b, start)));
        }
        order
    }

    /// Windows around a place that were compared already.
    fn compared_neighbours(
        &self,
        place: &WindowPlace,
    ) -> impl Iterator<Item = (usize, &ComparedWindow)> {
        let rows = place.row.saturating_sub(1)..(place.row + 2).min(self.rows);
        let columns = place.column.saturating_sub(1)..(place.column + 2).min(self.columns);
        rows.flat_map(move |row| columns.clone().map(move |column| row * self.columns + column))
            .filter_map(|index| Some((index, self.seen[index].as_ref()?)))
    }

    /// Where the window should lie, from its neighbours.
    fn expected_offset(&self, place: &WindowPlace) -> Option<AffineOffset> {
        let (mut sum, mut count) = ([[0.0; 3]; 2], 0.0);
        for (index, seen) in self.compared_neighbours(place) {
            let other = self.window_place(index);
            let apart = |a: usize, a_size: usize, b: usize, b_size: usize| {
                (a as f32 + a_size as f32 / 2.0) - (b as f32 + b_size as f32 / 2.0)
            };
            let x = apart(place.left, place.width, other.left, other.width);
            let y = apart(place.top, place.height, other.top, other.height);
            let [dx, dy] = seen.offset.offset_at(x, y);
            let parts = [
                [dx, seen.offset.x[1], seen.offset.x[2]],
                [dy, seen.offset.y[1], seen.offset.y[2]],
            ];
            for (sum, part) in sum.as_flattened_mut().iter_mut().zip(parts.as_flattened()) {
                *sum += part;
            }
            count += 1.0;
        }
        let mean = |axis: [f32; 3]| axis.map(|sum| sum / count);
        (count > 0.0).then(|| AffineOffset { x: mean(sum[0]), y: mean(sum[1]) })
    }

    /// The score of the whole, or why it is refused. What was found so far does not matter then.
    fn refuse_unfit(&self) -> Result<f32, Incomparable> {
        let score = (self.scores / f64::from(self.structured.max(1))) as f32;
        let enough = REGISTERED_SHARE_MIN * f64::from(self.structured);
        if f64::from(self.registered) < enough || !self.tiles.fit_everywhere() {
            return Err(refusal::explain_refusal(self.test, self.golden, self.tiles, score));
        }
        if self.bend > BEND_MAX {
            return Err(Incomparable::Bent { bend: self.bend });
        }
        if self.too_many { Err(Incomparable::TooManyDifferences) } else { Ok(score) }
    }

    fn compare_window(&mut self, index: usize, watch: &mut impl StageWatch) {
        let place = self.window_place(index);
        let test = self.test.cut_window(place.left, place.top, (place.width, place.height));
        let RegisteredWindow { registered, offset, fits } =
            self.register_window(&place, &test, watch);
        let golden = registered.warped.fill_unknown_from(&test);
        self.tiles.add(&test, &golden);
        let pair = RegisteredPair { test, golden };
        let found = candidates::find_candidates(&pair, true);
        watch.stage_ended(Stage::Candidates);
        self.too_many |= fits && found.is_err();
        let (known, origin) = (&registered.warped.known, (place.left, place.top));
        let nothing = BinaryImage::new(place.width, place.height);
        self.coverage.add_window(if fits { known } else { &nothing }, origin, place.core);
        let found = found.unwrap_or_default();
        let mut own = Vec::new();
        for centre in found.centres {
            let (x, y) = (centre.0 + place.left, centre.1 + place.top);
            if self.belongs_to_core(&place, index, (x, y)) {
                self.crops.push(&pair, centre);
                own.push((x, y));
            }
        }
        watch.stage_ended(Stage::Crops);
        self.candidates.centres.extend(&own);
        self.add_significant(&place, &found.significant);
        self.seen[index] = Some(ComparedWindow { offset, centres: own });
    }

    /// Lays the golden sample over a window, where its neighbours were found when it does not fit.
    fn register_window(
        &mut self,
        place: &WindowPlace,
        test: &BinaryImage,
        watch: &mut impl StageWatch,
    ) -> RegisteredWindow {
        let size = (place.width, place.height);
        let expected = self.expected_offset(place);
        let guess = expected.unwrap_or(AffineOffset::from_shift(0.0, 0.0));
        // The golden sample's window lies where the neighbours were found, as far as there is one.
        let from = |start: usize, offset: f32, side: usize, length: usize| {
            start.saturating_add_signed(-(offset.round() as isize)).min(length - side)
        };
        let left = from(place.left, guess.x[0], size.0, self.golden.width);
        let top = from(place.top, guess.y[0], size.1, self.golden.height);
        let golden = self.golden.cut_window(left, top, size);
        let cut = (place.left as f32 - left as f32, place.top as f32 - top as f32);
        let guess = guess.shifted_by(-cut.0, -cut.1);
        let structured = has_structure(&golden);
        let found = structured
            .then(|| register::register_near(test, &golden, expected.map(|_| guess), watch));
        if let Some(found) = &found {
            self.structured += 1;
            self.scores += f64::from(found.score);
        }
        let found = found.filter(|found| found.score >= MIN_SCORE);
        if let Some(found) = &found {
            self.registered += 1;
            self.bend = self.bend.max(found.field.bend());
        }
        let fits = found.is_some() || !structured;
        let offset = found.as_ref().map_or(guess, |found| found.field.overall_affine());
        let registered = found.unwrap_or_else(|| {
            RegisteredGolden::from_field(test, &golden, OffsetField::from_affine(&guess, size))
        });
        RegisteredWindow { registered, offset: offset.shifted_by(cut.0, cut.1), fits }
    }

    /// Adds what lies at least partly in the window's core. What runs over a seam is told by both windows,
    /// each time as far as the window reaches: once too often is no loss, once too seldom is one.
    fn add_significant(&mut self, place: &WindowPlace, significant: &[UnexplainedDifference]) {
        let [left, top, right, bottom] = place.core.map(|side| side as u32);
        for difference in significant {
            let bounds = difference.bounds;
            let bounds = PixelBox {
                x: bounds.x + place.left as u32,
                y: bounds.y + place.top as u32,
                ..bounds
            };
            let across = bounds.x < right && bounds.x + bounds.width > left;
            if across && bounds.y < bottom && bounds.y + bounds.height > top {
                let difference = UnexplainedDifference { bounds, ..*difference };
                self.candidates.significant.push(difference);
            }
        }
    }

    /// True when a candidate is this window's: in its core, or near it and no other's.
    fn belongs_to_core(&self, place: &WindowPlace, index: usize, (x, y): (usize, usize)) -> bool {
        let [left, top, right, bottom] = place.core;
        let within = x + SEAM_TOLERANCE >= left
            && x < right + SEAM_TOLERANCE
            && y + SEAM_TOLERANCE >= top
            && y < bottom + SEAM_TOLERANCE;
        let same =
            |&(a, b): &(usize, usize)| a.abs_diff(x).max(b.abs_diff(y)) <= SAME_CANDIDATE_MAX;
        let mut others = self.compared_neighbours(place).filter(|(other, _)| *other != index);
        within && !others.any(|(_, seen)| seen.centres.iter().any(same))
    }
}

fn has_structure(bits: &BinaryImage) -> bool {
    let copper = bits.count_copper() as f64 / (bits.width * bits.height) as f64;
    (MIN_CONTENT..=1.0 - MIN_CONTENT).contains(&copper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_may_have_candidates_by_its_area_up_to_a_maximum() {
        let most = [300_000, 1_050_000, 6_000_000, 64_000_000, 16_384 * 16_384].map(candidates_max);
        assert_eq!(most, [192, 201, 1_152, PANEL_CANDIDATES_MAX, PANEL_CANDIDATES_MAX]);
    }
}
