//! How much of a picture is compared with its golden sample. Where the golden sample does not reach, nothing
//! is said to differ; so what it does not reach is counted here, and never taken for equal.
//!
//! A margin along the border is not inspected: a board lies some pixels off, and what comes into the
//! picture there is on no golden sample. It is as narrow as the picture allows, and its width follows from the
//! number of pixels inside. What lies farther inside has to be compared, and a piece of it that was not and is
//! large enough to hide a flaw is an uncovered piece.

use domain::{ComparisonMethod, Coverage, PixelBox};

use super::Incomparable;
use super::binary_image::{BinaryImage, column_mask};

/// What lies nearer to the border than this is not inspected, pixels. Registration leaves the outermost
/// three pixels out, and with them as many as the board lies off: of 996 pairs of DeepPCB's trainval, 986
/// leave nothing of [`HIDING_SIDE`] farther inside.
pub(super) const MARGIN: usize = 6;
/// An uncovered piece counts when it holds a square of this side, pixels: in less there is no room for the
/// smallest flaw and the tolerance of an edge beside it.
const HIDING_SIDE: usize = 4;
/// An uncovered piece is told as several boxes while less than half of its box is uncovered and the box is
/// longer than this, pixels: an L along two borders is no square.
const PLAIN_BOX_SIDE: usize = 32;

/// A part of a picture: left, top, right and bottom, the last two excluded.
pub(super) type Extent = [usize; 4];

/// Counts what is compared, one window of a picture after the other.
pub(super) struct CoverageTally {
    /// What is to be inspected.
    inspected: Extent,
    compared_pixels: u64,
    uncovered: Vec<PixelBox>,
    /// Of what would be inspected, the pixels that are not on purpose, and boxes around them.
    excluded_pixels: u64,
    excluded: Vec<PixelBox>,
}

impl CoverageTally {
    /// Of a picture of so many pixels.
    pub(super) const fn new(size: (usize, usize)) -> Self {
        Self::with_margin(size, MARGIN)
    }

    /// Of a picture that is seen in one window, of which as many pixels along the border are not inspected as
    /// could not be compared there: at least `least`, and at most `most`. When something lies farther inside,
    /// `least`, so that all of it is told.
    pub(super) fn with_narrowest_margin(
        known: &BinaryImage,
        excluded: Option<&BinaryImage>,
        (least, most): (usize, usize),
    ) -> Self {
        let mut unknown = known.inverted();
        if let Some(excluded) = excluded {
            unknown = unknown.without(excluded);
        }
        let squares = (1..HIDING_SIDE).fold(unknown, |squares, _| squares.squares_of_two());
        let mut needed = least;
        squares.for_each_set(|right, bottom| {
            let (left, top) = (right + 1 - HIDING_SIDE, bottom + 1 - HIDING_SIDE);
            let beyond = (known.width - 1 - right).min(known.height - 1 - bottom);
            needed = needed.max(left.min(top).min(beyond) + 1);
        });
        Self::with_margin(known.size(), if needed > most { least } else { needed })
    }

    /// Of a picture of which at least so many pixels along the border are not inspected.
    const fn with_margin((width, height): (usize, usize), margin: usize) -> Self {
        let margin = if margin > MARGIN { margin } else { MARGIN };
        let inspected =
            [margin, margin, width.saturating_sub(margin), height.saturating_sub(margin)];
        Self {
            inspected,
            compared_pixels: 0,
            uncovered: Vec::new(),
            excluded_pixels: 0,
            excluded: Vec::new(),
        }
    }

    /// Adds the part `core` of the picture, seen in a window that begins at `origin` and reaches at least
    /// [`HIDING_SIDE`] beyond the core where the picture goes on; `known` is what of the window can be compared,
    /// and `excluded` what of it is not inspected on purpose.
    pub(super) fn add_window(
        &mut self,
        known: &BinaryImage,
        excluded: Option<&BinaryImage>,
        origin: (usize, usize),
        core: Extent,
    ) {
        let within = |extent: Extent| {
            let [left, top, right, bottom] = intersect(extent, self.inspected);
            let across = |x: usize| x.saturating_sub(origin.0).min(known.width);
            let down = |y: usize| y.saturating_sub(origin.1).min(known.height);
            [across(left), down(top), across(right), down(bottom)]
        };
        let core_here = within(core);
        let left_out = excluded.map_or(0, |excluded| excluded.count_within(core_here));
        self.excluded_pixels += left_out;
        let compared = match excluded {
            Some(excluded) => known.without(excluded).count_within(core_here),
            None => known.count_within(core_here),
        };
        self.compared_pixels += compared;
        if compared + left_out == area(core_here) {
            return;
        }
        // A piece on a seam counts by what lies on both sides of it.
        let [left, top, right, bottom] = core;
        let more = HIDING_SIDE;
        let around = within([
            left.saturating_sub(more),
            top.saturating_sub(more),
            right + more,
            bottom + more,
        ]);
        let mut unknown = BinaryImage::new(known.width, known.height);
        unknown.copy_extent(&known.inverted(), around);
        if let Some(excluded) = excluded {
            unknown = unknown.without(excluded);
        }
        // What squares of side four can cover: three by three, and two by two of those.
        let hiding = unknown.eroded().opened_by_two().dilated();
        for [left, top, right, bottom] in plain_boxes(&hiding, core_here) {
            let (x, y) = origin;
            self.uncovered.push(to_box([x + left, y + top, x + right, y + bottom]));
        }
    }

    /// Tells boxes around what is not inspected on purpose, as far as they lie where it would be.
    pub(super) fn add_excluded_boxes(&mut self, boxes: impl IntoIterator<Item = Extent>) {
        for reach in boxes {
            let [left, top, right, bottom] = intersect(reach, self.inspected);
            if left < right && top < bottom {
                self.excluded.push(to_box([left, top, right, bottom]));
            }
        }
    }

    /// The coverage of everything that was added, all of it compared by `method`.
    ///
    /// # Errors
    /// [`Incomparable::TooSmall`] when there is nothing to inspect.
    pub(super) fn into_coverage(self, method: ComparisonMethod) -> Result<Coverage, Incomparable> {
        let inspected = area(self.inspected).saturating_sub(self.excluded_pixels);
        Coverage::new(inspected, self.compared_pixels, self.uncovered)
            .map(|coverage| coverage.with_excluded(self.excluded_pixels, self.excluded))
            .map(|coverage| coverage.with_method(method))
            .map_err(|_| Incomparable::TooSmall)
    }
}

fn intersect(a: Extent, b: Extent) -> Extent {
    [a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]
}

const fn area([left, top, right, bottom]: Extent) -> u64 {
    (right.saturating_sub(left) * bottom.saturating_sub(top)) as u64
}

const fn to_box([left, top, right, bottom]: Extent) -> PixelBox {
    PixelBox {
        x: left as u32,
        y: top as u32,
        width: (right - left) as u32,
        height: (bottom - top) as u32,
    }
}

/// Boxes that hold what is set within `extent`, each short or at least half full.
fn plain_boxes(bits: &BinaryImage, extent: Extent) -> Vec<Extent> {
    let (mut boxes, mut rest) = (Vec::new(), vec![extent]);
    while let Some(extent) = rest.pop() {
        let Some(tight) = tight_extent(bits, extent) else { continue };
        let [left, top, right, bottom] = tight;
        let (width, height) = (right - left, bottom - top);
        if width.max(height) <= PLAIN_BOX_SIDE || 2 * bits.count_within(tight) >= area(tight) {
            boxes.push(tight);
        } else if width >= height {
            let middle = left + width / 2;
            rest.extend([[left, top, middle, bottom], [middle, top, right, bottom]]);
        } else {
            let middle = top + height / 2;
            rest.extend([[left, top, right, middle], [left, middle, right, bottom]]);
        }
    }
    boxes
}

/// The smallest part of `extent` that holds all that is set in it.
fn tight_extent(bits: &BinaryImage, [left, top, right, bottom]: Extent) -> Option<Extent> {
    let mut tight: Option<Extent> = None;
    for y in top..bottom {
        for (index, &word) in bits.row(y).iter().enumerate() {
            let word = word & column_mask(left, right, index);
            if word != 0 {
                let first = index * 64 + word.trailing_zeros() as usize;
                let end = index * 64 + 64 - word.leading_zeros() as usize;
                let seen = tight.get_or_insert([first, y, end, y + 1]);
                *seen = [seen[0].min(first), seen[1], seen[2].max(end), y + 1];
            }
        }
    }
    tight
}
