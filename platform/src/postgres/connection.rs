//! One connection on which every statement has a deadline, and what becomes of it when that passes.
//!
//! Invariant: whoever waits for an answer waits for the limit of a statement at most, whatever the network
//! or the server does; a connection that owes an answer is never used again. Absent: TCP. A socket whose
//! other end fell silent looks well for a quarter of an hour, and a proxy between may answer for a server
//! that does not; the only proof of a live database is an answer from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{fmt, io};

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt as _, StreamExt as _, TryFutureExt as _, TryStreamExt as _};
use sqlx::postgres::{
    PgConnectOptions, PgConnection, PgQueryResult, PgRow, PgStatement, PgTransactionManager,
    PgTypeInfo,
};
use sqlx::{
    Connection as _, Describe, Either, Execute, Executor, Postgres, TransactionManager as _,
};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::room::DiskRoom;
use super::transient::{READ_ONLY, is_fatal};

/// How long a server that is well may take to answer nothing at all.
const PING_LIMIT: Duration = Duration::from_secs(2);

/// A connection to the database. `&mut` of it executes statements, each within its limit.
#[derive(Debug)]
pub struct DatabaseConnection {
    /// None once it is closed.
    raw: Option<PgConnection>,
    /// How long a statement may go unanswered.
    limit: Duration,
    /// What tells of a long statement whether it may still be answered.
    watch: Option<Arc<dyn SessionWatch>>,
    standing: Standing,
    answered_at: Instant,
    doubt: Doubt,
    /// Told when the database has none left.
    disk_room: DiskRoom,
    /// Counts on with every statement, each of which is a round trip.
    statements: Arc<AtomicU64>,
    /// The history of the database that its session is in, once somebody has found it out.
    history: Option<Uuid>,
}

/// Tells of a session whether it is lost.
pub(super) trait SessionWatch: fmt::Debug + Send + Sync {
    /// Waits until it is, and says why.
    fn wait_until_lost(&self) -> BoxFuture<'_, sqlx::Error>;
}

/// What is known of a connection between two statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Everything was answered.
    Settled,
    /// The next statement first rolls a transaction back.
    RollbackQueued,
    /// The answer to a statement was not waited for.
    Unanswered,
}

impl DatabaseConnection {
    /// Connects. Takes as long as the network makes it take: the caller has the limit.
    pub(super) async fn open(
        options: &PgConnectOptions,
        limit: Duration,
        (doubt, disk_room, statements): (Doubt, DiskRoom, Arc<AtomicU64>),
    ) -> Result<Self, sqlx::Error> {
        let raw = Some(PgConnection::connect_with(options).await?);
        let (standing, answered_at) = (Standing::Settled, Instant::now());
        let watch = None;
        let history = None;
        Ok(Self { raw, limit, watch, standing, answered_at, doubt, disk_room, statements, history })
    }

    /// What [`Self::note_history`] noted: which history of the database this session is in.
    pub(crate) const fn noted_history(&self) -> Option<Uuid> {
        self.history
    }

    /// Notes what does not change for as long as the session lasts.
    pub(crate) const fn note_history(&mut self, history: Uuid) {
        self.history = Some(history);
    }

    /// Lets statements take as long as one may where none is ended by the server, unless `watch` finds the
    /// session lost.
    pub(super) fn lift_limit(&mut self, watch: Arc<dyn SessionWatch>) {
        self.watch = Some(watch);
        self.limit = super::UNLIMITED_STATEMENT;
    }

    /// Asks for an answer to nothing.
    ///
    /// # Errors
    /// When none comes.
    pub async fn ping(&mut self) -> Result<(), sqlx::Error> {
        let patience = self.patience();
        let pinged = patience.answer_to(self.start_statement()?.ping()).await;
        self.end_statement(pinged)
    }

    /// The same, for whoever can do without this connection: a server that is well answers at once.
    pub(super) async fn ping_at_once(&mut self) -> Result<(), sqlx::Error> {
        let patience = StatementPatience { limit: PING_LIMIT, watch: None };
        let pinged = patience.answer_to(self.start_statement()?.ping()).await;
        self.end_statement(pinged)
    }

    /// Ends the session in good order.
    ///
    /// # Errors
    /// When the server cannot be told; the connection is closed all the same.
    pub async fn close(mut self) -> Result<(), sqlx::Error> {
        let Some(raw) = self.raw.take() else { return Ok(()) };
        timeout(PING_LIMIT, raw.close()).await.unwrap_or_else(|_| Err(silence(PING_LIMIT)))
    }

    /// Whether nothing is owed on it.
    pub(super) fn is_settled(&self) -> bool {
        self.raw.is_some() && self.standing == Standing::Settled
    }

    /// Whether another connection of its time turned out to be dead.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.doubt.is_raised()
    }

    /// How long ago the database answered on it.
    pub(super) fn silent_for(&self) -> Duration {
        self.answered_at.elapsed()
    }

    /// Everything of it, for another to hold; it is closed for whoever still has this one.
    pub(super) fn take(&mut self) -> Self {
        let (doubt, disk_room) = (self.doubt.clone(), self.disk_room.clone());
        let (raw, watch) = (self.raw.take(), self.watch.take());
        let statements = Arc::clone(&self.statements);
        Self { raw, doubt, disk_room, watch, statements, ..*self }
    }

    /// Closes the socket, and with it the session as soon as the server notices.
    pub(super) fn shut(&mut self) {
        self.raw = None;
    }

    /// Lets the next statement first roll back what was begun last.
    pub(super) fn queue_rollback(&mut self) {
        if let Some(raw) = self.raw.as_mut().filter(|_| self.standing != Standing::Unanswered) {
            PgTransactionManager::start_rollback(raw);
            self.standing = Standing::RollbackQueued;
        }
    }

    /// How long the next statement's answer is waited for.
    pub(super) fn patience(&self) -> StatementPatience {
        StatementPatience { limit: self.limit, watch: self.watch.clone() }
    }

    /// Ends what [`Self::lift_limit`] has begun.
    pub(super) fn restore_limit(&mut self, limit: Duration) {
        self.limit = limit;
        self.watch = None;
    }

    /// The connection for one statement, whose outcome goes to [`Self::end_statement`]. A statement that
    /// does not get there, because its future was dropped, leaves the connection unusable.
    pub(super) fn start_statement(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        match &mut self.raw {
            Some(raw) if self.standing != Standing::Unanswered => {
                self.standing = Standing::Unanswered;
                self.statements.fetch_add(1, Ordering::Relaxed);
                Ok(raw)
            }
            _ => Err(io::Error::from(io::ErrorKind::NotConnected).into()),
        }
    }

    /// Draws the conclusion from a statement's outcome.
    pub(super) fn end_statement<T>(
        &mut self,
        outcome: Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        if let Err(error) = &outcome {
            self.disk_room.note(error);
        }
        match outcome.as_ref().map_or_else(Consequence::from_error, |_| Consequence::Well) {
            Consequence::Well => {
                self.standing = Standing::Settled;
                self.answered_at = Instant::now();
            }
            Consequence::Lost => self.shut(),
            Consequence::AllInDoubt => {
                self.shut();
                self.doubt.raise();
            }
        }
        outcome
    }

    /// Everything that a statement brings.
    pub(super) async fn fetch_steps<'q, E>(
        &mut self,
        query: E,
    ) -> Result<StatementSteps, sqlx::Error>
    where
        E: Execute<'q, Postgres> + 'q,
    {
        let patience = self.patience();
        let steps = self.start_statement()?.fetch_many(query).try_collect();
        let steps = patience.answer_to(steps).await;
        self.end_statement(steps)
    }

    /// The first row that a statement brings.
    pub(super) async fn fetch_row<'q, E>(&mut self, query: E) -> Result<Option<PgRow>, sqlx::Error>
    where
        E: Execute<'q, Postgres> + 'q,
    {
        let patience = self.patience();
        let row = patience.answer_to(self.start_statement()?.fetch_optional(query)).await;
        self.end_statement(row)
    }
}

/// How long an answer is waited for.
pub(super) struct StatementPatience {
    limit: Duration,
    watch: Option<Arc<dyn SessionWatch>>,
}

impl StatementPatience {
    /// The answer to a statement, unless it does not come within its limit or cannot come any more.
    pub(super) async fn answer_to<T>(
        self,
        statement: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        let answered = timeout(self.limit, statement);
        let answered = match &self.watch {
            None => answered.await,
            Some(watch) => tokio::select! {
                answered = answered => answered,
                lost = watch.wait_until_lost() => return Err(lost),
            },
        };
        answered.unwrap_or_else(|_| Err(silence(self.limit)))
    }
}

/// What a statement brings: how many rows were changed, and the rows.
type StatementSteps = Vec<StatementStep>;
pub(super) type StatementStep = Either<PgQueryResult, PgRow>;

/// An answer is read as a whole before it is handed on: a deadline for each row would let a statement take
/// for ever, and nobody here reads more rows than are held at once anyway.
pub(super) fn stream_steps<'e>(
    steps: impl Future<Output = Result<StatementSteps, sqlx::Error>> + Send + 'e,
) -> BoxStream<'e, Result<StatementStep, sqlx::Error>> {
    steps.map_ok(|steps| stream::iter(steps.into_iter().map(Ok))).try_flatten_stream().boxed()
}

/// What follows from a statement's outcome for the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Consequence {
    /// It answered.
    Well,
    /// It cannot be used any more.
    Lost,
    /// Nor, as like as not, can those beside it: they lead to the same server.
    AllInDoubt,
}

impl Consequence {
    fn from_error(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(database) => {
                let demoted = database.code().is_some_and(|code| code == READ_ONLY);
                if is_fatal(error) || demoted { Self::AllInDoubt } else { Self::Well }
            }
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) => Self::AllInDoubt,
            sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => Self::Lost,
            _ => Self::Well,
        }
    }
}

/// The error of a statement that was not answered within its limit.
pub(super) fn silence(limit: Duration) -> sqlx::Error {
    let message = format!("the database did not answer within {} s", limit.as_secs_f32());
    io::Error::new(io::ErrorKind::TimedOut, message).into()
}

/// Whether the connections of one time are believed. One of them that is dead puts all of them in doubt:
/// they are closed as they come back, instead of each being waited for.
#[derive(Debug, Clone)]
pub(super) struct Doubt {
    /// How often connections came into doubt.
    times: Arc<AtomicU64>,
    /// How often that had happened when this one was opened.
    at_opening: u64,
}

impl Doubt {
    pub(super) fn new() -> Self {
        Self { times: Arc::default(), at_opening: 0 }
    }

    /// The doubt of a connection that is opened now.
    pub(super) fn renewed(&self) -> Self {
        Self { times: Arc::clone(&self.times), at_opening: self.times.load(Ordering::Relaxed) }
    }

    /// A connection that was in doubt already says nothing about those that were opened since.
    fn raise(&self) {
        let next = self.at_opening + 1;
        let order = Ordering::Relaxed;
        if self.times.compare_exchange(self.at_opening, next, order, order).is_ok() {
            tracing::warn!("a connection to the database was lost; those beside it are closed");
        }
    }

    fn is_raised(&self) -> bool {
        self.times.load(Ordering::Relaxed) != self.at_opening
    }
}

impl<'c> Executor<'c> for &'c mut DatabaseConnection {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<StatementStep, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        stream_steps(self.fetch_steps(query))
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.fetch_row(query).boxed()
    }

    fn prepare_with<'e, 'q: 'e>(
        self,
        sql: &'q str,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement<'q>, sqlx::Error>>
    where
        'c: 'e,
    {
        async move {
            let limit = self.limit;
            let prepared = self.start_statement()?.prepare_with(sql, parameters);
            let prepared = timeout(limit, prepared).await;
            self.end_statement(prepared.unwrap_or_else(|_| Err(silence(limit))))
        }
        .boxed()
    }

    fn describe<'e, 'q: 'e>(
        self,
        sql: &'q str,
    ) -> BoxFuture<'e, Result<Describe<Postgres>, sqlx::Error>>
    where
        'c: 'e,
    {
        async move {
            let limit = self.limit;
            let described = timeout(limit, self.start_statement()?.describe(sql)).await;
            self.end_statement(described.unwrap_or_else(|_| Err(silence(limit))))
        }
        .boxed()
    }
}
