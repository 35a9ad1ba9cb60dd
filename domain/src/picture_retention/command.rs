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

/// The same periods for the same reason are no new revision. For another reason they are one: whoever asks later why
/// pictures are kept for so long finds in the log what was said last, and who said it.
pub(super) fn decide(
    state: &PictureRetention,
    command: PictureRetentionCommand,
) -> Result<Vec<PictureRetentionEvent>, Rejection> {
    let PictureRetentionCommand::RevisePictureRetention { periods, reason } = command;
    if reason.trim().is_empty() {
        return Err(Rejection::EmptyReason);
    }
    let reason = replace_nul(reason);
    if state.periods == periods && state.reason.as_ref() == Some(&reason) {
        return Ok(Vec::new());
    }
    if state.revision >= REVISIONS_MAX {
        return Err(Rejection::TooManyRevisions { max: REVISIONS_MAX });
    }
    let revision = state.revision.saturating_add(1);
    Ok(vec![PictureRetentionEvent::PictureRetentionRevised { revision, periods, reason }])
}
