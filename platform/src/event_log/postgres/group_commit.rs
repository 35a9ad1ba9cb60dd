//! Group commit: what arrives while a transaction is under way is appended in the next one, together.
//!
//! Invariants: an append is answered only after the commit that holds it. One that cannot be appended with its neighbours
//! does not fail them: each is then appended by itself, a few at a time, and whoever waits for another process does so
//! alone, and not for long: however many wait so, most connections are left to everybody else. Whoever stops waiting
//! stops nobody's append. Who is alone waits for nobody.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::append_statement::{KEY_TAKEN, LockPatience, append_events};
use super::{APPEND_MAX, find_session_incarnation, log_error};
use crate::event_log::{
    AnswerNotKept, Append, AppendError, Appended, EventLogError, first_event_id,
};
use crate::postgres::channel::{HintListener, HintSender};
use crate::postgres::{DatabaseConnection, Pool, is_fatal};

/// The most appends of one transaction.
const GROUP_MAX: usize = 128;
/// How many wait for the next one before whoever comes waits for a place.
const WAITING_MAX: usize = 1_024;

/// Appends by themselves at a time, and those of them that wait: a pool has four connections at least.
const ALONE_MAX: usize = 3;
const PATIENT_MAX: usize = 2;
/// How long one waits for its turn among those that wait.
const PATIENT_TURN_LIMIT: Duration = Duration::from_secs(5);
const CLOSING: &str = "the log is being closed";
/// SQLSTATE of a lock that did not come in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Appends to the table `events` in groups. Clones share one task, which ends with the last of them.
#[derive(Debug, Clone)]
pub(super) struct GroupCommit {
    queue: mpsc::Sender<Queued>,
    _task: Arc<AbortOnDropHandle<()>>,
}

/// What is to be appended, and who waits for it.
#[derive(Debug)]
struct Queued {
    append: Append,
    outcome: oneshot::Sender<Result<Appended, AppendError>>,
}

/// The database, and whom to tell when something may have been appended.
#[derive(Clone)]
struct Target {
    pool: Pool,
    hints: HintListener,
    hint_others: HintSender,
    /// The turns of appends by themselves.
    alone: Arc<Semaphore>,
    /// Of those that wait for another process.
    patient: Arc<Semaphore>,
}

/// What became of each append of a transaction, or why there is none.
type GroupOutcome = Result<Vec<Result<Appended, AppendError>>, GroupError>;

/// Why a transaction appended nothing.
enum GroupError {
    /// The server refused a statement, and did not begin to commit.
    Refused(sqlx::Error),
    /// Another request holds one of the keys.
    KeyTaken,
    /// It cannot be reached; or it went away, and nobody knows whether it has committed.
    Failed(EventLogError),
}

impl GroupCommit {
    /// Appends to the database of `pool`.
    pub(super) fn start(pool: Pool, hints: HintListener, hint_others: HintSender) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        let alone = Arc::new(Semaphore::new(ALONE_MAX));
        let patient = Arc::new(Semaphore::new(PATIENT_MAX));
        let target = Target { pool, hints, hint_others, alone, patient };
        let task = tokio::spawn(append_groups(target, waiting));
        Self { queue, _task: Arc::new(AbortOnDropHandle::new(task)) }
    }

    /// Appends in a transaction with whatever else is waiting.
    pub(super) async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if append.events.len() > APPEND_MAX {
            let message = format!("a command may append at most {APPEND_MAX} events");
            return Err(EventLogError::Failed(message.into()).into());
        }
        let (outcome, told) = oneshot::channel();
        let queued = self.queue.send(Queued { append, outcome }).await;
        queued.map_err(|_| EventLogError::Unavailable(CLOSING.into()))?;
        // Dropped only where making the answer panicked.
        told.await.unwrap_or_else(|_| {
            Err(EventLogError::Failed("the append was not carried through".into()).into())
        })
    }
}

async fn append_groups(target: Target, mut waiting: mpsc::Receiver<Queued>) {
    let mut next = None;
    while let Some(first) = match next.take() {
        Some(first) => Some(first),
        None => waiting.recv().await,
    } {
        let mut events = first.append.events.len();
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(queued) = waiting.try_recv()
        {
            events += queued.append.events.len();
            if events > APPEND_MAX {
                next = Some(queued);
                break;
            }
            group.push(queued);
        }
        append_group(&target, group).await;
    }
}

/// Appends a group, or if that cannot be, each of it by itself.
async fn append_group(target: &Target, group: Vec<Queued>) {
    let (appends, waiting): (Vec<_>, Vec<_>) =
        group.into_iter().map(|queued| (queued.append, queued.outcome)).unzip();
    // Each may be tried again, and none is copied for that.
    let appends: Arc<[Append]> = appends.into();
    let together = {
        let (target, appends) = (target.clone(), Arc::clone(&appends));
        // Answers are made by code of others, which may panic.
        let task = tokio::spawn(async move { target.commit(&appends, LockPatience::Brief).await });
        AbortOnDropHandle::new(task).await
    };
    match together {
        Ok(Ok(outcomes)) => {
            for (outcome, told) in outcomes.into_iter().zip(waiting) {
                // Whoever waited may have left.
                let _ = told.send(outcome);
            }
        }
        Ok(Err(GroupError::Failed(error))) => {
            for told in waiting {
                let _ = told.send(Err(repeat_error(&error).into()));
            }
        }
        Ok(Err(GroupError::Refused(_) | GroupError::KeyTaken)) | Err(_) => {
            for (which, told) in waiting.into_iter().enumerate() {
                let (target, appends) = (target.clone(), Arc::clone(&appends));
                tokio::spawn(async move {
                    let _ = told.send(target.append_alone(&appends[which..=which]).await);
                });
            }
        }
    }
}

impl Target {
    /// Appends the one of a group in a transaction of its own.
    async fn append_alone(&self, one: &[Append]) -> Result<Appended, AppendError> {
        let committed = match self.commit_in_turn(one).await {
            Err(GroupError::Refused(error)) if is_lock_missed(&error) => {
                self.commit_patiently(one).await
            }
            committed => committed,
        };
        let nothing = || EventLogError::Failed("nothing became of the append".into());
        match committed {
            Ok(outcomes) => outcomes.into_iter().next().unwrap_or_else(|| Err(nothing().into())),
            Err(GroupError::Refused(error)) => match one.first() {
                Some(append) => Err(explain_refusal(error, append)),
                None => Err(nothing().into()),
            },
            Err(GroupError::KeyTaken) => {
                Err(AppendError::NotKept { appended: None, source: AnswerNotKept::KeyTaken })
            }
            Err(GroupError::Failed(error)) => Err(error.into()),
        }
    }

    /// Tries without waiting for another process, so that those whom nobody is in the way of have their turn soon.
    async fn commit_in_turn(&self, appends: &[Append]) -> GroupOutcome {
        let _turn = self.alone.acquire().await.map_err(|_| closing())?;
        self.commit(appends, LockPatience::Brief).await
    }

    /// Waits for the other process, if not too many do.
    async fn commit_patiently(&self, appends: &[Append]) -> GroupOutcome {
        let turn = timeout(PATIENT_TURN_LIMIT, self.patient.acquire()).await;
        let _turn = turn.map_err(|_| {
            let message = "too many appends wait for what another process holds";
            GroupError::Failed(EventLogError::Unavailable(message.into()))
        })?;
        self.commit(appends, LockPatience::Long).await
    }

    async fn commit(&self, appends: &[Append], patience: LockPatience) -> GroupOutcome {
        let outcome = commit_group(&self.pool, appends, patience).await;
        // Also after a rollback: the floor it held is gone, and followers may go on.
        self.hints.wake_subscribers();
        self.hint_others.send_hint();
        outcome
    }
}

/// Appends in one transaction, with the answers that go with it. What is in conflict with what others appended is told,
/// and the rest is committed.
async fn commit_group(pool: &Pool, appends: &[Append], patience: LockPatience) -> GroupOutcome {
    let failed = |error| GroupError::Failed(log_error(error));
    let mut connection = pool.acquire().await.map_err(failed)?;
    // First of all: what is appended must not lie before the beginning of its incarnation.
    let incarnation = find_session_incarnation(&mut connection).await;
    let incarnation = incarnation.map_err(GroupError::Failed)?;
    let last_events = append_events(&mut connection, incarnation, appends, patience).await?;
    let mut outcomes = Vec::with_capacity(appends.len());
    for append in appends {
        let position = append.event_ids.last().map(|last| last_events.get(last).copied());
        outcomes.push(if let Some(None) = position {
            Err(explain_conflict(&mut connection, append).await)
        } else {
            let (version, position) = (append.version_after(), position.flatten());
            Ok(Appended { version, position, incarnation })
        });
    }
    Ok(outcomes)
}

/// Why an append was left out.
async fn explain_conflict(connection: &mut DatabaseConnection, append: &Append) -> AppendError {
    let Some(command_id) = append.metadata.command_id else {
        return AppendError::Conflict { stream: append.stream.clone() };
    };
    let sql = "SELECT EXISTS (SELECT FROM events WHERE event_id = $1)";
    let known = sqlx::query_scalar(sql).bind(first_event_id(command_id));
    match known.fetch_one(connection).await {
        Ok(true) => AppendError::DuplicateCommand { command_id },
        Ok(false) => AppendError::Conflict { stream: append.stream.clone() },
        Err(error) => AppendError::Log(log_error(error)),
    }
}

/// What a constraint that refused an append by itself says of it.
fn explain_refusal(error: sqlx::Error, append: &Append) -> AppendError {
    let constraint = error.as_database_error().and_then(|e| e.constraint().map(str::to_owned));
    match (constraint.as_deref(), append.metadata.command_id) {
        (Some("events_pkey"), _) => AppendError::Conflict { stream: append.stream.clone() },
        (Some("events_event_id"), Some(command_id)) => AppendError::DuplicateCommand { command_id },
        _ => AppendError::Log(log_error(error)),
    }
}

fn is_lock_missed(error: &sqlx::Error) -> bool {
    has_code(error, LOCK_NOT_AVAILABLE)
}

fn has_code(error: &sqlx::Error, wanted: &str) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.as_deref() == Some(wanted)
}

fn closing() -> GroupError {
    GroupError::Failed(EventLogError::Unavailable(CLOSING.into()))
}

/// One error of the database, told to everybody whose append it prevented.
fn repeat_error(error: &EventLogError) -> EventLogError {
    match error {
        EventLogError::Unavailable(source) => EventLogError::Unavailable(source.to_string().into()),
        error => EventLogError::Failed(error.to_string().into()),
    }
}

impl From<sqlx::Error> for GroupError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            // Where the session ended with the error, nobody knows.
            sqlx::Error::Database(_) if is_fatal(&error) => Self::Failed(log_error(error)),
            sqlx::Error::Database(_) if has_code(&error, KEY_TAKEN) => Self::KeyTaken,
            sqlx::Error::Database(_) => Self::Refused(error),
            error => Self::Failed(log_error(error)),
        }
    }
}
