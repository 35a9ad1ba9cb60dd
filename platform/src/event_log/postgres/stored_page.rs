//! Reading the log exactly as it is stored.

use super::event_row::{COLUMNS, EventRow};
use super::{find_session_incarnation, log_error};
use crate::event_log::{EventLogError, Position, StoredEvent, StoredPage};
use crate::postgres::Pool;

/// At most `limit` events after `after`, and none after `up_to`, up to where the log is known to be complete. From the
/// beginning on they are all, also at positions that the log never gave out: who put one there must not be passed over.
pub(super) async fn read_stored_page(
    pool: &Pool,
    (after, up_to): (Position, Position),
    limit: usize,
) -> Result<StoredPage, EventLogError> {
    let mut connection = pool.acquire().await.map_err(log_error)?;
    let incarnation = find_session_incarnation(&mut connection).await?;
    let sql = format!(
        "SELECT {COLUMNS} FROM events WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3"
    );
    let rows: Vec<EventRow> = sqlx::query_as(&sql)
        .bind(if after == Position(0) { i64::MIN } else { after.0 })
        .bind(up_to.0)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut *connection)
        .await
        .map_err(log_error)?;
    let full = rows.len() == limit;
    let up_to = rows.last().filter(|_| full).map_or(up_to, |row| Position(row.position));
    Ok(StoredPage { events: rows.into_iter().map(StoredEvent::from).collect(), up_to, incarnation })
}
