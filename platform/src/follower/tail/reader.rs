//! The one reader of the end of the log, and the stretch that it keeps of it.
//!
//! Invariant: the stretch holds every event after `from` up to `up_to`, in order, and at most
//! [`KEPT_EVENTS_MAX`] of them: when more come, it begins later.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::Shared;
use crate::backoff::Backoff;
use crate::event_log::{
    EventLog, EventLogError, Incarnation, LogPlace, POLL_INTERVAL, Page, Position, Recorded,
};

/// The most events read at once.
const READ_EVENTS_MAX: usize = 512;
/// The most events that are kept for followers who are not quite at the end.
pub(super) const KEPT_EVENTS_MAX: usize = 2_048;

/// How long one read may take, unless whoever opens the log knows better: a wait for a connection and two
/// statements, each as long as it may be by default. The server ends a statement before that; this is for
/// a connection on which nothing ever comes back.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(70);

/// After the log could not be read.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2), 0.5);

pub(super) async fn read_while_awaited(
    (log, read_timeout): (Arc<dyn EventLog>, Duration),
    shared: Arc<Shared>,
) {
    let mut hints = log.hints();
    let mut failed_attempts = 0;
    loop {
        let place = shared.awaited_place().await;
        hints.mark_unchanged();
        let begun = Instant::now();
        match read_page((&*log, read_timeout), place, READ_EVENTS_MAX).await {
            Ok(page) => {
                failed_attempts = 0;
                let is_at_end = page.up_to >= page.head;
                shared.take_in(place.1, page, log.positions_per_event());
                if is_at_end {
                    wait_for_reason(&mut hints, begun + POLL_INTERVAL).await;
                }
            }
            Err(error) => {
                shared.forget_if_lost(&error);
                tracing::debug!(%error, "the end of the log cannot be read; trying again");
                shared.fail(error);
                BACKOFF.wait(failed_attempts).await;
                failed_attempts = failed_attempts.saturating_add(1);
            }
        }
    }
}

/// Reads a page. One that does not come in time, or panics, is an error like any other: everybody who
/// waits for the one reader is told, and the reader goes on.
pub(super) async fn read_page(
    (log, read_timeout): (&dyn EventLog, Duration),
    place: (Option<Incarnation>, Position),
    limit: usize,
) -> Result<Page, EventLogError> {
    // What a panic leaves behind is the adapter's connection, which its pool looks after.
    let reading = AssertUnwindSafe(read_after(log, place, limit)).catch_unwind();
    let reason = match timeout(read_timeout, reading).await {
        Ok(Ok(read)) => return read,
        Ok(Err(_)) => "reading it panicked".to_owned(),
        Err(_) => format!("nothing was read for {} s", read_timeout.as_secs_f32()),
    };
    Err(EventLogError::Unavailable(reason.into()))
}

/// Reads what comes after a position that the log had come to in this history, and makes sure that it has: who
/// appends may hold the head back for a moment, but never the end.
async fn read_after(
    log: &dyn EventLog,
    (incarnation, after): (Option<Incarnation>, Position),
    limit: usize,
) -> Result<Page, EventLogError> {
    let page = log.read_all(after, limit).await?;
    if page.head < after && incarnation == Some(page.incarnation) {
        let end = log.end().await?;
        if end.incarnation == page.incarnation {
            after.ensure_reached(end.position)?;
        }
    }
    Ok(page)
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
    async fn awaited_place(&self) -> (Option<Incarnation>, Position) {
        loop {
            if let Some(place) = self.next_read_place() {
                return place;
            }
            self.awaited.notified().await;
        }
    }

    /// `None` when nobody waits.
    fn next_read_place(&self) -> Option<(Option<Incarnation>, Position)> {
        let state = self.state();
        (state.waiting > 0).then(|| (state.stretch.incarnation, state.stretch.up_to()))
    }

    /// Takes in the page that was read after `after` of a log that grows by so many positions with an event.
    pub(super) fn take_in(&self, after: Position, page: Page, positions_per_event: i64) {
        let mut state = self.state();
        let before = state.stretch.up_to();
        let head = page.head;
        let is_another = state.stretch.enter(page.incarnation, head);
        // A follower may have begun another stretch meanwhile, on which the page does not follow.
        if !is_another && before == after {
            state.stretch.extend(page);
        }
        // Nobody waited for long, or appends outrun the reader: what is still to be read would push
        // out what was just read. The end is what has to be at hand; who is behind it reads by itself.
        if state.stretch.is_out_of_reach(head, positions_per_event) {
            state.stretch.begin_at(head);
        }
        let has_moved = is_another || state.stretch.up_to() > before;
        drop(state);
        if has_moved {
            self.changed.send_replace(());
        }
    }
}

/// What the stretch has for somebody at a position.
#[derive(Debug, PartialEq)]
pub(super) enum Continuation {
    /// It begins later, or is another history: what comes next has to be read from the log.
    Behind,
    /// What comes next.
    Page(Page),
    /// Nothing comes next yet.
    AtEnd,
}

#[derive(Debug, Default)]
pub(super) struct Stretch {
    events: VecDeque<Arc<Recorded>>,
    from: Position,
    up_to: Position,
    head: Position,
    /// Whose history it is; nobody's before anything was read.
    incarnation: Option<Incarnation>,
}

impl Stretch {
    pub(super) const fn up_to(&self) -> Position {
        self.up_to
    }

    /// Up to where it is complete, and in which history; `None` before anything was read.
    pub(super) fn end(&self) -> Option<LogPlace> {
        self.incarnation.map(|incarnation| LogPlace { incarnation, position: self.up_to })
    }

    /// Whether reading on from the end to `position` would push out everything on the way. Positions
    /// have holes, so it may be fewer events than that; then the log is read once more than it need be.
    pub(super) const fn is_out_of_reach(
        &self,
        position: Position,
        positions_per_event: i64,
    ) -> bool {
        let kept_max = (KEPT_EVENTS_MAX as i64).saturating_mul(positions_per_event);
        position.0.saturating_sub(self.up_to.0) > kept_max
    }

    /// Begins anew, empty, at a position up to which the log is complete.
    pub(super) fn begin_at(&mut self, position: Position) {
        let (head, incarnation) = (self.head.max(position), self.incarnation);
        *self =
            Self { events: VecDeque::new(), from: position, up_to: position, head, incarnation };
    }

    /// Another history of the log is read, which is complete up to `head`: nothing is kept of the one before.
    /// Returns whether there was one before.
    pub(super) fn enter(&mut self, incarnation: Incarnation, head: Position) -> bool {
        let is_another = self.incarnation.is_some_and(|before| before != incarnation);
        if is_another {
            *self = Self { from: head, up_to: head, head, ..Self::default() };
        }
        self.incarnation = Some(incarnation);
        is_another
    }

    /// Takes in the page that was read after [`Self::up_to`].
    pub(super) fn extend(&mut self, page: Page) {
        self.events.extend(page.events);
        while self.events.len() > KEPT_EVENTS_MAX
            && let Some(oldest) = self.events.pop_front()
        {
            self.from = oldest.position;
        }
        self.up_to = self.up_to.max(page.up_to);
        self.head = self.head.max(page.head);
    }

    /// At most `limit` events after `after`, which is in the history `incarnation`.
    pub(super) fn continue_after(
        &self,
        (incarnation, after): (Incarnation, Position),
        limit: usize,
    ) -> Continuation {
        if after < self.from || self.incarnation.is_some_and(|of| of != incarnation) {
            return Continuation::Behind;
        }
        if after >= self.up_to {
            return Continuation::AtEnd;
        }
        let first = self.events.partition_point(|event| event.position <= after);
        let events: Vec<_> = self.events.range(first..).take(limit).cloned().collect();
        let is_cut_off = first + events.len() < self.events.len();
        let last = events.last().filter(|_| is_cut_off).map(|event| event.position);
        let up_to = if is_cut_off { last.unwrap_or(after) } else { self.up_to };
        Continuation::Page(Page { events, up_to, head: self.head, incarnation })
    }
}
