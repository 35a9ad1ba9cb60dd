//! What may be asked about a projection's parked streams, and what follows.

use super::{
    PoisonedEvent, ProjectionRepair, ProjectionRepairEvent, ProjectionRepairRejection as Rejection,
};
use crate::value::{self, ReasonFlaw};

/// The commands of a projection's repair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectionRepairCommand {
    /// Apply the events of a parked stream again.
    RetryStream {
        /// The event that parked it.
        poison: PoisonedEvent,
        /// Why, in the words of whoever asks.
        reason: String,
    },
    /// Give a stream up from the event on that cannot be applied.
    DiscardStream {
        /// The event.
        poison: PoisonedEvent,
        /// Why, in the words of whoever asks.
        reason: String,
    },
}

pub(super) fn decide(
    state: &ProjectionRepair,
    command: ProjectionRepairCommand,
) -> Result<Vec<ProjectionRepairEvent>, Rejection> {
    let event = match command {
        ProjectionRepairCommand::RetryStream { poison, reason } => {
            ProjectionRepairEvent::StreamRetryRequested { poison, reason: check_reason(reason)? }
        }
        ProjectionRepairCommand::DiscardStream { poison, reason } => {
            if state.discarded_of(&poison) == Some(&poison) {
                return Err(Rejection::AlreadyDiscarded { position: poison.position });
            }
            ProjectionRepairEvent::StreamDiscarded { poison, reason: check_reason(reason)? }
        }
    };
    Ok(vec![event])
}

fn check_reason(reason: String) -> Result<String, Rejection> {
    value::check_reason(reason).map_err(|flaw| match flaw {
        ReasonFlaw::Empty => Rejection::EmptyReason,
        ReasonFlaw::Long => Rejection::LongReason,
    })
}
