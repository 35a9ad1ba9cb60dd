//! What may be asked about the attempts of an hour, and what follows.

use super::{AccessAttemptEvent, AccessAttempts, AccessAttemptsRejection as Rejection, EVENTS_MAX};

/// The commands of access attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessAttemptsCommand {
    /// Keep what was observed.
    Record(Vec<AccessAttemptEvent>),
}

pub(super) fn decide(
    state: AccessAttempts,
    command: AccessAttemptsCommand,
) -> Result<Vec<AccessAttemptEvent>, Rejection> {
    let AccessAttemptsCommand::Record(observed) = command;
    let left = EVENTS_MAX.saturating_sub(state.events);
    if observed.len() > left as usize {
        return Err(Rejection::HourIsFull);
    }
    Ok(observed)
}
