//! What the log knows of the pictures of a comparison, and the memory that they take, reckoned from that before
//! any of them is read.

use domain::{InspectedArea, Picture, Sha256};
use vision::memory;

/// A picture as the log knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoggedPicture {
    /// Digest of the file.
    pub sha256: Sha256,
    /// Width × height.
    pub pixels: u64,
    /// Length of the file in bytes.
    pub file_bytes: u64,
}

impl From<&Picture> for LoggedPicture {
    fn from(picture: &Picture) -> Self {
        let pixels = u64::from(picture.width) * u64::from(picture.height);
        Self { sha256: picture.sha256, pixels, file_bytes: picture.bytes }
    }
}

impl LoggedPicture {
    /// Whether it is too large to be decoded as a whole.
    pub(super) const fn is_panel(&self) -> bool {
        memory::is_panel(self.pixels)
    }

    /// While it is decoded and compared, or made ready.
    const fn work_bytes(&self) -> u64 {
        memory::work_bytes(self.pixels)
    }
}

/// What a picture is compared with, as the log knows it.
#[derive(Debug, Clone)]
pub struct GoldenFacts {
    /// The golden sample in force, then the variants that stand beside it; at least one.
    pub variants: Vec<LoggedPicture>,
    /// Good boards, which show how good boards differ.
    pub accepted: Vec<LoggedPicture>,
    /// What is inspected, in pixels of the golden sample in force.
    pub area: InspectedArea,
    /// How far a picture may be bent, pixels.
    pub bend_max_px: f32,
}

impl GoldenFacts {
    /// Of its golden samples.
    pub(super) fn pixels(&self) -> u64 {
        self.variants.iter().map(|variant| variant.pixels).fold(0, u64::saturating_add)
    }

    fn pictures(&self) -> impl Iterator<Item = &LoggedPicture> {
        self.variants.iter().chain(&self.accepted)
    }

    /// The set for as long as it is kept ready.
    pub(super) fn kept_bytes(&self) -> u64 {
        let is_learnt = !self.accepted.is_empty();
        sum(self.variants.iter().map(|variant| memory::kept_bytes(variant.pixels, is_learnt)))
    }
}

/// What a comparison with a set that is ready takes.
pub(super) const fn bytes_beside_ready(test: &LoggedPicture) -> u64 {
    test.file_bytes.saturating_add(test.work_bytes())
}

/// What it takes when the set has to be made ready first. One picture after the other is decoded.
pub(super) fn bytes_with_golden(test: &LoggedPicture, golden: &GoldenFacts) -> u64 {
    let files = golden.pictures().map(|picture| picture.file_bytes);
    let work = golden.pictures().chain([test]).map(LoggedPicture::work_bytes).max();
    sum(files.chain([test.file_bytes, golden.kept_bytes(), work.unwrap_or_default()]))
}

fn sum(bytes: impl Iterator<Item = u64>) -> u64 {
    bytes.fold(0, u64::saturating_add)
}
