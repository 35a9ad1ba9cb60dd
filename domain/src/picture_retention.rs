//! How long pictures are kept: a policy for the whole installation, by what became of the board.
//!
//! Invariants: every revision has a reason and is the whole policy; nothing is retired that no revision names a
//! period for, so that without a policy everything is kept. What is retired is the file alone: that it was there,
//! its digest and all that was found on it stay in the log.

mod command;
mod event;
mod rejection;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use command::PictureRetentionCommand;
pub use event::PictureRetentionEvent;
pub use rejection::PictureRetentionRejection;

use crate::vocabulary::vocabulary;
use crate::{Aggregate, Invalid, Judgement, Reach, StoredEvent};

vocabulary! {
    /// What of a picture says how long it is kept.
    pub enum RetentionClass ("class") {
        /// A golden sample that another took the place of. One in force is never retired.
        GoldenSample = "golden-sample",
        /// A picture of a board that passed.
        Pass = "pass",
        /// A picture of a board that went to review.
        Review = "review",
        /// A picture of a board that failed.
        Fail = "fail",
        /// A picture of an inspection that was withdrawn.
        Void = "void",
    }
}

impl From<Judgement> for RetentionClass {
    fn from(judgement: Judgement) -> Self {
        match judgement {
            Judgement::Pass => Self::Pass,
            Judgement::Review => Self::Review,
            Judgement::Fail => Self::Fail,
        }
    }
}

/// For how many whole days a class of pictures is kept, from the judgement, the withdrawal, or the golden sample that
/// took the place: 1 to 36,500.
///
/// The least is far longer than an inspection takes that began with a golden sample which was replaced meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct RetentionDays(u32);

impl RetentionDays {
    /// A hundred years.
    pub const MAX: u32 = 36_500;

    /// # Errors
    /// When it is 0 or more than [`Self::MAX`].
    pub fn new(days: u32) -> Result<Self, Invalid> {
        if (1..=Self::MAX).contains(&days) {
            return Ok(Self(days));
        }
        Err(Invalid::new("days", "must be 1 to 36500 days, or null to keep pictures for ever"))
    }

    /// The number of days.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for RetentionDays {
    type Error = Invalid;

    fn try_from(days: u32) -> Result<Self, Invalid> {
        Self::new(days)
    }
}

impl From<RetentionDays> for u32 {
    fn from(days: RetentionDays) -> Self {
        days.0
    }
}

/// How long each class of pictures is kept; `None` for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionPeriods {
    /// Golden samples, from when another took their place.
    pub golden_sample_days: Option<RetentionDays>,
    /// Boards that passed, from their judgement.
    pub pass_days: Option<RetentionDays>,
    /// Boards that went to review, from their judgement.
    pub review_days: Option<RetentionDays>,
    /// Boards that failed, from their judgement.
    pub fail_days: Option<RetentionDays>,
    /// Inspections that were withdrawn, from then.
    pub void_days: Option<RetentionDays>,
}

impl RetentionPeriods {
    /// How long this class is kept; `None` for ever.
    #[must_use]
    pub const fn of_class(&self, class: RetentionClass) -> Option<RetentionDays> {
        match class {
            RetentionClass::GoldenSample => self.golden_sample_days,
            RetentionClass::Pass => self.pass_days,
            RetentionClass::Review => self.review_days,
            RetentionClass::Fail => self.fail_days,
            RetentionClass::Void => self.void_days,
        }
    }
}

/// The policy in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureRetention {
    /// Its number, from 1; 0 while nobody has set one.
    pub revision: u32,
    /// How long pictures are kept.
    pub periods: RetentionPeriods,
    /// Why, in the words of whoever set it; `None` while nobody has.
    pub reason: Option<String>,
}

impl PictureRetention {
    /// The id of the only stream: the policy is that of the whole installation.
    pub const ID: &'static str = "installation";
}

impl Aggregate for PictureRetention {
    const TYPE: &'static str = "picture-retention";
    const EVENTS: &'static [StoredEvent] = PictureRetentionEvent::STORED;
    type Command = PictureRetentionCommand;
    type Event = PictureRetentionEvent;
    type Rejection = PictureRetentionRejection;

    fn decide(
        &self,
        command: PictureRetentionCommand,
    ) -> Result<Vec<PictureRetentionEvent>, PictureRetentionRejection> {
        command::decide(self, command)
    }

    /// It counts at every station and of every part: whoever is limited to some of them does not set it.
    fn is_within(&self, reach: &Reach, _: &PictureRetentionCommand) -> bool {
        reach.is_everywhere()
    }

    fn evolve(&mut self, event: &PictureRetentionEvent) {
        match event {
            PictureRetentionEvent::PictureRetentionRevised { revision, periods, reason } => {
                *self =
                    Self { revision: *revision, periods: *periods, reason: Some(reason.clone()) };
            }
        }
    }
}
