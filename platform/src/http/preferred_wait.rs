//! `Prefer: wait=SECONDS` (RFC 7240): the answer may come later, if it says more then. A preference that is not
//! understood is none; one that was kept to is named in `Preference-Applied`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout_at};

static PREFER: HeaderName = HeaderName::from_static("prefer");
static PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The longest wait, well within the time that a request has.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// How many may wait at once. Whoever comes then is answered at once.
const WAITING_MAX: usize = 64;
/// The pause between two looks, however often something changes: of the first ones, and of all that follow.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const FIRST_LOOKS: u32 = 20;
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// How long the caller prefers to wait. Works with any state, and never fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreferredWait(Option<Duration>);

impl<S: Sync> FromRequestParts<S> for PreferredWait {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::from_headers(&parts.headers))
    }
}

/// The wait of one preference such as `wait=10`; what follows a semicolon says nothing here.
fn parse_wait(preference: &str) -> Option<Duration> {
    let (name, seconds) = preference.split(';').next()?.split_once('=')?;
    let seconds = seconds.trim().trim_matches('"').parse().ok()?;
    let is_wait = name.trim().eq_ignore_ascii_case("wait");
    is_wait.then(|| Duration::from_secs(seconds).min(WAIT_MAX))
}

impl PreferredWait {
    /// What a request with these headers prefers.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let values = headers.get_all(&PREFER).iter().filter_map(|value| value.to_str().ok());
        // Of a preference that is given twice, the first counts.
        Self(values.flat_map(|value| value.split(',')).find_map(parse_wait))
    }

    /// Begins to wait. `None` when nobody asked for it, or all places are taken.
    #[must_use]
    pub fn begin(self, places: &WaitPlaces) -> Option<Waiting> {
        let wait = self.0?;
        let place = Arc::clone(&places.0).try_acquire_owned().ok()?;
        Some(Waiting { wait, deadline: Instant::now() + wait, looks: 0, _place: place })
    }
}

/// The places of those who wait, bounded because each of them looks again and again.
#[derive(Debug, Clone)]
pub struct WaitPlaces(Arc<Semaphore>);

impl Default for WaitPlaces {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(WAITING_MAX)))
    }
}

/// A wait that has begun.
#[derive(Debug)]
pub struct Waiting {
    wait: Duration,
    deadline: Instant,
    /// How often it was waited for the next.
    looks: u32,
    _place: OwnedSemaphorePermit,
}

impl Waiting {
    /// Whether it has lasted as long as was asked for.
    #[must_use]
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Waits for `change` before it is looked again, and a moment in any case; not beyond its own end.
    pub async fn until_next_look<T>(
        &mut self,
        change: impl Future<Output = T> + Send,
    ) -> Option<T> {
        let pause = if self.looks < FIRST_LOOKS { FIRST_PAUSE } else { LOOK_PAUSE };
        self.looks = self.looks.saturating_add(1);
        let next_look = Instant::now() + pause;
        let changed = self.until(change).await;
        sleep_until(next_look.min(self.deadline)).await;
        changed
    }

    /// Waits for `change`, not beyond its own end.
    pub async fn until<T>(&self, change: impl Future<Output = T> + Send) -> Option<T> {
        timeout_at(self.deadline, change).await.ok()
    }

    /// `response`, which says that the preference was kept to.
    #[must_use]
    pub fn note_in(&self, mut response: Response) -> Response {
        let applied = format!("wait={}", self.wait.as_secs());
        if let Ok(applied) = HeaderValue::from_str(&applied) {
            response.headers_mut().insert(&PREFERENCE_APPLIED, applied);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    async fn wait_of(preferences: &[&str]) -> Option<u64> {
        let mut request = Request::builder();
        for preference in preferences {
            request = request.header("Prefer", *preference);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let Ok(PreferredWait(wait)) = PreferredWait::from_request_parts(&mut parts, &()).await;
        wait.map(|wait| wait.as_secs())
    }

    #[tokio::test]
    async fn a_wait_is_found_among_preferences_and_bounded() {
        for (preferences, wait) in [
            (&["wait=10"][..], Some(10)),
            (&["respond-async, Wait = 5; foo=bar"], Some(5)),
            (&["return=minimal", "wait=\"7\""], Some(7)),
            (&["wait=3, wait=9"], Some(3)),
            (&["wait=86400"], Some(20)),
            (&["wait=0"], Some(0)),
            (&["wait"], None),
            (&["wait=soon", "waiting=4"], None),
            (&["wait=-1"], None),
            (&["wait=99999999999999999999"], None),
            (&[], None),
        ] {
            assert_eq!(wait_of(preferences).await, wait, "{preferences:?}");
        }
    }

    #[tokio::test]
    async fn a_wait_ends_with_a_change_or_in_time_and_only_so_many_wait() {
        let places = WaitPlaces::default();
        let mut waiting = PreferredWait(Some(Duration::from_secs(1))).begin(&places).unwrap();
        let started = Instant::now();
        let mut begun = started;
        for look in 0..=FIRST_LOOKS {
            assert_eq!(waiting.until_next_look(std::future::ready(7)).await, Some(7));
            let pause = if look < FIRST_LOOKS { FIRST_PAUSE } else { LOOK_PAUSE };
            assert!(begun.elapsed() >= pause, "look {look}");
            begun = Instant::now();
        }
        assert_eq!(waiting.until(std::future::pending::<()>()).await, None);
        assert!(waiting.is_over() && started.elapsed() >= Duration::from_secs(1));
        let wait = PreferredWait(Some(WAIT_MAX));
        let others: Vec<_> = std::iter::from_fn(|| wait.begin(&places)).collect();
        assert_eq!(others.len(), WAITING_MAX - 1);
        drop(waiting);
        assert!(wait.begin(&places).is_some());
        assert!(PreferredWait(None).begin(&WaitPlaces::default()).is_none());
    }
}
