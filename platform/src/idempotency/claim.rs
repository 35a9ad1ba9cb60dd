//! A key that a request holds, and the answer that it keeps with what the request appends.

use std::fmt;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use sqlx::types::Json;
use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

use super::{Answer, Fingerprint, IdempotencyKey, storage_error};
use crate::event_log::{AppendScope, Appended, Attachment, AttachmentError, Recorded};

/// Namespace of command ids (a random UUID, fixed for ever).
const COMMAND_NAMESPACE: Uuid = Uuid::from_u128(0x6f1c_2f6e_57b1_4a35_9d0b_1c1f_0a7d_5e42);

/// A key that this request holds.
#[derive(Debug, Clone)]
pub struct Claim {
    pool: PgPool,
    pub(super) principal: String,
    pub(super) key: String,
    pub(super) fingerprint: Fingerprint,
    pub(super) claim_id: Uuid,
    recorded: Vec<Recorded>,
}

/// The claim was taken over by another request, which answers instead.
#[derive(Debug, thiserror::Error)]
#[error("another request took over the idempotency key")]
struct ClaimLost;

impl Claim {
    pub(super) fn new(
        pool: PgPool,
        principal: &str,
        key: &IdempotencyKey,
        fingerprint: Fingerprint,
    ) -> Self {
        let (principal, key) = (principal.to_owned(), key.as_str().to_owned());
        let claim_id = Uuid::new_v4();
        Self { pool, principal, key, fingerprint, claim_id, recorded: Vec::new() }
    }

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

    /// The same claim, with what was appended already.
    pub(super) fn with_recorded(self, recorded: Vec<Recorded>) -> Self {
        Self { recorded, ..self }
    }

    /// Whether this event follows from a request that is the same as the one that holds the key.
    pub(crate) fn is_of_same_request(&self, event: &Recorded) -> bool {
        event.metadata.request_fingerprint.as_deref() == Some(&*self.fingerprint.to_string())
    }

    /// The answer, to be kept with what the command appends.
    #[must_use]
    pub fn complete_with(
        self,
        answer: impl FnOnce(&Appended) -> Answer + Send + 'static,
    ) -> Box<dyn Attachment> {
        Box::new(AnswerAttachment { claim: self, answer: Box::new(answer) })
    }

    /// Writes the answer under the claim; refuses when another request has taken it over.
    async fn keep_answer(
        &self,
        executor: impl PgExecutor<'_>,
        answer: Answer,
    ) -> Result<(), AttachmentError> {
        let kept = sqlx::query(
            "UPDATE idempotency_keys SET answer = $4, answered_at = now()
             WHERE principal = $1 AND key = $2 AND claim = $3 AND answer IS NULL",
        )
        .bind(&self.principal)
        .bind(&self.key)
        .bind(self.claim_id)
        .bind(Json(answer))
        .execute(executor)
        .await
        .map_err(storage_error)?;
        if kept.rows_affected() == 1 {
            Ok(())
        } else {
            Err(AttachmentError::Refused(Box::new(ClaimLost)))
        }
    }
}

/// An answer to keep under a claim, once it is known what was appended.
struct AnswerAttachment {
    claim: Claim,
    answer: Box<dyn FnOnce(&Appended) -> Answer + Send>,
}

impl fmt::Debug for AnswerAttachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerAttachment").field("claim", &self.claim).finish_non_exhaustive()
    }
}

impl Attachment for AnswerAttachment {
    fn keep<'a>(
        self: Box<Self>,
        appended: &'a Appended,
        scope: AppendScope<'a>,
    ) -> BoxFuture<'a, Result<(), AttachmentError>> {
        async move {
            let answer = (self.answer)(appended);
            match scope {
                AppendScope::Transaction(connection) => {
                    self.claim.keep_answer(connection, answer).await
                }
                AppendScope::Appended => self.claim.keep_answer(&self.claim.pool, answer).await,
            }
        }
        .boxed()
    }
}

/// The id of the command that a principal's key stands for, for ever.
fn command_id(principal: &str, key: &str) -> Uuid {
    let mut name = (principal.len() as u64).to_be_bytes().to_vec();
    name.extend_from_slice(principal.as_bytes());
    name.extend_from_slice(key.as_bytes());
    Uuid::new_v5(&COMMAND_NAMESPACE, &name)
}
