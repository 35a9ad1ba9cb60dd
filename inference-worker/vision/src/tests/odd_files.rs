//! What a file may say beside its pixels means the same however large the picture is.

use std::io::Cursor;
use std::mem::discriminant;

use image::{GrayImage, ImageBuffer, ImageFormat, Luma};

use super::decoding::{crc32, png};
use super::golden_picture;
use crate::*;

/// An EXIF block that gives an orientation, 1 to 8 (CIPA DC-008, 4.6.4).
fn exif(orientation: u8) -> Vec<u8> {
    let mut exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    exif
}

/// The animation control chunk of a picture and one more.
const ANIMATED: [u8; 8] = [0, 0, 0, 2, 0, 0, 0, 0];

fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let named = [name, data].concat();
    let length = u32::try_from(data.len()).expect("short").to_be_bytes();
    [&length, &*named, &crc32(&named).to_be_bytes()].concat()
}

/// Puts `chunk` before the first chunk of that name.
fn with_chunk(png: &[u8], before: &[u8; 4], chunk: &[u8]) -> Vec<u8> {
    let at = png.windows(4).position(|name| name == before).expect("such a chunk") - 4;
    [&png[..at], chunk, &png[at..]].concat()
}

/// What both ways of decoding say of a file, which is the same.
fn decoded_either_way(bytes: &[u8]) -> Result<GrayImage, DecodeError> {
    let whole = decode(bytes).map(DecodedImage::into_grey);
    let panel = Panel::decode(bytes);
    match (&whole, &panel) {
        (Ok(whole), Ok(panel)) => assert_eq!(*panel, Panel::from(whole)),
        // Two decoders have words of their own for damage.
        (Err(whole), Err(panel)) => assert_eq!(discriminant(panel), discriminant(whole)),
        (whole, panel) => panic!("whole: {:?}, as a panel: {panel:?}", whole.is_ok()),
    }
    whole
}

#[test]
fn a_png_that_is_to_be_turned_is_refused_wherever_it_says_so() {
    let board = png(&golden_picture(1));
    for place in [b"IDAT", b"IEND"] {
        let upright = with_chunk(&board, place, &chunk(b"eXIf", &exif(1)));
        assert!(decoded_either_way(&upright).is_ok());
        for orientation in 2..=8 {
            let turned = with_chunk(&board, place, &chunk(b"eXIf", &exif(orientation)));
            assert_eq!(decoded_either_way(&turned), Err(DecodeError::Turned));
        }
    }
}

#[test]
fn an_animated_png_is_refused_by_name() {
    let several = with_chunk(&png(&golden_picture(1)), b"IDAT", &chunk(b"acTL", &ANIMATED));
    assert_eq!(decoded_either_way(&several), Err(DecodeError::Animated));
}

#[test]
fn a_png_is_refused_when_its_end_is_missing_or_its_last_checksum_is_wrong() {
    let board = png(&golden_picture(1));
    for end in [1, 4, 12, 13, 16, 40] {
        let cut = decoded_either_way(&board[..board.len() - end]);
        assert!(matches!(cut, Err(DecodeError::Damaged { .. })), "{end}: {cut:?}");
    }
    // The checksum of the last IDAT stands before the 12 bytes of IEND.
    let mut altered = board.clone();
    let checksum = altered.len() - 13;
    altered[checksum] ^= 1;
    let altered = decoded_either_way(&altered);
    assert!(matches!(altered, Err(DecodeError::Damaged { .. })), "{altered:?}");
}

#[test]
fn a_jpeg_whose_scan_ends_early_is_refused_although_its_decoder_would_fill_the_rest_with_grey() {
    let (board, mut whole) = (golden_picture(1), Vec::new());
    board.write_to(&mut Cursor::new(&mut whole), ImageFormat::Jpeg).expect("writing to memory");
    assert_eq!(check_file(&whole), Ok(()));
    assert!(decoded_either_way(&whole).is_ok());
    let early = [&whole[..whole.len() / 2], &[0xff, 0xd9]].concat();
    let filled = image::load_from_memory_with_format(&early, ImageFormat::Jpeg);
    let filled = filled.expect("the control: the decoder by itself takes it").into_luma8();
    assert_eq!(filled.dimensions(), board.dimensions());
    for refused in [check_file(&early), decoded_either_way(&early).map(drop)] {
        assert!(matches!(refused, Err(DecodeError::Damaged { .. })), "{refused:?}");
    }
}

#[test]
fn levels_of_sixteen_bits_are_rounded_alike() {
    let mut bytes = Vec::new();
    // Around the level that divides copper from substrate, and far from it.
    let deep = ImageBuffer::from_fn(400, 100, |x, _| {
        Luma([if x % 40 == 0 { 32_600 + u16::try_from(x).expect("small") } else { 65_535 }])
    });
    deep.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).expect("writing to memory");
    assert!(decoded_either_way(&bytes).is_ok());
}

#[test]
fn transparency_is_refused_alike() {
    let clear = ImageBuffer::from_pixel(100, 100, image::LumaA([255_u8, 254]));
    let mut bytes = Vec::new();
    clear.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).expect("writing to memory");
    assert_eq!(decoded_either_way(&bytes), Err(DecodeError::Transparent));
    let through = with_chunk(&png(&golden_picture(1)), b"IDAT", &chunk(b"tRNS", &[0, 255]));
    assert_eq!(decoded_either_way(&through), Err(DecodeError::Transparent));
}
