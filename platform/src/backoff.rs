//! How long to wait before something is tried again: exponential back-off with jitter as one validated
//! value (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015).
//!
//! Invariant: a value cannot be wrong, since [`Backoff::new`] asserts; a `const` that is wrong does not
//! compile. Absent: how often to try, which the caller bounds, and what is worth trying again.

use std::time::Duration;

use rand::Rng as _;

/// Waits whose bound doubles from a least to a greatest one, each shortened by chance.
///
/// Without chance, everybody who was refused together comes again together. A jitter of 1 is the
/// article's *full jitter* (anywhere from nothing to the bound), one of 0.5 its *equal jitter* (at least
/// half the bound), 0 is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    jitter: f64,
}

impl Backoff {
    /// Bounds from `min` to `max`; `jitter` is the share of the bound that chance may take away.
    ///
    /// # Panics
    /// Unless `0 < min <= max` and `0 <= jitter <= 1`; as a `const` it then does not compile:
    ///
    /// ```compile_fail
    /// # use std::time::Duration;
    /// # use platform::backoff::Backoff;
    /// const UPSIDE_DOWN: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(1), 1.0);
    /// # let _ = UPSIDE_DOWN;
    /// ```
    #[must_use]
    pub const fn new(min: Duration, max: Duration, jitter: f64) -> Self {
        assert!(!min.is_zero(), "the least bound of a back-off is above zero");
        assert!(min.as_nanos() <= max.as_nanos(), "the least bound is not above the greatest");
        assert!(jitter >= 0.0 && jitter <= 1.0, "jitter is a share, from 0 to 1");
        Self { min, max, jitter }
    }

    /// The wait before attempt number `attempt`, counted from 0: by chance within
    /// `[bound · (1 - jitter), bound]`, where `bound` is `min · 2^attempt` but at most `max`.
    #[must_use]
    pub fn delay(&self, attempt: u32) -> Duration {
        let doubled = 2_u32.checked_pow(attempt).and_then(|factor| self.min.checked_mul(factor));
        let bound = doubled.map_or(self.max, |doubled| doubled.min(self.max));
        bound.mul_f64(1.0 - self.jitter * rand::rng().random_range(0.0..=1.0))
    }

    /// Sleeps for [`Self::delay`]. Cancel-safe.
    pub async fn wait(&self, attempt: u32) {
        tokio::time::sleep(self.delay(attempt)).await;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FULL: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(10), 1.0);

    proptest! {
        #[test]
        fn every_wait_is_between_the_share_that_jitter_leaves_and_the_bound(
            min_ms in 1_u64..1_000,
            max_ms in 1_000_u64..100_000,
            jitter in 0.0..=1.0,
            attempt in any::<u32>(),
        ) {
            let backoff =
                Backoff::new(Duration::from_millis(min_ms), Duration::from_millis(max_ms), jitter);
            // 2^17 ms is above every `max`.
            let bound = Duration::from_millis(max_ms.min(min_ms << attempt.min(17)));
            let least = bound.mul_f64(1.0 - jitter).saturating_sub(Duration::from_nanos(1));
            let delay = backoff.delay(attempt);
            prop_assert!((least..=bound).contains(&delay), "{delay:?} of {bound:?}");
        }
    }

    #[test]
    fn without_jitter_the_bound_doubles_up_to_the_greatest() {
        let backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(300), 0.0);
        let delays = [0, 1, 2, 3, 31, 32, u32::MAX].map(|n| backoff.delay(n).as_millis());
        assert_eq!(delays, [50, 100, 200, 300, 300, 300, 300]);
    }

    #[test]
    fn full_jitter_spreads_over_the_whole_bound() {
        let delays: Vec<_> = (0..1_000).map(|_| FULL.delay(30)).collect();
        assert!(delays.iter().any(|delay| *delay < Duration::from_secs(1)));
        assert!(delays.iter().any(|delay| *delay > Duration::from_secs(9)));
    }

    #[tokio::test]
    async fn waiting_takes_no_less_than_the_delay() {
        const SHORT: Backoff =
            Backoff::new(Duration::from_millis(5), Duration::from_millis(5), 0.0);
        let begun = tokio::time::Instant::now();
        SHORT.wait(7).await;
        assert!(begun.elapsed() >= Duration::from_millis(5));
    }

    #[test]
    #[should_panic(expected = "jitter is a share")]
    fn a_jitter_that_is_no_share_is_refused() {
        let _ = Backoff::new(Duration::from_secs(1), Duration::from_secs(1), f64::NAN);
    }
}
