//! How the followers of a process are: for readiness, and as gauges.
//!
//! Invariant: it says what the follower itself said last; nothing is asked of the database. Absent:
//! what operators of a cluster see, which is in the checkpoints.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use opentelemetry::metrics::{AsyncInstrument, Counter};
use opentelemetry::{KeyValue, global};
use tokio::time::Instant;

use crate::event_log::Position;
use crate::health::{Check, Probe};

/// The meter of followers. Names and units are listed in `docs/architecture.md`.
const METER: &str = "chipq.follower";

/// Who was interrupted as the owner and stands by for so long is not in the way of anybody: another process
/// does the work. Until then it may only be waiting for its own lost connection to let go, or taking turns
/// with another that fails as it does. Who only stood by when it was interrupted has never been the one
/// that fails, and is well as soon as it stands by again.
const STANDBY_TRUSTED_AFTER: Duration = Duration::from_secs(60);

/// What a follower is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FollowerState {
    /// It has not begun.
    Starting,
    /// Another process owns it.
    StandingBy,
    /// It is the owner and follows the log.
    Following,
    /// Something is in the way; it tries again.
    Interrupted {
        /// Since when: the first attempt that failed since it last got anywhere. That it became the owner
        /// in between is not enough.
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
    /// Streams that it passes over: waited for, and given up.
    parked_streams: AtomicI64,
    discarded_streams: AtomicI64,
    seen_head: Arc<AtomicI64>,
    interruptions: Counter<u64>,
}

struct Progress {
    state: FollowerState,
    /// Everything up to here is done; known once it owns the follower.
    position: Option<Position>,
    /// Whether it has got anywhere since that was asked last.
    has_advanced: bool,
    /// Since when it waits to become the owner, if it was interrupted before.
    waits_since: Option<Instant>,
    /// Whether it has been the owner since it stood by.
    has_owned: bool,
    /// Whether it only stood by when it was interrupted, and has not been the owner since.
    only_stood_by: bool,
}

impl Progress {
    const fn new(state: FollowerState, position: Option<Position>) -> Self {
        Self {
            state,
            position,
            has_advanced: false,
            waits_since: None,
            has_owned: false,
            only_stood_by: false,
        }
    }
}

impl FollowerStatus {
    /// The follower's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What it is doing.
    pub(super) fn state(&self) -> FollowerState {
        self.progress().state.clone()
    }

    /// Up to where everything is done, if this process has owned it.
    pub(super) fn position(&self) -> Option<Position> {
        self.progress().position
    }

    /// Another process is the owner, and all is well.
    pub(super) fn stand_by(&self) {
        *self.progress() = Progress::new(FollowerState::StandingBy, None);
    }

    /// Another process is the owner. If it was interrupted as the owner before, that is shown until this has
    /// lasted: a follower that fails whenever it is the owner is not well in between.
    pub(super) fn wait_for_ownership(&self) {
        let mut progress = self.progress();
        progress.position = None;
        progress.has_owned = false;
        if matches!(progress.state, FollowerState::Interrupted { .. }) && !progress.only_stood_by {
            let waits_since = *progress.waits_since.get_or_insert_with(Instant::now);
            if waits_since.elapsed() < STANDBY_TRUSTED_AFTER {
                return;
            }
        }
        progress.state = FollowerState::StandingBy;
    }

    /// It is the owner, and does not know yet from where on.
    pub(super) fn become_owner(&self) {
        let mut progress = self.progress();
        progress.has_owned = true;
        progress.only_stood_by = false;
    }

    /// It is the owner, and everything up to `position` is done. If it was interrupted before, that is
    /// shown until it has got anywhere: whatever was in the way may still be.
    pub(super) fn resume_from(&self, position: Position) {
        let mut progress = self.progress();
        progress.position = Some(position);
        progress.waits_since = None;
        if !matches!(progress.state, FollowerState::Interrupted { .. }) {
            progress.state = FollowerState::Following;
        }
    }

    /// It is the owner, everything up to `position` is done, and all is well.
    pub(super) fn follow_from(&self, position: Position) {
        let following = Progress::new(FollowerState::Following, Some(position));
        *self.progress() = Progress { has_advanced: true, ..following };
    }

    /// Everything up to `position` is done, of a log that was complete up to `head`.
    pub(super) fn advance(&self, position: Position, head: Position) {
        self.see_head(head);
        self.follow_from(position);
    }

    /// The log was complete up to `head`.
    pub(super) fn see_head(&self, head: Position) {
        self.0.seen_head.fetch_max(head.0, Ordering::Relaxed);
    }

    /// So many streams are parked, and so many discarded, in what this process owns.
    pub fn count_parked_streams(&self, parked: i64, discarded: i64) {
        self.0.parked_streams.store(parked, Ordering::Relaxed);
        self.0.discarded_streams.store(discarded, Ordering::Relaxed);
    }

    /// Whether it is shown as interrupted.
    pub(super) fn is_interrupted(&self) -> bool {
        matches!(self.progress().state, FollowerState::Interrupted { .. })
    }

    /// Whether it has got anywhere since this was asked last.
    pub(super) fn take_advance(&self) -> bool {
        std::mem::take(&mut self.progress().has_advanced)
    }

    /// Something is in the way.
    pub(super) fn interrupt(&self, error: &dyn std::error::Error) {
        self.0.interruptions.add(1, &[self.attribute()]);
        let error = error.to_string();
        let mut progress = self.progress();
        let since = match &progress.state {
            FollowerState::Interrupted { since, .. } => *since,
            FollowerState::StandingBy => {
                progress.only_stood_by = !progress.has_owned;
                Utc::now()
            }
            FollowerState::Starting | FollowerState::Following => Utc::now(),
        };
        progress.state = FollowerState::Interrupted { since, error };
        progress.waits_since = None;
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
        let observe = |of: fn(&Account, Position) -> i64| {
            let registered = Arc::downgrade(&followers.registered);
            move |observer: &dyn AsyncInstrument<i64>| observe_each(&registered, observer, of)
        };
        meter
            .i64_observable_gauge("chipq.follower.position")
            .with_unit("{position}")
            .with_description("Up to where a follower that this process owns is done.")
            .with_callback(observe(|_, position| position.0))
            .build();
        meter
            .i64_observable_gauge("chipq.follower.lag")
            .with_unit("{event}")
            .with_description("Positions from there to the end of the log, as this process saw it.")
            .with_callback(observe(|account, position| {
                (account.seen_head.load(Ordering::Relaxed) - position.0).max(0)
            }))
            .build();
        meter
            .i64_observable_gauge("chipq.follower.parked_streams")
            .with_unit("{stream}")
            .with_description("Streams that it passes over because an event cannot be applied.")
            .with_callback(observe(|account, _| account.parked_streams.load(Ordering::Relaxed)))
            .build();
        meter
            .i64_observable_gauge("chipq.follower.discarded_streams")
            .with_unit("{stream}")
            .with_description("Streams that an operator gave up.")
            .with_callback(observe(|account, _| account.discarded_streams.load(Ordering::Relaxed)))
            .build();
        followers
    }

    /// A follower of this name, which has not begun.
    #[must_use]
    pub fn register(&self, name: impl Into<String>) -> FollowerStatus {
        let status = FollowerStatus(Arc::new(Account {
            name: name.into(),
            progress: Mutex::new(Progress::new(FollowerState::Starting, None)),
            parked_streams: AtomicI64::new(0),
            discarded_streams: AtomicI64::new(0),
            seen_head: Arc::clone(&self.seen_head),
            interruptions: self.interruptions.clone(),
        }));
        let mut registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        registered.push(status.clone());
        status
    }

    fn statuses(&self) -> Vec<FollowerStatus> {
        self.registered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Followers that this process does not own are left to the process that does.
fn observe_each(
    registered: &Weak<Registered>,
    observer: &dyn AsyncInstrument<i64>,
    value_of: fn(&Account, Position) -> i64,
) {
    let Some(registered) = registered.upgrade() else { return };
    for status in registered.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        if let Some(position) = status.position() {
            observer.observe(value_of(&status.0, position), &[status.attribute()]);
        }
    }
}

impl Probe for Followers {
    fn name(&self) -> &'static str {
        "followers"
    }

    /// `follower:<name>`: it follows, or stands by for another process that does.
    fn checks(&self) -> BoxFuture<'_, Vec<Check>> {
        let checks = self.statuses().iter().map(FollowerStatus::readiness).collect();
        std::future::ready(checks).boxed()
    }
}

#[cfg(test)]
mod tests;
