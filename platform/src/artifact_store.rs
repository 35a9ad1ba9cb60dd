//! Pictures at rest, in a folder or any object store: the port, and which adapter a URL means.
//!
//! Invariant: under an artifact's key there is either nothing or one whole, checked picture that
//! never changes again; keys come from ids only. Absent: what a picture means, and deleting one.

mod folder;
mod inspect;
mod percent;
mod signed_url;
mod upload;
mod upload_target;
mod url;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::{ArtifactId, MediaType, Picture, Sha256};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt as _};

pub use signed_url::SignatureError;
pub use upload::{ExpectedUpload, UploadError, UploadLimits};
pub use upload_target::{UploadNotes, UploadPermit, UploadTarget};
pub use url::{ArtifactStoreUrl, InvalidArtifactStoreUrl};

use crate::auth::SigningKey;
use upload_target::UploadRoute;

/// The store at `url`: the one place where a scheme becomes an adapter. `key` signs what the
/// adapter gives out; all processes of an installation share it.
///
/// # Errors
/// When a folder cannot be made or written.
pub fn open(url: &ArtifactStoreUrl, key: &SigningKey) -> Result<ArtifactStore, ArtifactStoreError> {
    match url {
        ArtifactStoreUrl::Folder(path) => folder::open(path, key),
    }
}

/// Pictures at rest. Clones share the same store.
#[derive(Debug, Clone)]
pub struct ArtifactStore {
    objects: Arc<dyn ObjectStore>,
    uploads: Arc<dyn UploadRoute>,
}

/// Why a stored picture cannot be given.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactStoreError {
    /// Nothing is stored under that id.
    #[error("no picture is stored for artifact {0}; upload it first")]
    NotFound(ArtifactId),
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
    /// A store over objects that can be put in parts and renamed to a name that is free.
    fn new(objects: Arc<dyn ObjectStore>, uploads: Arc<dyn UploadRoute>) -> Self {
        Self { objects, uploads }
    }

    /// How the picture is to be uploaded until `until`. `notes` come back with the permit when it
    /// comes through this service.
    ///
    /// # Errors
    /// When the store cannot say.
    pub async fn upload_target(
        &self,
        artifact_id: ArtifactId,
        media_type: MediaType,
        until: DateTime<Utc>,
        notes: UploadNotes,
    ) -> Result<UploadTarget, ArtifactStoreError> {
        self.uploads.make_target(artifact_id, media_type, until, notes).await
    }

    /// What an upload URL of this service allows at `now`, by its path and query as they were
    /// received.
    ///
    /// # Errors
    /// Why it is not honoured.
    pub fn verify_permit(
        &self,
        path: &str,
        query: &str,
        now: DateTime<Utc>,
    ) -> Result<UploadPermit, SignatureError> {
        self.uploads.verify_permit(path, query, now)
    }

    /// The whole picture.
    ///
    /// # Errors
    /// [`ArtifactStoreError::NotFound`], or the store fails.
    pub async fn get(&self, id: ArtifactId) -> Result<Bytes, ArtifactStoreError> {
        let found =
            self.objects.get(&object_path(id)).await.map_err(|error| not_found(id, error))?;
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
        let found = Sha256::digest_of(&bytes);
        if found == *expected {
            return Ok(bytes);
        }
        Err(ArtifactStoreError::DigestMismatch { id, expected: *expected, found })
    }

    /// The length in bytes, and the picture in pieces.
    ///
    /// # Errors
    /// As [`Self::get`]; the pieces fail when the store fails under way.
    pub async fn read_in_pieces(
        &self,
        id: ArtifactId,
    ) -> Result<(u64, BoxStream<'static, Result<Bytes, ArtifactStoreError>>), ArtifactStoreError>
    {
        let found = self.objects.get_opts(&object_path(id), GetOptions::default()).await;
        let found = found.map_err(|error| not_found(id, error))?;
        let length = found.meta.size;
        Ok((length, found.into_stream().map(|piece| Ok(piece?)).boxed()))
    }

    /// What is at rest under `id`, derived again from its bytes; `None` when nothing is.
    ///
    /// # Errors
    /// [`ArtifactStoreError::Unreadable`] when it is not a picture, or the store fails.
    pub async fn describe_stored(
        &self,
        id: ArtifactId,
    ) -> Result<Option<Picture>, ArtifactStoreError> {
        let mut pieces = match self.read_in_pieces(id).await {
            Err(ArtifactStoreError::NotFound(_)) => return Ok(None),
            found => found?.1,
        };
        let mut inspector = inspect::PictureInspector::default();
        let damaged = |flaw: inspect::PictureFlaw| ArtifactStoreError::Unreadable {
            id,
            reason: flaw.to_string(),
        };
        while let Some(piece) = pieces.next().await {
            inspector.push(&piece?).map_err(damaged)?;
        }
        inspector.finish_picture().map(Some).map_err(damaged)
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
fn object_path(id: ArtifactId) -> Path {
    let text = id.to_string();
    Path::from_iter(["artifacts", &text[text.len() - 2..], &text])
}

fn not_found(id: ArtifactId, error: object_store::Error) -> ArtifactStoreError {
    match error {
        object_store::Error::NotFound { .. } => ArtifactStoreError::NotFound(id),
        error => error.into(),
    }
}
