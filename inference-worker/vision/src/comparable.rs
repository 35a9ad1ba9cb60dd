//! The pictures of a part as files: each is decoded as it is compared, whole or as a panel, and what boards are
//! compared with is made ready from all of them.
//!
//! Invariant: who takes a golden sample in and who compares with it come through here, so that what is taken in
//! can be compared with.

use std::sync::Arc;

use domain::InspectedArea;

use super::decode::{DecodeError, DecodedImage, decode};
use super::golden_set::PreparedGoldenSet;
use super::incomparable::{Incomparable, SetMember};
use super::panel::Panel;
use super::photograph::BINARY_GOLDEN;
use super::{PreparedGolden, PreparedPicture};

/// A picture as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ComparablePicture {
    /// Decoded as a whole.
    Whole(DecodedImage),
    /// Binarised and too large to be decoded as a whole.
    Panel(Panel),
}

/// Why the pictures of a part cannot be compared with.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum UnusableGolden {
    /// There is no golden sample.
    #[error("there is no golden sample to compare with")]
    Missing,
    /// A file is no usable picture.
    #[error("{which}: {cause}")]
    Unreadable {
        /// Which one.
        which: String,
        /// Why.
        cause: DecodeError,
    },
    /// A picture shows nothing to compare by, or does not go with the others.
    #[error(transparent)]
    Incomparable(#[from] Incomparable),
}

/// The files that the pictures of one view of a part are compared with, and what of it counts.
#[derive(Debug, Clone, Copy)]
pub struct GoldenSetFiles<'a, F> {
    /// The golden sample in force, then the variants that stand beside it.
    pub variants: &'a [F],
    /// Good boards.
    pub accepted: &'a [F],
    /// What is inspected, in pixels of the golden sample in force.
    pub area: &'a InspectedArea,
    /// How far a picture may be bent, pixels.
    pub bend_max_px: f32,
}

impl ComparablePicture {
    /// Decodes a file.
    ///
    /// # Errors
    /// [`DecodeError`], before pixels are decoded when the declared size is beyond the limits.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match decode(bytes) {
            Err(DecodeError::TooLarge { .. }) => Panel::decode(bytes).map(Self::Panel),
            decoded => decoded.map(Self::Whole),
        }
    }

    /// Registers it to the golden sample of `set` that it is most like; see [`PreparedGoldenSet::prepare`].
    ///
    /// # Errors
    /// [`Incomparable`] when it cannot be compared.
    pub fn compare_with(self, set: &PreparedGoldenSet) -> Result<PreparedPicture, Incomparable> {
        match self {
            Self::Whole(picture) => set.prepare(&picture),
            Self::Panel(panel) => set.prepare_panel(panel),
        }
    }
}

impl<F: AsRef<[u8]>> GoldenSetFiles<'_, F> {
    /// Makes all of them ready, one after the other.
    ///
    /// # Errors
    /// [`UnusableGolden`] for the first that is not usable; it says which one that is.
    pub fn prepare(&self) -> Result<PreparedGoldenSet, UnusableGolden> {
        let (first, others) = self.variants.split_first().ok_or(UnusableGolden::Missing)?;
        let golden = prepare_golden(first.as_ref(), None)?;
        let others = (1..)
            .zip(others)
            .map(|(number, file)| prepare_golden(file.as_ref(), Some(SetMember::Variant(number))));
        let others = others.collect::<Result<_, _>>()?;
        let mut set = PreparedGoldenSet::new(golden, others, self.area, self.bend_max_px)?;
        for (number, file) in (1..).zip(self.accepted) {
            let member = SetMember::AcceptedBoard(number);
            let board = ComparablePicture::decode(file.as_ref())
                .map_err(|cause| unreadable(Some(member), cause))?;
            match board {
                ComparablePicture::Whole(board) => set.add_accepted(&board),
                ComparablePicture::Panel(board) => set.add_accepted_panel(board),
            }?;
        }
        Ok(set)
    }
}

/// The golden sample in force, or a member of its set.
fn prepare_golden(
    file: &[u8],
    member: Option<SetMember>,
) -> Result<Arc<PreparedGolden>, UnusableGolden> {
    let picture = ComparablePicture::decode(file).map_err(|cause| unreadable(member, cause))?;
    let prepared = match picture {
        ComparablePicture::Whole(picture) => PreparedGolden::new(&picture),
        ComparablePicture::Panel(panel) => {
            require_binary(&panel).map_err(|cause| unreadable(member, cause))?;
            PreparedGolden::from_panel(panel)
        }
    };
    let prepared = prepared.map_err(|cause| match member {
        Some(member) => Incomparable::Member { member, cause: Box::new(cause) },
        None => cause,
    });
    Ok(Arc::new(prepared?))
}

/// As of a smaller golden sample: what is less binarised is a photograph, which is compared as a whole.
fn require_binary(panel: &Panel) -> Result<(), DecodeError> {
    let (width, height) = panel.size();
    let too_large = DecodeError::TooLarge { width: width as u32, height: height as u32 };
    if panel.is_binary(BINARY_GOLDEN) { Ok(()) } else { Err(too_large) }
}

fn unreadable(member: Option<SetMember>, cause: DecodeError) -> UnusableGolden {
    let which = member.map_or_else(|| "golden sample".to_owned(), |member| member.to_string());
    UnusableGolden::Unreadable { which, cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::golden_picture;

    #[test]
    fn a_golden_panel_is_as_binarised_as_a_smaller_golden_sample() {
        let mut board = golden_picture(1);
        assert_eq!(require_binary(&Panel::from(&board)), Ok(()));
        // Four pixels of a hundred are grey: binarised enough to be compared, and not to be compared with.
        for (_, _, level) in board.enumerate_pixels_mut().filter(|(x, ..)| x % 25 == 0) {
            *level = image::Luma([128]);
        }
        let refused = require_binary(&Panel::from(&board));
        assert!(matches!(refused, Err(DecodeError::TooLarge { .. })), "{refused:?}");
    }
}
