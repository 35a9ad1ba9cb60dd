//! The end of the log, read once for everybody in this process who follows it, and a follower's place
//! in it.
//!
//! Who waits for more says so. The one reader (`tail/reader.rs`) reads the end while somebody waits,
//! keeps the stretch that it read last, and wakes everybody. A follower takes what comes next from that
//! stretch; where the stretch begins later, it reads older pages from the log itself until it has caught
//! up.
//!
//! Invariants: what followers are given is complete and in order, without a gap or a double where the
//! kept stretch begins; the log is read only while somebody waits for more than was read, and then by
//! one reader however many wait; once the log is seen to have gone back, nothing that was kept of it is given
//! to anybody, and nobody goes on from a place that was reached before. Absent: the follower's pace, which
//! nobody else waits for.

mod reader;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;

use crate::event_log::{
    EventLog, EventLogError, Incarnation, LogPlace, POLL_INTERVAL, Page, Position,
};

use reader::{Continuation, READ_TIMEOUT, Stretch, read_page};

/// The end of one log, for one process. Clones share one reader, a task that ends with the last of them
/// and of their followers.
#[derive(Clone)]
pub struct LogTail {
    log: Arc<dyn EventLog>,
    /// How long one read may take.
    read_timeout: Duration,
    shared: Arc<Shared>,
    _reader: Arc<AbortOnDropHandle<()>>,
}

impl LogTail {
    /// The tail of `log`, with the limit that goes with the defaults of the database. Nothing is read before
    /// somebody waits. Call it inside a tokio runtime, once for each log in a process.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self::with_read_timeout(log, READ_TIMEOUT)
    }

    /// The same, where one read takes longer than this only when nothing will ever come of it.
    pub(crate) fn with_read_timeout(log: Arc<dyn EventLog>, read_timeout: Duration) -> Self {
        let shared = Arc::new(Shared::default());
        let on = (Arc::clone(&log), read_timeout);
        let reader = tokio::spawn(reader::read_while_awaited(on, Arc::clone(&shared)));
        Self { log, read_timeout, shared, _reader: Arc::new(AbortOnDropHandle::new(reader)) }
    }

    /// The log itself.
    #[must_use]
    pub fn log(&self) -> &Arc<dyn EventLog> {
        &self.log
    }

    /// A follower of the log from behind `after`, a position in the history that the log has when it is read
    /// first. Should another history begin, the follower goes on where nothing was given out again after its
    /// place, and is told where it was ([`EventLogError::Reissued`]).
    /// Should the log go back within its history, the follower is told ([`EventLogError::EndsBefore`]) and gets
    /// nothing any more.
    #[must_use]
    pub fn follow(&self, after: Position) -> Follow {
        let changed = self.shared.changed.subscribe();
        Follow { tail: self.clone(), after, incarnation: None, losses_before: 0, changed }
    }
}

/// A reader of the whole log that remembers where it is.
pub struct Follow {
    tail: LogTail,
    after: Position,
    /// The history of the log in which its place is; not known before it reads.
    incarnation: Option<Incarnation>,
    /// How often the log had gone back when it was found to come up to its place.
    losses_before: u64,
    changed: watch::Receiver<()>,
}

impl Follow {
    /// Everything up to here has been yielded.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.after
    }

    /// Whether no event comes after its place now. Asks the log itself.
    ///
    /// # Errors
    /// When the log cannot be read, or ends before that place.
    pub(super) async fn is_at_end(&mut self) -> Result<bool, EventLogError> {
        let incarnation = self.incarnation().await?;
        Ok(self.read_from_log(incarnation, 1).await?.events.is_empty())
    }

    /// The next events, at most `limit`, waiting until there are some. Cancel-safe: a page is either
    /// yielded or comes again.
    ///
    /// # Errors
    /// When the log cannot be read; calling again continues from the same place.
    pub async fn next_page(&mut self, limit: usize) -> Result<Page, EventLogError> {
        loop {
            self.changed.mark_unchanged();
            let place = (self.incarnation().await?, self.after);
            let next = self.continue_after(place, limit)?;
            let page = match next {
                Continuation::Page(page) => page,
                Continuation::Behind => {
                    let page = self.read_from_log(place.0, limit).await?;
                    self.enter(page.incarnation, page.head).await?;
                    page
                }
                Continuation::AtEnd => {
                    self.wait().await?;
                    continue;
                }
            };
            if page.up_to <= self.after {
                // The log was complete farther a moment ago: an appender came in below what was read.
                // It is not asked in a circle. Nor is a change waited for: the reader has seen what is
                // missing here, and there need be nothing new for it ever.
                tokio::time::sleep(POLL_INTERVAL).await;
                continue;
            }
            self.after = page.up_to;
            if !page.events.is_empty() {
                return Ok(page);
            }
        }
    }

    /// The history in which its place is. At first the log is asked, and so is whether it comes up to there.
    ///
    /// # Errors
    /// When the log cannot be asked, or ends before that place.
    pub async fn incarnation(&mut self) -> Result<Incarnation, EventLogError> {
        if let Some(known) = self.incarnation {
            return Ok(known);
        }
        loop {
            // Before the log is asked: what is read meanwhile may be newer than the answer.
            let (kept, losses_before) = self.tail.shared.kept_end();
            let end = self.tail.log.end().await?;
            if let Some(kept) = kept.filter(|kept| kept.incarnation == end.incarnation)
                && let Err(lost) = kept.position.ensure_reached(end.position)
            {
                self.tail.shared.forget_if_lost(&lost);
                continue;
            }
            self.after.ensure_reached(end.position)?;
            self.losses_before = losses_before;
            return Ok(*self.incarnation.insert(end.incarnation));
        }
    }

    /// What is kept for its place, unless the log has gone back since that was taken.
    fn continue_after(
        &self,
        place: (Incarnation, Position),
        limit: usize,
    ) -> Result<Continuation, EventLogError> {
        let state = self.tail.shared.state();
        match state.losses.last {
            Some((end, place)) if state.losses.count != self.losses_before => {
                Err(EventLogError::EndsBefore { end, place })
            }
            _ => Ok(state.stretch.continue_after(place, limit)),
        }
    }

    /// What was read is of this history, which was complete up to `head`.
    async fn enter(
        &mut self,
        incarnation: Incarnation,
        head: Position,
    ) -> Result<(), EventLogError> {
        let before = self.incarnation().await?;
        if before != incarnation {
            let place = LogPlace { incarnation: before, position: self.after };
            self.tail.log.check_place(place).await?;
            self.incarnation = Some(incarnation);
        }
        // Whoever finds it out first lets the others read on together.
        self.tail.shared.enter(incarnation, head);
        Ok(())
    }

    /// What comes after its place, which is in the history `incarnation`.
    async fn read_from_log(
        &self,
        incarnation: Incarnation,
        limit: usize,
    ) -> Result<Page, EventLogError> {
        let (log, read_timeout) = (&*self.tail.log, self.tail.read_timeout);
        let read = read_page((log, read_timeout), (Some(incarnation), self.after), limit).await;
        read.inspect_err(|error| self.tail.shared.forget_if_lost(error))
    }

    /// Waits until there may be more; an error when the log could not be read meanwhile.
    async fn wait(&mut self) -> Result<(), EventLogError> {
        let waiting = Waiting::begin(&self.tail.shared);
        // The sender lives in what `tail` holds.
        let _ = self.changed.changed().await;
        waiting.failure().map_or(Ok(()), Err)
    }
}

/// Says that somebody waits for more, for as long as it lives.
struct Waiting<'a> {
    shared: &'a Shared,
    failures_before: u64,
}

impl<'a> Waiting<'a> {
    fn begin(shared: &'a Shared) -> Self {
        let mut state = shared.state();
        state.waiting += 1;
        let failures_before = state.failures;
        drop(state);
        shared.awaited.notify_one();
        Self { shared, failures_before }
    }

    fn failure(&self) -> Option<EventLogError> {
        let state = self.shared.state();
        let failure = state.last_failure.as_ref().filter(|_| state.failures > self.failures_before);
        failure.map(Failure::to_error)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.state().waiting -= 1;
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
    /// How many wait for more.
    waiting: usize,
    /// How often the log could not be read, and what it said last.
    failures: u64,
    last_failure: Option<Failure>,
    losses: Losses,
}

/// What is known of a log that went back within its history.
#[derive(Default)]
struct Losses {
    /// How often.
    count: u64,
    /// Where it ended the last time, and what had been kept up to.
    last: Option<(Position, Position)>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log has this history now; whoever waits at the end of another one looks again.
    fn enter(&self, incarnation: Incarnation, head: Position) {
        if self.state().stretch.enter(incarnation, head) {
            self.changed.send_replace(());
        }
    }

    /// Up to where the log is kept, if it was read, and how often it had gone back by then.
    fn kept_end(&self) -> (Option<LogPlace>, u64) {
        let state = self.state();
        (state.stretch.end(), state.losses.count)
    }

    /// Forgets all that is kept, if the log turned out to end before it: nobody can tell what of it is lost.
    fn forget_if_lost(&self, error: &EventLogError) {
        let EventLogError::EndsBefore { end, place } = *error else { return };
        tracing::error!(%error, "what was kept of the log is forgotten; followers begin anew");
        let mut state = self.state();
        state.stretch = Stretch::default();
        state.losses = Losses { count: state.losses.count + 1, last: Some((end, place)) };
        drop(state);
        self.changed.send_replace(());
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
enum Failure {
    MayPass(Arc<dyn Error + Send + Sync>),
    ForGood(Arc<dyn Error + Send + Sync>),
    Reissued { after: Position },
    EndsBefore { end: Position, place: Position },
}

impl Failure {
    fn new(error: EventLogError) -> Self {
        match error {
            EventLogError::Unavailable(source) => Self::MayPass(source.into()),
            EventLogError::Failed(source) => Self::ForGood(source.into()),
            EventLogError::Reissued { after } => Self::Reissued { after },
            EventLogError::EndsBefore { end, place } => Self::EndsBefore { end, place },
        }
    }

    fn to_error(&self) -> EventLogError {
        let told = |source: &Arc<_>| Box::new(Told(Arc::clone(source)));
        match self {
            Self::MayPass(source) => EventLogError::Unavailable(told(source)),
            Self::ForGood(source) => EventLogError::Failed(told(source)),
            Self::Reissued { after } => EventLogError::Reissued { after: *after },
            Self::EndsBefore { end, place } => {
                EventLogError::EndsBefore { end: *end, place: *place }
            }
        }
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
