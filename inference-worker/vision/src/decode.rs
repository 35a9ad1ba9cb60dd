//! Decoding: from a file's bytes to an upright picture in grey or colour, within limits that are
//! checked before memory is taken. What would have to be guessed (transparency, a turn noted in the
//! file, inks) is refused.

use std::io::Cursor;

use domain::MediaType;
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use jpeg::FrameSize;

mod jpeg;
pub(crate) mod png;
#[cfg(test)]
mod tests;

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
    #[error(
        "the picture is {width} × {height} pixels; at most {MAX_PIXELS} pixels are decoded, \
             and up to {MAX_SIDE} × {MAX_SIDE} of a binarised grey PNG that is neither interlaced nor \
             transparent"
    )]
    TooLarge {
        /// Declared width.
        width: u32,
        /// Declared height.
        height: u32,
    },
    /// The file says that its pixels are to be turned or mirrored.
    #[error("the picture's EXIF orientation is not upright; store its pixels upright")]
    Turned,
    /// Some pixels are transparent.
    #[error("the picture is transparent in places; store it without an alpha channel")]
    Transparent,
    /// More than one picture in a PNG.
    #[error("the picture is an animated PNG, which holds several; store one of them")]
    Animated,
    /// Four inks instead of grey or red, green and blue.
    #[error("the picture is in CMYK; store it in grey or RGB")]
    Inks,
    /// A JPEG that holds something else than one picture in eight bits, baseline or progressive.
    #[error(
        "the picture is a JPEG with {coding}, which is not read; store it as one baseline or \
             progressive JPEG of 8 bits a channel, or as PNG"
    )]
    Coding {
        /// What it has that is not read.
        coding: &'static str,
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
pub fn media_type_of(bytes: &[u8]) -> Option<MediaType> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some(MediaType::Png)
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        Some(MediaType::Jpeg)
    } else {
        None
    }
}

/// A decoded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecodedImage {
    /// Grey levels, 0 (black) to 255; also a colour file in which nothing is coloured.
    Grey(GrayImage),
    /// Red, green and blue.
    Colour(RgbImage),
}

impl DecodedImage {
    /// The picture in grey.
    #[must_use]
    pub fn into_grey(self) -> GrayImage {
        match self {
            Self::Grey(grey) => grey,
            Self::Colour(colour) => DynamicImage::ImageRgb8(colour).into_luma8(),
        }
    }
}

/// A borrowed picture, grey or colour.
#[derive(Debug, Clone, Copy)]
pub enum ImageView<'a> {
    /// Grey levels.
    Grey(&'a GrayImage),
    /// Red, green and blue.
    Colour(&'a RgbImage),
}

impl ImageView<'_> {
    /// Width and height in pixels.
    #[must_use]
    pub fn dimensions(&self) -> (u32, u32) {
        match self {
            Self::Grey(picture) => picture.dimensions(),
            Self::Colour(picture) => picture.dimensions(),
        }
    }
}

impl<'a> From<&'a GrayImage> for ImageView<'a> {
    fn from(picture: &'a GrayImage) -> Self {
        Self::Grey(picture)
    }
}

impl<'a> From<&'a DecodedImage> for ImageView<'a> {
    fn from(picture: &'a DecodedImage) -> Self {
        match picture {
            DecodedImage::Grey(picture) => Self::Grey(picture),
            DecodedImage::Colour(picture) => Self::Colour(picture),
        }
    }
}

/// Whether the file of a picture is whole, and of a kind that is read, as far as that shows without its pixels: every
/// block of a JPEG, every chunk of a PNG with its checksum, and what they say of the picture. A PNG may be larger than
/// [`MAX_PIXELS`]: see [`Panel`](crate::Panel).
///
/// # Errors
/// What [`decode`] would say.
pub fn check_file(bytes: &[u8]) -> Result<(), DecodeError> {
    match media_type_of(bytes) {
        None if bytes.is_empty() => Err(DecodeError::Empty),
        None => Err(DecodeError::NotAPicture),
        Some(MediaType::Jpeg) => open_decoder(bytes, MediaType::Jpeg).map(drop),
        Some(MediaType::Png) => png::check_chunks_and_sums(bytes),
    }
}

/// Decodes an upright, opaque JPEG or PNG in grey or RGB; 16 bits a channel are rounded to 8.
///
/// # Errors
/// [`DecodeError`], before pixels are decoded when the declared size is beyond the limits.
pub fn decode(bytes: &[u8]) -> Result<DecodedImage, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    let media_type = media_type_of(bytes).ok_or(DecodeError::NotAPicture)?;
    let decoder = open_decoder(bytes, media_type)?;
    require_opaque(DynamicImage::from_decoder(decoder).map_err(damaged)?)
}

fn damaged(error: image::ImageError) -> DecodeError {
    DecodeError::Damaged { detail: error.to_string() }
}

/// A decoder of a file that is whole, upright and within the limits.
fn open_decoder(
    bytes: &[u8],
    media_type: MediaType,
) -> Result<impl ImageDecoder + '_, DecodeError> {
    let format = match media_type {
        MediaType::Png => ImageFormat::Png,
        MediaType::Jpeg => ImageFormat::Jpeg,
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_PIXELS * 8);
    reader.limits(limits);
    if media_type == MediaType::Jpeg {
        require_whole_jpeg(bytes)?;
    }
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    require_size(width, height)?;
    if media_type == MediaType::Png {
        png::check_chunks(bytes)?;
    }
    if decoder.orientation().map_err(damaged)? != Orientation::NoTransforms {
        return Err(DecodeError::Turned);
    }
    Ok(decoder)
}

/// Refuses a JPEG that is too large, is coded in a way that is not decoded here, or lacks a part of its
/// picture: the decoder would fill that with grey.
fn require_whole_jpeg(bytes: &[u8]) -> Result<(), DecodeError> {
    // Before the walk, which takes memory by the size that the file declares.
    let FrameSize { width, height } = jpeg::read_size(bytes)?;
    require_size(u32::from(width), u32::from(height))?;
    Ok(jpeg::check_whole(bytes)?)
}

fn require_size(width: u32, height: u32) -> Result<(), DecodeError> {
    let too_long = width > MAX_SIDE || height > MAX_SIDE;
    if too_long || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(DecodeError::TooLarge { width, height });
    }
    Ok(())
}

impl From<jpeg::Unreadable> for DecodeError {
    fn from(why: jpeg::Unreadable) -> Self {
        match why {
            jpeg::Unreadable::Inks => Self::Inks,
            jpeg::Unreadable::Coding(coding) => Self::Coding { coding },
            jpeg::Unreadable::Damaged(detail) => Self::Damaged { detail: detail.to_owned() },
        }
    }
}

/// Eight bits a channel, without an alpha channel, in grey when nothing is coloured.
fn require_opaque(picture: DynamicImage) -> Result<DecodedImage, DecodeError> {
    let clear = match &picture {
        DynamicImage::ImageLumaA8(p) => p.pixels().any(|p| p.0[1] < u8::MAX),
        DynamicImage::ImageRgba8(p) => p.pixels().any(|p| p.0[3] < u8::MAX),
        DynamicImage::ImageLumaA16(p) => p.pixels().any(|p| p.0[1] < u16::MAX),
        DynamicImage::ImageRgba16(p) => p.pixels().any(|p| p.0[3] < u16::MAX),
        _ => false,
    };
    if clear {
        return Err(DecodeError::Transparent);
    }
    if !picture.color().has_color() {
        return Ok(DecodedImage::Grey(picture.into_luma8()));
    }
    let colour = picture.into_rgb8();
    let coloured = colour.pixels().any(|pixel| {
        let [red, green, blue] = pixel.0;
        red != green || green != blue
    });
    Ok(if coloured {
        DecodedImage::Colour(colour)
    } else {
        DecodedImage::Grey(DynamicImage::ImageRgb8(colour).into_luma8())
    })
}
