//! Pictures at rest, in a folder or any object store.
//!
//! Invariant: under an artifact's key there is either nothing or one whole, checked picture that
//! never changes again; keys come from ids only. Absent: what a picture means, and deleting one.

mod inspect;
pub mod signed_url;
mod upload;

#[cfg(test)]
mod tests;

use std::io;
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use domain::{ArtifactId, Picture, Sha256};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt as _};

pub use upload::{Expected, UploadError, UploadLimits};

/// Unfinished uploads of dead processes are removed from a folder when they are older than this.
const ABANDONED_AFTER: Duration = Duration::from_secs(3600);

/// Pictures at rest. Clones share the same store.
#[derive(Debug, Clone)]
pub struct ArtifactStore {
    objects: Arc<dyn ObjectStore>,
}

/// Why a stored picture cannot be given.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactStoreError {
    /// Nothing is stored under that id.
    #[error("no picture is stored for artifact {0}; upload it first")]
    NotFound(ArtifactId),
    /// The range lies outside the picture.
    #[error("the range lies outside the picture")]
    BadRange,
    /// The bytes are not those that were stored.
    #[error("artifact {id} is damaged: its digest is {found}, not {expected}; restore it")]
    DigestMismatch {
        /// Whose bytes.
        id: ArtifactId,
        /// The digest in the log.
        expected: Sha256,
        /// The digest at rest.
        found: Sha256,
    },
    /// What is at rest is not a picture.
    #[error("artifact {id} is damaged: {reason}; restore it")]
    Unreadable {
        /// Whose bytes.
        id: ArtifactId,
        /// What is wrong with them.
        reason: String,
    },
    /// The folder cannot be used.
    #[error(
        "cannot use the artifact folder {}: {source}; check its owner and the disk",
        path.display()
    )]
    Open {
        /// The folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The store failed.
    #[error("the artifact store failed: {0}")]
    Unavailable(#[from] object_store::Error),
}

impl ArtifactStore {
    /// A store in `folder`, which is made when missing. Every write reaches the disk before it
    /// counts.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn open_folder(folder: &FsPath) -> Result<Self, ArtifactStoreError> {
        let failed = |source| ArtifactStoreError::Open { path: folder.to_owned(), source };
        let staging = folder.join(upload::STAGING);
        std::fs::create_dir_all(&staging).map_err(failed)?;
        sweep(&staging).map_err(failed)?;
        Ok(Self::new(Arc::new(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true))))
    }

    /// A store over any object store that can put multipart and rename to a name that is free.
    #[must_use]
    pub fn new(objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects }
    }

    /// The whole picture.
    ///
    /// # Errors
    /// [`ArtifactStoreError::NotFound`], or the store fails.
    pub async fn get(&self, id: ArtifactId) -> Result<Bytes, ArtifactStoreError> {
        let found = self.objects.get(&key(id)).await.map_err(|error| not_found(id, error))?;
        Ok(found.bytes().await?)
    }

    /// The whole picture, if its digest is `expected`.
    ///
    /// # Errors
    /// [`ArtifactStoreError::DigestMismatch`] when it was damaged at rest; as [`Self::get`] else.
    pub async fn get_verified(
        &self,
        id: ArtifactId,
        expected: &Sha256,
    ) -> Result<Bytes, ArtifactStoreError> {
        let bytes = self.get(id).await?;
        let found = Sha256::of(&bytes);
        if found == *expected {
            return Ok(bytes);
        }
        Err(ArtifactStoreError::DigestMismatch { id, expected: *expected, found })
    }

    /// Bytes `range` of the picture.
    ///
    /// # Errors
    /// [`ArtifactStoreError::BadRange`] when it is empty or begins outside; as [`Self::get`] else.
    pub async fn get_range(
        &self,
        id: ArtifactId,
        range: Range<u64>,
    ) -> Result<Bytes, ArtifactStoreError> {
        let key = key(id);
        let length = self.objects.head(&key).await.map_err(|error| not_found(id, error))?.size;
        if range.start >= range.end || range.start >= length {
            return Err(ArtifactStoreError::BadRange);
        }
        Ok(self.objects.get_range(&key, range.start..range.end.min(length)).await?)
    }

    /// The length in bytes, and the picture in pieces.
    ///
    /// # Errors
    /// As [`Self::get`]; the pieces fail when the store fails under way.
    pub async fn stream(
        &self,
        id: ArtifactId,
    ) -> Result<(u64, BoxStream<'static, Result<Bytes, ArtifactStoreError>>), ArtifactStoreError>
    {
        let found = self.objects.get_opts(&key(id), GetOptions::default()).await;
        let found = found.map_err(|error| not_found(id, error))?;
        let length = found.meta.size;
        Ok((length, found.into_stream().map(|piece| Ok(piece?)).boxed()))
    }

    /// What is at rest under `id`, derived again from its bytes; `None` when nothing is.
    ///
    /// # Errors
    /// [`ArtifactStoreError::Unreadable`] when it is not a picture, or the store fails.
    pub async fn describe(&self, id: ArtifactId) -> Result<Option<Picture>, ArtifactStoreError> {
        let mut pieces = match self.stream(id).await {
            Err(ArtifactStoreError::NotFound(_)) => return Ok(None),
            found => found?.1,
        };
        let mut inspector = inspect::Inspector::default();
        let damaged =
            |flaw: inspect::Flaw| ArtifactStoreError::Unreadable { id, reason: flaw.to_string() };
        while let Some(piece) = pieces.next().await {
            inspector.push(&piece?).map_err(damaged)?;
        }
        inspector.finish().map(Some).map_err(damaged)
    }

    /// Proves that the store can be written and read; for readiness.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn ping(&self) -> Result<(), ArtifactStoreError> {
        let probe = upload::staging_path();
        self.objects.put(&probe, Bytes::from_static(b"probe").into()).await?;
        Ok(self.objects.delete(&probe).await?)
    }
}

/// `artifacts/<2 hex>/<id>`. The digits are the id's last: those of a version 7 id are random
/// there, while its first are the time.
fn key(id: ArtifactId) -> Path {
    let text = id.to_string();
    Path::from_iter(["artifacts", &text[text.len() - 2..], &text])
}

fn not_found(id: ArtifactId, error: object_store::Error) -> ArtifactStoreError {
    match error {
        object_store::Error::NotFound { .. } => ArtifactStoreError::NotFound(id),
        error => error.into(),
    }
}

/// Removes what killed processes left in the staging folder.
fn sweep(staging: &FsPath) -> io::Result<()> {
    let now = SystemTime::now();
    for entry in std::fs::read_dir(staging)? {
        let entry = entry?;
        // Another process may finish or remove it meanwhile; then there is nothing to sweep.
        let Ok(modified) = entry.metadata().and_then(|found| found.modified()) else { continue };
        if now.duration_since(modified).is_ok_and(|age| age > ABANDONED_AFTER) {
            tracing::info!(file = %entry.path().display(), "removing an abandoned upload");
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}
