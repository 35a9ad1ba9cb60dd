//! A picture in pieces, of which the last is given only when all of them are what was stored.
//!
//! Invariant: whoever has received everything that was asked for has received what the log knows, whatever happened at
//! rest or on the way. A part of a picture costs reading all of it, since only the whole has a digest.

use std::ops::Range;

use bytes::Bytes;
use domain::{ArtifactId, Sha256};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, stream};
use sha2::Digest as _;

use super::ArtifactStoreError;

type ReadPiece = Result<Bytes, ArtifactStoreError>;

/// A picture whose file is open.
pub struct OpenPicture {
    pub(super) length: u64,
    pub(super) pieces: BoxStream<'static, ReadPiece>,
    pub(super) about: (ArtifactId, Sha256),
}

impl OpenPicture {
    /// Its length in bytes.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Its bytes in `range`, in pieces. They fail when the store fails under way, or the picture is damaged: the last
    /// piece is given only when the digest of all of it is the one that was expected.
    pub fn into_pieces(self, range: Range<u64>) -> impl Stream<Item = ReadPiece> + Send + use<> {
        verify_pieces(self.pieces, self.about, range)
    }
}

/// The bytes in `range` of what `pieces` are together, whose digest has to be `expected`.
fn verify_pieces(
    pieces: BoxStream<'static, ReadPiece>,
    (id, expected): (ArtifactId, Sha256),
    range: Range<u64>,
) -> impl Stream<Item = ReadPiece> + Send + use<> {
    let hash = sha2::Sha256::new();
    let reading = Reading { pieces, hash, read: 0, held: None, range };
    stream::unfold(Some(reading), move |reading| async move {
        let mut reading = reading?;
        match reading.next_complete().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(reading))),
            Ok(None) => {
                let found = Sha256::from_bytes(reading.hash.finalize().into());
                if found != expected {
                    let error = ArtifactStoreError::DigestMismatch { id, expected, found };
                    tracing::error!(%error, "a picture is not given to its end");
                    return Some((Err(error), None));
                }
                reading.held.map(|last| (Ok(last), None))
            }
            Err(error) => Some((Err(error), None)),
        }
    })
}

struct Reading {
    pieces: BoxStream<'static, ReadPiece>,
    hash: sha2::Sha256,
    /// Bytes so far.
    read: u64,
    /// The last piece within the range, until there is another one.
    held: Option<Bytes>,
    range: Range<u64>,
}

impl Reading {
    /// The next piece behind which there is another one; `None` at the end.
    async fn next_complete(&mut self) -> Result<Option<Bytes>, ArtifactStoreError> {
        while let Some(piece) = self.pieces.next().await {
            let piece = piece?;
            self.hash.update(&piece);
            let begins = self.read;
            self.read += piece.len() as u64;
            let within = |at: u64| usize::try_from(at.clamp(begins, self.read) - begins);
            let (Ok(from), Ok(to)) = (within(self.range.start), within(self.range.end)) else {
                continue;
            };
            if from < to
                && let Some(complete) = self.held.replace(piece.slice(from..to))
            {
                return Ok(Some(complete));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    async fn read(file: &[u8], digest_of: &[u8], range: Range<u64>) -> (Vec<u8>, bool) {
        let chunks: Vec<ReadPiece> =
            file.chunks(7).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
        let about = (ArtifactId(Uuid::nil()), Sha256::digest_of(digest_of));
        let mut pieces = Box::pin(verify_pieces(stream::iter(chunks).boxed(), about, range));
        let mut given = Vec::new();
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(piece) => given.extend_from_slice(&piece),
                Err(_) => return (given, false),
            }
        }
        (given, true)
    }

    #[tokio::test]
    async fn any_range_is_given_whole_and_nothing_altered_is_given_to_its_end() {
        let file: Vec<u8> = (0..100).collect();
        for (from, to) in [(0, 100), (0, 1), (6, 8), (7, 14), (50, 99), (99, 100)] {
            let range = from as u64..to as u64;
            assert_eq!(read(&file, &file, range.clone()).await, (file[from..to].to_vec(), true));
            let mut altered = file.clone();
            altered[98] ^= 1;
            let (given, is_whole) = read(&altered, &file, range).await;
            assert!(!is_whole && given.len() < to - from, "{from}..{to}: {}", given.len());
        }
    }
}
