//! Huffman tables (T.81, annexes C and F).

use super::Unreadable;
use super::bits::Bits;

/// Codes up to this length are looked up at once.
pub(super) const LOOKED_UP: u32 = 11;
/// The longest code.
const LENGTH_MAX: usize = 16;

const NO_SUCH_CODE: Unreadable = Unreadable::Damaged("its data holds a code that is none");

/// A table of codes.
pub(super) struct HuffmanTable {
    /// By the next [`LOOKED_UP`] bits: length and symbol of the code; a length of 0 when it is longer.
    short: Vec<(u8, u8)>,
    /// By length: the first code that is longer, aligned to [`LENGTH_MAX`] bits.
    ends: [u32; LENGTH_MAX + 1],
    /// By length: where its symbols lie, less its first code.
    offsets: [i32; LENGTH_MAX + 1],
    symbols: Vec<u8>,
}

impl HuffmanTable {
    /// The table of `counts` codes of each length from 1, and their symbols.
    pub(super) fn new(counts: &[u8; LENGTH_MAX], symbols: &[u8]) -> Result<Self, Unreadable> {
        let mut table = Self {
            short: vec![(0, 0); 1 << LOOKED_UP],
            ends: [0; LENGTH_MAX + 1],
            offsets: [0; LENGTH_MAX + 1],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut first) = (0_u32, 0_usize);
        for (length, &count) in (1_u32..).zip(counts) {
            let count = usize::from(count);
            let end = code + count as u32;
            if end > 1 << length {
                return Err(Unreadable::Damaged("a table has more codes than there are"));
            }
            table.offsets[length as usize] = first as i32 - code as i32;
            if length <= LOOKED_UP {
                let spread = LOOKED_UP - length;
                for (code, symbol) in (code..end).zip(&symbols[first..first + count]) {
                    let at = (code << spread) as usize..((code + 1) << spread) as usize;
                    table.short[at].fill((length as u8, *symbol));
                }
            }
            table.ends[length as usize] = end << (LENGTH_MAX as u32 - length);
            first += count;
            code = end << 1;
        }
        Ok(table)
    }

    /// By the next [`LOOKED_UP`] bits: length and symbol of the code that they begin with; a length of 0 when
    /// it is longer or none.
    pub(super) fn short_codes(&self) -> &[(u8, u8)] {
        &self.short
    }

    /// The next symbol.
    #[inline]
    pub(super) fn read(&self, bits: &mut Bits<'_>) -> Result<u8, Unreadable> {
        bits.refill();
        let (length, symbol) = self.find_code(bits.peek(LENGTH_MAX as u32) as u32)?;
        bits.take(length);
        Ok(symbol)
    }

    /// Length and symbol of the code that the next [`LENGTH_MAX`] bits begin with.
    fn find_code(&self, next: u32) -> Result<(u32, u8), Unreadable> {
        let (length, symbol) = self.short[(next >> (LENGTH_MAX as u32 - LOOKED_UP)) as usize];
        if length > 0 {
            return Ok((length.into(), symbol));
        }
        for length in LOOKED_UP as usize + 1..=LENGTH_MAX {
            if next < self.ends[length] {
                let code = (next >> (LENGTH_MAX - length)) as i32;
                let symbol = usize::try_from(code + self.offsets[length]);
                let symbol = symbol.ok().and_then(|at| self.symbols.get(at));
                return symbol.map(|symbol| (length as u32, *symbol)).ok_or(NO_SUCH_CODE);
            }
        }
        Err(NO_SUCH_CODE)
    }
}
