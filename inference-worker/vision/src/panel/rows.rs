//! Binarised panels read row by row: what is kept of a row is its bits, so a panel of 16,384 × 16,384
//! pixels takes 32 MB and not 256.

use std::io::Cursor;

use domain::MediaType;
use image::GrayImage;
use png::{BitDepth, ColorType, Transformations};

use crate::binary_image::BinaryImage;
use crate::decode::{DecodeError, MAX_SIDE, decode, media_type_of};

/// Grey levels that are neither nearly black nor nearly white.
const BETWEEN: std::ops::RangeInclusive<u8> = 48..=207;
/// At most one pixel in so many is between, or the panel is not binarised.
const BETWEEN_AT_MOST: u64 = 20;

/// A binarised picture as bits; copper is dark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panel {
    pub(crate) bits: BinaryImage,
}

impl From<&GrayImage> for Panel {
    fn from(picture: &GrayImage) -> Self {
        Self { bits: BinaryImage::from_picture(picture) }
    }
}

impl Panel {
    /// Reads a grey PNG of up to 16,384 × 16,384 pixels row by row. Other pictures are decoded as a
    /// whole, within their smaller limits.
    ///
    /// # Errors
    /// [`DecodeError`]; [`DecodeError::TooLarge`] also when it is not binarised.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match media_type_of(bytes) {
            Some(MediaType::Png) => decode_rows(bytes),
            Some(MediaType::Jpeg) | None => Ok(Self::from(&decode(bytes)?.into_grey())),
        }
    }

    /// Width and height in pixels.
    #[must_use]
    pub const fn size(&self) -> (usize, usize) {
        (self.bits.width, self.bits.height)
    }
}

fn decode_rows(bytes: &[u8]) -> Result<Panel, DecodeError> {
    let damaged = |error: png::DecodingError| DecodeError::Damaged { detail: error.to_string() };
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(damaged)?;
    let (width, height) = (reader.info().width, reader.info().height);
    if width > MAX_SIDE || height > MAX_SIDE {
        return Err(DecodeError::TooLarge { width, height });
    }
    let plain = reader.output_color_type() == (ColorType::Grayscale, BitDepth::Eight);
    if !plain || reader.info().interlaced {
        return Ok(Panel::from(&decode(bytes)?.into_grey()));
    }
    let mut bits = BinaryImage::new(width as usize, height as usize);
    let mut between = 0_u64;
    for y in 0..bits.height {
        let row = reader.next_row().map_err(damaged)?;
        let row = row.ok_or_else(|| DecodeError::Damaged { detail: "rows are missing".into() })?;
        between += row.data().iter().filter(|level| BETWEEN.contains(level)).count() as u64;
        bits.set_row(y, row.data());
    }
    // A photograph has to be looked at as a whole before its copper can be told.
    if between * BETWEEN_AT_MOST > u64::from(width) * u64::from(height) {
        return Err(DecodeError::TooLarge { width, height });
    }
    Ok(Panel { bits })
}
