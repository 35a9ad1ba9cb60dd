//! How much memory pictures take, reckoned from their sizes before any of them is read.

use super::decode::MAX_PIXELS;

/// Bytes of a pixel of a golden sample that is kept ready. Of colour photographs 6.1 were measured
/// (`docs/measurements.md`), and less of all others.
const KEPT_BYTES_PER_PIXEL: u64 = 7;
/// The same when accepted boards have shown how far good ones differ from it; measured: 17.3.
const LEARNT_BYTES_PER_PIXEL: u64 = 18;
/// Bytes of a pixel of the one picture that is being decoded and compared, or made ready, or learnt from;
/// measured: up to 15.0.
const WORK_BYTES_PER_PIXEL: u64 = 16;
/// Of a panel that is too large to be decoded as a whole only bits are kept: so many pixels take a byte.
const PANEL_PIXELS_PER_BYTE: u64 = 4;

/// Whether a picture of so many pixels is too large to be decoded as a whole.
#[must_use]
pub const fn is_panel(pixels: u64) -> bool {
    pixels > MAX_PIXELS
}

/// Bytes that a picture of so many pixels takes while it is decoded and compared, or made ready.
#[must_use]
pub const fn work_bytes(pixels: u64) -> u64 {
    picture_bytes(pixels, WORK_BYTES_PER_PIXEL)
}

/// Bytes that a golden sample of so many pixels takes for as long as it is ready; more when accepted boards were
/// learnt from.
#[must_use]
pub const fn kept_bytes(pixels: u64, is_learnt: bool) -> u64 {
    picture_bytes(pixels, if is_learnt { LEARNT_BYTES_PER_PIXEL } else { KEPT_BYTES_PER_PIXEL })
}

const fn picture_bytes(pixels: u64, bytes_per_pixel: u64) -> u64 {
    if is_panel(pixels) {
        pixels / PANEL_PIXELS_PER_BYTE
    } else {
        pixels.saturating_mul(bytes_per_pixel)
    }
}
