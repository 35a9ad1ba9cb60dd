//! The incarnations of this log, as its database keeps them.

use sqlx::types::Uuid;

use super::log_error;
use crate::event_log::{EventLogError, Incarnation, LogPlace, Position};
use crate::postgres::{DatabaseConnection, Pool};

/// SQLSTATE of a table that is not there.
const NO_SUCH_TABLE: &str = "42P01";

/// The incarnation that this session reads and appends to. It begins here when nobody has been in it before;
/// a session stays in the one that it began in, so it is asked for once.
///
/// # Errors
/// When the database does not answer, or is no primary.
pub async fn find_session_incarnation(
    connection: &mut DatabaseConnection,
) -> Result<Incarnation, EventLogError> {
    if let Some(known) = connection.noted_history() {
        return Ok(Incarnation(known));
    }
    let found: Option<Uuid> = sqlx::query_scalar("SELECT log_incarnation()")
        .fetch_one(&mut *connection)
        .await
        .map_err(log_error)?;
    let found = found.ok_or_else(|| {
        EventLogError::Unavailable("the database is a standby, or only reads".into())
    })?;
    connection.note_history(found);
    Ok(Incarnation(found))
}

/// Where the log ends, in the incarnation that this session is in. A session that is gone without a word still
/// remembers its incarnation; so the end comes from the database.
pub(super) async fn read_end(
    connection: &mut DatabaseConnection,
) -> Result<LogPlace, EventLogError> {
    let incarnation = find_session_incarnation(connection).await?;
    let end: i64 = sqlx::query_scalar("SELECT coalesce(max(position), 0) FROM events")
        .fetch_one(connection)
        .await
        .map_err(log_error)?;
    Ok(LogPlace { incarnation, position: Position(end) })
}

/// Whether what is after `place` was given out once only: no later incarnation has begun before it. Of an
/// incarnation that the log knows nothing of (it was forgotten with what was appended in it) nobody can tell.
pub(super) async fn check_place(
    connection: &mut DatabaseConnection,
    place: LogPlace,
) -> Result<(), EventLogError> {
    let end = read_end(connection).await?;
    if end.incarnation == place.incarnation {
        return place.position.ensure_reached(end.position);
    }
    find_kept_up_to(connection, place.incarnation).await?.check(place.position)
}

/// Up to where the log of now is that of an earlier incarnation.
#[derive(Debug, Clone, Copy)]
pub(in crate::event_log) struct KeptUpTo(Option<Position>);

impl KeptUpTo {
    /// Whether a position of that incarnation stands.
    pub(in crate::event_log) fn check(self, position: Position) -> Result<(), EventLogError> {
        match self.0 {
            Some(kept_up_to) if position <= kept_up_to => Ok(()),
            kept_up_to => Err(EventLogError::Reissued { after: kept_up_to.unwrap_or_default() }),
        }
    }
}

/// Up to where an incarnation agrees with all that came after it, which the database has recorded.
pub(in crate::event_log) async fn find_kept_up_to(
    connection: &mut DatabaseConnection,
    incarnation: Incarnation,
) -> Result<KeptUpTo, EventLogError> {
    let kept_up_to: Option<i64> = sqlx::query_scalar(
        "SELECT coalesce(min(later.begins_after), 0)
         FROM event_log_incarnations AS known
         JOIN event_log_incarnations AS later ON later.number > known.number
         WHERE known.id = $1
         HAVING count(*) > 0",
    )
    .bind(incarnation.0)
    .fetch_optional(connection)
    .await
    .map_err(log_error)?;
    Ok(KeptUpTo(kept_up_to.map(Position)))
}

/// Whether the log of this database is not in it. One that was not migrated yet is of a time when it was.
pub(in crate::event_log) async fn belongs_to_external_log(
    pool: &Pool,
) -> Result<bool, EventLogError> {
    let found: Result<Option<Option<String>>, _> = sqlx::query_scalar(
        "SELECT to_jsonb(latest) ->> 'external_log' FROM event_log_incarnations AS latest
         ORDER BY number DESC LIMIT 1",
    )
    .fetch_optional(pool)
    .await;
    match found {
        Ok(latest) => Ok(latest.flatten().is_some()),
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(NO_SUCH_TABLE) => {
            Ok(false)
        }
        Err(error) => Err(log_error(error)),
    }
}
