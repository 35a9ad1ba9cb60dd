//! Idempotency-Key (IETF draft): a command is executed once, whatever crashes between append and answer.
//!
//! Where the log keeps answers in the transaction of the append, that transaction takes the key as well
//! ([`IdempotencyStore::begin`]): of two requests with one key, one commits, and the other is told what was answered
//! ([`IdempotencyStore::find_answer`]). Elsewhere the key is claimed before the command runs
//! ([`IdempotencyStore::claim`]), and its answer is kept after the events.
//! The command's id is derived from principal and key, and event ids from the command's id, so even a
//! key whose answer has expired cannot execute twice.

mod claim;
mod lost_answer;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::{Either, select};
use sqlx::types::Json;

pub use claim::{Claim, Fingerprint, IdempotencyKey, InvalidKey, KEY_MAX_CHARS};

pub use crate::event_log::Answer;
use crate::event_log::{EventLog, EventLogError, Recorded, StreamId};
use crate::postgres::{DatabaseClock, Pool};

/// How long a claim keeps others out after its owner was heard of last. The command is executed once however
/// short this is; a claim whose owner is gone, or could not give it back, is in nobody's way for longer.
const CLAIM_LEASE: Duration = Duration::from_secs(5);
/// How often a command that is still running says so. Most are done long before.
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// How long answers are kept for replay.
const ANSWER_RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How many keys one statement forgets at most: it holds no lock for long, however many there are.
const FORGOTTEN_AT_ONCE: i64 = 1_000;

/// Forgets a batch of answers that were given before now minus `$1` seconds.
const FORGET_ANSWERS: &str = "DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM idempotency_keys
    WHERE answered_at < now() - make_interval(secs => $1)
    ORDER BY answered_at LIMIT $2 FOR UPDATE SKIP LOCKED))";
/// The same for claims that ended before then and were never answered.
const FORGET_CLAIMS: &str = "DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM idempotency_keys
    WHERE answered_at IS NULL AND claimed_until < now() - make_interval(secs => $1)
    ORDER BY answered_at, claimed_until LIMIT $2 FOR UPDATE SKIP LOCKED))";

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
    pool: Pool,
    log: Arc<dyn EventLog>,
    clock: Arc<DatabaseClock>,
}

/// A key that was taken.
#[derive(sqlx::FromRow)]
struct TakenKey {
    /// Nobody held it before.
    is_new: bool,
    /// By the database's clock.
    taken_at: DateTime<Utc>,
}

/// A key that a request holds or was answered under.
#[derive(sqlx::FromRow)]
struct HeldKey {
    fingerprint: Vec<u8>,
    answer: Option<Json<Answer>>,
    seconds_left: f64,
}

impl HeldKey {
    /// Whether a claim of the same request that was never answered has run out.
    fn is_abandoned_by(&self, claim: &Claim) -> bool {
        let is_same = self.fingerprint == claim.fingerprint().as_bytes();
        is_same && self.answer.is_none() && self.seconds_left < 0.0
    }

    /// The answer, for who asks again.
    fn outcome_for(self, claim: &Claim) -> Result<Answer, ClaimError> {
        match self {
            Self { fingerprint, .. } if fingerprint != claim.fingerprint().as_bytes() => {
                Err(ClaimError::OtherRequest)
            }
            Self { answer: Some(Json(answer)), .. } => Ok(answer),
            // Running, or released just now: in either case the next attempt will tell.
            Self { seconds_left, .. } => Err(ClaimError::in_progress(seconds_left)),
        }
    }
}

impl ClaimError {
    fn in_progress(seconds_left: f64) -> Self {
        let seconds = seconds_left.clamp(1.0, CLAIM_LEASE.as_secs_f64());
        Self::InProgress { retry_after: Duration::from_secs_f64(seconds.ceil()) }
    }
}

impl IdempotencyStore {
    /// The keys in the database of `pool`, for commands on `log`.
    #[must_use]
    pub fn new(pool: Pool, log: Arc<dyn EventLog>) -> Self {
        let clock = Arc::new(DatabaseClock::new(pool.clone()));
        Self { pool, log, clock }
    }

    /// The present by the clock that all processes share: what is given out until some time ends by it, too.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn database_time(&self) -> Result<DateTime<Utc>, EventLogError> {
        self.clock.now().await.map_err(storage_error)
    }

    /// Whether keys, and what is appended beside them, find room on the disk of the database.
    ///
    /// # Errors
    /// In words, when the database has said that they do not.
    pub async fn check_room(&self) -> Result<(), String> {
        self.pool.check_room().await
    }

    /// The claim of a request whose key is taken by what it appends. Nothing is written: should another request have
    /// taken the key by then, nothing is appended, and [`Self::find_answer`] tells.
    ///
    /// # Errors
    /// When the database does not say what time it is.
    pub async fn begin(
        &self,
        principal: &str,
        key: &IdempotencyKey,
        fingerprint: Fingerprint,
    ) -> Result<Claim, EventLogError> {
        let accepted_at = self.database_time().await?;
        Ok(Claim::intend(principal, key, fingerprint, accepted_at))
    }

    /// What was answered to the same request before; `None` when its key is free and its command not in the log.
    ///
    /// # Errors
    /// When the key belongs to another request, is running, or has expired; when the database fails.
    pub async fn find_answer(&self, claim: &Claim) -> Result<Option<Answer>, ClaimError> {
        let (held, recorded) =
            tokio::join!(self.find_key(claim), self.log.read_command(claim.command_id()));
        match (held?, recorded?.first()) {
            // Whoever claimed it has died, and appended nothing.
            (Some(held), None) if held.is_abandoned_by(claim) => Ok(None),
            (Some(held), _) => held.outcome_for(claim).map(Some),
            (None, None) => Ok(None),
            // Between the two looks the other request may have been answered.
            (None, Some(event)) => match self.find_key(claim).await? {
                Some(held) => held.outcome_for(claim).map(Some),
                None if claim.is_of_same_request(event) => {
                    Err(ClaimError::KeyExpired { stream: event.stream.clone() })
                }
                None => Err(ClaimError::OtherRequest),
            },
        }
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
        // What the database says of the time is known once the key is taken.
        let claim = Claim::intend(principal, key, fingerprint, DateTime::UNIX_EPOCH);
        // Side by side: a key that is free has no owner who could append meanwhile.
        let (taken, recorded) =
            tokio::join!(self.take_key(&claim), self.log.read_command(claim.command_id()));
        if let Some(taken) = taken? {
            self.clock.note(taken.taken_at);
            let recorded = match taken.is_new {
                true => recorded,
                false => self.log.read_command(claim.command_id()).await,
            };
            return self.with_history(claim, &taken, recorded).await;
        }
        match self.find_key(&claim).await? {
            Some(held) => {
                let answer = held.outcome_for(&claim)?;
                lost_answer::refuse_lost(&*self.log, &self.pool, (&claim, &answer)).await?;
                Ok(Claimed::Answered(answer))
            }
            // Released just now: the next attempt will tell.
            None => Err(ClaimError::in_progress(0.0)),
        }
    }

    async fn find_key(&self, claim: &Claim) -> Result<Option<HeldKey>, ClaimError> {
        let found = sqlx::query_as(
            "SELECT fingerprint, answer,
                    extract(epoch FROM claimed_until - now())::float8 AS seconds_left
             FROM idempotency_keys WHERE principal = $1 AND key = $2",
        )
        .bind(&claim.key().principal)
        .bind(&claim.key().key)
        .fetch_optional(&self.pool)
        .await;
        found.map_err(|error| ClaimError::Log(storage_error(error)))
    }

    /// Takes a free key, or one whose owner's lease has ended; `None` when it is neither. A lease
    /// that ends later than any that is given now was dated by a clock that ran ahead, and counts as ended. Who
    /// waited for the row looks at the clock after that, since its own `now()` may be from before the claim.
    /// The claim need not be on the disk yet: where log and keys share transactions, the append that
    /// answers it flushes it as well, and a claim that a crash of the server forgets belongs to a
    /// request that appended nothing.
    async fn take_key(&self, claim: &Claim) -> Result<Option<TakenKey>, ClaimError> {
        sqlx::query_as(
            "INSERT INTO idempotency_keys AS k (principal, key, fingerprint, claim, claimed_until)
             SELECT $1, $2, $3, $4, now() + make_interval(secs => $5)
             FROM (SELECT set_config('synchronous_commit', 'off', true)) AS this_transaction
             ON CONFLICT (principal, key) DO UPDATE
                 SET claim = excluded.claim, claimed_until = excluded.claimed_until
                 WHERE k.answer IS NULL AND k.fingerprint = excluded.fingerprint
                   AND k.claimed_until NOT BETWEEN clock_timestamp()
                       AND clock_timestamp() + make_interval(secs => $5)
             RETURNING xmax = 0 AS is_new, clock_timestamp() AS taken_at",
        )
        .bind(&claim.key().principal)
        .bind(&claim.key().key)
        .bind(&claim.key().fingerprint[..])
        .bind(claim.key().claim_id)
        .bind(CLAIM_LEASE.as_secs_f64())
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| ClaimError::Log(storage_error(error)))
    }

    /// Looks whether the command is in the log already: from an owner that died before it answered,
    /// or from before the answer expired.
    async fn with_history(
        &self,
        claim: Claim,
        taken: &TakenKey,
        recorded: Result<Vec<Recorded>, EventLogError>,
    ) -> Result<Claimed, ClaimError> {
        let recorded = match recorded {
            Ok(recorded) => recorded,
            Err(error) => {
                // A key that somebody held before stays known: whether that owner appended is for the
                // next request to find out, and it must not look like a new key then.
                if taken.is_new {
                    self.delete_claim(&claim).await;
                } else {
                    self.end_lease(&claim).await;
                }
                return Err(error.into());
            }
        };
        let refusal = match recorded.first() {
            Some(event) if !claim.is_of_same_request(event) => ClaimError::OtherRequest,
            Some(event) if taken.is_new => ClaimError::KeyExpired { stream: event.stream.clone() },
            _ => return Ok(Claimed::Fresh(claim.held_since(taken.taken_at, recorded))),
        };
        self.delete_claim(&claim).await;
        Err(refusal)
    }

    /// Does the work of `claim`, and keeps others away from its key for as long as that takes.
    pub async fn keep_claimed<T>(&self, claim: &Claim, work: impl Future<Output = T>) -> T {
        match select(pin!(work), pin!(self.renew_lease(claim))).await {
            Either::Left((done, _)) => done,
            Either::Right((never, _)) => match never {},
        }
    }

    /// Puts the end of the lease off, again and again. Where that does not succeed in time another request
    /// may take the key over; then this one keeps no answer, and appends nothing where log and keys share
    /// transactions.
    async fn renew_lease(&self, claim: &Claim) -> Infallible {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            let renewed = sqlx::query(
                "UPDATE idempotency_keys SET claimed_until = now() + make_interval(secs => $4)
                 WHERE principal = $1 AND key = $2 AND claim = $3 AND answer IS NULL",
            )
            .bind(&claim.key().principal)
            .bind(&claim.key().key)
            .bind(claim.key().claim_id)
            .bind(CLAIM_LEASE.as_secs_f64())
            .execute(&self.pool)
            .await;
            if let Err(error) = renewed {
                tracing::warn!(%error, "the lease of an idempotency key was not renewed");
            }
        }
    }

    /// Gives a key back unanswered: the request changed nothing and may be sent again, corrected.
    /// Should the command be in the log all the same, because its answer was lost after the append, the
    /// key stays, and the next request with it is answered from the log. Should the log or the database
    /// be away, the claim ends with its lease.
    pub async fn release(&self, claim: &Claim) {
        match self.log.read_command(claim.command_id()).await {
            Ok(recorded) if recorded.is_empty() => self.delete_claim(claim).await,
            Ok(_) => self.end_lease(claim).await,
            Err(error) => {
                tracing::warn!(%error, "idempotency key not released; its lease will end by itself");
            }
        }
    }

    async fn delete_claim(&self, claim: &Claim) {
        let sql = "DELETE FROM idempotency_keys
                   WHERE principal = $1 AND key = $2 AND claim = $3 AND answer IS NULL";
        self.give_up(claim, sql).await;
    }

    async fn end_lease(&self, claim: &Claim) {
        let sql = "UPDATE idempotency_keys SET claimed_until = now()
                   WHERE principal = $1 AND key = $2 AND claim = $3 AND answer IS NULL";
        self.give_up(claim, sql).await;
    }

    async fn give_up(&self, claim: &Claim, sql: &str) {
        let given_up = sqlx::query(sql)
            .bind(&claim.key().principal)
            .bind(&claim.key().key)
            .bind(claim.key().claim_id)
            .execute(&self.pool)
            .await;
        if let Err(error) = given_up {
            tracing::warn!(%error, "idempotency key not released; its lease will end by itself");
        }
    }

    /// Forgets a batch of keys that were answered, or claimed in vain, longer ago than answers are kept.
    /// Returns how many; there may be more unless that is 0.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_expired(&self) -> Result<u64, EventLogError> {
        let mut forgotten = 0;
        for sql in [FORGET_ANSWERS, FORGET_CLAIMS] {
            let done = sqlx::query(sql)
                .bind(ANSWER_RETENTION.as_secs_f64())
                .bind(FORGOTTEN_AT_ONCE)
                .execute(&self.pool)
                .await
                .map_err(storage_error)?;
            forgotten += done.rows_affected();
        }
        Ok(forgotten)
    }
}

fn storage_error(error: sqlx::Error) -> EventLogError {
    crate::event_log::postgres::log_error(error)
}
