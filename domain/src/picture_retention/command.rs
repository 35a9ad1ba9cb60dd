//! What may be asked of the retention policy, and what follows.

use super::RetentionPeriods;
use super::{PictureRetention, PictureRetentionEvent, PictureRetentionRejection as Rejection};
use crate::value::replace_nul;

/// How often the policy may be revised: once a day for nearly three years, so that its stream ends somewhere.
pub(super) const REVISIONS_MAX: u32 = 1_000;

/// The commands of the retention policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PictureRetentionCommand {
    /// Put another policy in force.
    RevisePictureRetention {
        /// How long pictures are kept: the whole policy.
        periods: RetentionPeriods,
        /// Why, in the words of whoever revises it.
        reason: String,
    },
}

/// The same policy again is no new revision.
pub(super) fn decide(
    state: &PictureRetention,
    command: PictureRetentionCommand,
) -> Result<Vec<PictureRetentionEvent>, Rejection> {
    let PictureRetentionCommand::RevisePictureRetention { periods, reason } = command;
    if state.periods == periods && state.revision > 0 {
        return Ok(Vec::new());
    }
    if state.revision >= REVISIONS_MAX {
        return Err(Rejection::TooManyRevisions { max: REVISIONS_MAX });
    }
    if reason.trim().is_empty() {
        return Err(Rejection::EmptyReason);
    }
    let (revision, reason) = (state.revision.saturating_add(1), replace_nul(reason));
    Ok(vec![PictureRetentionEvent::PictureRetentionRevised { revision, periods, reason }])
}
