//! The walk over the blocks of a sequential scan, in steps of several coefficients.
//!
//! A code says how many bits of a value follow it, and the walk only counts. So a table tells for the next
//! bits how far all the codes go that they hold as a whole, with the values behind them: two or three
//! coefficients at once, because those that come often have short codes.

use super::Unreadable;
use super::bits::{Bits, HELD_MIN};
use super::block::{LAST, MEAN_BITS_MAX, OTHER_BITS_MAX, skip_mean, skip_one};
use super::huffman::{HuffmanTable, LOOKED_UP};

/// Coefficients of a block.
const BLOCK: u32 = LAST as u32 + 1;
/// Looks at the table for which bits are enough once they were filled up.
const LOOKS: u32 = HELD_MIN / (LOOKED_UP + OTHER_BITS_MAX as u32);
/// The symbol after which a block has no more coefficients than it had.
const END_OF_BLOCK: u8 = 0;

/// How far some codes and their values go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step(u16);

impl Step {
    /// Farther than any block: this one is walked code by code.
    const BEYOND: Self = Self::new(0, 2 * BLOCK, false);

    const fn new(bits: u32, coefficients: u32, is_end: bool) -> Self {
        Self((bits | (is_end as u32) << 5 | coefficients << 6) as u16)
    }

    /// Bits of the codes and of their values, at most 21.
    const fn bits(self) -> u32 {
        (self.0 & 31) as u32
    }

    /// That they end the block.
    const fn is_end(self) -> bool {
        self.0 & 32 != 0
    }

    /// Coefficients that they pass over; the end of the block counts as one, because it stands for one at least.
    const fn coefficients(self) -> u32 {
        (self.0 >> 6) as u32
    }
}

/// The tables of a component of a sequential scan.
pub(super) struct BlockWalk<'a> {
    mean: &'a HuffmanTable,
    other: &'a HuffmanTable,
    /// By the next [`LOOKED_UP`] bits: those of a mean and of its code; 0 where only a longer look tells.
    means: Vec<u8>,
    /// By the next [`LOOKED_UP`] bits.
    steps: Vec<Step>,
}

impl<'a> BlockWalk<'a> {
    pub(super) fn new(mean: &'a HuffmanTable, other: &'a HuffmanTable) -> Self {
        let whole = |&(length, count): &(u8, u8)| {
            if length > 0 && count <= MEAN_BITS_MAX { length + count } else { 0 }
        };
        let means = mean.short_codes().iter().map(whole).collect();
        let codes = other.short_codes();
        let steps = (0..codes.len()).map(|bits| step_of_codes(codes, bits)).collect();
        Self { mean, other, means, steps }
    }

    /// A whole block.
    #[inline]
    pub(super) fn skip_block(&self, bits: &mut Bits<'_>) -> Result<(), Unreadable> {
        bits.refill();
        match self.means[bits.peek(LOOKED_UP) as usize] {
            0 => skip_mean(self.mean, bits)?,
            count => bits.take(u32::from(count)),
        }
        let mut at = 1;
        while at < BLOCK {
            bits.refill();
            for _ in 0..LOOKS {
                let step = self.steps[bits.peek(LOOKED_UP) as usize];
                let next = at + step.coefficients();
                if next > BLOCK {
                    at = skip_one(self.other, bits, at as u8)?.into();
                    break;
                }
                bits.take(step.bits());
                if step.is_end() || next == BLOCK {
                    return Ok(());
                }
                at = next;
            }
        }
        Ok(())
    }
}

/// The step that the codes make which stand in these bits as a whole.
fn step_of_codes(codes: &[(u8, u8)], bits: usize) -> Step {
    let (mut taken, mut coefficients) = (0, 0);
    while taken < LOOKED_UP {
        let (length, symbol) = codes[(bits << taken) % codes.len()];
        let (run, count) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        // Of a longer code, and of one that may not stand here, the walk code by code knows more.
        if length == 0 || u32::from(length) > LOOKED_UP - taken {
            break;
        }
        if symbol == END_OF_BLOCK {
            return Step::new(taken + u32::from(length), coefficients + 1, true);
        }
        if count > u32::from(OTHER_BITS_MAX) || (count == 0 && run < 15) {
            break;
        }
        taken += u32::from(length) + count;
        coefficients += run + 1;
    }
    if taken == 0 { Step::BEYOND } else { Step::new(taken, coefficients, false) }
}
