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
use domain::{ComparisonMethod, PixelBox, UnexplainedDifference};

use super::area::{self, GoldenArea, LaidArea};
use super::binary_image::BinaryImage;
use super::candidates::{self, Candidates};
use super::coverage::CoverageTally;
use super::crops::{CropBatch, RegisteredPair};
use super::field::{AffineOffset, OffsetField};
use super::refusal::{self, AgreeingTiles};
use super::register::{self, RegisteredGolden};
use super::stage::{Stage, StageWatch};
use super::{
    CANDIDATES_PER_MEGAPIXEL, ComparisonBasis, Incomparable, MAX_CANDIDATES, MIN_CONTENT,
    MIN_SCORE, PANEL_CANDIDATES_MAX, PreparedPicture,
};

mod places;
mod rows;

pub use rows::Panel;

use places::{WindowGrid, WindowPlace};

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
    /// The area as it lies in the window; none when all of it is inspected.
    laid: Option<LaidArea>,
}

/// Compares two panels of one size.
pub(super) fn prepare_windows(
    test: &BinaryImage,
    basis: ComparisonBasis<'_>,
    watch: &mut impl StageWatch,
) -> Result<PreparedPicture, Incomparable> {
    let mut windows = Windows::new(test, basis);
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
        registration: Registration { dx, dy, score, bend: Some(windows.bend) },
        coverage: windows.coverage.into_coverage(ComparisonMethod::Copper)?,
        variant: 0,
        candidates: windows.candidates,
        size: (test.width as u32, test.height as u32),
    })
}

struct Windows<'a> {
    test: &'a BinaryImage,
    golden: &'a BinaryImage,
    basis: ComparisonBasis<'a>,
    grid: WindowGrid,
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
    fn new(test: &'a BinaryImage, basis: ComparisonBasis<'a>) -> Self {
        let grid = WindowGrid::new(test.size());
        let seen = std::iter::repeat_with(|| None).take(grid.columns * grid.rows).collect();
        Self {
            test,
            golden: &basis.golden.bits,
            basis,
            grid,
            seen,
            structured: 0,
            registered: 0,
            scores: 0.0,
            bend: 0.0,
            too_many: false,
            tiles: AgreeingTiles::default(),
            coverage: CoverageTally::new((test.width, test.height)),
            crops: CropBatch::default(),
            candidates: Candidates {
                excluded: basis.area.map(|_| BinaryImage::new(test.width, test.height)),
                ..Candidates::default()
            },
        }
    }

    fn comparison_order(&self) -> Vec<usize> {
        self.grid.order_from_middle(|place| {
            let size = (place.width, place.height);
            has_structure(&self.golden.cut_window(place.left, place.top, size))
        })
    }

    /// Windows around a place that were compared already.
    fn compared_neighbours(
        &self,
        place: &WindowPlace,
    ) -> impl Iterator<Item = (usize, &ComparedWindow)> {
        self.grid
            .with_neighbours(place)
            .filter_map(|index| Some((index, self.seen[index].as_ref()?)))
    }

    /// Where the window should lie, from its neighbours.
    fn expected_offset(&self, place: &WindowPlace) -> Option<AffineOffset> {
        let (mut sum, mut count) = ([[0.0; 3]; 2], 0.0);
        for (index, seen) in self.compared_neighbours(place) {
            let other = self.grid.place(index);
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
        self.basis.check_bend(self.bend)?;
        if self.too_many { Err(Incomparable::TooManyDifferences) } else { Ok(score) }
    }

    fn compare_window(&mut self, index: usize, watch: &mut impl StageWatch) {
        let place = self.grid.place(index);
        let test = self.test.cut_window(place.left, place.top, (place.width, place.height));
        let RegisteredWindow { registered, offset, fits, laid } =
            self.register_window(&place, &test, watch);
        let golden = registered.warped.fill_unknown_from(&test);
        match &laid {
            Some(laid) => {
                self.tiles.add(&test.without(&laid.excluded), &golden.without(&laid.excluded));
            }
            None => self.tiles.add(&test, &golden),
        }
        let pair = RegisteredPair { test, golden };
        let found = candidates::find_candidates(&pair, true, laid.as_ref());
        watch.stage_ended(Stage::Candidates);
        self.too_many |= fits && found.is_err();
        let (known, origin) = (&registered.warped.known, (place.left, place.top));
        let nothing = BinaryImage::new(place.width, place.height);
        let known = if fits { known } else { &nothing };
        let excluded = laid.as_ref().map(|laid| &laid.excluded);
        self.coverage.add_window(known, excluded, origin, place.core);
        self.add_excluded(&place, laid.as_ref());
        let found = found.unwrap_or_default();
        let mut own = Vec::new();
        for centre in found.centres {
            let (x, y) = (centre.0 + place.left, centre.1 + place.top);
            if self.belongs_to_core(&place, index, (x, y)) {
                self.crops.push_bits(&pair, centre);
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
        let area = self.basis.area.map(|area| area.cut_window(left, top, size));
        let pixels = (size.0 * size.1) as u64;
        let left_out = |area: &GoldenArea| area.excluded_pixels().count_copper() == pixels;
        let structured = has_structure(&golden) && !area.as_ref().is_some_and(left_out);
        let mut found = structured
            .then(|| register::register_near(test, &golden, expected.map(|_| guess), watch));
        let mut laid = None;
        if let Some(found) = &mut found {
            laid = area.as_ref().map(|area| area.lay_over(&found.field));
            let inspected = laid.as_ref().map_or(0.0, |laid| found.leave_out(test, &laid.excluded));
            if found.score < MIN_SCORE {
                found.score = found.score.max(inspected);
            }
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
            let field = OffsetField::from_affine(&guess, size);
            // Where it does not fit, nobody knows where a keep-out lies.
            laid = area.filter(|_| fits).map(|area| area.lay_over(&field));
            let mut registered = RegisteredGolden::from_field(test, &golden, field);
            laid.iter().for_each(|laid| registered.warped.leave_out(&laid.excluded));
            registered
        });
        RegisteredWindow { registered, offset: offset.shifted_by(cut.0, cut.1), fits, laid }
    }

    /// Keeps what is not inspected of the window's core.
    fn add_excluded(&mut self, place: &WindowPlace, laid: Option<&LaidArea>) {
        let Some((laid, excluded)) = laid.zip(self.candidates.excluded.as_mut()) else { return };
        let origin = (place.left, place.top);
        excluded.paste_window(&laid.excluded, origin, place.core);
        let [left, top, right, bottom] = place.core;
        let boxes = laid.boxes.iter().map(|reach| {
            let reach = area::clip_reach(*reach, (place.width, place.height));
            let [x0, y0, x1, y1] = reach;
            let (x, y) = origin;
            [(x + x0).max(left), (y + y0).max(top), (x + x1).min(right), (y + y1).min(bottom)]
        });
        self.coverage.add_excluded_boxes(boxes);
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
