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

use super::{Appended, EventLogError, LogPlace, StreamVersion};

/// An answer that can be given again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers that belong to the answer, such as `Location` and `ETag`.
    pub headers: Vec<(String, String)>,
    /// JSON body.
    pub body: serde_json::Value,
    /// Where the last event of the answer's stream is. Of what a command appends the log alone knows: it is set as the
    /// answer is kept.
    #[serde(default)]
    pub place: LogPlace,
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
    make: Arc<dyn Fn(StreamVersion) -> Answer + Send + Sync>,
}

impl KeyedAnswer {
    /// What `make` makes of the version that the stream has then; it must be pure, since it may be asked again.
    #[must_use]
    pub fn new(
        key: RequestKey,
        make: impl Fn(StreamVersion) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self { key, make: Arc::new(make) }
    }

    /// Under which key.
    pub(super) const fn key(&self) -> &RequestKey {
        &self.key
    }

    /// The answer, without the place of what is appended.
    pub(super) fn make(&self, version: StreamVersion) -> Answer {
        (self.make)(version)
    }

    /// The answer to what was appended.
    fn make_for(&self, appended: &Appended) -> Answer {
        let mut answer = self.make(appended.stream_version());
        if let Some(position) = appended.position {
            answer.place = LogPlace { incarnation: appended.incarnation, position };
        }
        answer
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
    let made: Vec<_> = answers.iter().map(|(answer, done)| Json(answer.make_for(done))).collect();
    let kept: Vec<i64> = sqlx::query_scalar("SELECT keep_answers($1, $2, $3, $4, $5)")
        .bind(column(answers, |key| &*key.principal))
        .bind(column(answers, |key| &*key.key))
        .bind(column(answers, |key| &key.fingerprint[..]))
        .bind(column(answers, |key| key.claim_id))
        .bind(made)
        // All that comes, since it is not committed before the last of it.
        .fetch_all(executor)
        .await?;
    Ok(kept.into_iter().sum::<i64>().unsigned_abs())
}
