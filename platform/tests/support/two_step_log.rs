//! An event log that keeps attachments in a step of its own after the append, as every adapter must whose
//! events are not in the database of the attachments. It can die between the two steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::event_log::{
    Append, AppendError, AppendScope, Appended, AttachmentError, EventLog, EventLogError, Recorded,
};
use platform::test_support::{InterceptedLog, Interception};
use tokio::sync::Notify;
use uuid::Uuid;

/// Two steps over another log, which is never given an attachment.
pub(crate) type TwoStepLog = InterceptedLog<TwoSteps>;

/// What the next call does.
#[derive(Default)]
pub(crate) struct TwoSteps {
    dies_next: AtomicBool,
    loses_next: AtomicBool,
    is_away: AtomicBool,
    died: Notify,
}

impl TwoSteps {
    pub(crate) fn over(log: Arc<dyn EventLog>) -> TwoStepLog {
        InterceptedLog::over(log, Self::default())
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

    /// From now on the log cannot say of a command whether it was executed, or can again.
    pub(crate) fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    async fn append_then_keep(
        &self,
        log: &dyn EventLog,
        mut append: Append,
    ) -> Result<Appended, AppendError> {
        let attachment = append.attachment.take();
        let appended = log.append(append).await?;
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

impl Interception for TwoSteps {
    fn read_command<'a>(
        &'a self,
        log: &'a dyn EventLog,
        command_id: Uuid,
    ) -> BoxFuture<'a, Result<Vec<Recorded>, EventLogError>> {
        if self.is_away.load(Ordering::SeqCst) {
            let away = EventLogError::Unavailable("the log is away".into());
            return std::future::ready(Err(away)).boxed();
        }
        log.read_command(command_id)
    }

    fn append<'a>(
        &'a self,
        log: &'a dyn EventLog,
        append: Append,
    ) -> BoxFuture<'a, Result<Appended, AppendError>> {
        self.append_then_keep(log, append).boxed()
    }
}
