//! Which part of a picture is inspected: a region of interest, what is left out of it on purpose, and where
//! unexplained differences are tolerated.
//!
//! Invariant: boxes are in pixels of the golden sample, not empty, few, and end where a picture may. That
//! they lie on the golden sample is not demanded: what lies beside it changes nothing, and a region of
//! interest beside it leaves nothing to inspect, which never passes.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::{Invalid, PixelBox};

/// The area of a part that is inspected, in pixels of its golden sample.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredArea")]
pub struct InspectedArea {
    region_of_interest: Option<PixelBox>,
    keep_outs: Vec<PixelBox>,
    tolerated: Vec<PixelBox>,
}

impl InspectedArea {
    /// The most keep-outs, and the most tolerated zones.
    pub const BOXES_MAX: usize = 64;
    /// The farthest that a box may end from the left or the top, in pixels.
    pub const EDGE_MAX: u32 = 1 << 20;

    /// `region_of_interest` is inspected (the whole picture when there is none) except `keep_outs`; in
    /// `tolerated` zones, such as silk screen and stickers, findings count and unexplained differences do
    /// not. All in pixels of the golden sample.
    ///
    /// # Errors
    /// When a box is empty or ends beyond [`Self::EDGE_MAX`], or there are more than [`Self::BOXES_MAX`] of
    /// a kind; the field is named by its path in a recipe.
    pub fn new(
        region_of_interest: Option<PixelBox>,
        keep_outs: Vec<PixelBox>,
        tolerated: Vec<PixelBox>,
    ) -> Result<Self, Invalid> {
        check_boxes("area.region_of_interest", region_of_interest.as_slice())?;
        check_boxes("area.keep_outs", &keep_outs)?;
        check_boxes("area.tolerated", &tolerated)?;
        Ok(Self { region_of_interest, keep_outs, tolerated })
    }

    /// What is inspected; `None` is the whole picture.
    #[must_use]
    pub const fn region_of_interest(&self) -> Option<PixelBox> {
        self.region_of_interest
    }

    /// What is not inspected, on purpose.
    #[must_use]
    pub fn keep_outs(&self) -> &[PixelBox] {
        &self.keep_outs
    }

    /// Where differences that no finding explains do not count.
    #[must_use]
    pub fn tolerated(&self) -> &[PixelBox] {
        &self.tolerated
    }
}

fn check_boxes(field: &'static str, boxes: &[PixelBox]) -> Result<(), Invalid> {
    if boxes.len() > InspectedArea::BOXES_MAX {
        return Err(Invalid::new(field, "must not be more than 64 boxes"));
    }
    if boxes.iter().any(|one| one.width == 0 || one.height == 0) {
        return Err(Invalid::new(field, "must be at least one pixel wide and high"));
    }
    let ends = |at: u32, length: u32| u64::from(at) + u64::from(length);
    let last = u64::from(InspectedArea::EDGE_MAX);
    if boxes.iter().any(|b| ends(b.x, b.width) > last || ends(b.y, b.height) > last) {
        return Err(Invalid::new(field, "must end within 1048576 pixels"));
    }
    Ok(())
}

/// An area as it stands in events and tables, before it is known to be one.
#[derive(Deserialize)]
struct StoredArea {
    region_of_interest: Option<PixelBox>,
    keep_outs: Vec<PixelBox>,
    tolerated: Vec<PixelBox>,
}

impl TryFrom<StoredArea> for InspectedArea {
    type Error = Invalid;

    fn try_from(stored: StoredArea) -> Result<Self, Invalid> {
        Self::new(stored.region_of_interest, stored.keep_outs, stored.tolerated)
    }
}
