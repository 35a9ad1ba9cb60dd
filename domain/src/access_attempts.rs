//! Who was let in, who was refused, and whose commands were rejected, for whoever looks into it later: a stream for each hour.
//!
//! Invariants: what is kept of an attempt is who, from where, what and why, and never a secret or what might be one;
//! a stream has an end, whatever is tried. Absent: what counts as one attempt, and how many are written a minute, which
//! whoever records them decides; and who may do what (`access_control`).

mod command;
mod event;
mod rejection;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use command::AccessAttemptsCommand;
pub use event::AccessAttemptEvent;
pub use rejection::AccessAttemptsRejection;

use crate::{Aggregate, StoredEvent};

/// Stands among those whom an event concerns where it may be anybody: a sum of attempts that were too many to be told one
/// by one. No account or client has this name.
pub const ANYBODY: &str = "*";

/// The most events of an hour, of all processes together.
const EVENTS_MAX: u32 = 50_000;

/// The attempts of one hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessAttempts {
    /// How many events there are.
    events: u32,
}

impl AccessAttempts {
    /// The id of the stream that an attempt at this time belongs to, such as `2026-11-29T20`.
    #[must_use]
    pub fn id_at(time: DateTime<Utc>) -> String {
        time.format("%Y-%m-%dT%H").to_string()
    }
}

impl Aggregate for AccessAttempts {
    const TYPE: &'static str = "access-attempts";
    const EVENTS: &'static [StoredEvent] = AccessAttemptEvent::STORED;
    type Command = AccessAttemptsCommand;
    type Event = AccessAttemptEvent;
    type Rejection = AccessAttemptsRejection;

    fn decide(
        &self,
        command: AccessAttemptsCommand,
    ) -> Result<Vec<AccessAttemptEvent>, AccessAttemptsRejection> {
        command::decide(*self, command)
    }

    fn evolve(&mut self, event: &AccessAttemptEvent) {
        match event {
            AccessAttemptEvent::TokenGranted { .. }
            | AccessAttemptEvent::AccessRefused { .. }
            | AccessAttemptEvent::CommandRejected { .. }
            | AccessAttemptEvent::AttemptsSummed { .. } => {
                self.events = self.events.saturating_add(1);
            }
        }
    }
}
