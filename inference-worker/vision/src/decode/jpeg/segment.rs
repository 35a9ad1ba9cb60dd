//! The segments of a file, and the coded data between them (T.81, annex B).

use super::{ENDS_EARLY, Unreadable};

pub(super) const HUFFMAN_TABLES: u8 = 0xc4;
pub(super) const START: u8 = 0xd8;
pub(super) const END: u8 = 0xd9;
pub(super) const SCAN: u8 = 0xda;
pub(super) const RESTART_INTERVAL: u8 = 0xdd;
pub(super) const APPLICATION_2: u8 = 0xe2;
/// The eight restart markers, in turn.
const RESTARTS: std::ops::RangeInclusive<u8> = 0xd0..=0xd7;

/// A marker and what it carries.
pub(super) struct Segment<'a> {
    pub(super) marker: u8,
    /// Without the two bytes of its length; empty at the end of the picture.
    pub(super) content: &'a [u8],
}

/// The data of a scan.
pub(super) struct CodedData {
    bytes: Vec<u8>,
    /// Where each interval between restart markers ends.
    ends: Vec<usize>,
}

impl CodedData {
    /// From one restart marker to the next.
    pub(super) fn intervals(&self) -> impl Iterator<Item = &[u8]> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }
}

/// Reads a file from segment to segment.
pub(super) struct Segments<'a> {
    rest: &'a [u8],
}

impl<'a> Segments<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let rest = bytes.strip_prefix(&[0xff, START]).ok_or(ENDS_EARLY)?;
        Ok(Self { rest })
    }

    pub(super) fn next_segment(&mut self) -> Result<Segment<'a>, Unreadable> {
        let [0xff, after @ ..] = self.rest else {
            return Err(match self.rest {
                [] => ENDS_EARLY,
                _ => Unreadable::Damaged("there are bytes where a segment should begin"),
            });
        };
        // Fill bytes may stand before a marker.
        let fill = after.iter().take_while(|byte| **byte == 0xff).count();
        let (&marker, after) = after[fill..].split_first().ok_or(ENDS_EARLY)?;
        if marker == END {
            self.rest = after;
            return Ok(Segment { marker, content: &[] });
        }
        if marker < 0xc0 || RESTARTS.contains(&marker) || marker == START {
            return Err(Unreadable::Damaged("a marker stands where it may not"));
        }
        let [high, low, ..] = *after else { return Err(ENDS_EARLY) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let content = after.get(2..length).ok_or(ENDS_EARLY)?;
        self.rest = &after[length..];
        Ok(Segment { marker, content })
    }

    /// The data that follows a scan's header, without stuffed bytes, cut at its restart markers; `units` are
    /// the intervals to be expected.
    pub(super) fn take_coded_data(&mut self, units: usize) -> Result<CodedData, Unreadable> {
        let mut coded = CodedData { bytes: Vec::with_capacity(self.rest.len()), ends: Vec::new() };
        loop {
            let end = find_marker_byte(self.rest).ok_or(ENDS_EARLY)?;
            let (data, after) = self.rest.split_at(end);
            coded.bytes.extend_from_slice(data);
            let fill = after.iter().take_while(|byte| **byte == 0xff).count();
            match after.get(fill) {
                None => return Err(ENDS_EARLY),
                // A stuffed zero: the byte before it is data.
                Some(0) => coded.bytes.push(0xff),
                Some(marker) if RESTARTS.contains(marker) => {
                    let expected = coded.ends.len() % 8;
                    coded.ends.push(coded.bytes.len());
                    if usize::from(marker - RESTARTS.start()) != expected
                        || coded.ends.len() >= units
                    {
                        return Err(Unreadable::Damaged("restart markers are not in turn"));
                    }
                }
                Some(_) => {
                    self.rest = after;
                    coded.ends.push(coded.bytes.len());
                    break;
                }
            }
            self.rest = &after[fill + 1..];
        }
        if coded.ends.len() == units {
            Ok(coded)
        } else {
            Err(Unreadable::Damaged("a scan ends before its picture does"))
        }
    }

    /// Nothing but a second picture may not follow: cameras append to a file what is theirs.
    pub(super) fn require_end(&self) -> Result<(), Unreadable> {
        let padding = self.rest.iter().take_while(|byte| **byte == 0).count();
        if self.rest[padding..].starts_with(&[0xff, START, 0xff]) {
            return Err(Unreadable::Coding("several pictures in one file"));
        }
        Ok(())
    }
}

/// The first byte that a marker may begin with, eight at once: in coded data it is rare.
fn find_marker_byte(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let inverse = !u64::from_le_bytes(*word);
        // A byte that is zero borrows from its highest bit, the first one at least for no other reason.
        let zeros = inverse.wrapping_sub(ONES) & !inverse & (ONES << 7);
        if zeros != 0 {
            return Some(8 * index + zeros.trailing_zeros() as usize / 8);
        }
    }
    let found = rest.iter().position(|byte| *byte == 0xff)?;
    Some(8 * words.len() + found)
}
