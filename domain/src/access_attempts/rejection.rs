//! Why attempts are not kept.

use super::EVENTS_MAX;
use crate::Rejection;

/// A refusal; its message tells a person what is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccessAttemptsRejection {
    /// Somebody tries to fill the log.
    #[error("the hour has {EVENTS_MAX} events already; the next one has room again")]
    HourIsFull,
}

impl Rejection for AccessAttemptsRejection {
    fn name(&self) -> &'static str {
        match self {
            Self::HourIsFull => "hour-is-full",
        }
    }

    fn is_not_found(&self) -> bool {
        match self {
            Self::HourIsFull => false,
        }
    }
}
