//! Pictures, good and bad.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat, Luma};

/// A whole picture; another `seed` gives other bytes.
pub(crate) fn jpeg(seed: u8) -> Vec<u8> {
    encode(seed, ImageFormat::Jpeg)
}

/// As [`jpeg`].
pub(crate) fn png(seed: u8) -> Vec<u8> {
    encode(seed, ImageFormat::Png)
}

fn encode(seed: u8, format: ImageFormat) -> Vec<u8> {
    let board = GrayImage::from_fn(64, 48, |x, y| {
        Luma([seed.wrapping_mul(31).wrapping_add((x * y) as u8)])
    });
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageLuma8(board).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A whole PNG of a few bytes that says it has 3.6 × 10⁹ pixels.
pub(crate) fn bomb() -> Vec<u8> {
    let mut header = 60_000_u32.to_be_bytes().to_vec();
    header.extend(60_000_u32.to_be_bytes());
    header.extend([8, 0, 0, 0, 0]);
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in
        [(b"IHDR", &*header), (b"IDAT", &[0x78, 0x9c, 3, 0, 0, 0, 0, 1]), (b"IEND", b"")]
    {
        bytes.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        let chunk = [&name[..], data].concat();
        bytes.extend(&chunk);
        bytes.extend(crc32(&chunk).to_be_bytes());
    }
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0_u32, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}
