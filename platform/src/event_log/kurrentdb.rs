//! The event log in KurrentDB.
//!
//! Invariants: every call is made in a *session*, which is one life of the leader and the incarnation that the
//! platform's database has recorded for it (`session.rs`); the position of an event is its commit position, in bytes;
//! of a stream nothing may be missing, or it is refused aloud. Answers are kept in PostgreSQL, after the append. Absent:
//! deleting, and reading from nodes that do not lead. docs/adr/0036 has the reasons.

mod append;
mod command_index;
mod failure;
mod hints;
mod names;
mod reading;
mod session;
mod stored;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kurrentdb_client::{KurrentClient, KurrentCredentials, KurrentUrl, LeaderConnection};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::metrics::{CountedEvents, EventLogMetrics};
use super::postgres::{find_kept_up_to, log_error};
use super::{
    Append, AppendError, Appended, EventLog, EventLogError, Incarnation, LogPlace, Page, Position,
    Recorded, Snapshots, StoredPage, StreamEvents, StreamId, StreamTurns, keep_answers,
};
use crate::backoff::Backoff;
use crate::postgres::Pool;
pub(super) use failure::KurrentLogError;
use failure::{Attempt, AttemptError};
use hints::Hints;
use session::Sessions;

/// How long a call goes on where the leader is away or changes: an election takes a second or two.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts of a call.
const AGAIN: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1), 0.5);

/// About how many bytes of the log an event takes, with its circumstances and what is written beside it.
const BYTES_PER_EVENT: i64 = 1_500;

/// A life of the leader, and which incarnation of the log it is.
#[derive(Clone)]
struct LogSession {
    leader: Arc<LeaderConnection>,
    incarnation: Incarnation,
}

/// The event log in the streams of KurrentDB that begin with `chipq.`. Clones share it.
#[derive(Clone)]
pub(super) struct KurrentEventLog {
    sessions: Arc<Sessions>,
    pool: Pool,
    hints: Hints,
    turns: StreamTurns,
    snapshots: Snapshots,
    metrics: EventLogMetrics,
    _listening: Arc<AbortOnDropHandle<()>>,
}

impl KurrentEventLog {
    /// The log at `url`, beside the database of `pool`, which must be migrated before the log is used. Makes sure that
    /// a KurrentDB is there that takes the user and whose log begins as it was begun, and begins it if it is new.
    /// Starts a background task, which ends with the last clone: it listens for what others append.
    ///
    /// # Errors
    /// What is wrong, or that nothing answers for [`session::START_PATIENCE`].
    pub(super) async fn connect(
        url: KurrentUrl,
        credentials: Option<&KurrentCredentials>,
        pool: Pool,
    ) -> Result<Self, KurrentLogError> {
        let client = KurrentClient::new(url, credentials)?;
        let log = session::find_log(&client).await?;
        let hints = Hints::default();
        let listening = tokio::spawn(hints::listen(client.clone(), hints.clone()));
        Ok(Self {
            sessions: Arc::new(Sessions::new(client, log, pool.clone())),
            pool,
            hints,
            turns: StreamTurns::default(),
            snapshots: Snapshots::default(),
            metrics: EventLogMetrics::for_process(),
            _listening: Arc::new(AbortOnDropHandle::new(listening)),
        })
    }

    /// Tries something in the session that there is, and in those that come after it, for as long as that may help.
    async fn try_in_sessions<T, F: Future<Output = Attempt<T>> + Send>(
        &self,
        attempt_in: impl Fn(LogSession) -> F + Send + Sync,
    ) -> Attempt<T> {
        let until = Instant::now() + PATIENCE;
        let mut attempt = 0;
        loop {
            let outcome = match self.sessions.current().await {
                Ok(session) => {
                    let outcome = attempt_in(session.clone()).await;
                    if let Err(AttemptError::Passing(error)) = &outcome {
                        self.sessions.give_up(&session, error).await;
                    }
                    outcome
                }
                Err(trouble) => Err(trouble),
            };
            match outcome {
                Err(AttemptError::Passing(error)) if Instant::now() < until => {
                    tracing::debug!(%error, attempt, "KurrentDB; trying again");
                    AGAIN.wait(attempt).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn append_and_keep(&self, mut append: Append) -> Result<Appended, AppendError> {
        let answer = append.answer.take();
        let appended = append::append_events(self, &append).await;
        self.hints.wake();
        let appended = appended?;
        let Some(answer) = answer else { return Ok(appended) };
        let kept = match keep_answers(&self.pool, &[(answer, appended)]).await {
            Ok(1) => return Ok(appended),
            Ok(_) => super::AnswerNotKept::KeyTaken,
            Err(error) => log_error(error).into(),
        };
        Err(AppendError::NotKept { appended: Some(appended), source: kept })
    }
}

impl EventLog for KurrentEventLog {
    fn read_stream<'a>(
        &'a self,
        stream: &'a StreamId,
        after_sequence: u64,
    ) -> BoxFuture<'a, Result<StreamEvents, EventLogError>> {
        async move {
            let read = self.try_in_sessions(|session| async move {
                let events = reading::read_stream(&session, stream, after_sequence).await?;
                Ok(StreamEvents { events, incarnation: session.incarnation })
            });
            Ok(read.await?)
        }
        .boxed()
    }

    fn read_stream_end<'a>(
        &'a self,
        stream: &'a StreamId,
        limit: usize,
    ) -> BoxFuture<'a, Result<StreamEvents, EventLogError>> {
        async move {
            let read = self.try_in_sessions(|session| async move {
                let events = reading::read_stream_end(&session, stream, limit).await?;
                Ok(StreamEvents { events, incarnation: session.incarnation })
            });
            Ok(read.await?)
        }
        .boxed()
    }

    fn read_all(
        &self,
        after: Position,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page, EventLogError>> {
        async move {
            let read = self.try_in_sessions(|session| async move {
                reading::read_page(&session, after, limit).await
            });
            Ok(read.await?)
        }
        .boxed()
    }

    fn read_stored(
        &self,
        after: Position,
        up_to: Position,
        limit: usize,
    ) -> BoxFuture<'_, Result<StoredPage, EventLogError>> {
        async move {
            let read = self.try_in_sessions(|session| async move {
                reading::read_stored_page(&session, (after, up_to), limit).await
            });
            Ok(read.await?)
        }
        .boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, EventLogError>> {
        async move { Ok(self.end().await?.position) }.boxed()
    }

    fn end(&self) -> BoxFuture<'_, Result<LogPlace, EventLogError>> {
        async move {
            let end = self.try_in_sessions(|session| async move {
                let position = reading::read_end(&session).await?;
                Ok(LogPlace { incarnation: session.incarnation, position })
            });
            Ok(end.await?)
        }
        .boxed()
    }

    fn check_place(&self, place: LogPlace) -> BoxFuture<'_, Result<(), EventLogError>> {
        async move {
            let end = self.end().await?;
            if end.incarnation == place.incarnation {
                return place.position.ensure_reached(end.position);
            }
            let mut connection = self.pool.acquire().await.map_err(log_error)?;
            let kept = find_kept_up_to(&mut connection, place.incarnation).await?;
            kept.check(place.position)
        }
        .boxed()
    }

    fn read_command(
        &self,
        command_id: Uuid,
    ) -> BoxFuture<'_, Result<Vec<Recorded>, EventLogError>> {
        async move {
            let read = self.try_in_sessions(|session| async move {
                command_index::find_events(&session, command_id).await
            });
            Ok(read.await?)
        }
        .boxed()
    }

    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        async move {
            let started = Instant::now();
            let counted = CountedEvents::new(&append.stream, &append.events);
            let outcome = self.append_and_keep(append).await;
            self.metrics.record_append(started.elapsed(), &outcome, &counted);
            outcome
        }
        .boxed()
    }

    fn keeps_answers_with_events(&self) -> bool {
        false
    }

    fn positions_per_event(&self) -> i64 {
        BYTES_PER_EVENT
    }

    fn reads_on_from_any_position(&self) -> bool {
        false
    }

    fn hints(&self) -> watch::Receiver<u64> {
        self.hints.subscribe()
    }

    fn turns(&self) -> &StreamTurns {
        &self.turns
    }

    fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }
}
