//! Uploads of every kind, good and bad, against a folder and against a disk that is full.

mod arrivals;
mod full_disk;
mod uploads;
mod urls;

use std::io::{self, Cursor};
use std::path::Path as FsPath;

use bytes::Bytes;
use domain::{ArtifactId, MediaType, Picture};
use futures::stream;
use image::{ImageFormat, RgbImage};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::test_support::put_stream;

fn store() -> (TempDir, ArtifactStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = folder_store(folder.path());
    (folder, store)
}

/// A store in `folder` with a key of its own.
fn folder_store(folder: &FsPath) -> ArtifactStore {
    open(&ArtifactStoreUrl::Folder(folder.to_owned()), &signing_key()).unwrap()
}

/// A key that nobody else has.
fn signing_key() -> SigningKey {
    SigningKey::from_bytes(crate::config::random_bytes().unwrap())
}

fn new_id() -> ArtifactId {
    ArtifactId(Uuid::now_v7())
}

/// A picture with some structure, so that its bytes are many.
fn picture(format: ImageFormat) -> Vec<u8> {
    let image = RgbImage::from_fn(160, 120, |x, y| {
        image::Rgb([(x * y) as u8, (x ^ y) as u8, (x + 3 * y) as u8])
    });
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A PNG whose header claims this size, and whose data is almost nothing: a decompression bomb.
fn bomb(width: u32, height: u32) -> Vec<u8> {
    let mut png = picture(ImageFormat::Png);
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    png
}

async fn put(
    store: &ArtifactStore,
    id: ArtifactId,
    bytes: &[u8],
    expected: impl Into<ExpectedUpload> + Send,
) -> Result<Picture, UploadError> {
    put_in_pieces(store, id, bytes, expected, 1000).await
}

async fn put_in_pieces(
    store: &ArtifactStore,
    id: ArtifactId,
    bytes: &[u8],
    expected: impl Into<ExpectedUpload> + Send,
    piece: usize,
) -> Result<Picture, UploadError> {
    let pieces: Vec<_> = bytes
        .chunks(piece)
        .map(|piece| Ok::<_, io::Error>(Bytes::copy_from_slice(piece)))
        .collect();
    let limits = UploadLimits::default();
    put_stream(store, id, stream::iter(pieces), (&limits, expected)).await
}

/// How many files lie in the folder, whatever their names.
fn files_in(folder: &FsPath) -> usize {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| if path.is_dir() { files_in(&path) } else { 1 })
        .sum()
}
