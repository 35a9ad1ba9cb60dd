//! How a golden sample's pictures tell copper from substrate: binarised ones by a fixed level,
//! photographs by what separates the two on the golden sample.

use super::Incomparable;
use super::bits::Bits;
use super::decode::Look;

/// How the pictures of a part are read; decided on the golden sample, the same for every picture
/// compared with it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reading {
    /// Binarised pictures: grey levels below 128 are copper.
    Binary,
}

impl Reading {
    /// How `golden` is read, and its copper.
    pub(super) fn of(golden: Look<'_>) -> Result<(Self, Bits), Incomparable> {
        Ok((Self::Binary, Self::Binary.bits(golden)?))
    }

    /// The copper of a picture.
    pub(super) fn bits(&self, picture: Look<'_>) -> Result<Bits, Incomparable> {
        match picture {
            Look::Grey(grey) => Ok(Bits::from_picture(grey)),
            Look::Colour(colour) => {
                let grey = image::DynamicImage::ImageRgb8(colour.clone()).into_luma8();
                Ok(Bits::from_picture(&grey))
            }
        }
    }
}
