//! What is decoded, and what is refused because it would have to be guessed.

use image::codecs::jpeg::JpegEncoder;
use image::{ImageBuffer, LumaA, Rgb, Rgba};

use super::*;

fn png_of(picture: &DynamicImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).expect("writing to memory");
    bytes
}

fn grey() -> GrayImage {
    GrayImage::from_fn(40, 30, |x, y| image::Luma([(x * 5 + y) as u8]))
}

fn colour() -> RgbImage {
    RgbImage::from_fn(40, 30, |x, y| Rgb([(x * 6) as u8, 100, (y * 8) as u8]))
}

/// A JPEG with an EXIF block that gives an orientation, 1 to 8 (CIPA DC-008, 4.6.4).
fn oriented(orientation: u8) -> Vec<u8> {
    let mut jpeg = Vec::new();
    JpegEncoder::new(&mut jpeg).encode_image(&grey()).expect("writing to memory");
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let length = u16::try_from(exif.len() + 2).expect("short").to_be_bytes();
    let mut bytes = jpeg[..2].to_vec();
    bytes.extend([0xff, 0xe1]);
    bytes.extend(length);
    bytes.extend(exif);
    bytes.extend(&jpeg[2..]);
    bytes
}

#[test]
fn a_coloured_picture_keeps_its_colours() {
    let bytes = png_of(&DynamicImage::ImageRgb8(colour()));
    assert_eq!(decode(&bytes), Ok(DecodedImage::Colour(colour())));
}

#[test]
fn a_picture_that_is_to_be_turned_or_mirrored_is_refused() {
    assert!(matches!(decode(&oriented(1)), Ok(DecodedImage::Grey(_))));
    for orientation in 2..=8 {
        assert_eq!(decode(&oriented(orientation)), Err(DecodeError::Turned), "{orientation}");
    }
}

#[test]
fn an_opaque_alpha_channel_is_dropped_and_a_transparent_pixel_is_refused() {
    let mut picture = ImageBuffer::from_fn(40, 30, |x, y| {
        let [red, green, blue] = colour().get_pixel(x, y).0;
        Rgba([red, green, blue, 255])
    });
    let bytes = png_of(&DynamicImage::ImageRgba8(picture.clone()));
    assert_eq!(decode(&bytes), Ok(DecodedImage::Colour(colour())));
    picture.get_pixel_mut(7, 7).0[3] = 254;
    let bytes = png_of(&DynamicImage::ImageRgba8(picture));
    assert_eq!(decode(&bytes), Err(DecodeError::Transparent));
    let faint = ImageBuffer::from_pixel(40, 30, LumaA([1000_u16, 65_534]));
    let bytes = png_of(&DynamicImage::ImageLumaA16(faint));
    assert_eq!(decode(&bytes), Err(DecodeError::Transparent));
}

#[test]
fn sixteen_bits_are_rounded_to_eight() {
    let deep = ImageBuffer::from_fn(40, 30, |x, y| {
        Rgb(colour().get_pixel(x, y).0.map(|level| u16::from(level) * 257))
    });
    let bytes = png_of(&DynamicImage::ImageRgb16(deep));
    assert_eq!(decode(&bytes), Ok(DecodedImage::Colour(colour())));
}

#[test]
fn a_jpeg_of_four_inks_is_refused_before_it_is_decoded() {
    // Start, a comment, and a frame header of four components.
    let mut bytes = b"\xff\xd8\xff\xfe\0\x04hi\xff\xc0\0\x14\x08\0\x1e\0\x28\x04".to_vec();
    for component in 1..=4 {
        bytes.extend([component, 0x11, 0]);
    }
    assert_eq!(decode(&bytes), Err(DecodeError::Inks));
}
