//! Answers to commands that the log has lost.
//!
//! Where the log is not in the database of the answers, it may be put back without what was answered. Invariant: such an
//! answer is never given again: the key is free then, and the next request with it is the first.

use super::{Answer, Claim, ClaimError, storage_error};
use crate::event_log::{EventLog, EventLogError};
use crate::postgres::Pool;

/// Makes sure that what an answer says is in the log.
///
/// # Errors
/// [`ClaimError::InProgress`] when it is not, after the answer was forgotten; or when nobody can tell.
pub(super) async fn refuse_lost(
    log: &dyn EventLog,
    pool: &Pool,
    (claim, answer): (&Claim, &Answer),
) -> Result<(), ClaimError> {
    if log.keeps_answers_with_events() || answer.place.is_beginning() {
        return Ok(());
    }
    match log.check_place(answer.place).await {
        Err(EventLogError::Reissued { .. } | EventLogError::EndsBefore { .. }) => {
            let sql = "DELETE FROM idempotency_keys
                       WHERE principal = $1 AND key = $2 AND answer -> 'place' = $3";
            sqlx::query(sql)
                .bind(&claim.key().principal)
                .bind(&claim.key().key)
                .bind(sqlx::types::Json(answer.place))
                .execute(pool)
                .await
                .map_err(storage_error)?;
            Err(ClaimError::in_progress(0.0))
        }
        checked => Ok(checked?),
    }
}
