//! Pictures at rest, in a folder or any object store: the port, and which adapter a URL means.
//!
//! Invariant: under an artifact's key there is either nothing or one whole, checked picture that
//! never changes again, unless it was damaged or is deleted for good; keys come from ids only. Absent: what a picture
//! means, and when one may be deleted.

mod arrivals;
mod error;
mod folder;
mod jpeg;
mod percent;
mod png;
mod s3;
mod staging;
mod upload;
mod url;
mod verified_stream;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::{ArtifactId, Picture, Sha256};
use futures::StreamExt as _;
use futures::future::{BoxFuture, FutureExt as _, ready};
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

pub use arrivals::Arrival;
pub use error::{ArtifactStoreError, SignatureError, UploadError};
pub use s3::{CredentialsError, InvalidS3Url, S3Location};
pub use upload::{ExpectedUpload, StagedPicture, UploadLimits};
pub use url::{ArtifactStoreConfig, ArtifactStoreUrl, InvalidArtifactStoreUrl};
pub use verified_stream::OpenPicture;

use crate::auth::SigningKey;
use error::PictureFlaw;
use staging::Staging;
use upload::PictureInspector;

/// Where pictures lie, below the store's root.
const ARTIFACTS: &str = "artifacts";
/// A name that nothing has, which a remote store is asked about.
const READINESS: &str = "readiness";

/// The store at `url`: the one place where a scheme becomes an adapter. `key` signs what the
/// adapter gives out; all processes of an installation share it. A bucket is not asked yet; see
/// [`ArtifactStore::check_at_start`].
///
/// # Errors
/// When a folder cannot be made or written, or there are no credentials for a bucket.
pub fn open(url: &ArtifactStoreUrl, key: &SigningKey) -> Result<ArtifactStore, ArtifactStoreError> {
    match url {
        ArtifactStoreUrl::Folder(path) => folder::open(path, key),
        ArtifactStoreUrl::S3(location) => s3::open(location),
    }
}

/// The store at `url` for whoever only reads: it gives out no way to upload and needs no key.
///
/// # Errors
/// When a folder cannot be made.
pub fn open_to_read(url: &ArtifactStoreUrl) -> Result<ArtifactStore, ArtifactStoreError> {
    match url {
        ArtifactStoreUrl::Folder(path) => folder::open_to_read(path),
        ArtifactStoreUrl::S3(location) => s3::open_to_read(location),
    }
}

/// The way of a store that was opened to read: there is none.
#[derive(Debug)]
struct NoUploads {
    is_remote: bool,
}

impl UploadRoute for NoUploads {
    fn make_target(
        &self,
        _: AnnouncedUpload,
    ) -> BoxFuture<'_, Result<UploadTarget, ArtifactStoreError>> {
        ready(Err(ArtifactStoreError::OpenedToRead)).boxed()
    }

    fn verify_permit(
        &self,
        _: &str,
        _: &str,
        _: DateTime<Utc>,
    ) -> Result<UploadPermit, SignatureError> {
        Err(SignatureError::Tampered)
    }

    fn is_remote(&self) -> bool {
        self.is_remote
    }
}

/// Pictures at rest. Clones share the same store.
#[derive(Debug, Clone)]
pub struct ArtifactStore {
    objects: Arc<dyn ObjectStore>,
    uploads: Arc<dyn UploadRoute>,
    staging: Arc<Staging>,
}

/// What the receiving end would like to know again, by name. It stands in the URL for everybody to
/// read, and nobody can change it.
pub type UploadNotes = BTreeMap<String, String>;

/// A picture that is announced.
#[derive(Debug, Clone)]
pub struct AnnouncedUpload {
    /// The picture.
    pub artifact_id: ArtifactId,
    /// What its file will be.
    pub expected: ExpectedUpload,
    /// Until when it may come.
    pub until: DateTime<Utc>,
    /// What comes back with the permit.
    pub notes: UploadNotes,
}

/// How to upload a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadTarget {
    /// The HTTP method.
    pub method: &'static str,
    /// Where to: absolute, or a path below this service when it begins with a slash.
    pub url: String,
    /// With which headers.
    pub headers: BTreeMap<&'static str, String>,
    /// Until when.
    pub expires_at: DateTime<Utc>,
}

/// What an upload URL of this service allows its bearer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadPermit {
    /// The picture that may be uploaded.
    pub artifact_id: ArtifactId,
    /// What was announced of its file.
    pub expected: ExpectedUpload,
    /// The notes that the URL was made with.
    pub notes: UploadNotes,
}

/// An adapter's way of taking pictures from outside. Either they come through this service, by a URL that
/// the adapter signs and checks again; or the store takes them itself, and this service finds them at rest.
trait UploadRoute: fmt::Debug + Send + Sync {
    /// Where the picture is to be sent. Asynchronous, because a remote store may have to renew its own credentials
    /// first.
    fn make_target(
        &self,
        upload: AnnouncedUpload,
    ) -> BoxFuture<'_, Result<UploadTarget, ArtifactStoreError>>;

    /// What a URL allows at `now`, by its path and query as they were received.
    fn verify_permit(
        &self,
        path: &str,
        query: &str,
        now: DateTime<Utc>,
    ) -> Result<UploadPermit, SignatureError>;

    /// Whether pictures lie with somebody else, whom all processes ask alike, and arrive there.
    fn is_remote(&self) -> bool {
        false
    }

    /// The key below the store's root that a notification is about, when it is about this store.
    fn notified_key<'a>(&self, _bucket: &str, _key: &'a str) -> Option<&'a str> {
        None
    }
}

impl ArtifactStore {
    /// A store over objects that can be put in parts and renamed to a name that is free.
    fn new(objects: Arc<dyn ObjectStore>, uploads: Arc<dyn UploadRoute>, staging: Staging) -> Self {
        Self { objects, uploads, staging: Arc::new(staging) }
    }

    /// How the picture is to be uploaded. Its notes come back with the permit.
    ///
    /// # Errors
    /// When the store cannot say.
    pub async fn upload_target(
        &self,
        upload: AnnouncedUpload,
    ) -> Result<UploadTarget, ArtifactStoreError> {
        self.uploads.make_target(upload).await
    }

    /// Whether pictures lie with somebody else, who may be away while this process is well, and who takes them
    /// from clients itself.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        self.uploads.is_remote()
    }

    /// Proves at start that a remote store is there and does what is asked of it; `writes` when pictures are stored.
    ///
    /// # Errors
    /// [`ArtifactStoreError::Unusable`], with what to do.
    pub async fn check_at_start(&self, writes: bool) -> Result<(), ArtifactStoreError> {
        match (self.is_remote(), writes) {
            (false, _) => Ok(()),
            (true, false) => s3::check_readable(&*self.objects).await,
            (true, true) => s3::check_writable(&*self.objects).await,
        }
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
        if Sha256::digest_of(&bytes) == *expected {
            return Ok(bytes);
        }
        // It may have been altered on its way only.
        let bytes = self.get(id).await?;
        let found = Sha256::digest_of(&bytes);
        if found == *expected {
            return Ok(bytes);
        }
        Err(ArtifactStoreError::DigestMismatch { id, expected: *expected, found })
    }

    /// The picture to be read in pieces, if the digest of all of it is `expected`.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn open_picture(
        &self,
        id: ArtifactId,
        expected: Sha256,
    ) -> Result<OpenPicture, ArtifactStoreError> {
        let (length, pieces) = self.open_pieces(id).await?;
        Ok(OpenPicture { length, pieces, about: (id, expected) })
    }

    async fn open_pieces(
        &self,
        id: ArtifactId,
    ) -> Result<(u64, BoxStream<'static, Result<Bytes, ArtifactStoreError>>), ArtifactStoreError>
    {
        let found = self.objects.get(&object_path(id)).await;
        let found = found.map_err(|error| not_found(id, error))?;
        let length = found.meta.size;
        Ok((length, found.into_stream().map(|piece| Ok(piece?)).boxed()))
    }

    /// The length in bytes of what is at rest under `id`, without reading it.
    ///
    /// # Errors
    /// [`ArtifactStoreError::NotFound`], or the store fails.
    pub async fn stored_length(&self, id: ArtifactId) -> Result<u64, ArtifactStoreError> {
        let found = self.objects.head(&object_path(id)).await;
        Ok(found.map_err(|error| not_found(id, error))?.size)
    }

    /// Whether something is at rest under `id`, without reading it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn is_at_rest(&self, id: ArtifactId) -> Result<bool, ArtifactStoreError> {
        match self.stored_length(id).await {
            Ok(_) => Ok(true),
            Err(ArtifactStoreError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What is at rest under `id`, derived again from its bytes; `None` when nothing is.
    ///
    /// # Errors
    /// [`ArtifactStoreError::Unreadable`] when it is not a picture, or the store fails.
    pub async fn describe_stored(
        &self,
        id: ArtifactId,
    ) -> Result<Option<Picture>, ArtifactStoreError> {
        match self.describe_once(id).await {
            // It may have been altered on its way only.
            Err(ArtifactStoreError::Unreadable { .. }) => self.describe_once(id).await,
            described => described,
        }
    }

    async fn describe_once(&self, id: ArtifactId) -> Result<Option<Picture>, ArtifactStoreError> {
        let mut pieces = match self.open_pieces(id).await {
            Err(ArtifactStoreError::NotFound(_)) => return Ok(None),
            found => found?.1,
        };
        let mut inspector = PictureInspector::default();
        let damaged =
            |flaw: PictureFlaw| ArtifactStoreError::Unreadable { id, reason: flaw.to_string() };
        while let Some(piece) = pieces.next().await {
            inspector.push(&piece?).map_err(damaged)?;
        }
        inspector.finish_picture().map(Some).map_err(damaged)
    }

    /// Deletes the file of a picture that was retired. One that is not there is no error.
    ///
    /// # Errors
    /// When the store fails; the file may be there or not.
    pub async fn delete(&self, id: ArtifactId) -> Result<(), ArtifactStoreError> {
        match self.objects.delete(&object_path(id)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Proves that pictures can be stored: all folders can be written, the disk has room for some, and a file
    /// reaches it; for readiness. Of a remote store, that it answers.
    ///
    /// # Errors
    /// When they cannot.
    pub async fn ping(&self) -> Result<(), ArtifactStoreError> {
        if self.is_remote() {
            let asked = self.objects.head(&Path::from(READINESS)).await;
            return match asked {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(error.into()),
            };
        }
        let staging = Arc::clone(&self.staging);
        let checked = tokio::task::spawn_blocking(move || staging.check_writable()).await;
        let found = checked.unwrap_or_else(|panic| Err(panic.to_string()));
        found.map_err(ArtifactStoreError::NotWritable)?;
        let probe = self.staging.new_path();
        self.objects.put(&probe, Bytes::from_static(b"probe").into()).await?;
        Ok(self.objects.delete(&probe).await?)
    }
}

/// `artifacts/<2 hex>/<id>`. The digits are the id's last: those of a version 7 id are random
/// there, while its first are the time.
fn object_path(id: ArtifactId) -> Path {
    let text = id.to_string();
    Path::from_iter([ARTIFACTS, &text[text.len() - 2..], &text])
}

fn not_found(id: ArtifactId, error: object_store::Error) -> ArtifactStoreError {
    match error {
        object_store::Error::NotFound { .. } => ArtifactStoreError::NotFound(id),
        error => error.into(),
    }
}
