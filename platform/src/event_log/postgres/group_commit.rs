//! Group commit: what arrives while a transaction is under way is appended in the next one, together.
//!
//! Invariants: an append is answered only after the commit that holds it. One that cannot be appended with its neighbours
//! does not fail them: each is then appended by itself, a few at a time, and whoever waits for another process does so
//! alone, and not for long: however many wait so, most connections are left to everybody else. Whoever stops waiting
//! stops nobody's append. Who is alone waits for nobody.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::types::Json;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{APPEND_MAX, find_session_incarnation, log_error};
use crate::event_log::{
    AnswerNotKept, Append, AppendError, Appended, EventLogError, EventMetadata, Incarnation,
    NewEvent, Position, StreamId, keep_answers,
};
use crate::postgres::channel::{HintListener, HintSender};
use crate::postgres::{DatabaseConnection, Pool};

/// The most appends of one transaction.
const GROUP_MAX: usize = 128;
/// How many wait for the next one before whoever comes waits for a place.
const WAITING_MAX: usize = 1_024;

/// Begins a transaction that appends, and takes the floor of its positions. It waits for no other process for long:
/// those who append with it, and after it, would wait, too. Its statements look everything up by keys, however many
/// they are given: planning them anew each time would take longer than what they do, and the server would read the
/// table whole for a large group.
const BEGIN_BRIEFLY: &str = concat!(
    "BEGIN; SET LOCAL lock_timeout = '30ms'; SET LOCAL plan_cache_mode = force_generic_plan; ",
    "SET LOCAL enable_seqscan = off; SELECT hold_event_position_floor()"
);
/// The same for an append by itself that another process is in the way of: should that one stand still, whoever sent
/// this is told to come again.
const BEGIN_PATIENTLY: &str = concat!(
    "BEGIN; SET LOCAL lock_timeout = '2s'; SET LOCAL plan_cache_mode = force_generic_plan; ",
    "SET LOCAL enable_seqscan = off; SELECT hold_event_position_floor()"
);
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
        let task = tokio::spawn(async move { target.commit(&appends, BEGIN_BRIEFLY).await });
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
        self.commit(appends, BEGIN_BRIEFLY).await
    }

    /// Waits for the other process, if not too many do.
    async fn commit_patiently(&self, appends: &[Append]) -> GroupOutcome {
        let turn = timeout(PATIENT_TURN_LIMIT, self.patient.acquire()).await;
        let _turn = turn.map_err(|_| {
            let message = "too many appends wait for what another process holds";
            GroupError::Failed(EventLogError::Unavailable(message.into()))
        })?;
        self.commit(appends, BEGIN_PATIENTLY).await
    }

    async fn commit(&self, appends: &[Append], begin: &'static str) -> GroupOutcome {
        let outcome = commit_group(&self.pool, appends, begin).await;
        // Also after a rollback: the floor it held is gone, and followers may go on.
        self.hints.wake_subscribers();
        self.hint_others.send_hint();
        outcome
    }
}

/// Appends in one transaction, with the answers that go with it. What is in conflict with what others appended is told,
/// and the rest is committed.
async fn commit_group(pool: &Pool, appends: &[Append], begin: &'static str) -> GroupOutcome {
    let failed = |error| GroupError::Failed(log_error(error));
    let mut connection = pool.acquire().await.map_err(failed)?;
    // First of all: what is appended must not lie before the beginning of its incarnation.
    let incarnation = find_session_incarnation(&mut connection).await;
    let incarnation = incarnation.map_err(GroupError::Failed)?;
    let mut transaction = connection.into_transaction_by(begin).await.map_err(failed)?;
    match append_and_keep(&mut transaction, incarnation, appends).await {
        Ok(outcomes) => {
            transaction.commit().await.map_err(failed)?;
            Ok(outcomes)
        }
        Err(error) => {
            if let Err(error) = transaction.rollback().await {
                tracing::debug!(%error, "nothing to roll back any more");
            }
            Err(error)
        }
    }
}

async fn append_and_keep(
    transaction: &mut DatabaseConnection,
    incarnation: Incarnation,
    appends: &[Append],
) -> GroupOutcome {
    let last_events = insert_events(transaction, appends).await.map_err(GroupError::from)?;
    let mut outcomes = Vec::with_capacity(appends.len());
    let mut answers = Vec::with_capacity(appends.len());
    for append in appends {
        let position = append.event_ids.last().map(|last| last_events.get(last).copied());
        if let Some(None) = position {
            outcomes.push(Err(explain_conflict(transaction, append).await?));
            continue;
        }
        let version = append.expected_version + append.events.len() as u64;
        let appended = Appended { version, position: position.flatten(), incarnation };
        answers.extend(append.answer.clone().map(|answer| (answer, appended)));
        outcomes.push(Ok(appended));
    }
    if !answers.is_empty() {
        let kept = keep_answers(&mut *transaction, &answers).await.map_err(GroupError::from)?;
        if kept < answers.len() as u64 {
            return Err(GroupError::KeyTaken);
        }
    }
    Ok(outcomes)
}

/// Inserts the events of those whose stream has exactly the expected version, and whose command is not in the log.
/// Returns where each event is. In the order of the streams, so that no two who do so wait for each other in a circle;
/// the floor of the positions is held already.
async fn insert_events(
    connection: &mut DatabaseConnection,
    appends: &[Append],
) -> Result<HashMap<Uuid, Position>, sqlx::Error> {
    let rows: Vec<NewRow<'_>> = appends.iter().flat_map(rows_of).collect();
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    fn column<'a, T>(rows: &'a [NewRow<'_>], value: impl Fn(&'a NewRow<'_>) -> T) -> Vec<T> {
        rows.iter().map(value).collect()
    }
    let inserted: Vec<(Uuid, i64)> = sqlx::query_as(
        "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version,
                             payload, metadata, event_id, command_id, position)
         SELECT fitting.*, nextval('event_position_seq')
         FROM (SELECT aggregate_type, aggregate_id, expected + number, event_type, event_version,
                      payload, metadata, event_id, command_id
               FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[],
                           $7::jsonb[], $8::jsonb[], $9::uuid[], $10::uuid[])
                    AS given (aggregate_type, aggregate_id, expected, number, event_type, event_version,
                              payload, metadata, event_id, command_id)
               WHERE expected = (SELECT coalesce(max(e.sequence), 0) FROM events AS e
                                 WHERE e.aggregate_type = given.aggregate_type
                                   AND e.aggregate_id = given.aggregate_id)
                 AND NOT EXISTS (SELECT FROM events AS e WHERE e.command_id = given.command_id)
               ORDER BY aggregate_type, aggregate_id, number) AS fitting
         RETURNING event_id, position",
    )
    .bind(column(&rows, |row| &*row.stream.aggregate_type))
    .bind(column(&rows, |row| &*row.stream.aggregate_id))
    .bind(column(&rows, |row| row.expected))
    .bind(column(&rows, |row| row.number))
    .bind(column(&rows, |row| &*row.event.event_type))
    .bind(column(&rows, |row| &*row.event.event_version))
    .bind(column(&rows, |row| Json(&row.event.payload)))
    .bind(column(&rows, |row| Json(row.metadata.to_map())))
    .bind(column(&rows, |row| row.event_id))
    .bind(column(&rows, |row| row.metadata.command_id))
    .fetch_all(connection)
    .await?;
    Ok(inserted.into_iter().map(|(event_id, at)| (event_id, Position(at))).collect())
}

/// An event as it is inserted.
struct NewRow<'a> {
    stream: &'a StreamId,
    /// How many events the stream has.
    expected: i64,
    /// From 1 in its append.
    number: i64,
    event: &'a NewEvent,
    event_id: Uuid,
    metadata: EventMetadata,
}

fn rows_of(append: &Append) -> impl Iterator<Item = NewRow<'_>> {
    let expected = i64::try_from(append.expected_version).unwrap_or(i64::MAX);
    let each = append.events.iter().zip(&append.event_ids).zip(append.circumstances());
    (1..).zip(each).map(move |(number, ((event, &event_id), metadata))| NewRow {
        stream: &append.stream,
        expected,
        number,
        event,
        event_id,
        metadata,
    })
}

/// Why an append was left out.
async fn explain_conflict(
    connection: &mut DatabaseConnection,
    append: &Append,
) -> Result<AppendError, GroupError> {
    let Some(command_id) = append.metadata.command_id else {
        return Ok(AppendError::Conflict { stream: append.stream.clone() });
    };
    let sql = "SELECT EXISTS (SELECT FROM events WHERE command_id = $1)";
    let known: bool = sqlx::query_scalar(sql).bind(command_id).fetch_one(connection).await?;
    Ok(if known {
        AppendError::DuplicateCommand { command_id }
    } else {
        AppendError::Conflict { stream: append.stream.clone() }
    })
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
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.as_deref() == Some(LOCK_NOT_AVAILABLE)
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
            sqlx::Error::Database(_) => Self::Refused(error),
            error => Self::Failed(log_error(error)),
        }
    }
}
