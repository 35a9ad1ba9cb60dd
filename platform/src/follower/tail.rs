//! The end of the log, read once for everybody in this process who follows it.
//!
//! Invariants: what followers are given is complete and in order, without a gap or a double where the
//! kept stretch begins; the log is read only while somebody waits for more than was read, and then by
//! one reader however many wait. Absent: the follower's pace, which nobody else waits for.

mod follow;
mod reader;
mod stretch;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;

use crate::event_log::{EventLog, EventLogError, Position};

pub use follow::Follow;
pub use stretch::{KEPT_EVENTS_MAX, SharedPage};

use stretch::Stretch;

/// The end of one log, for one process. Clones share one reader, a task that ends with the last of them
/// and of their followers.
#[derive(Clone)]
pub struct LogTail {
    log: Arc<dyn EventLog>,
    shared: Arc<Shared>,
    _reader: Arc<AbortOnDropHandle<()>>,
}

impl LogTail {
    /// The tail of `log`. Nothing is read before somebody waits. Call it inside a tokio runtime, once
    /// for each log in a process.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        let shared = Arc::new(Shared::default());
        let reader =
            tokio::spawn(reader::read_while_awaited(Arc::clone(&log), Arc::clone(&shared)));
        Self { log, shared, _reader: Arc::new(AbortOnDropHandle::new(reader)) }
    }

    /// The log itself.
    #[must_use]
    pub fn log(&self) -> &Arc<dyn EventLog> {
        &self.log
    }

    /// A follower of the log from behind `after`.
    #[must_use]
    pub fn follow(&self, after: Position) -> Follow {
        Follow::new(self.clone(), after)
    }
}

/// What the reader and the followers share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Somebody waits who did not before.
    awaited: Notify,
    /// There is more, or the log could not be read.
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    stretch: Stretch,
    /// How many wait for what comes after each position.
    waiting: BTreeMap<Position, usize>,
    /// How often the log could not be read, and what it said last.
    failures: u64,
    last_failure: Option<Failure>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, error: EventLogError) {
        let mut state = self.state();
        state.failures += 1;
        state.last_failure = Some(Failure::new(error));
        drop(state);
        self.changed.send_replace(());
    }
}

/// One error of the log, told to everybody who waited for it.
#[derive(Debug, Clone)]
struct Failure {
    may_pass: bool,
    source: Arc<dyn Error + Send + Sync>,
}

impl Failure {
    fn new(error: EventLogError) -> Self {
        match error {
            EventLogError::Unavailable(source) => Self { may_pass: true, source: source.into() },
            EventLogError::Failed(source) => Self { may_pass: false, source: source.into() },
        }
    }

    fn to_error(&self) -> EventLogError {
        let told = Box::new(Told(Arc::clone(&self.source)));
        if self.may_pass { EventLogError::Unavailable(told) } else { EventLogError::Failed(told) }
    }
}

/// An error that several followers were told.
#[derive(Debug)]
struct Told(Arc<dyn Error + Send + Sync>);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Told {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
