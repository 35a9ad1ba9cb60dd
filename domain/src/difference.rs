//! What the network does not explain, and how much of a picture was compared at all.
//!
//! Invariant: what differs and has no name is a fact of its own, and what was not compared is one too;
//! neither is ever "nothing". What judges by them stands in `judgement`.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::vocabulary::vocabulary;
use crate::{ComparisonMethod, Invalid, PixelBox};

vocabulary! {
    /// In what way a place differs from the golden sample.
    pub enum DifferenceKind ("kind") {
        /// It looks different, beyond what the part tolerates.
        Appearance = "appearance",
        /// Copper is joined that the golden sample keeps apart.
        Joined = "joined",
        /// Copper is parted that the golden sample keeps together.
        Parted = "parted",
    }
}

/// A significant difference from the golden sample that no finding of the network explains.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UnexplainedDifference {
    /// In what way it differs.
    pub kind: DifferenceKind,
    /// Where it is, in pixels of the test picture.
    #[serde(rename = "box")]
    pub bounds: PixelBox,
    /// How strong it is, in parts of the weakest difference that counts: 1 and more.
    pub strength: f32,
}

/// A stronger difference is recorded as this strong.
const STRENGTH_MAX: f32 = 1_000_000.0;

impl UnexplainedDifference {
    /// The same with a strength from 1 to [`STRENGTH_MAX`]. JSON has no number for the rest: an event
    /// with it would be stored and never read again, and a difference must not be lost for its number.
    pub(crate) const fn with_storable_strength(self) -> Self {
        // Of a number and NaN, `max` is the number.
        Self { strength: self.strength.max(1.0).min(STRENGTH_MAX), ..self }
    }
}

/// How much of the area to be inspected was compared with the golden sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredCoverage")]
pub struct Coverage {
    inspected_pixels: u64,
    compared_pixels: u64,
    uncovered: Vec<PixelBox>,
    excluded_pixels: u64,
    excluded: Vec<PixelBox>,
    method: Option<ComparisonMethod>,
}

impl Coverage {
    /// The most pieces that are listed; of more, the largest.
    pub const PIECES_MAX: usize = 64;
    /// A picture of which less than this per cent was compared is not covered, even where no piece of the rest
    /// is large enough to hide a flaw by itself: so much is no edge of a board that lies a little off. Without
    /// such a piece, 99.3 are compared of the worst of 985 DeepPCB boards of trainval.
    const COMPARED_PER_CENT_MIN: u8 = 95;

    /// `inspected_pixels` of the picture are to be inspected and `compared_pixels` of these were compared;
    /// `uncovered` are the pieces of the rest that are large enough to hide a flaw, in any order, in
    /// pixels of the test picture.
    ///
    /// # Errors
    /// When more was compared than was to be inspected, or when everything was and yet a piece is not
    /// covered.
    pub fn new(
        inspected_pixels: u64,
        compared_pixels: u64,
        mut uncovered: Vec<PixelBox>,
    ) -> Result<Self, Invalid> {
        if compared_pixels > inspected_pixels {
            return Err(Invalid::new("compared_pixels", "must not be more than inspected_pixels"));
        }
        if compared_pixels == inspected_pixels && !uncovered.is_empty() {
            return Err(Invalid::new("uncovered", "must be empty when all pixels were compared"));
        }
        keep_largest(&mut uncovered);
        Ok(Self {
            inspected_pixels,
            compared_pixels,
            uncovered,
            excluded_pixels: 0,
            excluded: Vec::new(),
            method: None,
        })
    }

    /// The same of a picture of which so many more pixels were not inspected, on purpose: `excluded` are the
    /// boxes that the recipe keeps out, as they lie in the test picture, in any order.
    #[must_use]
    pub fn with_excluded(self, excluded_pixels: u64, mut excluded: Vec<PixelBox>) -> Self {
        keep_largest(&mut excluded);
        Self { excluded_pixels, excluded, ..self }
    }

    /// The same of a picture that was compared by this method.
    #[must_use]
    pub fn with_method(self, method: ComparisonMethod) -> Self {
        Self { method: Some(method), ..self }
    }

    /// Of a picture of so many pixels that were all to be inspected and all compared.
    #[must_use]
    pub const fn complete(pixels: u64) -> Self {
        Self {
            inspected_pixels: pixels,
            compared_pixels: pixels,
            uncovered: Vec::new(),
            excluded_pixels: 0,
            excluded: Vec::new(),
            method: None,
        }
    }

    /// Pixels of the picture that were to be inspected.
    #[must_use]
    pub const fn inspected_pixels(&self) -> u64 {
        self.inspected_pixels
    }

    /// Pixels of these that were compared.
    #[must_use]
    pub const fn compared_pixels(&self) -> u64 {
        self.compared_pixels
    }

    /// Pieces that were to be inspected, were not compared and are large enough to hide a flaw: the
    /// largest first, at most [`Coverage::PIECES_MAX`], in pixels of the test picture.
    #[must_use]
    pub fn uncovered(&self) -> &[PixelBox] {
        &self.uncovered
    }

    /// Pixels of the picture that were not to be inspected, on purpose.
    #[must_use]
    pub const fn excluded_pixels(&self) -> u64 {
        self.excluded_pixels
    }

    /// The boxes that the recipe keeps out, as they lie in the test picture: the largest first, at most
    /// [`Coverage::PIECES_MAX`], in its pixels.
    #[must_use]
    pub fn excluded(&self) -> &[PixelBox] {
        &self.excluded
    }

    /// How it was compared; `None` of results from before it was recorded.
    #[must_use]
    pub const fn method(&self) -> Option<ComparisonMethod> {
        self.method
    }

    /// The part of the picture that was not inspected on purpose, 0 to 1.
    #[must_use]
    pub fn excluded_share(&self) -> f64 {
        let all = self.inspected_pixels.saturating_add(self.excluded_pixels);
        if all == 0 { 0.0 } else { self.excluded_pixels as f64 / all as f64 }
    }

    /// How wide the border is that was not inspected, of a picture of this width and height, all in pixels: a
    /// board lies some pixels off, and what comes into the picture there is on no golden sample.
    #[must_use]
    pub const fn border_px(&self, width: u32, height: u32) -> u32 {
        // Inside the border there is what was to be inspected and what was kept out, so with a border b it is
        // (width - 2 b) × (height - 2 b) pixels.
        let inside = self.inspected_pixels.saturating_add(self.excluded_pixels);
        let apart = width.abs_diff(height) as u64;
        let sides = (apart * apart).saturating_add(inside.saturating_mul(4)).isqrt();
        let border = (width as u64 + height as u64).saturating_sub(sides) / 4;
        // Less than half of either side.
        border as u32
    }

    /// The part that was compared of what was to be inspected, 0 to 1; 0 when that was nothing.
    #[must_use]
    pub fn compared_share(&self) -> f64 {
        if self.inspected_pixels == 0 {
            return 0.0;
        }
        self.compared_pixels as f64 / self.inspected_pixels as f64
    }

    /// How many pieces a flaw could hide in. A picture of which nothing was compared is one, and so is one of
    /// which less than 95 per cent was, in however small pieces the rest lies.
    #[must_use]
    pub fn uncovered_pieces(&self) -> u32 {
        // At most `PIECES_MAX`, so it fits.
        let listed = self.uncovered.len() as u32;
        if self.compared_pixels == 0 || self.is_compared_thinly() { listed.max(1) } else { listed }
    }

    fn is_compared_thinly(&self) -> bool {
        let needed = u128::from(self.inspected_pixels) * u128::from(Self::COMPARED_PER_CENT_MIN);
        u128::from(self.compared_pixels) * 100 < needed
    }
}

/// The largest boxes, the largest first, as many as are listed.
fn keep_largest(boxes: &mut Vec<PixelBox>) {
    boxes.sort_by_key(|piece| Reverse(u64::from(piece.width) * u64::from(piece.height)));
    boxes.truncate(Coverage::PIECES_MAX);
}

/// A coverage as it stands in events and reports, before it is known to be one.
#[derive(Deserialize)]
struct StoredCoverage {
    inspected_pixels: u64,
    compared_pixels: u64,
    uncovered: Vec<PixelBox>,
    excluded_pixels: u64,
    excluded: Vec<PixelBox>,
    method: Option<ComparisonMethod>,
}

impl TryFrom<StoredCoverage> for Coverage {
    type Error = Invalid;

    fn try_from(stored: StoredCoverage) -> Result<Self, Invalid> {
        let coverage =
            Self::new(stored.inspected_pixels, stored.compared_pixels, stored.uncovered)?;
        let coverage = coverage.with_excluded(stored.excluded_pixels, stored.excluded);
        Ok(Self { method: stored.method, ..coverage })
    }
}
