//! One upload, from the first byte to a visible picture.
//!
//! Bytes go to a staging name while they are counted, digested and walked; only a whole, wanted
//! picture is then renamed to its key, if that is still free. A failed or abandoned upload leaves
//! nothing under the key.

use std::error::Error as StdError;
use std::io;
use std::pin::pin;

use bytes::{Bytes, BytesMut};
use domain::{ArtifactId, MediaType, Picture, Sha256};
use futures::{Stream, StreamExt as _};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt as _};
use uuid::Uuid;

use super::inspect::{PictureFlaw, PictureInspector};
use super::{ArtifactStore, ArtifactStoreError, object_path};

/// Where unfinished uploads lie.
pub(super) const STAGING: &str = "staging";
/// Bytes gathered before a part is written: the least that S3 takes.
const PART_BYTES: usize = 5 << 20;

/// How large an upload may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadLimits {
    /// Most bytes. Default 32 MiB.
    pub max_bytes: u64,
    /// Most pixels, width × height. Default 64 Mpx (64 × 10⁶).
    pub max_pixels: u64,
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self { max_bytes: 32 << 20, max_pixels: 64_000_000 }
    }
}

/// What was announced of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedUpload {
    /// The announced format.
    pub media_type: MediaType,
    /// The announced digest, if any.
    pub sha256: Option<Sha256>,
    /// The announced length in bytes, if any.
    pub bytes: Option<u64>,
}

impl From<MediaType> for ExpectedUpload {
    fn from(media_type: MediaType) -> Self {
        Self { media_type, sha256: None, bytes: None }
    }
}

/// Why an upload does not count. Nothing of it is kept; the slot can be used again.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// No bytes.
    #[error("the upload is empty; send the picture as the body")]
    Empty,
    /// Too many bytes.
    #[error("the picture is larger than {limit_bytes} bytes; compress or crop it")]
    TooLarge {
        /// The limit in bytes.
        limit_bytes: u64,
    },
    /// Neither of the known formats.
    #[error("the upload is neither a JPEG nor a PNG")]
    NotAPicture,
    /// A picture of another format than announced.
    #[error("the upload is {found}, but {declared} was announced; announce what you send")]
    Mismatch {
        /// What was announced.
        declared: MediaType,
        /// What was sent.
        found: MediaType,
    },
    /// It ends before the picture does.
    #[error("the picture ends too early; send it again")]
    Truncated,
    /// Its structure is broken.
    #[error("the picture is damaged: {0}")]
    Malformed(&'static str),
    /// More pixels than anybody wants to decode.
    #[error("the picture is {width} x {height} pixels, more than {limit} in all; crop or scale it")]
    TooManyPixels {
        /// Width in pixels, as the file says.
        width: u32,
        /// Height in pixels, as the file says.
        height: u32,
        /// The limit, in pixels.
        limit: u64,
    },
    /// Other bytes than announced.
    #[error("the SHA-256 of the upload is {found}, but {declared} was announced; send it again")]
    WrongDigest {
        /// What was announced.
        declared: Sha256,
        /// What was received.
        found: Sha256,
    },
    /// More or fewer bytes than announced.
    #[error("the upload has {found} bytes, but {declared} were announced; send it again")]
    WrongLength {
        /// What was announced.
        declared: u64,
        /// What was received.
        found: u64,
    },
    /// Another picture is there already; pictures never change.
    #[error("another picture is stored for this artifact; reserve a new artifact")]
    AlreadyStored,
    /// The sender went away.
    #[error("the upload was interrupted; send it again")]
    Interrupted(#[source] Box<dyn StdError + Send + Sync>),
    /// The disk is full.
    #[error("there is no space left for pictures; free some and send it again")]
    StorageFull,
    /// The store failed.
    #[error(transparent)]
    Store(ArtifactStoreError),
}

impl ArtifactStore {
    /// Stores the picture in `body` under `id`, durably, if it is whole and what was announced.
    /// Repeating it with the same bytes gives the same answer.
    ///
    /// # Errors
    /// Why it does not count; see [`UploadError`]. Nothing is kept then.
    pub async fn put_stream<E>(
        &self,
        id: ArtifactId,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
        limits: &UploadLimits,
        expected: impl Into<ExpectedUpload> + Send,
    ) -> Result<Picture, UploadError>
    where
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let check = UploadCheck { limits: *limits, expected: expected.into() };
        let staged = staging_path();
        let mut upload = self.objects.put_multipart(&staged).await?;
        let picture = match receive_body(upload.as_mut(), body, check).await {
            Ok(picture) => picture,
            Err(error) => {
                if let Err(error) = upload.abort().await {
                    tracing::warn!(%error, "a failed upload could not be removed");
                }
                return Err(error);
            }
        };
        self.publish_staged(id, &staged, picture).await
    }

    /// Renames a staged picture to its key, unless one is there.
    async fn publish_staged(
        &self,
        id: ArtifactId,
        staged: &Path,
        picture: Picture,
    ) -> Result<Picture, UploadError> {
        let key = object_path(id);
        let renamed = self.objects.rename_if_not_exists(staged, &key).await;
        let Err(error) = renamed else { return Ok(picture) };
        if let Err(error) = self.objects.delete(staged).await {
            tracing::warn!(%error, "a staged upload could not be removed");
        }
        match error {
            object_store::Error::AlreadyExists { .. } => {
                let stored = self.describe_stored(id).await.map_err(UploadError::Store)?;
                if stored.as_ref() == Some(&picture) {
                    return Ok(picture);
                }
                Err(UploadError::AlreadyStored)
            }
            error => Err(error.into()),
        }
    }
}

/// What an upload must satisfy.
#[derive(Clone, Copy)]
struct UploadCheck {
    limits: UploadLimits,
    expected: ExpectedUpload,
}

/// Writes the body to `upload` and completes it; the caller aborts when this fails.
async fn receive_body<E>(
    upload: &mut dyn MultipartUpload,
    body: impl Stream<Item = Result<Bytes, E>> + Send,
    check: UploadCheck,
) -> Result<Picture, UploadError>
where
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    let mut inspector = PictureInspector::default();
    let mut part = BytesMut::new();
    let mut body = pin!(body);
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| UploadError::Interrupted(error.into()))?;
        inspector.push(&piece)?;
        check.check_progress(&inspector)?;
        part.extend_from_slice(&piece);
        if part.len() >= PART_BYTES {
            upload.put_part(part.split().freeze().into()).await?;
        }
    }
    let picture = check.check_complete(inspector)?;
    if !part.is_empty() {
        upload.put_part(part.freeze().into()).await?;
    }
    upload.complete().await?;
    Ok(picture)
}

impl UploadCheck {
    /// Refuses as early as the bytes so far allow.
    fn check_progress(&self, inspector: &PictureInspector) -> Result<(), UploadError> {
        let limit_bytes = self.limits.max_bytes;
        if inspector.bytes() > limit_bytes {
            return Err(UploadError::TooLarge { limit_bytes });
        }
        let declared = self.expected.media_type;
        match inspector.media_type() {
            Some(found) if found != declared => {
                return Err(UploadError::Mismatch { declared, found });
            }
            _ => {}
        }
        let limit = self.limits.max_pixels;
        match inspector.dimensions() {
            Some((width, height)) if u64::from(width) * u64::from(height) > limit => {
                Err(UploadError::TooManyPixels { width, height, limit })
            }
            _ => Ok(()),
        }
    }

    fn check_complete(&self, inspector: PictureInspector) -> Result<Picture, UploadError> {
        let found = inspector.bytes();
        if found == 0 {
            return Err(UploadError::Empty);
        }
        if let Some(declared) = self.expected.bytes.filter(|&declared| declared != found) {
            return Err(UploadError::WrongLength { declared, found });
        }
        let picture = inspector.finish_picture()?;
        let found = picture.sha256;
        match self.expected.sha256 {
            Some(declared) if declared != found => {
                Err(UploadError::WrongDigest { declared, found })
            }
            _ => Ok(picture),
        }
    }
}

/// A name that nobody else uses.
pub(super) fn staging_path() -> Path {
    Path::from_iter([STAGING, &Uuid::new_v4().to_string()])
}

impl From<PictureFlaw> for UploadError {
    fn from(flaw: PictureFlaw) -> Self {
        match flaw {
            PictureFlaw::NotAPicture => Self::NotAPicture,
            PictureFlaw::Truncated => Self::Truncated,
            PictureFlaw::Malformed(reason) => Self::Malformed(reason),
        }
    }
}

impl From<object_store::Error> for UploadError {
    fn from(error: object_store::Error) -> Self {
        if is_storage_full(&error) { Self::StorageFull } else { Self::Store(error.into()) }
    }
}

/// Whether a full disk or quota is among the causes.
fn is_storage_full(error: &(dyn StdError + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source())
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| {
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        })
}
