//! The one reader: reads the end of the log while somebody waits for more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::Shared;
use crate::backoff::Backoff;
use crate::event_log::{EventLog, POLL_INTERVAL, Page, Position};

/// The most events read at once.
const READ_EVENTS_MAX: usize = 512;

/// After the log could not be read.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2), 0.5);

pub(super) async fn read_while_awaited(log: Arc<dyn EventLog>, shared: Arc<Shared>) {
    let mut hints = log.hints();
    let mut failed_attempts = 0;
    loop {
        let after = shared.awaited_after().await;
        hints.mark_unchanged();
        let begun = Instant::now();
        match log.read_all(after, READ_EVENTS_MAX).await {
            Ok(page) => {
                failed_attempts = 0;
                let is_at_end = page.up_to >= page.head;
                shared.take_in(page);
                if is_at_end {
                    wait_for_reason(&mut hints, begun + POLL_INTERVAL).await;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the end of the log cannot be read; trying again");
                shared.fail(error);
                BACKOFF.wait(failed_attempts).await;
                failed_attempts = failed_attempts.saturating_add(1);
            }
        }
    }
}

/// Waits for a hint, but no longer than until `poll_at`.
async fn wait_for_reason(hints: &mut watch::Receiver<u64>, poll_at: Instant) {
    let hinted = async {
        // A closed channel means that the log is going away; the interval still bounds the loop.
        if hints.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let _ = timeout_at(poll_at, hinted).await;
}

impl Shared {
    /// Where to read on, once somebody waits for more.
    async fn awaited_after(&self) -> Position {
        loop {
            if let Some(after) = self.next_read_after() {
                return after;
            }
            self.awaited.notified().await;
        }
    }

    /// `None` when nobody waits.
    fn next_read_after(&self) -> Option<Position> {
        let state = self.state();
        (!state.waiting.is_empty()).then(|| state.stretch.up_to())
    }

    fn take_in(&self, page: Page) {
        let mut state = self.state();
        let before = state.stretch.up_to();
        let head = page.head;
        state.stretch.extend(page);
        // Nobody waited for long, or appends outrun the reader: what is still to be read would push
        // out what was just read. The end is what has to be at hand; who is behind it reads by itself.
        if state.stretch.is_out_of_reach(head) {
            state.stretch.begin_at(head);
        }
        let has_moved = state.stretch.up_to() > before;
        drop(state);
        if has_moved {
            self.changed.send_replace(());
        }
    }
}
