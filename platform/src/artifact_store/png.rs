//! A PNG as a sequence of chunks: length, type, data, checksum.

use super::error::PictureFlaw;

pub(super) const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
/// Chunk lengths are 31-bit numbers.
const LENGTH_MAX: u32 = i32::MAX as u32;
const IHDR_BYTES: usize = 13;
/// A chunk's length and type, and the checksum after its data.
const HEADER_BYTES: usize = 8;
const CHECKSUM_BYTES: u64 = 4;

/// Where in the chunks the walk is.
#[derive(Default)]
pub(super) struct PngWalk {
    /// Bytes of a chunk header, or of IHDR, that were cut by the end of a piece.
    held: Vec<u8>,
    /// Bytes of data and checksum of the current chunk still to skip.
    skip: u64,
    state: PngState,
    dimensions: Option<(u32, u32)>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum PngState {
    /// The first chunk, which must be IHDR.
    #[default]
    Start,
    /// Chunks before the picture data.
    Header,
    /// At least one IDAT has begun.
    Data,
    /// The checksum of IEND is passing.
    Ending,
}

impl PngWalk {
    pub(super) fn push(&mut self, mut piece: &[u8]) -> Result<(), PictureFlaw> {
        while !piece.is_empty() {
            if self.skip > 0 {
                let step = usize::try_from(self.skip).unwrap_or(usize::MAX).min(piece.len());
                self.skip -= step as u64;
                piece = &piece[step..];
                continue;
            }
            if self.state == PngState::Ending {
                return Err(PictureFlaw::Malformed("there are bytes after its end"));
            }
            let wanted = match self.state {
                PngState::Start => HEADER_BYTES + IHDR_BYTES,
                PngState::Header | PngState::Data | PngState::Ending => HEADER_BYTES,
            };
            let step = (wanted - self.held.len()).min(piece.len());
            self.held.extend_from_slice(&piece[..step]);
            piece = &piece[step..];
            if self.held.len() == wanted {
                self.enter_chunk()?;
                self.held.clear();
            }
        }
        Ok(())
    }

    /// Reads the header in `held` (and IHDR's data, for the first).
    fn enter_chunk(&mut self) -> Result<(), PictureFlaw> {
        let length = read_u32(&self.held, 0);
        let name = &self.held[4..HEADER_BYTES];
        if length > LENGTH_MAX || !name.iter().all(u8::is_ascii_alphabetic) {
            return Err(PictureFlaw::Malformed("a chunk header is broken"));
        }
        self.skip = u64::from(length) + CHECKSUM_BYTES;
        self.state = match (self.state, name) {
            (PngState::Start, b"IHDR") if length as usize == IHDR_BYTES => {
                let (width, height) = (read_u32(&self.held, 8), read_u32(&self.held, 12));
                if width == 0 || height == 0 || width > LENGTH_MAX || height > LENGTH_MAX {
                    return Err(PictureFlaw::Malformed("its width or height is not possible"));
                }
                self.dimensions = Some((width, height));
                self.skip = CHECKSUM_BYTES;
                PngState::Header
            }
            (PngState::Start, _) => {
                return Err(PictureFlaw::Malformed("it does not begin with IHDR"));
            }
            (_, b"IHDR") => return Err(PictureFlaw::Malformed("it has a second IHDR")),
            (PngState::Header | PngState::Data, b"IDAT") => PngState::Data,
            (PngState::Data, b"IEND") if length == 0 => PngState::Ending,
            (_, b"IEND") => return Err(PictureFlaw::Malformed("it ends without picture data")),
            (state, _) => state,
        };
        Ok(())
    }

    pub(super) fn dimensions(&self) -> Option<(u32, u32)> {
        self.dimensions
    }

    pub(super) fn is_whole(&self) -> bool {
        self.state == PngState::Ending && self.skip == 0
    }
}

/// The big-endian number at `offset`; the caller holds at least four bytes from there.
fn read_u32(bytes: &[u8], offset: usize) -> u32 {
    bytes[offset..offset + 4].iter().fold(0, |number, &byte| number << 8 | u32::from(byte))
}
