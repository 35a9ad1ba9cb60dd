//! The walk over the coefficients of a block (T.81, F.2.2 and G.1.2).

use super::Unreadable;
use super::bits::Bits;
use super::huffman::HuffmanTable;

/// The last coefficient of a block.
pub(super) const LAST: u8 = 63;
/// The most bits of a coefficient of eight-bit pictures: of the mean, and of the others.
pub(super) const MEAN_BITS_MAX: u8 = 11;
pub(super) const OTHER_BITS_MAX: u8 = 10;
const BEYOND_BLOCK: Unreadable = Unreadable::Damaged("its data runs over the end of a block");

#[inline]
pub(super) fn skip_mean(table: &HuffmanTable, bits: &mut Bits<'_>) -> Result<(), Unreadable> {
    let count = table.read(bits)?;
    if count > MEAN_BITS_MAX {
        return Err(Unreadable::Damaged("a block's mean is out of range"));
    }
    bits.take(u32::from(count));
    Ok(())
}

/// What one code says of a block from coefficient `at` on, which is not its mean: the coefficient after it.
#[inline]
pub(super) fn skip_one(
    table: &HuffmanTable,
    bits: &mut Bits<'_>,
    at: u8,
) -> Result<u8, Unreadable> {
    let symbol = table.read(bits)?;
    let (run, count) = (symbol >> 4, symbol & 15);
    let next = match (run, count) {
        (0, 0) => LAST + 1,
        (15, 0) | (_, 1..=OTHER_BITS_MAX) => at + run + 1,
        _ => return Err(Unreadable::Damaged("a coefficient is out of range")),
    };
    if next > LAST + 1 {
        return Err(BEYOND_BLOCK);
    }
    bits.take(u32::from(count));
    Ok(next)
}

/// A progressive scan of some coefficients of one component.
pub(super) struct BandWalk<'a> {
    table: &'a HuffmanTable,
    /// First and last coefficient.
    band: (u8, u8),
    /// Blocks to come, this one included, in which nothing new is set.
    blank_blocks: u32,
}

impl<'a> BandWalk<'a> {
    pub(super) const fn new(table: &'a HuffmanTable, band: (u8, u8)) -> Self {
        Self { table, band, blank_blocks: 0 }
    }

    /// That no run of blank blocks goes on after the last block.
    pub(super) const fn require_end(&self) -> Result<(), Unreadable> {
        if self.blank_blocks > 0 { Err(BEYOND_BLOCK) } else { Ok(()) }
    }

    /// The first bits of a block's coefficients.
    pub(super) fn skip_first(
        &mut self,
        set: &mut u64,
        bits: &mut Bits<'_>,
    ) -> Result<(), Unreadable> {
        if self.blank_blocks > 0 {
            self.blank_blocks -= 1;
            return Ok(());
        }
        let (mut at, last) = self.band;
        while at <= last {
            let symbol = self.table.read(bits)?;
            match (symbol >> 4, symbol & 15) {
                (run @ 0..=14, 0) => {
                    self.blank_blocks = (1 << run) - 1 + bits.read(u32::from(run));
                    return Ok(());
                }
                (15, 0) => at += 16,
                (run, count @ 1..=OTHER_BITS_MAX) => {
                    at += run;
                    if at > last {
                        return Err(BEYOND_BLOCK);
                    }
                    *set |= 1 << at;
                    bits.take(u32::from(count));
                    at += 1;
                }
                _ => return Err(Unreadable::Damaged("a coefficient is out of range")),
            }
        }
        if at > last + 1 { Err(BEYOND_BLOCK) } else { Ok(()) }
    }

    /// One bit more of a block's coefficients, and those that are set from here on.
    pub(super) fn skip_refinement(
        &mut self,
        set: &mut u64,
        bits: &mut Bits<'_>,
    ) -> Result<(), Unreadable> {
        let (mut at, last) = self.band;
        let mut newly = 0_u64;
        while self.blank_blocks == 0 && at <= last {
            let symbol = self.table.read(bits)?;
            let (mut zeros, is_set) = match (symbol >> 4, symbol & 15) {
                (run @ 0..=14, 0) => {
                    self.blank_blocks = (1 << run) + bits.read(u32::from(run));
                    break;
                }
                (run, 0) => (run, false),
                (run, 1) => {
                    bits.take(1);
                    (run, true)
                }
                _ => return Err(Unreadable::Damaged("a coefficient is out of range")),
            };
            // Over what is set already, which has a bit each, and over so many that are not.
            while at <= last {
                if *set >> at & 1 == 1 {
                    bits.skip(1);
                } else if zeros == 0 {
                    break;
                } else {
                    zeros -= 1;
                }
                at += 1;
            }
            if at > last {
                return Err(BEYOND_BLOCK);
            }
            newly |= u64::from(is_set) << at;
            at += 1;
        }
        if self.blank_blocks > 0 {
            let rest = if at > last { 0 } else { u64::MAX << at & u64::MAX >> (LAST - last) };
            bits.skip((*set & rest).count_ones());
            self.blank_blocks -= 1;
        }
        *set |= newly;
        Ok(())
    }
}
