//! Decoding: what is a picture, and what is refused before memory is taken.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat};

use super::golden_picture;
use crate::binary_image::BinaryImage;
use crate::*;

pub(super) fn png(picture: &GrayImage) -> Vec<u8> {
    encoded(picture, ImageFormat::Png)
}

fn encoded(picture: &GrayImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), format).expect("writing to memory");
    bytes
}

#[test]
fn a_png_and_a_jpeg_decode_to_the_same_board() {
    let board = golden_picture(1);
    assert_eq!(decode(&png(&board)).expect("a PNG").into_grey(), board);
    let jpeg = decode(&encoded(&board, ImageFormat::Jpeg)).expect("a JPEG").into_grey();
    let (a, b) = (BinaryImage::from_picture(&jpeg), BinaryImage::from_picture(&board));
    assert!(a.difference(&b).count_copper() < 200, "JPEG keeps the copper's outline");
}

#[test]
fn a_colour_picture_decodes_to_grey() {
    let colour = DynamicImage::ImageLuma8(golden_picture(1)).into_rgb8();
    let mut bytes = Vec::new();
    colour.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).expect("writing to memory");
    assert_eq!(decode(&bytes), Ok(DecodedImage::Grey(golden_picture(1))));
}

#[test]
fn an_empty_file_is_refused_as_empty() {
    assert_eq!(decode(b""), Err(DecodeError::Empty));
}

#[test]
fn a_file_that_is_no_picture_is_refused() {
    assert_eq!(decode(b"%PDF-1.7 nothing to see"), Err(DecodeError::NotAPicture));
    assert_eq!(decode(b"GIF89a"), Err(DecodeError::NotAPicture));
}

#[test]
fn a_truncated_png_is_refused_wherever_it_ends() {
    let whole = png(&golden_picture(1));
    for length in [8, 20, 33, 60, whole.len() / 2, whole.len() - 40] {
        let result = decode(&whole[..length]);
        assert!(matches!(result, Err(DecodeError::Damaged { .. })), "{length}: {result:?}");
    }
}

#[test]
fn a_jpeg_without_its_pixels_is_refused() {
    let whole = encoded(&golden_picture(1), ImageFormat::Jpeg);
    let result = decode(&whole[..40]);
    assert!(matches!(result, Err(DecodeError::Damaged { .. })), "{result:?}");
}

/// A PNG header that declares a size, followed by nothing.
fn declared(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes.extend([8, 0, 0, 0, 0]);
    bytes.extend(crc32(&bytes[12..]).to_be_bytes());
    bytes.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
    bytes
}

pub(super) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

#[test]
fn a_bomb_is_refused_by_its_declared_size_before_pixels_are_decoded() {
    assert_eq!(
        decode(&declared(60_000, 60_000)),
        Err(DecodeError::TooLarge { width: 60_000, height: 60_000 })
    );
    assert_eq!(
        decode(&declared(16_000, 16_000)),
        Err(DecodeError::TooLarge { width: 16_000, height: 16_000 })
    );
}
