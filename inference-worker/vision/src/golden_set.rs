//! Everything that the pictures of one view of a part are compared with: a golden sample, the variants that
//! stand beside it, the area that is inspected, and what accepted boards say about how good boards differ.
//!
//! Invariant: a picture is compared with one golden sample of the set, the one that it is most like nearly
//! everywhere; which one that is never depends on how few differences are left. Findings never depend on
//! accepted boards where copper is compared; what these tolerate is bounded, or the board is refused.

mod accepted;
mod choice;

use std::sync::Arc;

use domain::InspectedArea;

use super::appearance::LevelSpread;
use super::area::GoldenArea;
use super::binary_image::BinaryImage;
use super::decode::ImageView;
use super::register::{self, CoarseCounts};
use super::{
    ComparisonBasis, Incomparable, MIN_SCORE, Panel, PreparedGolden, PreparedPicture, SetMember,
    compare_panel, compare_picture, read_copper,
};
use accepted::CopperSpread;

/// A golden sample with its variants, ready for many comparisons.
#[derive(Debug, Clone)]
pub struct PreparedGoldenSet {
    /// The golden sample in force, then the others.
    variants: Vec<Variant>,
    bend_max: f32,
    /// Accepted boards so far.
    accepted: u32,
}

/// One golden sample of a set, and what was learnt about it.
#[derive(Debug, Clone)]
struct Variant {
    golden: Arc<PreparedGolden>,
    area: Option<GoldenArea>,
    /// Of photographs.
    levels: Option<Box<LevelSpread>>,
    /// Of binarised pictures.
    copper: CopperSpread,
}

impl PreparedGoldenSet {
    /// `golden` is the golden sample in force and `variants` stand beside it; `area` is in its pixels, and
    /// moved to where each variant lies. Pictures may be bent by up to `bend_max_px` pixels.
    ///
    /// # Errors
    /// [`Incomparable::Member`] when a variant does not lie over the golden sample, so that nobody knows
    /// where its area is. Without an area variants need not resemble one another.
    pub fn new(
        golden: Arc<PreparedGolden>,
        variants: Vec<Arc<PreparedGolden>>,
        area: &InspectedArea,
        bend_max_px: f32,
    ) -> Result<Self, Incomparable> {
        let size = (golden.size.0 as usize, golden.size.1 as usize);
        let area = GoldenArea::from_boxes(area, size);
        let mut all = Vec::with_capacity(1 + variants.len());
        for (number, variant) in (1..).zip(variants) {
            let moved = area.as_ref().map(|area| move_area(area, &golden, &variant)).transpose();
            let area = moved.map_err(|cause| {
                let member = SetMember::Variant(number);
                Incomparable::Member { member, cause: Box::new(cause) }
            })?;
            all.push(Variant::new(variant, area));
        }
        all.insert(0, Variant::new(golden, area));
        Ok(Self { variants: all, bend_max: bend_max_px, accepted: 0 })
    }

    /// Registers a picture to the golden sample that it is most like and cuts a crop around every candidate.
    ///
    /// # Errors
    /// [`Incomparable`] when it cannot be compared with that one.
    pub fn prepare<'a>(
        &self,
        test: impl Into<ImageView<'a>>,
    ) -> Result<PreparedPicture, Incomparable> {
        let test = test.into();
        let variant = self.choose_variant(test);
        let prepared = compare_picture(test, self.basis(variant), &mut ())?;
        Ok(PreparedPicture { variant, ..prepared })
    }

    /// As [`Self::prepare`], of a binarised panel.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub fn prepare_panel(&self, test: Panel) -> Result<PreparedPicture, Incomparable> {
        let variant = self.choose_for_copper(&test.bits);
        let prepared = compare_panel(test, self.basis(variant), &mut ())?;
        Ok(PreparedPicture { variant, ..prepared })
    }

    fn basis(&self, variant: usize) -> ComparisonBasis<'_> {
        let Variant { golden, area, levels, .. } = &self.variants[variant];
        ComparisonBasis {
            golden,
            area: area.as_ref(),
            levels: levels.as_deref(),
            bend_max: self.bend_max,
        }
    }
}

impl Variant {
    const fn new(golden: Arc<PreparedGolden>, area: Option<GoldenArea>) -> Self {
        Self { golden, area, levels: None, copper: CopperSpread::new() }
    }
}

/// The area of `golden` as it lies on a variant.
fn move_area(
    area: &GoldenArea,
    golden: &PreparedGolden,
    variant: &PreparedGolden,
) -> Result<GoldenArea, Incomparable> {
    super::same_size(variant.size, golden)?;
    let field = match (&golden.photograph, &variant.photograph) {
        (Some(golden), Some(variant)) => golden.register_golden(variant),
        (None, None) => {
            let coarse = CoarseCounts::from_image(&golden.bits);
            let found = register::register_picture(&variant.bits, (&golden.bits, &coarse), &mut ());
            (found.score >= MIN_SCORE).then_some(found.field).ok_or(found.score)
        }
        _ => Err(0.0),
    };
    field.map(|field| area.moved_along(&field)).map_err(|score| Incomparable::Unlike { score })
}
