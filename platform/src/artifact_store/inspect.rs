//! Walks the structure of a JPEG or PNG as its bytes pass by: format, size, and whether it is
//! whole.
//!
//! Nothing is decompressed and nothing is kept but a few header bytes, so a bomb costs nothing.
//! Sources: PNG (W3C, third edition) §5; JPEG (ITU-T T.81) annex B.

mod jpeg;
mod png;

use domain::{MediaType, Picture, Sha256};
use sha2::Digest as _;

/// What is wrong with the bytes of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum PictureFlaw {
    #[error("it is neither a JPEG nor a PNG")]
    NotAPicture,
    #[error("it ends too early")]
    Truncated,
    #[error("{0}")]
    Malformed(&'static str),
}

/// Counts, digests and walks bytes that are pushed in pieces of any size.
#[derive(Default)]
pub(super) struct PictureInspector {
    bytes: u64,
    digest: sha2::Sha256,
    format: PictureFormat,
}

#[derive(Default)]
enum PictureFormat {
    /// Fewer bytes than it takes to tell.
    #[default]
    Nothing,
    Prefix(Vec<u8>),
    Jpeg(jpeg::JpegWalk),
    Png(png::PngWalk),
}

impl PictureInspector {
    /// Takes the next bytes.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), PictureFlaw> {
        self.bytes += piece.len() as u64;
        self.digest.update(piece);
        match &mut self.format {
            PictureFormat::Jpeg(walk) => walk.push(piece),
            PictureFormat::Png(walk) => walk.push(piece),
            PictureFormat::Nothing => self.sniff_format(piece.to_vec()),
            PictureFormat::Prefix(prefix) => {
                let mut prefix = std::mem::take(prefix);
                prefix.extend_from_slice(piece);
                self.sniff_format(prefix)
            }
        }
    }

    fn sniff_format(&mut self, start: Vec<u8>) -> Result<(), PictureFlaw> {
        if let Some(rest) = start.strip_prefix(&png::SIGNATURE) {
            let mut walk = png::PngWalk::default();
            walk.push(rest)?;
            self.format = PictureFormat::Png(walk);
        } else if let Some(rest) = start.strip_prefix(&jpeg::SIGNATURE) {
            let mut walk = jpeg::JpegWalk::default();
            walk.push(rest)?;
            self.format = PictureFormat::Jpeg(walk);
        } else if png::SIGNATURE.starts_with(&start) || jpeg::SIGNATURE.starts_with(&start) {
            self.format = PictureFormat::Prefix(start);
        } else {
            return Err(PictureFlaw::NotAPicture);
        }
        Ok(())
    }

    /// Bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The format, once enough bytes have passed.
    pub(super) fn media_type(&self) -> Option<MediaType> {
        match self.format {
            PictureFormat::Nothing | PictureFormat::Prefix(_) => None,
            PictureFormat::Jpeg(_) => Some(MediaType::Jpeg),
            PictureFormat::Png(_) => Some(MediaType::Png),
        }
    }

    /// Width and height in pixels, once the header has passed.
    pub(super) fn dimensions(&self) -> Option<(u32, u32)> {
        match &self.format {
            PictureFormat::Nothing | PictureFormat::Prefix(_) => None,
            PictureFormat::Jpeg(walk) => walk.dimensions(),
            PictureFormat::Png(walk) => walk.dimensions(),
        }
    }

    /// The picture, if it is whole.
    pub(super) fn finish_picture(self) -> Result<Picture, PictureFlaw> {
        let media_type = self.media_type().ok_or(PictureFlaw::NotAPicture)?;
        let whole = match &self.format {
            PictureFormat::Nothing | PictureFormat::Prefix(_) => false,
            PictureFormat::Jpeg(walk) => walk.is_whole(),
            PictureFormat::Png(walk) => walk.is_whole(),
        };
        let (width, height) = self.dimensions().filter(|_| whole).ok_or(PictureFlaw::Truncated)?;
        let sha256 = Sha256::from_bytes(self.digest.finalize().into());
        Ok(Picture { sha256, bytes: self.bytes, media_type, width, height })
    }
}
