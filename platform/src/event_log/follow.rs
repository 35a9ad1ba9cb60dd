//! Tails the log from a checkpoint: polls, woken early by hints. It yields only complete stretches.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{EventLog, EventLogError, Page, Position};

/// How long a follower waits without a hint before it polls.
pub const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// A reader of the whole log that remembers where it is.
pub struct Follow {
    log: Arc<dyn EventLog>,
    after: Position,
    hints: watch::Receiver<u64>,
}

impl Follow {
    /// Follows `log` from behind `after`.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>, after: Position) -> Self {
        let hints = log.hints();
        Self { log, after, hints }
    }

    /// Everything up to here has been yielded.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.after
    }

    /// The next events, at most `limit`, waiting until there are some. Cancel-safe: a page is either
    /// yielded or not read.
    ///
    /// # Errors
    /// When the log cannot be read; calling again continues from the same place.
    pub async fn next_page(&mut self, limit: usize) -> Result<Page, EventLogError> {
        loop {
            self.hints.mark_unchanged();
            let page = self.log.read_all(self.after, limit).await?;
            if page.up_to > self.after {
                self.after = page.up_to;
                if !page.events.is_empty() {
                    return Ok(page);
                }
            }
            // A closed channel means that the log is going away; the interval still bounds the loop.
            let hinted = async {
                if self.hints.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            let _ = tokio::time::timeout(POLL_INTERVAL, hinted).await;
        }
    }
}
