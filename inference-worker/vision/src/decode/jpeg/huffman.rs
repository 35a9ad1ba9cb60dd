//! Huffman tables, and the bits that they read (T.81, annexes C and F).

use super::Unreadable;

/// Codes up to this length are looked up at once.
const LOOKED_UP: u32 = 10;
/// The longest code.
const LENGTH_MAX: usize = 16;

const NO_SUCH_CODE: Unreadable = Unreadable::Damaged("its data holds a code that is none");
const DATA_ENDS: Unreadable = Unreadable::Damaged("its data ends before its picture does");

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

    /// The next symbol.
    #[inline]
    pub(super) fn read(&self, bits: &mut Bits<'_>) -> Result<u8, Unreadable> {
        let next = bits.peek_16();
        let (length, symbol) = self.short[(next >> (LENGTH_MAX as u32 - LOOKED_UP)) as usize];
        if length > 0 {
            bits.skip(u32::from(length));
            return Ok(symbol);
        }
        for length in LOOKED_UP as usize + 1..=LENGTH_MAX {
            if next < self.ends[length] {
                let code = (next >> (LENGTH_MAX - length)) as i32;
                bits.skip(length as u32);
                let symbol = usize::try_from(code + self.offsets[length]);
                let symbol = symbol.ok().and_then(|at| self.symbols.get(at));
                return symbol.copied().ok_or(NO_SUCH_CODE);
            }
        }
        Err(NO_SUCH_CODE)
    }
}

/// Bits of coded data, from the first on. Beyond the end they are zero: [`Bits::require_end`] tells.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) const fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// The next sixteen bits, which stay.
    #[inline]
    fn peek_16(&self) -> u32 {
        let byte = self.at / 8;
        let word = match self.data.get(byte..byte + 4) {
            Some(&[a, b, c, d]) => u32::from_be_bytes([a, b, c, d]),
            _ => self.last_word(byte),
        };
        (word << (self.at % 8)) >> 16
    }

    #[cold]
    fn last_word(&self, byte: usize) -> u32 {
        let at = |index: usize| self.data.get(index).copied().unwrap_or(0);
        u32::from_be_bytes([at(byte), at(byte + 1), at(byte + 2), at(byte + 3)])
    }

    #[inline]
    pub(super) const fn skip(&mut self, count: u32) {
        self.at += count as usize;
    }

    /// The next `count` bits, at most 15, as a number.
    pub(super) fn read(&mut self, count: u32) -> u32 {
        let bits = self.peek_16() >> (16 - count);
        self.skip(count);
        bits
    }

    /// That no more was read than there is: asked from time to time, so that damage ends the walk soon.
    pub(super) const fn require_data(&self) -> Result<(), Unreadable> {
        if self.at > 8 * self.data.len() { Err(DATA_ENDS) } else { Ok(()) }
    }

    /// That all was read but what fills the last byte up.
    pub(super) fn require_end(&self) -> Result<(), Unreadable> {
        self.require_data()?;
        if 8 * self.data.len() - self.at < 8 {
            Ok(())
        } else {
            Err(Unreadable::Damaged("its data goes on after its picture"))
        }
    }
}
