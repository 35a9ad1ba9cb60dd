//! An event log that keeps answers in a step of its own after the append, as every adapter must whose
//! events are not in the database of the answers. It can die between the two steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::event_log::{
    AnswerNotKept, Append, AppendError, Appended, EventLog, EventLogError, Recorded, keep_answers,
};
use platform::postgres::Pool;
use platform::test_support::{InterceptedLog, Interception};
use tokio::sync::Notify;
use uuid::Uuid;

/// Two steps over another log, which is never given an answer.
pub(crate) type TwoStepLog = InterceptedLog<TwoSteps>;

/// What the next call does.
pub(crate) struct TwoSteps {
    answers: Pool,
    dies_next: AtomicBool,
    loses_next: AtomicBool,
    is_away: AtomicBool,
    died: Notify,
}

impl TwoSteps {
    /// Over `log`, with answers in the database of `answers`.
    pub(crate) fn over(log: Arc<dyn EventLog>, answers: Pool) -> TwoStepLog {
        let (dies_next, loses_next, is_away) = Default::default();
        InterceptedLog::over(
            log,
            Self { answers, dies_next, loses_next, is_away, died: Notify::new() },
        )
    }

    /// The process of the next append dies after it: its future never ends.
    pub(crate) fn die_after_the_next_append(&self) {
        self.dies_next.store(true, Ordering::SeqCst);
    }

    /// Waits until it has died.
    pub(crate) async fn died(&self) {
        self.died.notified().await;
    }

    /// After the next append the database of the answers is away.
    pub(crate) fn lose_the_next_answer(&self) {
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
        let answer = append.answer.take();
        let appended = log.append(append).await?;
        if self.dies_next.swap(false, Ordering::SeqCst) {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
        let Some(answer) = answer else { return Ok(appended) };
        let kept = if self.loses_next.swap(false, Ordering::SeqCst) {
            let away = EventLogError::Unavailable("the database of the answers is away".into());
            Err(AnswerNotKept::Log(away))
        } else {
            match keep_answers(&self.answers, &[(answer, appended)]).await {
                Ok(1) => Ok(()),
                Ok(_) => Err(AnswerNotKept::KeyTaken),
                Err(error) => Err(EventLogError::Failed(error.into()).into()),
            }
        };
        match kept {
            Ok(()) => Ok(appended),
            Err(source) => Err(AppendError::NotKept { appended: Some(appended), source }),
        }
    }
}

impl Interception for TwoSteps {
    fn keeps_answers_with_events(&self, _: &dyn EventLog) -> bool {
        false
    }

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
