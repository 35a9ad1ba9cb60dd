//! A log over another one, for tests that count its calls or let them fail.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use tokio::sync::watch;
use uuid::Uuid;

use crate::event_log::{
    Append, AppendError, Appended, EventLog, EventLogError, LogPlace, Page, Position, Recorded,
    Snapshots, StoredPage, StreamEvents, StreamId, StreamTurns,
};

/// What is done instead of handing a call on to `log`, the log beneath. What is left out is handed on.
pub trait Interception: Send + Sync + 'static {
    /// Instead of [`EventLog::read_all`].
    fn read_all<'a>(
        &'a self,
        log: &'a dyn EventLog,
        after: Position,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, EventLogError>> {
        log.read_all(after, limit)
    }

    /// Instead of [`EventLog::read_stream`].
    fn read_stream<'a>(
        &'a self,
        log: &'a dyn EventLog,
        stream: &'a StreamId,
        after_sequence: u64,
    ) -> BoxFuture<'a, Result<StreamEvents, EventLogError>> {
        log.read_stream(stream, after_sequence)
    }

    /// Instead of [`EventLog::read_command`].
    fn read_command<'a>(
        &'a self,
        log: &'a dyn EventLog,
        command_id: Uuid,
    ) -> BoxFuture<'a, Result<Vec<Recorded>, EventLogError>> {
        log.read_command(command_id)
    }

    /// Instead of [`EventLog::append`].
    fn append<'a>(
        &'a self,
        log: &'a dyn EventLog,
        append: Append,
    ) -> BoxFuture<'a, Result<Appended, AppendError>> {
        log.append(append)
    }

    /// Instead of [`EventLog::keeps_answers_with_events`].
    fn keeps_answers_with_events(&self, log: &dyn EventLog) -> bool {
        log.keeps_answers_with_events()
    }
}

/// Hands everything on to another log but for what `I` does instead. Its methods are those of `I`.
pub struct InterceptedLog<I> {
    log: Arc<dyn EventLog>,
    interception: I,
}

impl<I> InterceptedLog<I> {
    /// Puts `interception` before `log`.
    #[must_use]
    pub fn over(log: Arc<dyn EventLog>, interception: I) -> Self {
        Self { log, interception }
    }
}

impl<I> Deref for InterceptedLog<I> {
    type Target = I;

    fn deref(&self) -> &I {
        &self.interception
    }
}

impl<I: Interception> EventLog for InterceptedLog<I> {
    fn read_stream<'a>(
        &'a self,
        stream: &'a StreamId,
        after_sequence: u64,
    ) -> BoxFuture<'a, Result<StreamEvents, EventLogError>> {
        self.interception.read_stream(&*self.log, stream, after_sequence)
    }

    fn read_stream_end<'a>(
        &'a self,
        stream: &'a StreamId,
        limit: usize,
    ) -> BoxFuture<'a, Result<StreamEvents, EventLogError>> {
        self.log.read_stream_end(stream, limit)
    }

    fn read_all(
        &self,
        after: Position,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page, EventLogError>> {
        self.interception.read_all(&*self.log, after, limit)
    }

    fn read_stored(
        &self,
        after: Position,
        up_to: Position,
        limit: usize,
    ) -> BoxFuture<'_, Result<StoredPage, EventLogError>> {
        self.log.read_stored(after, up_to, limit)
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, EventLogError>> {
        self.log.head()
    }

    fn end(&self) -> BoxFuture<'_, Result<LogPlace, EventLogError>> {
        self.log.end()
    }

    fn check_place(&self, place: LogPlace) -> BoxFuture<'_, Result<(), EventLogError>> {
        self.log.check_place(place)
    }

    fn read_command(
        &self,
        command_id: Uuid,
    ) -> BoxFuture<'_, Result<Vec<Recorded>, EventLogError>> {
        self.interception.read_command(&*self.log, command_id)
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        self.interception.append(&*self.log, append)
    }

    fn keeps_answers_with_events(&self) -> bool {
        self.interception.keeps_answers_with_events(&*self.log)
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
        self.log.snapshots()
    }
}

/// A log whose readings are counted.
pub type CountedLog = InterceptedLog<PageCounter>;

/// Counts how often the whole log was read.
#[derive(Default)]
pub struct PageCounter(AtomicUsize);

impl PageCounter {
    /// How often [`EventLog::read_all`] was called.
    #[must_use]
    pub fn pages_read(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl CountedLog {
    /// Counts the readings of `log` from now on.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self::over(log, PageCounter::default())
    }
}

impl Interception for PageCounter {
    fn read_all<'a>(
        &'a self,
        log: &'a dyn EventLog,
        after: Position,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, EventLogError>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        log.read_all(after, limit)
    }
}
