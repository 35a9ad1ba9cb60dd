//! When to ask again, and when to stop asking for a while. No I/O and no clock: the callers ask and
//! say what time it is, these count.

use std::time::Duration;

use platform::backoff::Backoff;

mod breaker;

pub use breaker::BreakerState;
pub(super) use breaker::{Breaker, Open};

/// Longest pause before another attempt.
const RETRY_LONGEST: Duration = Duration::from_secs(1);
/// Chance takes up to half of a pause away, so that workers that failed together do not return
/// together.
const JITTER: f64 = 0.5;

/// The attempts that one request has left.
#[derive(Debug)]
pub(super) struct Attempts {
    left: u32,
    made: u32,
    pauses: Backoff,
}

impl Attempts {
    /// So many attempts in all, the first of which is taken. The pause before the second is
    /// `first`, each further one is twice as long.
    pub(super) fn new(attempts: u32, first: Duration) -> Self {
        let pauses = Backoff::new(first.min(RETRY_LONGEST), RETRY_LONGEST, JITTER);
        Self { left: attempts.saturating_sub(1), made: 0, pauses }
    }

    /// The pause before the next attempt; `None` when there is none.
    pub(super) fn next(&mut self) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let pause = self.pauses.delay(self.made);
        self.made = self.made.saturating_add(1);
        Some(pause)
    }
}
