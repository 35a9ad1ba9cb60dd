//! The bound on what one statement adds up: a table grows for years, and what an answer costs must not.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Postgres, QueryBuilder};

use crate::error::QueryError;

/// The most rows that one statement adds up: a quarter of a second of one processor.
pub(crate) const SUMMED_ROWS_MAX: i64 = 250_000;

/// Ends the subquery of the rows that are added up, one after too many.
pub(super) fn push_summed_limit(sql: &mut QueryBuilder<'_, Postgres>) {
    sql.push(" LIMIT ").push_bind(SUMMED_ROWS_MAX + 1).push(") AS summed");
}

/// Refuses sums that leave rows out, for `rows` that each is of.
///
/// # Errors
/// When there are too many.
pub(super) fn check_summed(rows: impl Iterator<Item = i64>) -> Result<(), QueryError> {
    if rows.sum::<i64>() <= SUMMED_ROWS_MAX {
        return Ok(());
    }
    let message = format!(
        "more than {SUMMED_ROWS_MAX} rows would be added up: name a lot, or a shorter time with from and to"
    );
    Err(QueryError::TooBroad(message))
}

/// The last beginning of a whole `unit` (UTC) at `time` or before.
pub(super) fn round_down(time: DateTime<Utc>, unit: TimeDelta) -> DateTime<Utc> {
    let seconds = time.timestamp() - time.timestamp().rem_euclid(unit.num_seconds());
    DateTime::from_timestamp(seconds, 0).unwrap_or(time)
}

/// The first beginning of a whole `unit` (UTC) at `time` or later.
pub(super) fn round_up(time: DateTime<Utc>, unit: TimeDelta) -> DateTime<Utc> {
    let begun = round_down(time, unit);
    if begun == time { time } else { begun + unit }
}
