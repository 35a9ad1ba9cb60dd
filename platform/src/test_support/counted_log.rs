//! A log whose readings are counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use tokio::sync::watch;
use uuid::Uuid;

use crate::event_log::{
    Append, AppendError, Appended, EventLog, EventLogError, Page, Position, Recorded, StreamId,
};

/// Hands everything on to another log, and counts how often the whole log was read.
pub struct CountedLog {
    log: Arc<dyn EventLog>,
    pages_read: AtomicUsize,
}

impl CountedLog {
    /// Counts the readings of `log` from now on.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self { log, pages_read: AtomicUsize::new(0) }
    }

    /// How often [`EventLog::read_all`] was called.
    #[must_use]
    pub fn pages_read(&self) -> usize {
        self.pages_read.load(Ordering::SeqCst)
    }
}

impl EventLog for CountedLog {
    fn read_stream<'a>(
        &'a self,
        stream: &'a StreamId,
        after_sequence: u64,
    ) -> BoxFuture<'a, Result<Vec<Recorded>, EventLogError>> {
        self.log.read_stream(stream, after_sequence)
    }

    fn read_all(
        &self,
        after: Position,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page, EventLogError>> {
        self.pages_read.fetch_add(1, Ordering::SeqCst);
        self.log.read_all(after, limit)
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, EventLogError>> {
        self.log.head()
    }

    fn read_command(
        &self,
        command_id: Uuid,
    ) -> BoxFuture<'_, Result<Vec<Recorded>, EventLogError>> {
        self.log.read_command(command_id)
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        self.log.append(append)
    }

    fn hints(&self) -> watch::Receiver<u64> {
        self.log.hints()
    }
}
