//! Why a picture is not taken or not given, each with what to do.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;

use domain::{ArtifactId, MediaType, Sha256};

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
    /// This process only reads pictures.
    #[error("the artifact store was opened to read; ask the command API for an upload URL")]
    OpenedToRead,
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
    /// The store cannot be used as it is configured.
    #[error("{0}")]
    Unusable(String),
    /// Nothing can be written.
    #[error("{0}")]
    NotWritable(String),
    /// The store failed.
    #[error("the artifact store failed: {0}")]
    Unavailable(#[from] object_store::Error),
}

/// Why a signed URL is not honoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No signature.
    #[error("the URL is not signed; ask for a new one")]
    Missing,
    /// Method, path, parameters, expiry or signature were altered, or another key signed it.
    #[error("the URL was altered or made elsewhere; ask for a new one")]
    Tampered,
    /// Its time is over.
    #[error("the URL has expired; ask for a new one")]
    Expired,
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
    /// Two readings of what arrived differ: it was sent again meanwhile, or altered on its way.
    #[error("the picture was not the same when it was read twice; ask again")]
    Changed,
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
