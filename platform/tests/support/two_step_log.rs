//! An event log that keeps attachments in a step of its own after the append, as every adapter must whose
//! events are not in the database of the attachments. It can die between the two steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::event_log::{
    Append, AppendError, AppendScope, Appended, AttachmentError, EventLog, EventLogError, Page,
    Position, Recorded, StreamId,
};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

/// Two steps over another log, which is never given an attachment.
pub(crate) struct TwoStepLog {
    log: Arc<dyn EventLog>,
    dies_next: AtomicBool,
    loses_next: AtomicBool,
    died: Notify,
}

impl TwoStepLog {
    pub(crate) fn new(log: Arc<dyn EventLog>) -> Self {
        let (dies_next, loses_next) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { log, dies_next, loses_next, died: Notify::new() }
    }

    /// The process of the next append dies after it: its future never ends.
    pub(crate) fn die_after_the_next_append(&self) {
        self.dies_next.store(true, Ordering::SeqCst);
    }

    /// Waits until it has died.
    pub(crate) async fn died(&self) {
        self.died.notified().await;
    }

    /// After the next append the database of the attachments is away.
    pub(crate) fn lose_the_next_attachment(&self) {
        self.loses_next.store(true, Ordering::SeqCst);
    }

    async fn append_then_keep(&self, mut append: Append) -> Result<Appended, AppendError> {
        let attachment = append.attachment.take();
        let appended = self.log.append(append).await?;
        if self.dies_next.swap(false, Ordering::SeqCst) {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
        let Some(attachment) = attachment else { return Ok(appended) };
        let kept = if self.loses_next.swap(false, Ordering::SeqCst) {
            let away = EventLogError::Unavailable("the database of the attachments is away".into());
            Err(AttachmentError::Log(away))
        } else {
            attachment.keep(&appended, AppendScope::Appended).await
        };
        match kept {
            Ok(()) => Ok(appended),
            Err(source) => Err(AppendError::NotKept { appended: Some(appended), source }),
        }
    }
}

impl EventLog for TwoStepLog {
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
        self.append_then_keep(append).boxed()
    }

    fn hints(&self) -> watch::Receiver<u64> {
        self.log.hints()
    }
}
