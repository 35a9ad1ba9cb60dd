//! What can go wrong with a log in KurrentDB, and what is worth trying again.

use kurrentdb_client::KurrentError;

use crate::event_log::{AppendError, EventLogError, Position};

/// Why a log in KurrentDB cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KurrentLogError {
    /// The server, or the way to it.
    #[error(transparent)]
    Server(#[from] KurrentError),
    /// Its log is not complete, or not ours.
    #[error("{0}")]
    Log(String),
}

/// What came of an attempt in one session.
pub(super) type Attempt<T> = Result<T, AttemptError>;

/// Why an attempt came to nothing.
#[derive(Debug)]
pub(super) enum AttemptError {
    /// Another attempt in another session may succeed; whether this one did nothing, nobody knows.
    Passing(KurrentError),
    /// The platform's database failed.
    Database(EventLogError),
    /// A place is not in this history of the log.
    Reissued,
    /// The command is in the log, or begun elsewhere; the stream has changed: as an append says it.
    Append(AppendError),
    /// Trying again does not help.
    ForGood(KurrentLogError),
}

impl AttemptError {
    /// The log is not as it has to be.
    pub(super) fn unusable(reason: impl Into<String>) -> Self {
        Self::ForGood(KurrentLogError::Log(reason.into()))
    }
}

impl From<KurrentError> for AttemptError {
    fn from(error: KurrentError) -> Self {
        if error.may_pass() { Self::Passing(error) } else { Self::ForGood(error.into()) }
    }
}

impl From<AttemptError> for EventLogError {
    fn from(trouble: AttemptError) -> Self {
        match trouble {
            AttemptError::Passing(error) => Self::Unavailable(error.into()),
            AttemptError::Database(error) => error,
            // Nobody can tell from the place alone up to where it stands.
            AttemptError::Reissued => Self::Reissued { after: Position(0) },
            AttemptError::Append(AppendError::Log(error)) => error,
            AttemptError::Append(error) => Self::Failed(error.into()),
            AttemptError::ForGood(error) => Self::Failed(error.into()),
        }
    }
}

impl From<AttemptError> for AppendError {
    fn from(trouble: AttemptError) -> Self {
        match trouble {
            AttemptError::Append(error) => error,
            other => Self::Log(other.into()),
        }
    }
}
