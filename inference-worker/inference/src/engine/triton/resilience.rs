//! When to ask again, and when to stop asking for a while. No I/O and no clock: the callers ask and
//! say what time it is, these count.

use std::time::Duration;

use rand::Rng as _;

mod breaker;

pub use breaker::BreakerState;
pub(super) use breaker::{Breaker, Open};

/// Longest pause before another attempt.
const RETRY_LONGEST: Duration = Duration::from_secs(1);

/// The attempts that one request has left.
#[derive(Debug)]
pub(super) struct Attempts {
    left: u32,
    pause: Duration,
}

impl Attempts {
    /// So many attempts in all, the first of which is taken. The pause before the second is
    /// `first`, each further one is twice as long.
    pub(super) fn new(attempts: u32, first: Duration) -> Self {
        Self { left: attempts.saturating_sub(1), pause: first.min(RETRY_LONGEST) }
    }

    /// The pause before the next attempt; `None` when there is none.
    pub(super) fn next(&mut self) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let pause = jittered(self.pause);
        self.pause = (self.pause * 2).min(RETRY_LONGEST);
        Some(pause)
    }
}

/// Between half of `pause` and all of it, so that workers that failed together do not return
/// together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(0.5..=1.0))
}
