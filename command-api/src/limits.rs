//! How many requests one caller may send.
//!
//! GCRA over a table of keys (governor). The table forgets keys that are at rest, so that it does
//! not grow with everybody who ever asked.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::HeaderName;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use platform::http::Problem;

/// Requests after which keys at rest are forgotten.
const SWEEP_EVERY: u32 = 4096;

static POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static STATE: HeaderName = HeaderName::from_static("ratelimit");

/// A limit for each key.
pub(crate) struct RateLimit {
    name: &'static str,
    per_second: NonZeroU32,
    burst: NonZeroU32,
    limiter: DefaultKeyedRateLimiter<String>,
    checks: AtomicU32,
}

impl RateLimit {
    pub(crate) fn new(name: &'static str, per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let quota = Quota::per_second(per_second).allow_burst(burst);
        let limiter = RateLimiter::keyed(quota);
        Self { name, per_second, burst, limiter, checks: AtomicU32::new(0) }
    }

    /// Counts one request of `key`.
    ///
    /// # Errors
    /// 429 with `Retry-After` and the RateLimit headers (draft-ietf-httpapi-ratelimit-headers-10).
    pub(crate) fn count_request(&self, key: &str) -> Result<(), Problem> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.limiter.retain_recent();
        }
        let Err(until) = self.limiter.check_key(&key.to_owned()) else { return Ok(()) };
        let wait = until.wait_time_from(DefaultClock::default().now());
        let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
        let window = self.burst.get().div_ceil(self.per_second.get());
        let (name, burst) = (self.name, self.burst);
        Err(Problem::too_many_requests(seconds)
            .with_header(POLICY.clone(), &format!("\"{name}\";q={burst};w={window}"))
            .with_header(STATE.clone(), &format!("\"{name}\";r=0;t={seconds}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_asks_too_often_waits_while_others_go_on() {
        let limit = RateLimit::new("peer", NonZeroU32::MIN, NonZeroU32::new(2).unwrap());
        assert!(limit.count_request("a").is_ok() && limit.count_request("a").is_ok());
        let refused = limit.count_request("a").unwrap_err();
        assert_eq!((refused.status().as_u16(), refused.name()), (429, "too-many-requests"));
        assert!(limit.count_request("b").is_ok());
    }
}
