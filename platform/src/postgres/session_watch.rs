//! Whether a session of the server still lives, asked on another connection: for statements that take longer
//! than anybody can tell beforehand.
//!
//! A statement on a whole table, or one that waits for others who migrate, has no useful deadline. On a connection
//! that fell silent it would be waited for until that, however; so somebody else asks now and then whether
//! the server has the session. A new primary has not, and the old one drops a client that is cut off.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use sqlx::{Executor, Postgres};
use tokio::time::sleep;

use super::Pool;
use super::connection::{DatabaseConnection, SessionWatch};

/// How often it is asked.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// After so many looks in a row that were not answered the session counts as lost.
const UNANSWERED_MAX: u32 = 3;

/// A session, and the connections on which it is asked after.
#[derive(Debug, Clone)]
pub(super) struct WatchedSession {
    pool: Pool,
    pid: i32,
    /// A process id is used again.
    started_at: DateTime<Utc>,
}

impl WatchedSession {
    /// Watches the session of `connection` by way of `pool`, which leads to the same server.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn begin(
        connection: impl Executor<'_, Database = Postgres>,
        pool: &Pool,
    ) -> Result<Self, sqlx::Error> {
        let session =
            "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()";
        let (pid, started_at) = sqlx::query_as(session).fetch_one(connection).await?;
        Ok(Self { pool: pool.clone(), pid, started_at })
    }

    async fn is_alive(&self) -> Result<bool, sqlx::Error> {
        let found = "SELECT EXISTS
            (SELECT FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2)";
        sqlx::query_scalar(found).bind(self.pid).bind(self.started_at).fetch_one(&self.pool).await
    }
}

impl SessionWatch for WatchedSession {
    fn wait_until_lost(&self) -> BoxFuture<'_, sqlx::Error> {
        async move {
            let mut unanswered = 0;
            loop {
                sleep(LOOK_INTERVAL).await;
                match self.is_alive().await {
                    Ok(true) => unanswered = 0,
                    Ok(false) => {
                        let message = "the server does not have the session any more";
                        return io::Error::new(io::ErrorKind::NotConnected, message).into();
                    }
                    Err(error) => {
                        unanswered += 1;
                        if unanswered == UNANSWERED_MAX {
                            return error;
                        }
                    }
                }
            }
        }
        .boxed()
    }
}

impl DatabaseConnection {
    /// Lets statements take as long as one may where none is ended by the server, for as long as the server has
    /// the session, which is asked after by way of `pool`. For those that read whole tables, whose caller has
    /// lifted the server's limit.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn allow_long_statements(&mut self, pool: &Pool) -> Result<(), sqlx::Error> {
        let session = WatchedSession::begin(&mut *self, pool).await?;
        self.lift_limit(Arc::new(session));
        Ok(())
    }
}
