//! Warping the golden sample over the test picture, along a field of offsets.
//!
//! Binary pictures are moved by whole pixels, in strips that share one offset: a strip is then a shift of
//! words, sixteen pixels at once, and a field that bends by less than a pixel over a strip loses nothing.

use super::binary_image::{BinaryImage, column_mask};
use super::field::{OffsetField, offset_at_column};

/// Columns and rows that share one offset, in pixels.
const STRIP: (usize, usize) = (16, 4);
/// Strips per word.
const STRIPS: usize = 64 / STRIP.0;

/// Along the border the picture may show what the golden sample just does not; so many pixels there
/// are not compared.
const BORDER: usize = 3;

/// The golden sample as it lies in the test picture, and where it is known.
pub(super) struct WarpedGolden {
    pub(super) golden: BinaryImage,
    pub(super) known: BinaryImage,
}

impl WarpedGolden {
    /// The golden sample where it is known, elsewhere the picture itself, so that nothing differs.
    pub(super) fn fill_unknown_from(&self, test: &BinaryImage) -> BinaryImage {
        let mut difference = test.difference(&self.golden);
        difference.intersect_with(&self.known);
        test.difference(&difference)
    }
}

/// Warps the golden sample over a picture of the same size. A band of [`BORDER`] pixels along the
/// border of what is known counts as unknown.
pub(super) fn warp_golden(golden: &BinaryImage, field: &OffsetField) -> WarpedGolden {
    let (width, height) = (golden.width, golden.height);
    let mut known = BinaryImage::new(width, height);
    let inside = |place: isize, length: usize| {
        place >= BORDER.cast_signed() && place < (length - BORDER).cast_signed()
    };
    let warped = warp_strips(golden, field, |y, word, offsets| {
        if !inside(y.cast_signed(), height) {
            return;
        }
        let mut mask = column_mask(BORDER, width - BORDER, word);
        for (part, &(dx, dy)) in offsets.iter().enumerate() {
            let strip = STRIP_MASK << (part * STRIP.0);
            if !inside(y.cast_signed() - dy, height) {
                mask &= !strip;
            }
            let low = BORDER.saturating_add_signed(dx);
            let high = (width - BORDER).saturating_add_signed(dx);
            mask &= !strip | column_mask(low, high, word);
        }
        known.row_mut(y)[word] = mask;
    });
    WarpedGolden { golden: warped, known }
}

/// The warped golden sample alone, substrate where it is not known.
pub(super) fn warp_copper(golden: &BinaryImage, field: &OffsetField) -> BinaryImage {
    warp_strips(golden, field, |_, _, _| ())
}

const STRIP_MASK: u64 = (1 << STRIP.0) - 1;

fn warp_strips(
    golden: &BinaryImage,
    field: &OffsetField,
    mut see: impl FnMut(usize, usize, &[(isize, isize); STRIPS]),
) -> BinaryImage {
    let mut warped = BinaryImage::new(golden.width, golden.height);
    let words = golden.width.div_ceil(64);
    let mut nodes = Vec::new();
    let mut offsets = vec![[(0, 0); STRIPS]; words];
    for y in 0..golden.height {
        if y % STRIP.1 == 0 {
            field.offsets_along_row(y + STRIP.1 / 2, &mut nodes);
            for (word, strips) in offsets.iter_mut().enumerate() {
                for (part, strip) in strips.iter_mut().enumerate() {
                    let middle = word * 64 + part * STRIP.0 + STRIP.0 / 2;
                    let [dx, dy] = offset_at_column(&nodes, middle as f32);
                    *strip = (dx.round() as isize, dy.round() as isize);
                }
            }
        }
        for (word, strips) in offsets.iter().enumerate() {
            let sample = |(dx, dy): (isize, isize)| {
                golden.word_at((word * 64).cast_signed() - dx, y.cast_signed() - dy)
            };
            let [first, rest @ ..] = strips;
            let mut bits = sample(*first);
            if rest.iter().any(|strip| strip != first) {
                bits &= STRIP_MASK;
                for (part, &strip) in (1..).zip(rest) {
                    bits |= sample(strip) & (STRIP_MASK << (part * STRIP.0));
                }
            }
            warped.row_mut(y)[word] = bits;
            see(y, word, strips);
        }
    }
    warped.clear_padding();
    warped
}
