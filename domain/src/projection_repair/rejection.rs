//! Why a decision about a projection's parked streams is refused.

use crate::Rejection;
use crate::value::REASON_MAX_CHARS;

/// A refusal; its message tells a person what is in the way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProjectionRepairRejection {
    /// It was given up before.
    #[error("the event at position {position} is discarded already")]
    AlreadyDiscarded {
        /// Its place in the log.
        position: i64,
    },
    /// A decision without a reason cannot be understood later.
    #[error("the reason is empty; say why")]
    EmptyReason,
    /// A reason is a sentence, not a document.
    #[error("the reason is longer than {REASON_MAX_CHARS} characters")]
    LongReason,
}

impl Rejection for ProjectionRepairRejection {
    fn name(&self) -> &'static str {
        match self {
            Self::AlreadyDiscarded { .. } => "already-discarded",
            Self::EmptyReason => "empty-reason",
            Self::LongReason => "long-reason",
        }
    }

    fn is_not_found(&self) -> bool {
        match self {
            Self::AlreadyDiscarded { .. } | Self::EmptyReason | Self::LongReason => false,
        }
    }
}
