//! The place in the log that `--at`, `--from` and `--to` mean, or what to do when they mean none.

use platform::event_log::{EventLog, FindMomentError, LogMoment, LogPlace, find_moment};

use crate::failure::{Failure, exit};

/// The place that a moment means.
pub(super) async fn find_place(log: &dyn EventLog, at: LogMoment) -> Result<LogPlace, Failure> {
    find_moment(log, at, u64::MAX).await.map_err(|error| explain_moment(&error))
}

/// What to do about a moment that is none of the log.
pub(super) fn explain_moment(error: &FindMomentError) -> Failure {
    let (next, code) = match error {
        FindMomentError::EmptyLog => (
            "name the installation whose log you mean, with --data or CHIPQ_DATABASE_URL",
            exit::DATA,
        ),
        FindMomentError::BeforeFirst { .. } => ("name that position or a later one", exit::USAGE),
        FindMomentError::BeyondEnd { .. } | FindMomentError::NotYet { .. } => {
            ("name that position or an earlier one", exit::USAGE)
        }
        FindMomentError::TooManyEvents { .. } => ("name a position", exit::USAGE),
        FindMomentError::Log(_) => (
            "check that the log answers, and that it is the one that the position is of",
            exit::UNAVAILABLE,
        ),
    };
    Failure::new(error, next, code)
}
