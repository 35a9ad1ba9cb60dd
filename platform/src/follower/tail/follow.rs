//! One follower's place in the log.

use tokio::sync::watch;

use super::stretch::{Continuation, SharedPage};
use super::{LogTail, Shared};
use crate::event_log::{EventLogError, Page, Position};

/// A reader of the whole log that remembers where it is.
pub struct Follow {
    tail: LogTail,
    after: Position,
    changed: watch::Receiver<()>,
}

impl Follow {
    pub(super) fn new(tail: LogTail, after: Position) -> Self {
        let changed = tail.shared.changed.subscribe();
        Self { tail, after, changed }
    }

    /// Everything up to here has been yielded.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.after
    }

    /// The next events, at most `limit`, waiting until there are some. Cancel-safe: a page is either
    /// yielded or comes again.
    ///
    /// # Errors
    /// When the log cannot be read; calling again continues from the same place.
    pub async fn next_page(&mut self, limit: usize) -> Result<Page, EventLogError> {
        Ok(self.next_shared_page(limit).await?.into())
    }

    /// [`Self::next_page`] with the events that all followers share, for those who only look at them.
    ///
    /// # Errors
    /// As [`Self::next_page`].
    pub async fn next_shared_page(&mut self, limit: usize) -> Result<SharedPage, EventLogError> {
        loop {
            self.changed.mark_unchanged();
            let next = self.tail.shared.state().stretch.continue_after(self.after, limit);
            let page = match next {
                Continuation::Page(page) => page,
                Continuation::Behind => self.tail.log.read_all(self.after, limit).await?.into(),
                Continuation::AtEnd => {
                    self.wait().await?;
                    continue;
                }
            };
            if page.up_to <= self.after {
                // The log was complete farther a moment ago: an appender came in below what was read.
                // It is not asked in a circle, but again when there is more.
                self.wait().await?;
                continue;
            }
            self.after = page.up_to;
            if !page.events.is_empty() {
                return Ok(page);
            }
        }
    }

    /// Waits until there may be more; an error when the log could not be read meanwhile.
    async fn wait(&mut self) -> Result<(), EventLogError> {
        let waiting = Waiting::begin(&self.tail.shared, self.after);
        // The sender lives in what `tail` holds.
        let _ = self.changed.changed().await;
        waiting.failure().map_or(Ok(()), Err)
    }
}

/// Says that somebody waits for what comes after a position, for as long as it lives.
struct Waiting<'a> {
    shared: &'a Shared,
    after: Position,
    failures_before: u64,
}

impl<'a> Waiting<'a> {
    fn begin(shared: &'a Shared, after: Position) -> Self {
        let mut state = shared.state();
        *state.waiting.entry(after).or_default() += 1;
        let failures_before = state.failures;
        drop(state);
        shared.awaited.notify_one();
        Self { shared, after, failures_before }
    }

    fn failure(&self) -> Option<EventLogError> {
        let state = self.shared.state();
        let failure = state.last_failure.as_ref().filter(|_| state.failures > self.failures_before);
        failure.map(super::Failure::to_error)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if let Some(count) = state.waiting.get_mut(&self.after) {
            *count -= 1;
            if *count == 0 {
                state.waiting.remove(&self.after);
            }
        }
    }
}
