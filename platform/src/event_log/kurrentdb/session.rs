//! In which life of the leader, and so in which incarnation of the log, a call is made.
//!
//! KurrentDB is restored by stopping it, and loses what a leader had not replicated by electing another one. Either way
//! another process leads, or the same one anew, and it has another instance id. So each life of a leader is an
//! incarnation (ADR 0018), which the platform's database records with the end that the log had then, before anything is
//! read or appended in it.
//!
//! Invariants: a session is used only while both sides agree on its incarnation: the connection is still the one to that
//! life, and the database has begun no other since; it may have been restored, or another process may have met
//! another leader.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kurrentdb_client::{
    AllStart, AppendAnswer, ExpectedRevision, KurrentClient, KurrentError, LeaderConnection,
    ProposedEvent, ReadOrder, StreamStart,
};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgDatabaseError;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::failure::{Attempt, AttemptError, KurrentLogError};
use super::names::{EVENTS_PREFIX, LOG_STREAM};
use super::reading::read_end;
use super::{AGAIN, LogSession};
use crate::event_log::postgres::{find_session_incarnation, log_error};
use crate::event_log::{EventLogError, Incarnation};
use crate::postgres::{DatabaseConnection, Pool};

/// How long a start waits for a KurrentDB that is not there yet.
pub(super) const START_PATIENCE: Duration = Duration::from_secs(15);
const EVENT_TYPE: &str = "LogBegun";

/// SQLSTATE of `adopt_external_log`.
const OWN_LOG: &str = "CQ002";
const OTHER_LOG: &str = "CQ003";

/// The event with which a log begins.
#[derive(Serialize, Deserialize)]
struct LogBegun {
    log: Uuid,
}

/// The sessions of a process, one after the other.
pub(super) struct Sessions {
    client: KurrentClient,
    /// Which log it has to be.
    log: Uuid,
    pool: Pool,
    adopted: Mutex<Option<LogSession>>,
}

impl Sessions {
    pub(super) fn new(client: KurrentClient, log: Uuid, pool: Pool) -> Self {
        Self { client, log, pool, adopted: Mutex::default() }
    }

    /// The session now.
    pub(super) async fn current(&self) -> Attempt<LogSession> {
        let leader = self.client.find_leader().await?;
        let known = self.adopted.lock().await.clone();
        if let Some(known) = known.filter(|known| Arc::ptr_eq(&known.leader, &leader))
            && self.database_incarnation().await? == known.incarnation
        {
            return Ok(known);
        }
        // Many that find it out at once record it one after the other, which changes nothing.
        let mut adopted = self.adopted.lock().await;
        let session = self.adopt(leader).await?;
        tracing::info!(
            address = %session.leader.address(),
            incarnation = %session.incarnation,
            "reading and appending in this incarnation of the log"
        );
        *adopted = Some(session.clone());
        Ok(session)
    }

    /// Says that something is wrong with the connection of a session.
    pub(super) async fn give_up(&self, session: &LogSession, error: &KurrentError) {
        self.client.give_up(&session.leader, error).await;
    }

    /// What the database says. A session of it that was ended, as all are when another incarnation begins, says so
    /// once: those beside it are not asked any more. One that nobody has used since remembers the incarnation before
    /// for a second at most; what is appended until then is in the log all the same, and its place is one of before.
    async fn database_incarnation(&self) -> Attempt<Incarnation> {
        let ask = async || {
            let mut connection = self.pool.acquire().await.map_err(log_error)?;
            find_session_incarnation(&mut connection).await
        };
        match ask().await {
            Err(EventLogError::Unavailable(_)) => ask().await.map_err(AttemptError::Database),
            answer => answer.map_err(AttemptError::Database),
        }
    }

    /// Records the life of the leader, or finds it recorded.
    async fn adopt(&self, leader: Arc<LeaderConnection>) -> Attempt<LogSession> {
        if find_log_id(&leader).await? != Some(self.log) {
            return Err(AttemptError::unusable(
                "this is another log than before: another KurrentDB answers, or it was emptied; put a backup back, \
                 and restart this process",
            ));
        }
        let session = LogSession { leader, incarnation: Incarnation::default() };
        let end = read_end(&session).await?;
        let adopt = async || {
            let connection = self.pool.acquire().await;
            let mut connection = connection.map_err(|e| AttemptError::Database(log_error(e)))?;
            let life = session.leader.instance().to_string();
            let adopted = sqlx::query_scalar("SELECT adopt_external_log($1, $2, $3)")
                .bind(self.log)
                .bind(life)
                .bind(end.0)
                .fetch_one(&mut *connection)
                .await;
            note_adopted(&mut connection, adopted)
        };
        let incarnation = match adopt().await {
            Err(AttemptError::Database(EventLogError::Unavailable(_))) => adopt().await?,
            adopted => adopted?,
        };
        Ok(LogSession { incarnation, ..session })
    }
}

/// The session that adopted is in that incarnation from now on, whatever it was in before.
fn note_adopted(
    connection: &mut DatabaseConnection,
    adopted: Result<Option<Uuid>, sqlx::Error>,
) -> Attempt<Incarnation> {
    match adopted {
        Ok(Some(adopted)) => {
            connection.note_history(adopted);
            Ok(Incarnation(adopted))
        }
        Ok(None) => Err(AttemptError::Database(EventLogError::Unavailable(
            "the database is a standby, not the primary".into(),
        ))),
        Err(error) => Err(explain_refusal(error)),
    }
}

fn explain_refusal(error: sqlx::Error) -> AttemptError {
    let database = error.as_database_error();
    let code = database.and_then(|e| e.try_downcast_ref::<PgDatabaseError>()).map(|e| e.code());
    match code {
        Some(OWN_LOG) => AttemptError::unusable(
            "the database of CHIPQ_DATABASE_URL has a log of its own; use an empty database beside KurrentDB, or leave \
             CHIPQ_EVENT_LOG_URL out",
        ),
        Some(OTHER_LOG) => AttemptError::unusable(
            "the database of CHIPQ_DATABASE_URL belongs to the log of another KurrentDB; correct CHIPQ_EVENT_LOG_URL, \
             or use an empty database",
        ),
        _ => AttemptError::Database(log_error(error)),
    }
}

/// The id of the log, which begins now if it is new. Also makes sure that the user may read what there is.
pub(super) async fn find_log(client: &KurrentClient) -> Result<Uuid, KurrentLogError> {
    let until = Instant::now() + START_PATIENCE;
    let mut attempt = 0;
    loop {
        match begin_log(client).await {
            Err(AttemptError::Passing(error)) if Instant::now() < until => {
                tracing::info!(%error, attempt, "waiting for KurrentDB");
                AGAIN.wait(attempt).await;
                attempt += 1;
            }
            Ok(log) => return Ok(log),
            Err(AttemptError::Passing(error)) => return Err(error.into()),
            Err(AttemptError::ForGood(error)) => return Err(error),
            Err(other) => return Err(KurrentLogError::Log(EventLogError::from(other).to_string())),
        }
    }
}

async fn begin_log(client: &KurrentClient) -> Attempt<Uuid> {
    let leader = client.find_leader().await?;
    let begun = begin_log_on(&leader).await;
    if let Err(AttemptError::Passing(error)) = &begun {
        client.give_up(&leader, error).await;
    }
    begun
}

async fn begin_log_on(leader: &LeaderConnection) -> Attempt<Uuid> {
    if let Some(log) = find_log_id(leader).await? {
        return Ok(log);
    }
    let first = (AllStart::Beginning, ReadOrder::Forwards);
    if !leader.read_all(EVENTS_PREFIX, first, 1).await?.is_empty() {
        return Err(not_begun());
    }
    let begun = LogBegun { log: Uuid::new_v4() };
    let event = ProposedEvent {
        id: Uuid::new_v4(),
        event_type: EVENT_TYPE.to_owned(),
        data: serde_json::to_vec(&begun)
            .map_err(|error| AttemptError::unusable(error.to_string()))?,
        metadata: b"{}".to_vec(),
    };
    match leader.append_events(LOG_STREAM, ExpectedRevision::NoStream, &[event]).await? {
        AppendAnswer::Appended { last_revision: 0 } => {
            tracing::info!(log = %begun.log, "a new log begins in KurrentDB");
            Ok(begun.log)
        }
        AppendAnswer::Appended { .. } => Err(not_begun()),
        // Another process was first.
        AppendAnswer::WrongRevision => find_log_id(leader).await?.ok_or_else(not_begun),
    }
}

/// The id in the first event of the log, if it has one.
async fn find_log_id(leader: &LeaderConnection) -> Attempt<Option<Uuid>> {
    let first = (StreamStart::Revision(0), ReadOrder::Forwards);
    let read = leader.read_stream(LOG_STREAM, first, 1).await?;
    let Some(event) = read.first() else { return Ok(None) };
    let begun: Option<LogBegun> = serde_json::from_slice(&event.data).ok();
    begun.filter(|_| event.revision == 0).map(|begun| Some(begun.log)).ok_or_else(not_begun)
}

fn not_begun() -> AttemptError {
    AttemptError::unusable(format!(
        "the log in KurrentDB has lost its beginning, the stream {LOG_STREAM}: it was truncated or deleted ($maxAge, \
         $maxCount, $tb), and so may others be; put a backup back"
    ))
}
