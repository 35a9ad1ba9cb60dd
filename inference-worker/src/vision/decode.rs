//! Decoding: from a file's bytes to a grey picture, within limits that are checked before memory is
//! taken.

use std::io::Cursor;

use domain::MediaType;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits};

/// The most pixels a picture may have: 64 million.
pub const MAX_PIXELS: u64 = 64_000_000;
/// The longest side of a picture in pixels.
pub const MAX_SIDE: u32 = 16_384;

/// Why a file is no usable picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No bytes at all.
    #[error("the file is empty")]
    Empty,
    /// Neither JPEG nor PNG.
    #[error("the file is neither a JPEG nor a PNG picture")]
    NotAPicture,
    /// More pixels than allowed.
    #[error("the picture is {width} × {height} pixels; at most {MAX_PIXELS} pixels are decoded")]
    TooLarge {
        /// Declared width.
        width: u32,
        /// Declared height.
        height: u32,
    },
    /// The file begins as a picture and does not go on as one.
    #[error("the picture is truncated or damaged: {detail}")]
    Damaged {
        /// What the decoder said.
        detail: String,
    },
}

/// The format that the bytes begin as; none when it is neither JPEG nor PNG.
#[must_use]
pub fn sniff(bytes: &[u8]) -> Option<MediaType> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some(MediaType::Png)
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        Some(MediaType::Jpeg)
    } else {
        None
    }
}

/// Decodes a JPEG or PNG into grey levels, 0 (black) to 255.
///
/// # Errors
/// [`DecodeError`], before pixels are decoded when the declared size is beyond the limits.
pub fn decode(bytes: &[u8]) -> Result<GrayImage, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    let format = match sniff(bytes).ok_or(DecodeError::NotAPicture)? {
        MediaType::Png => ImageFormat::Png,
        MediaType::Jpeg => ImageFormat::Jpeg,
    };
    let damaged = |error: image::ImageError| DecodeError::Damaged { detail: error.to_string() };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_PIXELS * 8);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    let too_long = width > MAX_SIDE || height > MAX_SIDE;
    if too_long || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(DecodeError::TooLarge { width, height });
    }
    let picture = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    Ok(match picture {
        DynamicImage::ImageLuma8(grey) => grey,
        other => other.into_luma8(),
    })
}
