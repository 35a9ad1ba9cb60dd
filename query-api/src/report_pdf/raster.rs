//! Pictures as pixels: decoded within bounds, cropped around a finding, encoded for the document.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, GrayImage, ImageReader, Limits, Luma, Rgb, RgbImage, imageops};

/// The longest side decoded, in pixels.
const SIDE_MAX: u32 = 16_384;
/// The most memory one decoder may take.
pub(crate) const DECODE_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// The longest side of a picture in the document, in pixels: over 300 dpi across the page.
const OVERVIEW_SIDE_MAX: u32 = 2_400;
/// The longest side of a crop in the document, in pixels.
const CROP_SIDE_MAX: u32 = 384;
/// What lies outside the picture, in a crop at its edge.
const OUTSIDE: u8 = 0xc4;
const JPEG_QUALITY: u8 = 90;

/// Pixels ready for the document.
pub(super) struct EncodedPicture {
    /// Typst's name of the encoding: `luma8`, `rgb8` or `jpg`.
    pub(super) encoding: &'static str,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) data: Vec<u8>,
}

/// A decoded picture, grey or colour, eight bits a channel.
pub(super) enum Raster {
    Grey { pixels: GrayImage, lossy: bool },
    Colour(RgbImage),
}

impl Raster {
    /// The pixels of a PNG or JPEG file; `None` when it does not decode or is too large to show.
    pub(super) fn decode(file: &[u8]) -> Option<Self> {
        let mut reader = ImageReader::new(Cursor::new(file)).with_guessed_format().ok()?;
        let mut limits = Limits::default();
        limits.max_image_width = Some(SIDE_MAX);
        limits.max_image_height = Some(SIDE_MAX);
        limits.max_alloc = Some(DECODE_BYTES_MAX);
        reader.limits(limits);
        let lossy = reader.format() == Some(image::ImageFormat::Jpeg);
        let picture = reader.decode().ok()?;
        Some(if picture.color().has_color() {
            Self::Colour(picture.into_rgb8())
        } else {
            Self::Grey { pixels: picture.into_luma8(), lossy }
        })
    }

    pub(super) fn pixel_size(&self) -> (u32, u32) {
        match self {
            Self::Grey { pixels, .. } => pixels.dimensions(),
            Self::Colour(pixels) => pixels.dimensions(),
        }
    }

    /// The whole picture at no more than print resolution. Photographs are stored as JPEG, lossless
    /// grey pictures as they are; crops show the exact pixels in either case.
    pub(super) fn encode_overview(&self) -> Option<EncodedPicture> {
        let (whole, photograph) = match self {
            Self::Grey { pixels, lossy } => (DynamicImage::ImageLuma8(pixels.clone()), *lossy),
            Self::Colour(pixels) => (DynamicImage::ImageRgb8(pixels.clone()), true),
        };
        let whole = shrink_to(whole, OVERVIEW_SIDE_MAX);
        if !photograph {
            return Some(encode_raw(whole));
        }
        let (width, height) = (whole.width(), whole.height());
        let mut data = Vec::new();
        whole.write_with_encoder(JpegEncoder::new_with_quality(&mut data, JPEG_QUALITY)).ok()?;
        Some(EncodedPicture { encoding: "jpg", width, height, data })
    }

    /// The square of `side` pixels whose top left corner is `origin`; grey where it leaves the
    /// picture.
    pub(super) fn encode_crop(&self, origin: (i64, i64), side: u32) -> EncodedPicture {
        let (x, y) = (-origin.0, -origin.1);
        let square = match self {
            Self::Grey { pixels, .. } => {
                let mut square = GrayImage::from_pixel(side, side, Luma([OUTSIDE]));
                imageops::replace(&mut square, pixels, x, y);
                DynamicImage::ImageLuma8(square)
            }
            Self::Colour(pixels) => {
                let mut square = RgbImage::from_pixel(side, side, Rgb([OUTSIDE; 3]));
                imageops::replace(&mut square, pixels, x, y);
                DynamicImage::ImageRgb8(square)
            }
        };
        encode_raw(shrink_to(square, CROP_SIDE_MAX))
    }
}

fn shrink_to(picture: DynamicImage, side_max: u32) -> DynamicImage {
    if picture.width().max(picture.height()) <= side_max {
        picture
    } else {
        picture.thumbnail(side_max, side_max)
    }
}

fn encode_raw(picture: DynamicImage) -> EncodedPicture {
    let encoding = if picture.color().has_color() { "rgb8" } else { "luma8" };
    let (width, height) = (picture.width(), picture.height());
    EncodedPicture { encoding, width, height, data: picture.into_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_is_grey_where_it_leaves_the_picture() {
        let raster = Raster::Grey { pixels: GrayImage::from_pixel(4, 4, Luma([9])), lossy: false };
        let crop = raster.encode_crop((-1, 2), 4);
        let g = OUTSIDE;
        assert_eq!(crop.data, [g, 9, 9, 9, g, 9, 9, 9, g, g, g, g, g, g, g, g]);
    }

    #[test]
    fn bytes_that_are_no_picture_do_not_decode() {
        assert!(Raster::decode(b"GIF89a").is_none());
        assert!(Raster::decode(&[0x89, b'P', b'N', b'G', 13, 10, 26, 10, 0]).is_none());
    }

    #[test]
    fn an_overview_is_no_larger_than_print_resolution() {
        let pixels = RgbImage::from_pixel(4800, 10, Rgb([200, 10, 10]));
        let overview = Raster::Colour(pixels).encode_overview().unwrap();
        assert_eq!((overview.encoding, overview.width, overview.height), ("jpg", 2400, 5));
    }
}
