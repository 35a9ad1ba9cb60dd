//! Binarised panels read row by row: what is kept of a row is its bits, so a panel of 16,384 × 16,384
//! pixels takes 32 MB and not 256.

use std::io::Cursor;

use domain::MediaType;
use image::GrayImage;
use png::{BitDepth, ColorType, Transformations};

use crate::binary_image::BinaryImage;
use crate::decode::{DecodeError, MAX_SIDE, decode, media_type_of, png::check_chunks};
use crate::photograph::BINARY_PICTURE;

/// Grey levels that are neither nearly black nor nearly white.
const BETWEEN: std::ops::RangeInclusive<u8> = 48..=207;

/// A binarised picture as bits; copper is dark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panel {
    pub(crate) bits: BinaryImage,
    /// Pixels that were neither nearly black nor nearly white.
    between: u64,
}

impl From<&GrayImage> for Panel {
    fn from(picture: &GrayImage) -> Self {
        Self { bits: BinaryImage::from_picture(picture), between: count_between(picture.as_raw()) }
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

    /// Whether at most one pixel in `one_in` is neither nearly black nor nearly white.
    pub(crate) fn is_binary(&self, one_in: usize) -> bool {
        let pixels = self.bits.width as u64 * self.bits.height as u64;
        self.between.saturating_mul(one_in as u64) <= pixels
    }
}

fn decode_rows(bytes: &[u8]) -> Result<Panel, DecodeError> {
    let damaged = |error: png::DecodingError| DecodeError::Damaged { detail: error.to_string() };
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(damaged)?;
    let (width, height) = (reader.info().width, reader.info().height);
    let too_large = DecodeError::TooLarge { width, height };
    if width > MAX_SIDE || height > MAX_SIDE {
        return Err(too_large);
    }
    let (colour, depth) = reader.output_color_type();
    if colour != ColorType::Grayscale || reader.info().interlaced {
        return Ok(Panel::from(&decode(bytes)?.into_grey()));
    }
    check_chunks(bytes)?;
    let mut panel = Panel { bits: BinaryImage::new(width as usize, height as usize), between: 0 };
    let mut rounded = Vec::new();
    for y in 0..panel.bits.height {
        let row = reader.next_row().map_err(damaged)?;
        let row = row.ok_or_else(|| DecodeError::Damaged { detail: "rows are missing".into() })?;
        let levels = if depth == BitDepth::Sixteen {
            round_levels(row.data(), &mut rounded);
            &rounded
        } else {
            row.data()
        };
        panel.between += count_between(levels);
        panel.bits.set_row(y, levels);
    }
    // The last checksum comes after the last row.
    reader.finish().map_err(damaged)?;
    // A photograph has to be looked at as a whole before its copper can be told.
    if panel.is_binary(BINARY_PICTURE) { Ok(panel) } else { Err(too_large) }
}

/// Levels of 16 bits, the high byte first, as levels of 8: rounded as pictures are that are decoded whole.
fn round_levels(row: &[u8], rounded: &mut Vec<u8>) {
    rounded.clear();
    let levels = row.as_chunks::<2>().0.iter().map(|level| u32::from(u16::from_be_bytes(*level)));
    rounded.extend(levels.map(|level| ((level + 128) / 257) as u8));
}

fn count_between(levels: &[u8]) -> u64 {
    levels.iter().filter(|level| BETWEEN.contains(level)).count() as u64
}
