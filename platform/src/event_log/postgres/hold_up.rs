//! Watches for a transaction that holds the log up. Its hole is never skipped: somebody has to end it,
//! so the warning names it.

use crate::postgres::Pool;
use std::time::Duration;

/// How often to look, and how long an appender may take before it is named.
const PATIENCE: Duration = Duration::from_secs(10);

/// The oldest appender of this database that has held its floor for longer than [`PATIENCE`]. A
/// prepared transaction has no backend: it is known by its name.
const OLDEST: &str = "
    SELECT h.pid, a.application_name, p.gid,
           extract(epoch FROM now() - coalesce(p.prepared, a.xact_start))::float8 AS seconds
    FROM pg_locks h
    LEFT JOIN pg_stat_activity a ON a.pid = h.pid
    LEFT JOIN pg_locks t ON h.pid IS NULL AND t.pid IS NULL AND t.locktype = 'transactionid'
                        AND t.virtualtransaction = h.virtualtransaction
    LEFT JOIN pg_prepared_xacts p ON p.transaction = t.transactionid
    WHERE h.locktype = 'advisory' AND h.classid = 771 AND h.objsubid = 2
      AND h.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND coalesce(p.prepared, a.xact_start) < now() - make_interval(secs => $1)
    ORDER BY coalesce(p.prepared, a.xact_start)
    LIMIT 1";

/// A transaction that has drawn a position and not ended.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct HoldUp {
    /// Its backend; none when it is prepared.
    pub pid: Option<i32>,
    /// What its client calls itself.
    pub application_name: Option<String>,
    /// Its name, when it is prepared.
    pub gid: Option<String>,
    /// How long it has run.
    pub seconds: f64,
}

/// The oldest transaction that has held the log up for longer than `patience`.
pub(super) async fn find_oldest(
    pool: &Pool,
    patience: Duration,
) -> Result<Option<HoldUp>, sqlx::Error> {
    sqlx::query_as(OLDEST).bind(patience.as_secs_f64()).fetch_optional(pool).await
}

/// Warns for as long as a transaction holds the log up.
pub(super) async fn watch(pool: Pool) {
    loop {
        tokio::time::sleep(PATIENCE).await;
        match find_oldest(&pool, PATIENCE).await {
            Ok(Some(hold_up)) => tracing::warn!(
                pid = hold_up.pid,
                application_name = hold_up.application_name,
                prepared_transaction = hold_up.gid,
                seconds = hold_up.seconds,
                "an open transaction holds the event log up; readers wait for it. End it with \
                 pg_terminate_backend(pid) or ROLLBACK PREPARED"
            ),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "cannot look for what holds the event log up"),
        }
    }
}
