//! A JPEG as a sequence of marker segments, with entropy-coded data after each start of scan.

use super::error::PictureFlaw;

/// Start of image, and the first byte of the marker that must follow.
pub(super) const SIGNATURE: [u8; 2] = [0xff, 0xd8];

/// The bytes of a frame header that hold its size: precision, height, width.
const FRAME_BYTES: usize = 5;

/// Where in the segments the walk is.
#[derive(Default)]
pub(super) struct JpegWalk {
    state: JpegState,
    frame: Vec<u8>,
    dimensions: Option<(u32, u32)>,
    scanned: bool,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum JpegState {
    /// Before the 0xff of a marker.
    #[default]
    Marker,
    /// After one or more 0xff.
    Code,
    /// The length's first byte is next.
    Length { code: u8 },
    /// The length's second byte is next.
    LengthLow { code: u8, high: u8 },
    /// This many bytes of a segment are left.
    Segment { code: u8, left: u16 },
    /// Entropy-coded data.
    Scan,
    /// 0xff inside entropy-coded data.
    ScanEscape,
    /// End of image has passed. What follows (thumbnails, padding) is no concern of ours.
    Ended,
}

impl JpegWalk {
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), PictureFlaw> {
        let mut rest = piece;
        while let Some((&byte, after)) = rest.split_first() {
            rest = match self.state {
                JpegState::Ended => return Ok(()),
                JpegState::Scan => match rest.iter().position(|&byte| byte == 0xff) {
                    None => return Ok(()),
                    Some(place) => {
                        self.state = JpegState::ScanEscape;
                        &rest[place + 1..]
                    }
                },
                JpegState::Segment { code, left } => {
                    let step = usize::from(left).min(rest.len());
                    self.keep_frame_size(code, &rest[..step])?;
                    // `step` is at most `left`, so the difference fits.
                    let left = left - u16::try_from(step).unwrap_or(left);
                    self.state = self.state_after(code, left);
                    &rest[step..]
                }
                _ => {
                    self.state = self.next_state(byte)?;
                    after
                }
            };
        }
        Ok(())
    }

    /// The state after one byte outside segments and scans.
    fn next_state(&mut self, byte: u8) -> Result<JpegState, PictureFlaw> {
        match (self.state, byte) {
            (JpegState::Marker, 0xff) | (JpegState::Code, 0xff) => Ok(JpegState::Code),
            (JpegState::Marker, _) => Err(PictureFlaw::Malformed("a marker is missing")),
            (JpegState::Code, code) => self.follow_marker(code),
            (JpegState::Length { code }, high) => Ok(JpegState::LengthLow { code, high }),
            (JpegState::LengthLow { code, high }, low) => {
                let length = u16::from_be_bytes([high, low]);
                let left = length.checked_sub(2);
                let left = left.ok_or(PictureFlaw::Malformed("a segment's length is broken"))?;
                Ok(self.state_after(code, left))
            }
            // A stuffed zero, a restart marker, or a fill byte.
            (JpegState::ScanEscape, 0x00 | 0xd0..=0xd7) => Ok(JpegState::Scan),
            (JpegState::ScanEscape, 0xff) => Ok(JpegState::ScanEscape),
            (JpegState::ScanEscape, code) => self.follow_marker(code),
            (state @ (JpegState::Segment { .. } | JpegState::Scan | JpegState::Ended), _) => {
                Ok(state)
            }
        }
    }

    fn follow_marker(&mut self, code: u8) -> Result<JpegState, PictureFlaw> {
        match code {
            0xd9 if self.scanned && self.dimensions.is_some() => Ok(JpegState::Ended),
            0xd9 => Err(PictureFlaw::Malformed("it ends without picture data")),
            0x01 => Ok(JpegState::Marker),
            0xda if self.dimensions.is_none() => {
                Err(PictureFlaw::Malformed("it has no frame header"))
            }
            0xc0..=0xcf | 0xda..=0xfe => Ok(JpegState::Length { code }),
            _ => Err(PictureFlaw::Malformed("it has an impossible marker")),
        }
    }

    /// The state when `left` bytes of the segment `code` are left.
    fn state_after(&mut self, code: u8, left: u16) -> JpegState {
        match (code, left) {
            (0xda, 0) => {
                self.scanned = true;
                JpegState::Scan
            }
            (_, 0) => JpegState::Marker,
            _ => JpegState::Segment { code, left },
        }
    }

    /// Keeps what a frame header says of the size.
    fn keep_frame_size(&mut self, code: u8, data: &[u8]) -> Result<(), PictureFlaw> {
        let is_frame = matches!(code, 0xc0..=0xcf) && !matches!(code, 0xc4 | 0xc8 | 0xcc);
        if !is_frame || self.dimensions.is_some() {
            return Ok(());
        }
        let wanted = (FRAME_BYTES - self.frame.len()).min(data.len());
        self.frame.extend_from_slice(&data[..wanted]);
        if let &[_, h1, h0, w1, w0] = self.frame.as_slice() {
            let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
            if width == 0 || height == 0 {
                return Err(PictureFlaw::Malformed("its width or height is not possible"));
            }
            self.dimensions = Some((width.into(), height.into()));
        }
        Ok(())
    }

    pub(super) fn dimensions(&self) -> Option<(u32, u32)> {
        self.dimensions
    }

    pub(super) fn is_whole(&self) -> bool {
        self.state == JpegState::Ended
    }
}
