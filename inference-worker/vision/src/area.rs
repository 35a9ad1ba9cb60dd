//! What of a golden sample is inspected, and that area laid over a test picture.
//!
//! Invariant: what is excluded is what the boxes hold and never more. Where one has to be rounded, turned or
//! moved, a keep-out and a tolerated zone become smaller and the region of interest larger.

use domain::{InspectedArea, PixelBox};

use super::binary_image::BinaryImage;
use super::coverage::MARGIN;
use super::field::{self, OffsetField};

/// Left, top, right and bottom, the last two excluded; may reach beyond the picture.
pub(super) type Reach = [isize; 4];

/// So far away that no picture reaches it.
const FAR: isize = 1 << 40;

/// The area of one golden sample, in its pixels.
#[derive(Debug, Clone)]
pub(super) struct GoldenArea {
    size: (usize, usize),
    /// The region of interest. A side of it along the golden sample's border is open: what lies beyond the
    /// border is on no golden sample, and nobody meant to leave it out.
    region: Reach,
    /// The keep-outs and what lies outside of the region, as boxes.
    excluded: Vec<Reach>,
    keep_outs: BinaryImage,
    /// Tolerated zones, and what accepted boards agree to differ in.
    zones: Vec<Reach>,
    tolerated: Option<BinaryImage>,
}

/// An area as it lies in a picture, or in a window of one.
#[derive(Debug, Clone)]
pub(super) struct LaidArea {
    /// Pixels that are not inspected on purpose.
    pub(super) excluded: BinaryImage,
    /// Pixels whose differences count only when a finding explains them.
    pub(super) tolerated: Option<BinaryImage>,
    /// Boxes around what is excluded.
    pub(super) boxes: Vec<Reach>,
}

impl GoldenArea {
    /// The area on a golden sample of `size`; none when it is all of it.
    pub(super) fn from_boxes(area: &InspectedArea, size: (usize, usize)) -> Option<Self> {
        if *area == InspectedArea::default() {
            return None;
        }
        let region = area.region_of_interest().map_or([-FAR, -FAR, FAR, FAR], |region| {
            let [left, top, right, bottom] = reach_of_box(&region);
            let margin = MARGIN.cast_signed();
            let (far_right, far_bottom) = (size.0.cast_signed(), size.1.cast_signed());
            [
                if left <= margin { -FAR } else { left },
                if top <= margin { -FAR } else { top },
                if right >= far_right - margin { FAR } else { right },
                if bottom >= far_bottom - margin { FAR } else { bottom },
            ]
        });
        let reaches = |boxes: &[PixelBox]| boxes.iter().map(reach_of_box).collect();
        Some(Self::from_reaches(size, region, reaches(area.keep_outs()), reaches(area.tolerated())))
    }

    /// All of a golden sample.
    pub(super) fn whole(size: (usize, usize)) -> Self {
        Self::from_reaches(size, [-FAR, -FAR, FAR, FAR], Vec::new(), Vec::new())
    }

    fn from_reaches(
        size: (usize, usize),
        region: Reach,
        keep_outs: Vec<Reach>,
        zones: Vec<Reach>,
    ) -> Self {
        Self {
            size,
            region,
            keep_outs: fill_boxes(size, &keep_outs),
            excluded: around_region(region).into_iter().chain(keep_outs).collect(),
            tolerated: (!zones.is_empty()).then(|| fill_boxes(size, &zones)),
            zones,
        }
    }

    /// The same, where differences at these pixels are tolerated besides the zones.
    pub(super) fn with_agreed_deviations(mut self, mut agreed: BinaryImage) -> Self {
        agreed.join_with(&fill_boxes(self.size, &self.zones));
        self.tolerated = Some(agreed);
        self
    }

    /// The area of a picture over which the golden sample lies along a field, where it is a golden sample of
    /// its own. What accepted boards of this one agree on is not known there.
    pub(super) fn moved_along(&self, field: &OffsetField) -> Self {
        let inner = |reaches: &[Reach]| -> Vec<Reach> {
            let placed = reaches.iter().map(|reach| place_inner(*reach, field));
            placed.filter(|[left, top, right, bottom]| left < right && top < bottom).collect()
        };
        let keep_outs = inner(&self.excluded[around_region(self.region).len()..]);
        let region = place_reach(self.region, field);
        Self::from_reaches(self.size, region, keep_outs, inner(&self.zones))
    }

    /// The pixels of the golden sample that are not inspected.
    pub(super) fn excluded_pixels(&self) -> BinaryImage {
        let mut outside = fill_boxes(self.size, &[self.region]).inverted();
        outside.join_with(&self.keep_outs);
        outside
    }

    /// The pixels of the golden sample in which differences are tolerated.
    pub(super) const fn tolerated_pixels(&self) -> Option<&BinaryImage> {
        self.tolerated.as_ref()
    }

    /// The area of the part of the golden sample of `size` from `left`, `top` on.
    pub(super) fn cut_window(&self, left: usize, top: usize, size: (usize, usize)) -> Self {
        let (x, y) = (left.cast_signed(), top.cast_signed());
        let moved = |[left, top, right, bottom]: Reach| [left - x, top - y, right - x, bottom - y];
        Self {
            size,
            region: moved(self.region),
            excluded: self.excluded.iter().map(|reach| moved(*reach)).collect(),
            keep_outs: self.keep_outs.cut_window(left, top, size),
            zones: self.zones.iter().map(|reach| moved(*reach)).collect(),
            tolerated: self.tolerated.as_ref().map(|bits| bits.cut_window(left, top, size)),
        }
    }

    /// How the area lies in a picture, along the field of its golden sample.
    pub(super) fn lay_over(&self, field: &OffsetField) -> LaidArea {
        let mut excluded = field::warp_reach(self.size, field, self.region).inverted();
        excluded.join_with(&field::warp_copper(&self.keep_outs, field));
        LaidArea {
            excluded,
            tolerated: self.tolerated.as_ref().map(|bits| field::warp_copper(bits, field)),
            boxes: self.excluded.iter().map(|reach| place_reach(*reach, field)).collect(),
        }
    }
}

fn reach_of_box(bounds: &PixelBox) -> Reach {
    let PixelBox { x, y, width, height } = *bounds;
    let side = |start: u32, length: u32| {
        let start = start as isize;
        (start, start + length as isize)
    };
    let ((left, right), (top, bottom)) = (side(x, width), side(y, height));
    [left, top, right, bottom]
}

/// What lies around a region, as boxes; open sides have nothing beyond.
fn around_region([left, top, right, bottom]: Reach) -> Vec<Reach> {
    let around = [
        [-FAR, -FAR, FAR, top],
        [-FAR, bottom, FAR, FAR],
        [-FAR, top, left, bottom],
        [right, top, FAR, bottom],
    ];
    around.into_iter().filter(|[left, top, right, bottom]| left < right && top < bottom).collect()
}

/// The pixels of a picture that lie in one of the boxes.
fn fill_boxes(size: (usize, usize), boxes: &[Reach]) -> BinaryImage {
    let mut filled = BinaryImage::new(size.0, size.1);
    for &reach in boxes {
        filled.fill_extent(clip_reach(reach, size));
    }
    filled
}

/// The part of a box that lies in a picture of `size`.
pub(super) fn clip_reach([left, top, right, bottom]: Reach, size: (usize, usize)) -> [usize; 4] {
    let within = |at: isize, length: usize| at.clamp(0, length.cast_signed()).unsigned_abs();
    [within(left, size.0), within(top, size.1), within(right, size.0), within(bottom, size.1)]
}

/// The upright box around a box of the golden sample as it lies in the picture.
fn place_reach(reach: Reach, field: &OffsetField) -> Reach {
    let [[left, low_left], [top, low_top], [right, low_right], [bottom, low_bottom]] =
        placed_sides(reach, field);
    [left.min(low_left), top.min(low_top), right.max(low_right), bottom.max(low_bottom)]
}

/// The upright box within a box of the golden sample as it lies in the picture; it may be empty.
fn place_inner(reach: Reach, field: &OffsetField) -> Reach {
    let [[left, low_left], [top, low_top], [right, low_right], [bottom, low_bottom]] =
        placed_sides(reach, field);
    [left.max(low_left), top.max(low_top), right.min(low_right), bottom.min(low_bottom)]
}

/// Where both ends of the left, top, right and bottom side lie in the picture, across that side.
fn placed_sides([left, top, right, bottom]: Reach, field: &OffsetField) -> [[isize; 2]; 4] {
    // Far away, the border's offset is as good as any.
    let offset = |x: isize, y: isize| field.offset_near_pixel(x as f32, y as f32);
    let across = |x: isize| [top, bottom].map(|y| x + offset(x, y)[0].round() as isize);
    let down = |y: isize| [left, right].map(|x| y + offset(x, y)[1].round() as isize);
    [across(left), down(top), across(right), down(bottom)]
}
