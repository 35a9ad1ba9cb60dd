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
    pub(super) fn take_coded_data(&mut self, units: usize) -> Result<Vec<Vec<u8>>, Unreadable> {
        let mut intervals = vec![Vec::new()];
        loop {
            let end = self.rest.iter().position(|byte| *byte == 0xff).ok_or(ENDS_EARLY)?;
            let (data, after) = self.rest.split_at(end);
            if let Some(interval) = intervals.last_mut() {
                interval.extend_from_slice(data);
            }
            let fill = after.iter().take_while(|byte| **byte == 0xff).count();
            match after.get(fill) {
                None => return Err(ENDS_EARLY),
                // A stuffed zero: the byte before it is data.
                Some(0) => {
                    if let Some(interval) = intervals.last_mut() {
                        interval.push(0xff);
                    }
                }
                Some(marker) if RESTARTS.contains(marker) => {
                    let expected = (intervals.len() - 1) % 8;
                    if usize::from(marker - RESTARTS.start()) != expected
                        || intervals.len() >= units
                    {
                        return Err(Unreadable::Damaged("restart markers are not in turn"));
                    }
                    intervals.push(Vec::new());
                }
                Some(_) => {
                    self.rest = after;
                    break;
                }
            }
            self.rest = &after[fill + 1..];
        }
        if intervals.len() == units {
            Ok(intervals)
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
