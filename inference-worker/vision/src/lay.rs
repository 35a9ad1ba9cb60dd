//! Laying the golden sample over the test picture, along a field of offsets.

use super::bits::{Bits, span};
use super::field::{Field, at_column};

/// Columns and rows that share one offset, in pixels.
const STRIP: (usize, usize) = (16, 4);
/// Strips per word.
const STRIPS: usize = 64 / STRIP.0;

/// Along the border the picture may show what the golden sample just does not; so many pixels there
/// are not compared.
const BAND: usize = 3;

/// The golden sample as it lies in the test picture, and where it is known.
pub(super) struct Laid {
    pub(super) golden: Bits,
    pub(super) known: Bits,
}

impl Laid {
    /// The golden sample where it is known, elsewhere the picture itself, so that nothing differs.
    pub(super) fn over(&self, test: &Bits) -> Bits {
        let mut difference = test.difference(&self.golden);
        difference.mask(&self.known);
        test.difference(&difference)
    }
}

/// Lays the golden sample over a picture of the same size. A band of [`BAND`] pixels along the
/// border of what is known counts as unknown.
pub(super) fn lay(golden: &Bits, field: &Field) -> Laid {
    let (width, height) = (golden.width, golden.height);
    let mut known = Bits::new(width, height);
    let inside = |place: isize, length: usize| {
        place >= BAND.cast_signed() && place < (length - BAND).cast_signed()
    };
    let laid = strips(golden, field, |y, word, offsets| {
        if !inside(y.cast_signed(), height) {
            return;
        }
        let mut mask = span(BAND, width - BAND, word);
        for (part, &(dx, dy)) in offsets.iter().enumerate() {
            let strip = STRIP_MASK << (part * STRIP.0);
            if !inside(y.cast_signed() - dy, height) {
                mask &= !strip;
            }
            let low = BAND.saturating_add_signed(dx);
            let high = (width - BAND).saturating_add_signed(dx);
            mask &= !strip | span(low, high, word);
        }
        known.row_mut(y)[word] = mask;
    });
    Laid { golden: laid, known }
}

/// Lays the golden sample over, substrate where it is not known.
pub(super) fn bare(golden: &Bits, field: &Field) -> Bits {
    strips(golden, field, |_, _, _| ())
}

const STRIP_MASK: u64 = (1 << STRIP.0) - 1;

fn strips(
    golden: &Bits,
    field: &Field,
    mut see: impl FnMut(usize, usize, &[(isize, isize); STRIPS]),
) -> Bits {
    let mut laid = Bits::new(golden.width, golden.height);
    let words = golden.width.div_ceil(64);
    let mut nodes = Vec::new();
    let mut offsets = vec![[(0, 0); STRIPS]; words];
    for y in 0..golden.height {
        if y % STRIP.1 == 0 {
            field.along(y + STRIP.1 / 2, &mut nodes);
            for (word, strips) in offsets.iter_mut().enumerate() {
                for (part, strip) in strips.iter_mut().enumerate() {
                    let middle = word * 64 + part * STRIP.0 + STRIP.0 / 2;
                    let [dx, dy] = at_column(&nodes, middle as f32);
                    *strip = (dx.round() as isize, dy.round() as isize);
                }
            }
        }
        for (word, strips) in offsets.iter().enumerate() {
            let sample = |(dx, dy): (isize, isize)| {
                golden.window((word * 64).cast_signed() - dx, y.cast_signed() - dy)
            };
            let [first, rest @ ..] = strips;
            let mut bits = sample(*first);
            if rest.iter().any(|strip| strip != first) {
                bits &= STRIP_MASK;
                for (part, &strip) in (1..).zip(rest) {
                    bits |= sample(strip) & (STRIP_MASK << (part * STRIP.0));
                }
            }
            laid.row_mut(y)[word] = bits;
            see(y, word, strips);
        }
    }
    laid.trim();
    laid
}
