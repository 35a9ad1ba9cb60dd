//! Answers to requests, kept under their keys with what the requests append.
//!
//! Invariant: an answer is written under a free key, or under one that its own request has claimed, or that the same request
//! had claimed and let go of; never where another request holds the key or has answered.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Appended, EventLogError};

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

/// A key as one request with it holds it, or is about to.
#[derive(Debug, Clone)]
pub struct RequestKey {
    /// Whose key it is.
    pub principal: String,
    /// The key, unique among the principal's.
    pub key: String,
    /// SHA-256 of everything that makes the request what it is.
    pub fingerprint: [u8; 32],
    /// Tells this request from others with its key.
    pub claim_id: Uuid,
}

/// An answer to keep under a key, once it is known what was appended.
#[derive(Clone)]
pub struct KeyedAnswer {
    key: RequestKey,
    make: Arc<dyn Fn(&Appended) -> Answer + Send + Sync>,
}

impl KeyedAnswer {
    /// What `make` makes of what was appended; it must be pure, since it may be asked again.
    #[must_use]
    pub fn new(
        key: RequestKey,
        make: impl Fn(&Appended) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self { key, make: Arc::new(make) }
    }
}

impl fmt::Debug for KeyedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedAnswer").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Why an answer was not kept.
#[derive(Debug, thiserror::Error)]
pub enum AnswerNotKept {
    /// Another request holds its key, or was answered under it.
    #[error("another request holds the idempotency key")]
    KeyTaken,
    /// Where it is kept cannot be reached, or failed.
    #[error(transparent)]
    Log(#[from] EventLogError),
}

/// Keeps answers to what was appended, in the order of their keys, so that no two who do so wait for each other in a
/// circle. Returns how many are kept: the others' keys are taken, and which ones are is not told.
///
/// # Errors
/// When the database fails, or the same key is among them twice.
pub async fn keep_answers(
    executor: impl PgExecutor<'_>,
    answers: &[(KeyedAnswer, Appended)],
) -> Result<u64, sqlx::Error> {
    fn column<'a, T>(
        answers: &'a [(KeyedAnswer, Appended)],
        value: impl Fn(&'a RequestKey) -> T,
    ) -> Vec<T> {
        answers.iter().map(|(answer, _)| value(&answer.key)).collect()
    }
    let made: Vec<_> = answers.iter().map(|(answer, done)| Json((answer.make)(done))).collect();
    let kept = sqlx::query(
        "INSERT INTO idempotency_keys AS k
             (principal, key, fingerprint, claim, claimed_until, answer, answered_at)
         SELECT principal, key, fingerprint, claim, now(), answer, now()
         FROM unnest($1::text[], $2::text[], $3::bytea[], $4::uuid[], $5::jsonb[])
              AS given (principal, key, fingerprint, claim, answer)
         ORDER BY principal, key
         ON CONFLICT (principal, key) DO UPDATE
             SET answer = excluded.answer, answered_at = excluded.answered_at
             WHERE k.answer IS NULL
               AND (k.claim = excluded.claim
                    OR k.fingerprint = excluded.fingerprint AND k.claimed_until < clock_timestamp())",
    )
    .bind(column(answers, |key| &*key.principal))
    .bind(column(answers, |key| &*key.key))
    .bind(column(answers, |key| &key.fingerprint[..]))
    .bind(column(answers, |key| key.claim_id))
    .bind(made)
    .execute(executor)
    .await?;
    Ok(kept.rows_affected())
}
