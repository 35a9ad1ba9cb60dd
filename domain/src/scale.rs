//! The scale of a picture: how many of its pixels a millimetre of the board takes.
//!
//! Invariant: where a golden sample states its scale, whatever is compared with it states the same one. A
//! picture of another lens or height may register by chance; then structures are compared that are not alike.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Invalid, PixelBox};

/// Pixels of a picture per millimetre of the board, from [`Self::MIN`] to [`Self::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f32", into = "f32")]
pub struct PixelScale(f32);

/// It is never NaN.
impl Eq for PixelScale {}

impl PixelScale {
    /// A pixel takes a centimetre: coarser pictures show nothing of a board.
    pub const MIN: f32 = 0.1;
    /// A pixel takes a tenth of a micrometre: light resolves no less.
    pub const MAX: f32 = 10_000.0;
    /// By how much two statements of one scale may differ, as a part of the golden sample's. Registration
    /// follows scales from 0.98 to 1.02 and no others, and two calibrations of a per cent each do not differ by
    /// more.
    pub const TOLERANCE: f32 = 0.02;

    const INVALID: Invalid =
        Invalid::new("pixels_per_millimetre", "must be a number from 0.1 to 10000");

    /// # Errors
    /// When it is not a number from [`Self::MIN`] to [`Self::MAX`].
    pub fn new(pixels_per_millimetre: f32) -> Result<Self, Invalid> {
        if (Self::MIN..=Self::MAX).contains(&pixels_per_millimetre) {
            return Ok(Self(pixels_per_millimetre));
        }
        Err(Self::INVALID)
    }

    /// The number, in pixels per millimetre.
    #[must_use]
    pub const fn get(self) -> f32 {
        self.0
    }

    /// So many pixels on the board, in millimetres: to a micrometre, as every length of a finding is given.
    #[must_use]
    pub fn millimetres(self, pixels: impl Into<f64>) -> f64 {
        // The number as it was written: in double precision 3.2 is not what 3.2 is in single precision.
        let scale = self.0.to_string().parse().unwrap_or_else(|_| f64::from(self.0));
        let pixels: f64 = pixels.into();
        (pixels / scale * MICROMETRES).round() / MICROMETRES
    }

    /// Where a box of the picture lies on the board.
    #[must_use]
    pub fn measure(self, PixelBox { x, y, width, height }: PixelBox) -> MillimetreBox {
        let [x, y, width, height] = [x, y, width, height].map(|pixels| self.millimetres(pixels));
        MillimetreBox { x, y, width, height }
    }

    /// Whether it is the scale of a golden sample of scale `golden`, within [`Self::TOLERANCE`].
    #[must_use]
    pub fn agrees_with(self, golden: Self) -> bool {
        (self.0 - golden.0).abs() <= golden.0 * Self::TOLERANCE
    }
}

/// In a millimetre.
const MICROMETRES: f64 = 1_000.0;

/// An axis-aligned box in millimetres from the upper left corner of the picture, to a micrometre
/// ([`PixelScale::measure`]).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MillimetreBox {
    /// Left edge, from the picture's left.
    pub x: f64,
    /// Top edge, from the picture's top.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl fmt::Display for PixelScale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} px/mm", self.0)
    }
}

impl FromStr for PixelScale {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::new(text.parse().map_err(|_| Self::INVALID)?)
    }
}

impl TryFrom<f32> for PixelScale {
    type Error = Invalid;

    fn try_from(pixels_per_millimetre: f32) -> Result<Self, Invalid> {
        Self::new(pixels_per_millimetre)
    }
}

impl From<PixelScale> for f32 {
    fn from(scale: PixelScale) -> Self {
        scale.0
    }
}

/// Events of pictures, from version 2, when nobody stated a scale, to version 3.
pub(crate) fn without_scale(mut payload: Value) -> Value {
    payload["pixels_per_millimetre"] = Value::Null;
    payload
}

/// Why a picture is not compared with a golden sample that states its scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScaleConflict {
    /// The picture states another.
    #[error(
        "the picture was taken at {picture}, the golden sample at {golden}; set the station up as it was for \
         the golden sample, or give the part one of this scale, and inspect the board again"
    )]
    Mismatch {
        /// The golden sample's.
        golden: PixelScale,
        /// The picture's.
        picture: PixelScale,
    },
    /// The picture states none.
    #[error(
        "the golden sample was taken at {golden}, and the picture was announced without its scale; announce \
         it with pixels_per_millimetre, and inspect the board again"
    )]
    Unknown {
        /// The golden sample's.
        golden: PixelScale,
    },
}

/// Whether a picture may be compared with a golden sample, by what was stated of their scales. A golden
/// sample that states none has nothing to be held to.
///
/// # Errors
/// When the golden sample states its scale, and the picture another or none: that nobody stated it is no
/// reason to believe that it is right.
pub fn check_scale(
    golden: Option<PixelScale>,
    picture: Option<PixelScale>,
) -> Result<(), ScaleConflict> {
    match (golden, picture) {
        (None, _) => Ok(()),
        (Some(golden), None) => Err(ScaleConflict::Unknown { golden }),
        (Some(golden), Some(picture)) if picture.agrees_with(golden) => Ok(()),
        (Some(golden), Some(picture)) => Err(ScaleConflict::Mismatch { golden, picture }),
    }
}
