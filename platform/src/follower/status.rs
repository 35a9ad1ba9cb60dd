//! How the followers of a process are: for readiness, and as gauges.
//!
//! Invariant: it says what the follower itself said last; nothing is asked of the database. Absent:
//! what operators of a cluster see, which is in the checkpoints.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use opentelemetry::metrics::{AsyncInstrument, Counter};
use opentelemetry::{KeyValue, global};

use crate::event_log::Position;
use crate::health::{Check, Probe};

/// The meter of followers. Names and units are listed in `docs/architecture.md`.
const METER: &str = "chipq.follower";

/// What a follower is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FollowerState {
    /// It has not begun.
    Starting,
    /// Another process owns it.
    StandingBy,
    /// It is the owner and follows the log.
    Following,
    /// Something is in the way; it tries again.
    Interrupted {
        /// Since when: the first attempt that failed since it last followed or stood by. Whoever owns
        /// the follower, and fails only then, begins anew with each attempt.
        since: DateTime<Utc>,
        /// What the last of them said.
        error: String,
    },
}

/// One follower's account of itself. Clones share it.
#[derive(Clone)]
pub struct FollowerStatus(Arc<Account>);

struct Account {
    name: String,
    progress: Mutex<Progress>,
    seen_head: Arc<AtomicI64>,
    interruptions: Counter<u64>,
}

struct Progress {
    state: FollowerState,
    /// Everything up to here is done; known once it owns the follower.
    position: Option<Position>,
}

impl FollowerStatus {
    /// The follower's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> FollowerState {
        self.progress().state.clone()
    }

    /// Up to where everything is done, if this process has owned it.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.progress().position
    }

    /// Another process is the owner.
    pub fn stand_by(&self) {
        *self.progress() = Progress { state: FollowerState::StandingBy, position: None };
    }

    /// It is the owner, and everything up to `position` is done.
    pub fn follow_from(&self, position: Position) {
        *self.progress() = Progress { state: FollowerState::Following, position: Some(position) };
    }

    /// Everything up to `position` is done, of a log that was complete up to `head`.
    pub fn advance(&self, position: Position, head: Position) {
        self.0.seen_head.fetch_max(head.0, Ordering::Relaxed);
        self.follow_from(position);
    }

    /// Something is in the way.
    pub fn interrupt(&self, error: &dyn std::error::Error) {
        self.0.interruptions.add(1, &[self.attribute()]);
        let error = error.to_string();
        let mut progress = self.progress();
        let since = match &progress.state {
            FollowerState::Interrupted { since, .. } => *since,
            FollowerState::Starting | FollowerState::StandingBy | FollowerState::Following => {
                Utc::now()
            }
        };
        progress.state = FollowerState::Interrupted { since, error };
    }

    fn readiness(&self) -> Check {
        let outcome = match self.state() {
            FollowerState::Starting => Err("it has not started".to_owned()),
            FollowerState::StandingBy | FollowerState::Following => Ok(()),
            FollowerState::Interrupted { since, error } => {
                Err(format!("interrupted since {}: {error}", since.format("%FT%TZ")))
            }
        };
        Check::new(format!("follower:{}", self.name()), outcome)
    }

    fn attribute(&self) -> KeyValue {
        KeyValue::new("follower", self.name().to_owned())
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Registered = Mutex<Vec<FollowerStatus>>;

/// The followers of a process or of a part of it: a probe of readiness, and the source of the gauges.
/// Clones share it.
#[derive(Clone)]
pub struct Followers {
    registered: Arc<Registered>,
    /// The greatest position that any of them has seen the log complete up to.
    seen_head: Arc<AtomicI64>,
    interruptions: Counter<u64>,
}

impl Default for Followers {
    fn default() -> Self {
        Self::new()
    }
}

impl Followers {
    /// Nobody yet. They are measured under the process's meter: install [`crate::metrics`] first.
    #[must_use]
    pub fn new() -> Self {
        let meter = global::meter(METER);
        let interruptions = meter
            .u64_counter("chipq.follower.interruptions")
            .with_unit("{interruption}")
            .with_description("Attempts to follow that ended with an error, by follower.")
            .build();
        let followers = Self {
            registered: Arc::default(),
            seen_head: Arc::new(AtomicI64::new(0)),
            interruptions,
        };
        let observe = |of: fn(Position, Position) -> i64| {
            let registered = Arc::downgrade(&followers.registered);
            let seen_head = Arc::clone(&followers.seen_head);
            move |observer: &dyn AsyncInstrument<i64>| {
                let head = Position(seen_head.load(Ordering::Relaxed));
                observe_each(&registered, observer, |position| of(position, head));
            }
        };
        meter
            .i64_observable_gauge("chipq.follower.position")
            .with_unit("{position}")
            .with_description("Up to where a follower that this process owns is done.")
            .with_callback(observe(|position, _| position.0))
            .build();
        meter
            .i64_observable_gauge("chipq.follower.lag")
            .with_unit("{event}")
            .with_description("Positions from there to the end of the log, as this process saw it.")
            .with_callback(observe(|position, head| (head.0 - position.0).max(0)))
            .build();
        followers
    }

    /// A follower of this name, which has not begun.
    #[must_use]
    pub fn register(&self, name: impl Into<String>) -> FollowerStatus {
        let status = FollowerStatus(Arc::new(Account {
            name: name.into(),
            progress: Mutex::new(Progress { state: FollowerState::Starting, position: None }),
            seen_head: Arc::clone(&self.seen_head),
            interruptions: self.interruptions.clone(),
        }));
        let mut registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        registered.push(status.clone());
        status
    }

    /// All of them, in the order in which they came.
    #[must_use]
    pub fn statuses(&self) -> Vec<FollowerStatus> {
        self.registered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Followers that this process does not own are left to the process that does.
fn observe_each(
    registered: &Weak<Registered>,
    observer: &dyn AsyncInstrument<i64>,
    value_at: impl Fn(Position) -> i64,
) {
    let Some(registered) = registered.upgrade() else { return };
    for status in registered.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        if let Some(position) = status.position() {
            observer.observe(value_at(position), &[status.attribute()]);
        }
    }
}

impl Probe for Followers {
    /// `follower:<name>`: it follows, or stands by for another process that does.
    fn checks(&self) -> BoxFuture<'_, Vec<Check>> {
        let checks = self.statuses().iter().map(FollowerStatus::readiness).collect();
        std::future::ready(checks).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn readiness_says_which_follower_is_interrupted_and_why_until_it_follows_again() {
        let followers = Followers::new();
        let (one, two) = (followers.register("one"), followers.register("two"));
        one.follow_from(Position(3));
        two.interrupt(&sqlx::Error::PoolClosed);
        let FollowerState::Interrupted { since, .. } = two.state() else { panic!() };
        two.interrupt(&sqlx::Error::WorkerCrashed);
        let error = sqlx::Error::WorkerCrashed.to_string();
        assert_eq!(two.state(), FollowerState::Interrupted { since, error: error.clone() });
        let checks = followers.checks().await;
        assert_eq!(checks[0], Check::new("follower:one", Ok(())));
        assert!(!checks[1].ready && checks[1].detail.as_ref().unwrap().ends_with(&error));
        two.follow_from(Position(0));
        assert!(followers.checks().await.iter().all(|check| check.ready));
    }

    #[test]
    fn position_and_lag_are_measured_by_the_farthest_end_that_anybody_saw() {
        crate::metrics::install().unwrap();
        let followers = Followers::new();
        let (slow, fast) = (followers.register("slow"), followers.register("fast"));
        let _idle = followers.register("idle");
        slow.advance(Position(5), Position(6));
        fast.advance(Position(9), Position(9));
        slow.interrupt(&sqlx::Error::PoolClosed);
        let text = crate::metrics::gather_text().unwrap();
        let value = |metric: &str, follower: &str| {
            let is_it = |line: &&str| {
                line.starts_with(metric) && line.contains(&format!("follower=\"{follower}\""))
            };
            text.lines().find(is_it).map(|line| line.rsplit(' ').next().unwrap().to_owned())
        };
        assert_eq!(value("chipq_follower_lag", "slow").as_deref(), Some("4"), "{text}");
        assert_eq!(value("chipq_follower_lag", "fast").as_deref(), Some("0"));
        assert_eq!(value("chipq_follower_position", "slow").as_deref(), Some("5"));
        assert_eq!(value("chipq_follower_interruptions", "slow").as_deref(), Some("1"));
        assert_eq!(value("chipq_follower_position", "idle"), None);
    }
}
