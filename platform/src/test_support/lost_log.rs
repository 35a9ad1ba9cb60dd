//! A test's log that goes back to an earlier state, as when a copy of PostgreSQL's files is put back: it is the same
//! cluster and the same database, and what was appended since is lost without a word.

use sqlx::{Connection as _, Executor as _, PgConnection};

use super::TestDatabase;
use crate::event_log::Position;

/// Cuts a log off after `kept`, under those who are connected. No server does that to its own database; one whose
/// memory was put back with its files may.
///
/// # Panics
/// When the server does not do it.
pub async fn cut_log(database: &TestDatabase, kept: Position) {
    lose(database, kept, "").await;
}

/// Cuts a log off after `kept`, as a server does on whose files an earlier copy was put before it was started.
/// Whoever is connected loses its connection.
///
/// # Panics
/// When the server does not do it.
pub async fn put_copy_back(database: &TestDatabase, kept: Position) {
    // The cluster is shared by all tests, and runs on: that it was started is only said.
    let started = "
        SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid();
        CREATE OR REPLACE VIEW event_log_history AS
            SELECT s.system_identifier, d.oid AS database,
                   ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint AS timeline,
                   '2038-01-19 03:14:07Z'::timestamptz AS server_started_at
            FROM pg_control_system() AS s, pg_database AS d WHERE d.datname = current_database();";
    lose(database, kept, started).await;
}

/// In one transaction, so that nobody sees half of it.
async fn lose(database: &TestDatabase, Position(kept): Position, besides: &str) {
    let statements = format!(
        "BEGIN;
         LOCK TABLE events, event_log_incarnations IN ACCESS EXCLUSIVE MODE;
         ALTER TABLE events DISABLE TRIGGER events_append_only;
         DELETE FROM events WHERE position > {kept};
         ALTER TABLE events ENABLE TRIGGER events_append_only;
         SELECT setval('event_position_seq', {kept});
         {besides}
         COMMIT"
    );
    let lost = async {
        let mut connection = PgConnection::connect(database.url()).await?;
        connection.execute(sqlx::raw_sql(&statements)).await
    };
    lost.await.unwrap_or_else(|error| panic!("the log does not go back: {error}"));
}
