//! Whether a JPEG holds the whole of its picture (ITU-T T.81).
//!
//! A decoder fills with grey what a scan lacks, and reads on after a damaged byte: a picture that was cut
//! off, or lost a byte in the middle, comes out as if it were whole, with its flaws painted over. So, before
//! pixels are made, the coded data is walked block by block: every block of every scan must be there, and
//! nothing may be left before the marker that follows.
//!
//! What is damaged and still codes exactly as many blocks cannot be told from a picture that looks so; the
//! digest of the upload guards against that.

use std::fmt;

use frame::{Component, Frame};
use huffman::HuffmanTable;
use scan::{CoefficientHistory, Scan, ScanTables};
use segment::{CodedData, Segments};

mod bits;
mod block;
mod frame;
mod huffman;
mod scan;
mod segment;
mod steps;
#[cfg(test)]
mod tests;

/// Why a JPEG is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Its pixels are four inks.
    Inks,
    /// It is coded in a way that is not decoded here.
    Coding(&'static str),
    /// It is cut off or damaged.
    Damaged(&'static str),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inks => f.write_str("four inks"),
            Self::Coding(what) | Self::Damaged(what) => f.write_str(what),
        }
    }
}

const ENDS_EARLY: Unreadable = Unreadable::Damaged("the file ends before its picture does");

/// Segments between two scans; a file with more is no picture but an attempt to keep us busy.
const SEGMENTS_MAX: usize = 4_096;

/// What a frame says of its picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameSize {
    pub(super) width: u16,
    pub(super) height: u16,
}

/// The size of the picture, by the first frame header; no pixel is read.
///
/// # Errors
/// [`Unreadable`] when there is none, or of a kind that is not decoded.
pub(super) fn read_size(bytes: &[u8]) -> Result<FrameSize, Unreadable> {
    let mut segments = Segments::new(bytes)?;
    for _ in 0..SEGMENTS_MAX {
        let segment = segments.next_segment()?;
        if let Some(frame) = Frame::read(&segment)? {
            return Ok(FrameSize { width: frame.width, height: frame.height });
        }
        if matches!(segment.marker, segment::SCAN | segment::END) {
            break;
        }
    }
    Err(Unreadable::Damaged("there is no frame header"))
}

/// Walks the whole file: all of its one picture must be there.
///
/// # Errors
/// [`Unreadable`], with what is wrong.
pub(super) fn check_whole(bytes: &[u8]) -> Result<(), Unreadable> {
    let mut segments = Segments::new(bytes)?;
    let mut picture = PictureWalk::default();
    for _ in 0..SEGMENTS_MAX {
        let segment = segments.next_segment()?;
        match segment.marker {
            segment::HUFFMAN_TABLES => picture.tables.read(segment.content)?,
            segment::RESTART_INTERVAL => picture.set_restart_interval(segment.content)?,
            segment::SCAN => {
                let scan = picture.begin_scan(segment.content)?;
                let coded = segments.take_coded_data(scan.restart_units())?;
                picture.walk_scan(&scan, &coded)?;
            }
            segment::END => {
                picture.require_complete()?;
                return segments.require_end();
            }
            segment::APPLICATION_2 if segment.content.starts_with(b"MPF\0") => {
                return Err(Unreadable::Coding("several pictures in one file"));
            }
            _ => {
                if let Some(frame) = Frame::read(&segment)? {
                    picture.set_frame(frame)?;
                }
            }
        }
    }
    Err(Unreadable::Damaged("it has too many segments"))
}

/// What is known of the picture while its file is walked.
#[derive(Default)]
struct PictureWalk {
    frame: Option<Frame>,
    tables: ScanTables,
    restart_interval: usize,
    /// By component, in the frame's order.
    history: Vec<CoefficientHistory>,
}

impl PictureWalk {
    fn set_frame(&mut self, frame: Frame) -> Result<(), Unreadable> {
        if self.frame.is_some() {
            return Err(Unreadable::Damaged("it has two frames"));
        }
        let history = |component| CoefficientHistory::new(component, &frame);
        self.history = frame.components.iter().map(history).collect();
        self.frame = Some(frame);
        Ok(())
    }

    fn set_restart_interval(&mut self, content: &[u8]) -> Result<(), Unreadable> {
        let &[high, low] = content else {
            return Err(Unreadable::Damaged("a restart interval has the wrong length"));
        };
        self.restart_interval = usize::from(u16::from_be_bytes([high, low]));
        Ok(())
    }

    fn begin_scan(&self, content: &[u8]) -> Result<Scan, Unreadable> {
        let frame = self.frame.as_ref().ok_or(Unreadable::Damaged("a scan has no frame"))?;
        Scan::read(content, frame, self.restart_interval)
    }

    fn walk_scan(&mut self, scan: &Scan, coded: &CodedData) -> Result<(), Unreadable> {
        scan.walk(&self.tables, &mut self.history, coded)
    }

    fn require_complete(&self) -> Result<(), Unreadable> {
        let Some(frame) = &self.frame else { return Err(ENDS_EARLY) };
        let complete = |history: &CoefficientHistory| history.is_complete(frame.is_progressive);
        if self.history.iter().all(complete) {
            Ok(())
        } else {
            Err(Unreadable::Damaged("scans that make the picture whole are missing"))
        }
    }
}
