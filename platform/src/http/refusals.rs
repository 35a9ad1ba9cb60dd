//! The one place where this crate's own errors become problems.

use super::{Problem, ProblemType};
use crate::artifact_store::{ArtifactStoreError, SignatureError, UploadError};
use crate::auth::{AuthError, ExternalTokenError};

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
                Self::new(ProblemType::MissingScope, detail)
                    .with_extension("scope", scope.as_str())
                    .with_header(axum::http::header::WWW_AUTHENTICATE, &challenge)
            }
            AuthError::Sign(_) => Self::internal(detail),
            AuthError::AccessUnknown | AuthError::External(ExternalTokenError::ProviderAway) => {
                Self::unavailable(detail, RETRY_AFTER_S)
            }
            AuthError::External(ExternalTokenError::NoRole | ExternalTokenError::NoReach) => {
                Self::new(ProblemType::NoRole, detail)
            }
            AuthError::NotBearer
            | AuthError::Malformed
            | AuthError::WrongAlgorithm
            | AuthError::UnknownKey
            | AuthError::CriticalExtension
            | AuthError::NotAnAccessToken
            | AuthError::BadSignature
            | AuthError::WrongIssuer
            | AuthError::WrongAudience
            | AuthError::Expired
            | AuthError::NotYetValid
            | AuthError::NoPrincipal
            | AuthError::Revoked
            | AuthError::External(_) => {
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
        let kind = match error {
            SignatureError::Missing | SignatureError::Tampered => ProblemType::UrlSignature,
            SignatureError::Expired => ProblemType::UrlExpired,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<UploadError> for Problem {
    fn from(error: UploadError) -> Self {
        let detail = error.to_string();
        match error {
            UploadError::TooLarge { limit_bytes } => Self::payload_too_large(limit_bytes),
            UploadError::Empty => Self::new(ProblemType::EmptyUpload, detail),
            UploadError::NotAPicture => Self::new(ProblemType::NotAPicture, detail),
            UploadError::Mismatch { .. } => Self::new(ProblemType::MediaTypeMismatch, detail),
            UploadError::Truncated => Self::new(ProblemType::TruncatedUpload, detail),
            UploadError::Malformed(_) => Self::new(ProblemType::MalformedPicture, detail),
            UploadError::TooManyPixels { .. } => Self::new(ProblemType::TooManyPixels, detail),
            UploadError::WrongDigest { .. } => Self::new(ProblemType::WrongDigest, detail),
            UploadError::WrongLength { .. } => Self::new(ProblemType::WrongLength, detail),
            UploadError::AlreadyStored => Self::new(ProblemType::AlreadyUploaded, detail),
            UploadError::Interrupted(_) => Self::new(ProblemType::InterruptedUpload, detail),
            UploadError::Changed => Self::unavailable(detail, RETRY_AFTER_S),
            UploadError::StorageFull => {
                Self::new(ProblemType::StorageFull, detail).with_retry_after(RETRY_AFTER_S)
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
            ArtifactStoreError::Unavailable(_)
            | ArtifactStoreError::Unusable(_)
            | ArtifactStoreError::NotWritable(_) => {
                tracing::error!(cause = detail, "the artifact store is unavailable");
                Self::unavailable("the artifact store does not answer", RETRY_AFTER_S)
            }
        }
    }
}
