//! The event log on PostgreSQL.
//!
//! Invariant: an appender holds a shared advisory lock that encodes a floor below every position it
//! draws, from before it draws until it ends. The watermark, the lowest floor held or else the highest
//! position, is computed first; rows up to it are read in a later snapshot. Holes that a rollback
//! leaves are normal; a floor that stays is an open transaction, never skipped by a timeout.

mod append_statement;
mod event_row;
mod group_commit;
mod hold_up;
mod incarnations;
mod stored_page;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::metrics::{CountedEvents, EventLogMetrics};
use super::{
    Append, AppendError, Appended, EventLog, EventLogError, LogPlace, Page, Position, Recorded,
    Snapshots, StoredPage, StreamEvents, StreamId, StreamTurns, first_event_id,
};
use crate::postgres::channel::{HintListener, HintSender};
use crate::postgres::{DatabaseConnection, Pool, may_pass};
use event_row::{COLUMNS, EventRow};
use group_commit::GroupCommit;
pub use hold_up::HoldUp;
pub use incarnations::find_session_incarnation;
pub(super) use incarnations::{belongs_to_external_log, find_kept_up_to};

/// The channel of the hints that something may have been appended.
const APPENDED_CHANNEL: &str = "chipq_events";

/// The most events one command may append.
pub const APPEND_MAX: usize = 1_000;

/// The lowest floor that an appender of this database holds, or the highest position when none does.
/// The locks live in shared memory of the primary: on a standby this would be wrong, so it is refused.
const WATERMARK: &str = "
    SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE least(
        (SELECT min((h.objid::bigint << 31) + l.objid::bigint)
         FROM pg_locks h JOIN pg_locks l USING (virtualtransaction, database)
         WHERE h.locktype = 'advisory' AND h.classid = 771 AND h.objsubid = 2
           AND l.locktype = 'advisory' AND l.classid = 772 AND l.objsubid = 2
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())),
        (SELECT coalesce(max(position), 0) FROM events)) END";

/// The events of a command (`$1`), which follow one another in one stream: found by the id of the first (`$2`),
/// and no more than `$3`.
const OF_COMMAND: &str = "
    JOIN (SELECT aggregate_type, aggregate_id, sequence AS first
          FROM events WHERE event_id = $2) AS found USING (aggregate_type, aggregate_id)
    WHERE sequence >= first AND sequence < first + $3 AND command_id = $1
    ORDER BY sequence";

/// The event log in the table `events`.
#[derive(Clone)]
pub struct PostgresEventLog {
    pool: Pool,
    hints: HintListener,
    group_commit: GroupCommit,
    turns: StreamTurns,
    metrics: EventLogMetrics,
    snapshots: Snapshots,
    _watch: Arc<AbortOnDropHandle<()>>,
}

impl PostgresEventLog {
    /// The log in the database of `pool`, which must be migrated and a primary. Starts four
    /// background tasks, which end with the last clone: one appends, one sends hints, one listens for those of
    /// others, one warns of transactions that hold the log up.
    #[must_use]
    pub fn new(pool: Pool) -> Self {
        let watch = AbortOnDropHandle::new(tokio::spawn(hold_up::watch(pool.clone())));
        let hint_others = HintSender::start(pool.clone(), APPENDED_CHANNEL);
        let hints = HintListener::start_beside(pool.clone(), APPENDED_CHANNEL, &hint_others);
        Self {
            group_commit: GroupCommit::start(pool.clone(), hints.clone(), hint_others),
            hints,
            turns: StreamTurns::default(),
            metrics: EventLogMetrics::for_process(),
            snapshots: Snapshots::default(),
            pool,
            _watch: Arc::new(watch),
        }
    }

    /// The oldest transaction that has held the log up for longer than `patience`, if any.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn hold_up(&self, patience: Duration) -> Result<Option<HoldUp>, EventLogError> {
        hold_up::find_oldest(&self.pool, patience).await.map_err(log_error)
    }

    async fn read_head(&self) -> Result<Position, EventLogError> {
        let mut connection = self.pool.acquire().await.map_err(log_error)?;
        read_watermark(&mut connection).await
    }

    async fn read_page(&self, after: Position, limit: usize) -> Result<Page, EventLogError> {
        let mut connection = self.pool.acquire().await.map_err(log_error)?;
        let incarnation = find_session_incarnation(&mut connection).await?;
        let head = read_watermark(&mut connection).await?;
        if head <= after {
            return Ok(Page { events: Vec::new(), up_to: after, head, incarnation });
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM events WHERE position > $1 AND position <= $2
             ORDER BY position LIMIT $3"
        );
        let rows: Vec<EventRow> = sqlx::query_as(&sql)
            .bind(after.0)
            .bind(head.0)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&mut *connection)
            .await
            .map_err(log_error)?;
        let full = rows.len() == limit;
        let up_to = rows.last().filter(|_| full).map_or(head, |row| Position(row.position));
        let events = rows.into_iter().map(|row| Arc::new(Recorded::from(row))).collect();
        Ok(Page { events, up_to, head, incarnation })
    }

    /// The events of a stream that `which` says, with `$3` as its number.
    async fn read_events_of(
        &self,
        stream: &StreamId,
        which: &str,
        number: i64,
    ) -> Result<StreamEvents, EventLogError> {
        let mut connection = self.pool.acquire().await.map_err(log_error)?;
        let incarnation = find_session_incarnation(&mut connection).await?;
        let sql = format!(
            "SELECT {COLUMNS} FROM events
             WHERE aggregate_type = $1 AND aggregate_id = $2 AND {which}"
        );
        let rows: Vec<EventRow> = sqlx::query_as(&sql)
            .bind(&stream.aggregate_type)
            .bind(&stream.aggregate_id)
            .bind(number)
            .fetch_all(&mut *connection)
            .await
            .map_err(log_error)?;
        let events = rows.into_iter().map(Recorded::from).collect();
        Ok(StreamEvents { events, incarnation })
    }
}

async fn read_watermark(connection: &mut DatabaseConnection) -> Result<Position, EventLogError> {
    let watermark: Option<i64> =
        sqlx::query_scalar(WATERMARK).fetch_one(connection).await.map_err(log_error)?;
    watermark.map(Position).ok_or_else(|| {
        EventLogError::Unavailable("the database is a standby, not the primary".into())
    })
}

impl EventLog for PostgresEventLog {
    fn read_stream<'a>(
        &'a self,
        stream: &'a StreamId,
        after_sequence: u64,
    ) -> BoxFuture<'a, Result<StreamEvents, EventLogError>> {
        let after = i64::try_from(after_sequence).unwrap_or(i64::MAX);
        self.read_events_of(stream, "sequence > $3 ORDER BY sequence", after).boxed()
    }

    fn read_stream_end<'a>(
        &'a self,
        stream: &'a StreamId,
        limit: usize,
    ) -> BoxFuture<'a, Result<StreamEvents, EventLogError>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read_events_of(stream, "true ORDER BY sequence DESC LIMIT $3", limit).boxed()
    }

    fn read_all(
        &self,
        after: Position,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page, EventLogError>> {
        self.read_page(after, limit).boxed()
    }

    fn read_stored(
        &self,
        after: Position,
        up_to: Position,
        limit: usize,
    ) -> BoxFuture<'_, Result<StoredPage, EventLogError>> {
        stored_page::read_stored_page(&self.pool, (after, up_to), limit).boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, EventLogError>> {
        self.read_head().boxed()
    }

    fn end(&self) -> BoxFuture<'_, Result<LogPlace, EventLogError>> {
        async move {
            let mut connection = self.pool.acquire().await.map_err(log_error)?;
            incarnations::read_end(&mut connection).await
        }
        .boxed()
    }

    fn check_place(&self, place: LogPlace) -> BoxFuture<'_, Result<(), EventLogError>> {
        async move {
            let mut connection = self.pool.acquire().await.map_err(log_error)?;
            incarnations::check_place(&mut connection, place).await
        }
        .boxed()
    }

    fn read_command(
        &self,
        command_id: Uuid,
    ) -> BoxFuture<'_, Result<Vec<Recorded>, EventLogError>> {
        async move {
            let sql = format!("SELECT {COLUMNS} FROM events {OF_COMMAND}");
            let rows: Vec<EventRow> = sqlx::query_as(&sql)
                .bind(command_id)
                .bind(first_event_id(command_id))
                .bind(APPEND_MAX as i64)
                .fetch_all(&self.pool)
                .await
                .map_err(log_error)?;
            Ok(rows.into_iter().map(Recorded::from).collect())
        }
        .boxed()
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        async move {
            let (started, counted) =
                (Instant::now(), CountedEvents::new(&append.stream, &append.events));
            let outcome = self.group_commit.append(append).await;
            self.metrics.record_append(started.elapsed(), &outcome, &counted);
            outcome
        }
        .boxed()
    }

    fn hints(&self) -> watch::Receiver<u64> {
        self.hints.subscribe()
    }

    fn keeps_answers_with_events(&self) -> bool {
        true
    }

    fn turns(&self) -> &StreamTurns {
        &self.turns
    }

    fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }
}

/// Tells apart what may pass by itself.
pub(crate) fn log_error(error: sqlx::Error) -> EventLogError {
    if may_pass(&error) {
        EventLogError::Unavailable(Box::new(error))
    } else {
        EventLogError::Failed(Box::new(error))
    }
}
