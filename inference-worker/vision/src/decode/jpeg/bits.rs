//! The bits of coded data.

use super::Unreadable;

const DATA_ENDS: Unreadable = Unreadable::Damaged("its data ends before its picture does");

/// Bits that are held at least after [`Bits::refill`].
pub(super) const HELD_MIN: u32 = 56;

/// Bits of coded data, from the first on. Beyond the end they are zero: [`Bits::require_end`] tells.
///
/// A word of them is held, the next in its highest bit. It is filled up to whole bytes by one load, however
/// many are missing: what the last byte holds beyond them is loaded again the next time.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// The first byte that is not held as a whole.
    next: usize,
    word: u64,
    /// How many bits of the word count.
    held: u32,
}

impl<'a> Bits<'a> {
    pub(super) const fn new(data: &'a [u8]) -> Self {
        Self { data, next: 0, word: 0, held: 0 }
    }

    /// Holds [`HELD_MIN`] bits at least.
    #[inline]
    pub(super) fn refill(&mut self) {
        let rest = self.data.get(self.next..).and_then(<[u8]>::first_chunk);
        let loaded = rest
            .map_or_else(|| load_last(self.data, self.next), |bytes| u64::from_be_bytes(*bytes));
        self.word |= loaded.wrapping_shr(self.held);
        self.next += ((63 - self.held) / 8) as usize;
        self.held |= HELD_MIN;
    }

    /// The next `count` bits, from 1 to what is held; they stay.
    #[inline]
    pub(super) const fn peek(&self, count: u32) -> u64 {
        self.word.wrapping_shr(64 - count)
    }

    /// Takes `count` of the bits that are held away.
    #[inline]
    pub(super) const fn take(&mut self, count: u32) {
        self.word = self.word.wrapping_shl(count);
        self.held -= count;
    }

    /// Skips `count` bits, at most 63.
    #[inline]
    pub(super) fn skip(&mut self, count: u32) {
        for part in [count / 2, count - count / 2] {
            self.refill();
            self.take(part);
        }
    }

    /// The next `count` bits, at most 15, as a number.
    pub(super) fn read(&mut self, count: u32) -> u32 {
        self.refill();
        let bits = if count == 0 { 0 } else { self.peek(count) };
        self.take(count);
        bits as u32
    }

    /// How many bits were read.
    pub(super) const fn position(&self) -> usize {
        8 * self.next - self.held as usize
    }

    /// That no more was read than there is: asked from time to time, so that damage ends the walk soon.
    #[inline]
    pub(super) const fn require_data(&self) -> Result<(), Unreadable> {
        if self.position() > 8 * self.data.len() { Err(DATA_ENDS) } else { Ok(()) }
    }

    /// That all was read but what fills the last byte up.
    pub(super) fn require_end(&self) -> Result<(), Unreadable> {
        self.require_data()?;
        if 8 * self.data.len() - self.position() < 8 {
            Ok(())
        } else {
            Err(Unreadable::Damaged("its data goes on after its picture"))
        }
    }
}

/// What is left of the data from byte `next` on.
#[cold]
fn load_last(data: &[u8], next: usize) -> u64 {
    let byte = |index: usize| data.get(next + index).copied().unwrap_or(0);
    u64::from_be_bytes(std::array::from_fn(byte))
}
