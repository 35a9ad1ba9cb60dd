//! Why an inspection is not done yet, and when a picture that fails again and again is given up.

use std::collections::HashMap;

use domain::ArtifactId;
use platform::artifact_store::ArtifactStoreError;
use platform::execute::ExecuteError;

/// How often bytes at rest that are missing or altered are looked for, and how often an engine that
/// fails on a picture is asked, before the picture is given up.
const ATTEMPTS_MAX: u32 = 3;
/// How often a network that is no longer in force is looked for: some 3 s.
const MODEL_ATTEMPTS_MAX: u32 = 6;

/// Why an inspection is not done yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProcessingError {
    /// It may be possible later.
    #[error("{0}")]
    Transient(String),
    /// It will be possible when the engine is back.
    #[error("{0}")]
    EngineAway(String),
    /// It never will: the stream cannot be read or refuses the result.
    #[error("{0}")]
    Permanent(String),
}

/// What can go wrong with one picture again and again, and is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum FailureKind {
    Unreadable,
    EngineFailed,
    ModelGone,
}

/// How often each picture failed, and how. It lives for one turn of an inspection: the next owner of
/// the partition counts anew, so a fault of one machine does not give up a picture for all.
#[derive(Debug, Default)]
pub(super) struct AttemptCounter(HashMap<(ArtifactId, FailureKind), u32>);

impl AttemptCounter {
    /// Counts this failure; `true` when no attempt is left after it.
    pub(super) fn exhausted_by(&mut self, artifact_id: ArtifactId, kind: FailureKind) -> bool {
        let attempts = self.0.entry((artifact_id, kind)).or_default();
        *attempts += 1;
        *attempts >= if kind == FailureKind::ModelGone { MODEL_ATTEMPTS_MAX } else { ATTEMPTS_MAX }
    }
}

impl ProcessingError {
    /// Of a command or a load.
    pub(super) fn from_execute<R: std::error::Error>(error: ExecuteError<R>) -> Self {
        match error {
            ExecuteError::Log(_) | ExecuteError::Contended | ExecuteError::ClaimLost => {
                Self::Transient(error.to_string())
            }
            ExecuteError::Rejected(_)
            | ExecuteError::VersionMismatch { .. }
            | ExecuteError::Unreadable(_) => Self::Permanent(error.to_string()),
        }
    }
}

/// Bytes that are missing or altered stay so after a few looks; anything else may pass.
pub(super) const fn is_damaged(error: &ArtifactStoreError) -> bool {
    matches!(
        error,
        ArtifactStoreError::NotFound(_)
            | ArtifactStoreError::DigestMismatch { .. }
            | ArtifactStoreError::Unreadable { .. }
    )
}
