//! How many requests one caller may send, and what every answer says about it.
//!
//! GCRA over a table of keys (governor). The table forgets keys that are at rest, so that it does
//! not grow with everybody who ever asked. Absent: who the caller is, which services know.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use super::Problem;

/// Requests after which keys at rest are forgotten.
const SWEEP_EVERY: u32 = 4096;

static POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static STATE: HeaderName = HeaderName::from_static("ratelimit");

/// A limit for each key.
pub struct RateLimit {
    name: &'static str,
    per_second: NonZeroU32,
    burst: NonZeroU32,
    limiter: KeyedLimiter,
    checks: AtomicU32,
}

type KeyedLimiter =
    RateLimiter<String, DefaultKeyedStateStore<String>, DefaultClock, StateInformationMiddleware>;

/// A caller has asked more often than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateExceeded {
    /// Seconds after which asking again is worth a try.
    pub retry_after_s: u64,
}

impl From<RateExceeded> for Problem {
    fn from(exceeded: RateExceeded) -> Self {
        Self::too_many_requests(exceeded.retry_after_s)
    }
}

impl RateLimit {
    /// A limit of `per_second` requests over time and `burst` at once, for each key. Answers call it
    /// `name`.
    #[must_use]
    pub fn new(name: &'static str, per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        let quota = Quota::per_second(per_second).allow_burst(burst);
        let limiter = RateLimiter::keyed(quota).with_middleware();
        Self { name, per_second, burst, limiter, checks: AtomicU32::new(0) }
    }

    /// Counts so many requests of `key`, and notes in `shown` what is left to it. More than a burst
    /// count as a burst: they would never be let through.
    ///
    /// # Errors
    /// When `key` has asked too often; nothing is counted then.
    pub fn count_requests(
        &self,
        key: &str,
        requests: NonZeroU32,
        shown: &ShownRateLimit,
    ) -> Result<(), RateExceeded> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.limiter.retain_recent();
        }
        let requests = requests.min(self.burst);
        let (left, outcome) = match self.limiter.check_key_n(&key.to_owned(), requests) {
            Ok(Ok(state)) => (state.remaining_burst_capacity(), Ok(())),
            Ok(Err(until)) => {
                let wait = until.wait_time_from(DefaultClock::default().now());
                let retry_after_s = wait.as_secs_f64().ceil().max(1.0) as u64;
                (0, Err(RateExceeded { retry_after_s }))
            }
            // Not reached: no more than a burst is asked for.
            Err(_) => (0, Err(RateExceeded { retry_after_s: self.window_s() })),
        };
        let refill_s = match outcome {
            Ok(()) => u64::from((self.burst.get() - left).div_ceil(self.per_second.get())),
            Err(RateExceeded { retry_after_s }) => retry_after_s,
        };
        shown.note(self.policy(), &format!("\"{}\";r={left};t={refill_s}", self.name));
        outcome
    }

    /// Counts one request of `key`.
    ///
    /// # Errors
    /// When `key` has asked too often.
    pub fn count_request(&self, key: &str, shown: &ShownRateLimit) -> Result<(), RateExceeded> {
        self.count_requests(key, NonZeroU32::MIN, shown)
    }

    /// Seconds in which a burst comes back.
    fn window_s(&self) -> u64 {
        u64::from(self.burst.get().div_ceil(self.per_second.get()))
    }

    fn policy(&self) -> String {
        format!("\"{}\";q={};w={}", self.name, self.burst, self.window_s())
    }
}

/// Where whoever counts a request leaves what its answer says (RateLimit-Policy and RateLimit,
/// draft-ietf-httpapi-ratelimit-headers-10). As an extractor it never fails.
#[derive(Debug, Clone, Default)]
pub struct ShownRateLimit(Arc<Mutex<Option<[HeaderValue; 2]>>>);

impl ShownRateLimit {
    fn note(&self, policy: String, state: &str) {
        let values = [HeaderValue::try_from(policy), HeaderValue::from_str(state)];
        if let [Ok(policy), Ok(state)] = values {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some([policy, state]);
        }
    }

    fn take(&self) -> Option<[HeaderValue; 2]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<S: Sync> FromRequestParts<S> for ShownRateLimit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

/// Middleware: every answer to a request that was counted says what is left, whatever it answers.
pub(super) async fn show_rate_limit(mut request: Request, next: Next) -> Response {
    let shown = ShownRateLimit::default();
    request.extensions_mut().insert(shown.clone());
    let mut response = next.run(request).await;
    if let Some([policy, state]) = shown.take() {
        response.headers_mut().insert(POLICY.clone(), policy);
        response.headers_mut().insert(STATE.clone(), state);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(per_second: u32, burst: u32) -> RateLimit {
        let positive = |n| NonZeroU32::new(n).unwrap();
        RateLimit::new("peer", positive(per_second), positive(burst))
    }

    fn shown_state(shown: &ShownRateLimit) -> [String; 2] {
        shown.take().unwrap().map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_key_that_asks_too_often_waits_while_others_go_on() {
        let (limit, shown) = (limit(1, 2), ShownRateLimit::default());
        assert!(limit.count_request("a", &shown).is_ok());
        assert_eq!(shown_state(&shown), ["\"peer\";q=2;w=2", "\"peer\";r=1;t=1"]);
        assert!(limit.count_request("a", &shown).is_ok());
        let refused = Problem::from(limit.count_request("a", &shown).unwrap_err());
        assert_eq!((refused.status().as_u16(), refused.name()), (429, "too-many-requests"));
        assert_eq!(shown_state(&shown), ["\"peer\";q=2;w=2", "\"peer\";r=0;t=1"]);
        assert!(limit.count_request("b", &shown).is_ok());
    }

    #[test]
    fn a_request_may_count_as_several_and_as_a_burst_at_most() {
        let (limit, shown) = (limit(1, 10), ShownRateLimit::default());
        let count = |n| limit.count_requests("a", NonZeroU32::new(n).unwrap(), &shown);
        assert!(count(7).is_ok());
        assert!(count(7).is_err());
        assert!(count(3).is_ok(), "what was refused was not counted");
        assert!(limit.count_requests("b", NonZeroU32::MAX, &shown).is_ok());
        assert!(limit.count_request("b", &shown).is_err());
    }
}
