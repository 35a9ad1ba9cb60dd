//! Pictures, good and bad.

use std::io::Cursor;

use image::{GrayImage, ImageFormat, Luma};

/// A whole picture that others can be compared with; another `seed` gives one that differs in one place.
pub(crate) fn jpeg(seed: u8) -> Vec<u8> {
    encode(&draw_board(192, 160, seed), ImageFormat::Jpeg)
}

/// As [`jpeg`].
pub(crate) fn png(seed: u8) -> Vec<u8> {
    encode(&draw_board(192, 160, seed), ImageFormat::Png)
}

/// A JPEG that is smaller than what is compared.
pub(crate) fn thumbnail() -> Vec<u8> {
    encode(&draw_board(64, 48, 1), ImageFormat::Jpeg)
}

/// A JPEG that shows nothing: all of it is white.
pub(crate) fn blank() -> Vec<u8> {
    encode(&GrayImage::from_pixel(192, 160, Luma([255])), ImageFormat::Jpeg)
}

/// Copper in squares of eight pixels, which a JPEG keeps as they are.
fn draw_board(width: u32, height: u32, seed: u8) -> GrayImage {
    GrayImage::from_fn(width, height, |x, y| {
        let (column, row) = (x / 8, y / 8);
        let is_copper = (column * 7 + row * 13 + column * row * 3) % 5 < 2;
        let is_other = (column, row) == (u32::from(seed % 20) + 2, 9);
        Luma([if is_copper == is_other { 255 } else { 0 }])
    })
}

fn encode(board: &GrayImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    board.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A JPEG of which the last half never came, with an end marker where it stopped.
pub(crate) fn ended_early() -> Vec<u8> {
    let mut bytes = jpeg(1);
    bytes.truncate(bytes.len() * 3 / 4);
    // Not between the two bytes of a marker.
    while bytes.last() == Some(&0xff) {
        bytes.pop();
    }
    bytes.extend(b"\xff\xd9");
    bytes
}

/// A PNG with a bit of its pixels flipped.
pub(crate) fn flipped() -> Vec<u8> {
    let mut bytes = png(1);
    let data = bytes.windows(4).position(|name| name == b"IDAT").unwrap() + 4;
    bytes[data + 20] ^= 1;
    bytes
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
