//! The one place where this crate's own errors become problems.

use axum::http::StatusCode;

use super::Problem;
use crate::artifact_store::{ArtifactStoreError, SignatureError, UploadError};
use crate::auth::AuthError;

/// Seconds after which a store that is full or away is worth another try.
const RETRY_AFTER_S: u64 = 5;

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        let detail = error.to_string();
        match error {
            AuthError::MissingToken => Self::unauthorized("Bearer realm=\"chipq\"", detail),
            AuthError::MissingScope(scope) => {
                let challenge = format!(
                    "Bearer realm=\"chipq\", error=\"insufficient_scope\", scope=\"{scope}\""
                );
                Self::forbidden("missing-scope", detail)
                    .with_extension("scope", scope.as_str())
                    .with_header(axum::http::header::WWW_AUTHENTICATE, &challenge)
            }
            AuthError::Sign(_) => Self::internal(detail),
            AuthError::NotBearer
            | AuthError::Malformed
            | AuthError::WrongAlgorithm
            | AuthError::UnknownKey
            | AuthError::CriticalExtension
            | AuthError::BadSignature
            | AuthError::WrongIssuer
            | AuthError::WrongAudience
            | AuthError::Expired
            | AuthError::NotYetValid => {
                let challenge = format!(
                    "Bearer realm=\"chipq\", error=\"invalid_token\", \
                     error_description=\"{detail}\""
                );
                Self::unauthorized(&challenge, detail)
            }
        }
    }
}

impl From<SignatureError> for Problem {
    fn from(error: SignatureError) -> Self {
        let name = match error {
            SignatureError::Missing | SignatureError::Tampered => "url-signature",
            SignatureError::Expired => "url-expired",
        };
        Self::forbidden(name, error.to_string())
    }
}

impl From<UploadError> for Problem {
    fn from(error: UploadError) -> Self {
        let detail = error.to_string();
        match error {
            UploadError::TooLarge { limit_bytes } => Self::payload_too_large(limit_bytes),
            UploadError::Empty => Self::unprocessable("empty-upload", detail),
            UploadError::NotAPicture => {
                Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-a-picture", detail)
            }
            UploadError::Mismatch { .. } => {
                Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type-mismatch", detail)
            }
            UploadError::Truncated => Self::unprocessable("truncated-upload", detail),
            UploadError::Malformed(_) => Self::unprocessable("malformed-picture", detail),
            UploadError::TooManyPixels { .. } => Self::unprocessable("too-many-pixels", detail),
            UploadError::WrongDigest { .. } => Self::unprocessable("wrong-digest", detail),
            UploadError::WrongLength { .. } => Self::unprocessable("wrong-length", detail),
            UploadError::AlreadyStored => Self::conflict("already-uploaded", detail),
            UploadError::Interrupted(_) => Self::bad_request("interrupted-upload", detail),
            UploadError::StorageFull => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "storage-full", detail)
                    .with_retry_after(RETRY_AFTER_S)
            }
            UploadError::Store(error) => error.into(),
        }
    }
}

impl From<ArtifactStoreError> for Problem {
    fn from(error: ArtifactStoreError) -> Self {
        let detail = error.to_string();
        match error {
            ArtifactStoreError::NotFound(_) => Self::not_found(detail),
            ArtifactStoreError::DigestMismatch { .. }
            | ArtifactStoreError::Unreadable { .. }
            | ArtifactStoreError::OpenedToRead
            | ArtifactStoreError::Open { .. } => Self::internal(detail),
            ArtifactStoreError::Unavailable(_) | ArtifactStoreError::NotWritable(_) => {
                tracing::error!(cause = detail, "the artifact store is unavailable");
                Self::unavailable("the artifact store does not answer", RETRY_AFTER_S)
            }
        }
    }
}
