//! How a picture comes in from outside: to which URL it is sent, and what that URL allows.
//!
//! Each adapter has its own way. Either pictures come through this service, by a URL that the
//! adapter signs and checks again; or the store takes them itself, and this service finds them at
//! rest.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use domain::{ArtifactId, MediaType};
use futures::future::BoxFuture;

use super::{ArtifactStoreError, SignatureError};

/// What the receiving end would like to know again, by name. It stands in the URL for everybody to
/// read, and nobody can change it.
pub type UploadNotes = BTreeMap<String, String>;

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
    /// The format that was announced.
    pub media_type: MediaType,
    /// The notes that the URL was made with.
    pub notes: UploadNotes,
}

/// An adapter's way of taking pictures from outside.
pub(super) trait UploadRoute: fmt::Debug + Send + Sync {
    /// Where the picture is to be sent until `until`. Asynchronous, because a remote store may have
    /// to renew its own credentials first.
    fn make_target(
        &self,
        artifact_id: ArtifactId,
        media_type: MediaType,
        until: DateTime<Utc>,
        notes: UploadNotes,
    ) -> BoxFuture<'_, Result<UploadTarget, ArtifactStoreError>>;

    /// What a URL allows at `now`, by its path and query as they were received.
    fn verify_permit(
        &self,
        path: &str,
        query: &str,
        now: DateTime<Utc>,
    ) -> Result<UploadPermit, SignatureError>;
}
