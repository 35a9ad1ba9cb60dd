//! Why a command on the retention policy is refused.

use crate::Rejection;

/// A refusal; its message tells a person what is in the way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PictureRetentionRejection {
    /// A policy without a reason cannot be understood later.
    #[error("the reason is empty; say why pictures are kept for as long as this")]
    EmptyReason,
    /// The limit of revisions is reached.
    #[error("the policy was revised {max} times, and the last one stays in force")]
    TooManyRevisions {
        /// The limit.
        max: u32,
    },
}

impl Rejection for PictureRetentionRejection {
    fn name(&self) -> &'static str {
        match self {
            Self::EmptyReason => "empty-reason",
            Self::TooManyRevisions { .. } => "too-many-revisions",
        }
    }

    fn is_not_found(&self) -> bool {
        match self {
            Self::EmptyReason | Self::TooManyRevisions { .. } => false,
        }
    }
}
