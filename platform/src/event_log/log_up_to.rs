//! A log as it was when it ended at a position: for whoever shows what was, by the code that shows what is.
//!
//! Invariants: nothing after the position is ever seen, however it is asked for; nothing can be appended.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    Append, AppendError, Appended, EventLog, EventLogError, LogPlace, Page, Position, Recorded,
    Snapshots, StoredPage, StreamEvents, StreamId, StreamTurns,
};

/// A log of which nothing is seen after a position.
pub struct LogUpTo {
    log: Arc<dyn EventLog>,
    end: LogPlace,
    /// Snapshots of the whole log would show what came later.
    snapshots: Snapshots,
}

impl LogUpTo {
    /// `log` up to `end` and no event further.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>, end: LogPlace) -> Self {
        Self { log, end, snapshots: Snapshots::default() }
    }

    fn is_seen(&self, event: &Recorded) -> bool {
        event.position <= self.end.position
    }
}

impl EventLog for LogUpTo {
    fn read_stream<'a>(
        &'a self,
        stream: &'a StreamId,
        after_sequence: u64,
    ) -> BoxFuture<'a, Result<StreamEvents, EventLogError>> {
        async move {
            let mut read = self.log.read_stream(stream, after_sequence).await?;
            read.events.retain(|event| self.is_seen(event));
            Ok(read)
        }
        .boxed()
    }

    fn read_stream_end<'a>(
        &'a self,
        stream: &'a StreamId,
        limit: usize,
    ) -> BoxFuture<'a, Result<StreamEvents, EventLogError>> {
        async move {
            let mut read = self.read_stream(stream, 0).await?;
            read.events.reverse();
            read.events.truncate(limit);
            Ok(read)
        }
        .boxed()
    }

    fn read_all(
        &self,
        after: Position,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page, EventLogError>> {
        async move {
            let incarnation = self.end.incarnation;
            if after >= self.end.position {
                let (events, head) = (Vec::new(), self.end.position);
                return Ok(Page { events, up_to: after, head, incarnation });
            }
            let mut page = self.log.read_all(after, limit).await?;
            if page.incarnation != incarnation {
                return Err(EventLogError::Reissued { after: Position(0) });
            }
            page.events.retain(|event| self.is_seen(event));
            page.up_to = page.up_to.min(self.end.position);
            page.head = page.head.min(self.end.position);
            Ok(page)
        }
        .boxed()
    }

    fn read_stored(
        &self,
        after: Position,
        up_to: Position,
        limit: usize,
    ) -> BoxFuture<'_, Result<StoredPage, EventLogError>> {
        let up_to = up_to.min(self.end.position);
        async move {
            let page = self.log.read_stored(after, up_to, limit).await?;
            if page.incarnation == self.end.incarnation {
                return Ok(page);
            }
            Err(EventLogError::Reissued { after: Position(0) })
        }
        .boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, EventLogError>> {
        async { Ok(self.end.position) }.boxed()
    }

    fn end(&self) -> BoxFuture<'_, Result<LogPlace, EventLogError>> {
        async { Ok(self.end) }.boxed()
    }

    fn check_place(&self, place: LogPlace) -> BoxFuture<'_, Result<(), EventLogError>> {
        self.log.check_place(place)
    }

    fn read_command(
        &self,
        command_id: Uuid,
    ) -> BoxFuture<'_, Result<Vec<Recorded>, EventLogError>> {
        async move {
            let mut events = self.log.read_command(command_id).await?;
            events.retain(|event| self.is_seen(event));
            Ok(events)
        }
        .boxed()
    }

    fn append(&self, _: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        let refusal = EventLogError::Failed("the log as it was is only read".into());
        async { Err(refusal.into()) }.boxed()
    }

    fn keeps_answers_with_events(&self) -> bool {
        self.log.keeps_answers_with_events()
    }

    fn positions_per_event(&self) -> i64 {
        self.log.positions_per_event()
    }

    fn reads_on_from_any_position(&self) -> bool {
        self.log.reads_on_from_any_position()
    }

    fn hints(&self) -> watch::Receiver<u64> {
        self.log.hints()
    }

    fn turns(&self) -> &StreamTurns {
        self.log.turns()
    }

    fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }
}
