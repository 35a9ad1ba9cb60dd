//! Idempotency-Key (IETF draft): a command is executed once, whatever crashes between append and answer.
//!
//! A key is claimed before the command runs and answered in the transaction that appends its events.
//! The command's id is derived from principal and key, and event ids from the command's id, so even a
//! key whose answer has expired cannot execute twice.

mod key;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

pub use key::{Fingerprint, IdempotencyKey, InvalidKey, KEY_MAX_CHARS};

use crate::event_log::{Appended, EventLog, EventLogError, Recorded, StreamId};

/// How long a claim keeps others out; a request must be done by then.
pub const CLAIM_LEASE: Duration = Duration::from_secs(60);
/// How long answers are kept for replay.
pub const ANSWER_RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Namespace of command ids (a random UUID, fixed for ever).
const COMMAND_NAMESPACE: Uuid = Uuid::from_u128(0x6f1c_2f6e_57b1_4a35_9d0b_1c1f_0a7d_5e42);

/// An answer that can be given again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers that belong to the answer, such as `Location` and `ETag`.
    pub headers: Vec<(String, String)>,
    /// JSON body.
    pub body: serde_json::Value,
}

/// A key that this request holds.
#[derive(Debug, Clone)]
pub struct Claim {
    principal: String,
    key: String,
    fingerprint: Fingerprint,
    claim: Uuid,
    recorded: Vec<Recorded>,
}

impl Claim {
    /// The id of the command that the key stands for.
    #[must_use]
    pub fn command_id(&self) -> Uuid {
        command_id(&self.principal, &self.key)
    }

    /// The request's fingerprint.
    #[must_use]
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// What an owner of this key that died before it answered had appended already.
    #[must_use]
    pub fn recorded(&self) -> &[Recorded] {
        &self.recorded
    }

    /// Keeps the answer in the transaction that appends.
    #[must_use]
    pub fn complete_with(
        self,
        answer: impl FnOnce(&Appended) -> Answer + Send + 'static,
    ) -> Completion {
        Completion { claim: self, answer: Box::new(answer) }
    }
}

/// An answer to keep under a claim, once it is known what was appended.
pub struct Completion {
    claim: Claim,
    answer: Box<dyn FnOnce(&Appended) -> Answer + Send>,
}

impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completion").field("claim", &self.claim).finish_non_exhaustive()
    }
}

/// What became of a request for a key.
#[derive(Debug)]
pub enum Claimed {
    /// The command may run.
    Fresh(Claim),
    /// The command has run; this was the answer.
    Answered(Answer),
}

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The key belongs to another request.
    #[error("the Idempotency-Key was used for another request; take a new key")]
    OtherRequest,
    /// The first request with this key is still running.
    #[error("the first request with this Idempotency-Key is still running")]
    InProgress {
        /// When to ask again.
        retry_after: Duration,
    },
    /// The command ran so long ago that its answer is gone.
    #[error("the command with this Idempotency-Key ran already, and its answer is no longer kept")]
    KeyExpired {
        /// What the command changed.
        stream: StreamId,
    },
    /// The keys or the log cannot be read.
    #[error(transparent)]
    Log(#[from] EventLogError),
}

/// The keys of all principals.
#[derive(Clone)]
pub struct IdempotencyStore {
    pool: PgPool,
    log: Arc<dyn EventLog>,
}

#[derive(sqlx::FromRow)]
struct KeyRow {
    fingerprint: Vec<u8>,
    answer: Option<Json<Answer>>,
    seconds_left: f64,
}

impl IdempotencyStore {
    /// The keys in the database of `pool`, for commands on `log`.
    #[must_use]
    pub fn new(pool: PgPool, log: Arc<dyn EventLog>) -> Self {
        Self { pool, log }
    }

    /// Claims a key for a request, or finds what became of it.
    ///
    /// # Errors
    /// When the key belongs to another request, is running, or has expired; when the database fails.
    pub async fn claim(
        &self,
        principal: &str,
        key: &IdempotencyKey,
        fingerprint: Fingerprint,
    ) -> Result<Claimed, ClaimError> {
        let claim = Claim {
            principal: principal.to_owned(),
            key: key.as_str().to_owned(),
            fingerprint,
            claim: Uuid::new_v4(),
            recorded: Vec::new(),
        };
        // Side by side: a key that is free has no owner who could append meanwhile.
        let (taken, recorded) =
            tokio::join!(self.take(&claim), self.log.read_command(claim.command_id()));
        match taken? {
            Some(true) => return self.with_history(claim, true, recorded).await,
            Some(false) => {
                let recorded = self.log.read_command(claim.command_id()).await;
                return self.with_history(claim, false, recorded).await;
            }
            None => {}
        }
        let row: Option<KeyRow> = sqlx::query_as(
            "SELECT fingerprint, answer,
                    extract(epoch FROM claimed_until - now())::float8 AS seconds_left
             FROM idempotency_keys WHERE principal = $1 AND key = $2",
        )
        .bind(&claim.principal)
        .bind(&claim.key)
        .fetch_optional(&self.pool)
        .await
        .map_err(unavailable)?;
        match row {
            Some(row) if row.fingerprint != fingerprint.as_bytes() => Err(ClaimError::OtherRequest),
            Some(KeyRow { answer: Some(Json(answer)), .. }) => Ok(Claimed::Answered(answer)),
            // Running, or released just now: in either case the next attempt will tell.
            other => {
                let seconds = other.map_or(0.0, |row| row.seconds_left).clamp(1.0, 60.0);
                Err(ClaimError::InProgress { retry_after: Duration::from_secs_f64(seconds.ceil()) })
            }
        }
    }

    /// Takes a free key (`true`) or one whose owner's lease has ended (`false`); `None` when neither.
    /// The claim need not be on the disk yet: the append that answers it flushes it as well, and a claim
    /// that a crash of the server forgets belongs to a request that appended nothing.
    async fn take(&self, claim: &Claim) -> Result<Option<bool>, ClaimError> {
        sqlx::query_scalar(
            "INSERT INTO idempotency_keys AS k (principal, key, fingerprint, claim, claimed_until)
             SELECT $1, $2, $3, $4, now() + make_interval(secs => $5)
             FROM (SELECT set_config('synchronous_commit', 'off', true)) AS this_transaction
             ON CONFLICT (principal, key) DO UPDATE
                 SET claim = excluded.claim, claimed_until = excluded.claimed_until
                 WHERE k.answer IS NULL AND k.claimed_until < now()
                   AND k.fingerprint = excluded.fingerprint
             RETURNING xmax = 0",
        )
        .bind(&claim.principal)
        .bind(&claim.key)
        .bind(&claim.fingerprint.as_bytes()[..])
        .bind(claim.claim)
        .bind(CLAIM_LEASE.as_secs_f64())
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| ClaimError::Log(unavailable(error)))
    }

    /// Looks whether the command is in the log already: from an owner that died before it answered,
    /// or from before the answer expired.
    async fn with_history(
        &self,
        mut claim: Claim,
        first: bool,
        recorded: Result<Vec<Recorded>, EventLogError>,
    ) -> Result<Claimed, ClaimError> {
        let recorded = match recorded {
            Ok(recorded) => recorded,
            Err(error) => {
                self.release(&claim).await;
                return Err(error.into());
            }
        };
        let Some(event) = recorded.first() else {
            return Ok(Claimed::Fresh(claim));
        };
        let fingerprint = claim.fingerprint.to_string();
        if event.metadata.request_fingerprint.as_deref() != Some(&fingerprint) {
            self.release(&claim).await;
            return Err(ClaimError::OtherRequest);
        }
        if first {
            let stream = event.stream.clone();
            self.release(&claim).await;
            return Err(ClaimError::KeyExpired { stream });
        }
        claim.recorded = recorded;
        Ok(Claimed::Fresh(claim))
    }

    /// Gives a key back unanswered: the request changed nothing and may be sent again, corrected.
    /// Should the database be away, the claim ends with its lease.
    pub async fn release(&self, claim: &Claim) {
        let released = sqlx::query(
            "DELETE FROM idempotency_keys
             WHERE principal = $1 AND key = $2 AND claim = $3 AND answer IS NULL",
        )
        .bind(&claim.principal)
        .bind(&claim.key)
        .bind(claim.claim)
        .execute(&self.pool)
        .await;
        if let Err(error) = released {
            tracing::warn!(%error, "idempotency key not released; its lease will end by itself");
        }
    }

    /// Forgets answers older than [`ANSWER_RETENTION`]. Returns how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_expired(&self) -> Result<u64, EventLogError> {
        sqlx::query(
            "DELETE FROM idempotency_keys WHERE answered_at < now() - make_interval(secs => $1)
                OR (answer IS NULL AND claimed_until < now() - make_interval(secs => $1))",
        )
        .bind(ANSWER_RETENTION.as_secs_f64())
        .execute(&self.pool)
        .await
        .map(|done| done.rows_affected())
        .map_err(unavailable)
    }
}

/// Writes the answer in the transaction of `connection`; `false` when the claim was taken over.
pub(crate) async fn keep_answer(
    connection: &mut PgConnection,
    completion: Completion,
    appended: &Appended,
) -> Result<bool, sqlx::Error> {
    let claim = completion.claim;
    let kept = sqlx::query(
        "UPDATE idempotency_keys SET answer = $4, answered_at = now()
         WHERE principal = $1 AND key = $2 AND claim = $3 AND answer IS NULL",
    )
    .bind(&claim.principal)
    .bind(&claim.key)
    .bind(claim.claim)
    .bind(Json((completion.answer)(appended)))
    .execute(connection)
    .await?;
    Ok(kept.rows_affected() == 1)
}

/// The id of the command that a principal's key stands for, for ever.
fn command_id(principal: &str, key: &str) -> Uuid {
    let mut name = (principal.len() as u64).to_be_bytes().to_vec();
    name.extend_from_slice(principal.as_bytes());
    name.extend_from_slice(key.as_bytes());
    Uuid::new_v5(&COMMAND_NAMESPACE, &name)
}

fn unavailable(error: sqlx::Error) -> EventLogError {
    crate::event_log::postgres::log_error(error)
}
