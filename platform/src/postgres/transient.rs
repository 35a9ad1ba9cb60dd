//! What an error of the database says about trying again.

use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// SQLSTATE of a server that only reads: it was the primary, and is not any more.
pub(super) const READ_ONLY: &str = "25006";
/// SQLSTATE classes of what may pass by itself: the connection, serialization and locks, full disks and
/// memory, the server going up or down.
const TRANSIENT_CLASSES: [&str; 6] = ["08", "40", "53", "55", "57", "58"];

/// Whether what failed may succeed when it is tried again, because nothing is wrong with it: the database
/// is away, going up or down, full, busy, or not the primary any more.
#[must_use]
pub fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(database) => database.code().is_some_and(|code| {
            code == READ_ONLY || TRANSIENT_CLASSES.iter().any(|class| code.starts_with(class))
        }),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// Whether the session ended with what failed: by then a statement that is a transaction of its own may be committed.
#[must_use]
pub(crate) fn is_fatal(error: &sqlx::Error) -> bool {
    let database = error.as_database_error();
    let database = database.and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    database.is_some_and(|e| matches!(e.severity(), PgSeverity::Fatal | PgSeverity::Panic))
}

/// Whether a server that refuses a connection is about to accept it.
pub(super) fn is_starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        sqlx::Error::Database(error) => error.is_transient_in_connect_phase(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::fresh_database;

    #[tokio::test]
    async fn a_primary_that_only_reads_is_away_and_a_statement_that_is_wrong_is_not() {
        let database = fresh_database().await;
        let error = async |statement: &str| {
            sqlx::raw_sql(statement).execute(&database.pool()).await.unwrap_err()
        };
        let demoted = "BEGIN READ ONLY; CREATE TABLE refused ()";
        assert!(may_pass(&error(demoted).await));
        assert!(may_pass(&error("SET statement_timeout = 1; SELECT pg_sleep(9)").await));
        assert!(!may_pass(&error("SELECT wrong").await));
    }
}
