//! Ownership that ends with a connection: an advisory lock on the connection that does the work, and an
//! epoch that the work is fenced by.
//!
//! A process that dies loses both at once. One that is cut off or stands still says nothing any more, and
//! the server ends its session; should it wake up after that, its epoch is old and it writes nothing. An
//! owner that waits for work proves now and then that the database still answers ([`OwnerConnection::hold_while`]).
//! Absent: the epoch itself, which stands beside the checkpoint.

use super::session::FollowError;
use crate::event_log::Incarnation;
use crate::event_log::postgres::find_session_incarnation;
use crate::postgres::{DatabaseConnection, Pool};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// How long an instance that stands by waits before it asks for the lock again.
const STANDBY_INTERVAL: Duration = Duration::from_millis(500);

/// How often an owner that waits speaks to the database.
const PROVE_INTERVAL: Duration = Duration::from_secs(5);
/// The server ends the session of an owner that says nothing for so long: it stands still, or is cut off.
const SILENCE_MAX: &str = "20s";

/// An advisory lock of PostgreSQL: a class, which tells kinds of work apart, and the work's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnerLock {
    /// Unique among the advisory locks of this platform; 771 and 772 are the event log's.
    pub class: i32,
    /// What is owned; its hash is locked.
    pub name: &'static str,
}

/// A connection outside the pool, held for long, that owns what it locks.
#[derive(Debug)]
pub struct OwnerConnection(DatabaseConnection);

impl OwnerConnection {
    /// A connection that owns nothing yet.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn open(pool: &Pool) -> Result<Self, sqlx::Error> {
        let mut connection = pool.open_connection().await?;
        // Not waiting for the disk: rows and checkpoint move together, so what a crash of the server
        // forgets is done again.
        sqlx::query("SET synchronous_commit = off").execute(&mut connection).await?;
        Ok(Self(connection))
    }

    /// Waits until this process is the owner, and calls `on_standby` as long as another is. Ownership
    /// ends with the connection.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn wait_for(
        pool: &Pool,
        lock: OwnerLock,
        on_standby: impl Fn() + Send,
    ) -> Result<Self, sqlx::Error> {
        let mut connection = Self::open(pool).await?;
        let silence = format!("SET idle_session_timeout = '{SILENCE_MAX}'");
        sqlx::query(&silence).execute(&mut *connection).await?;
        while !connection.try_lock(lock).await? {
            on_standby();
            tokio::time::sleep(STANDBY_INTERVAL).await;
        }
        Ok(connection)
    }

    /// Waits for something, and proves meanwhile that this process is there and that the database is. Whoever
    /// owns by [`Self::wait_for`] waits for nothing else than the database in any other way.
    ///
    /// # Errors
    /// When the database does not answer, or ended the session; what was waited for is then dropped.
    pub(super) async fn hold_while<T>(
        &mut self,
        doing: impl Future<Output = T>,
    ) -> Result<T, sqlx::Error> {
        let mut doing = std::pin::pin!(doing);
        loop {
            match tokio::time::timeout(PROVE_INTERVAL, &mut doing).await {
                Ok(done) => return Ok(done),
                Err(_) => self.0.ping().await?,
            }
        }
    }

    /// Makes sure that what was read of the log is in the history that this database has. It may have come from
    /// another server, or from memory, and what is done about it is kept here.
    ///
    /// # Errors
    /// When it is not, or the database fails.
    pub(super) async fn ensure_history(&mut self, read: Incarnation) -> Result<(), FollowError> {
        // Asked once in a session, which is in one history for as long as it lives.
        if find_session_incarnation(&mut self.0).await? == read {
            return Ok(());
        }
        Err(FollowError::failed("what was read of the log is of another history than the database"))
    }

    /// Takes a lock for the life of the connection, if nobody else has it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn try_lock(&mut self, lock: OwnerLock) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar("SELECT pg_try_advisory_lock($1, hashtext($2))")
            .bind(lock.class)
            .bind(lock.name)
            .fetch_one(&mut self.0)
            .await
    }

    /// Ends the session. Its locks are free when this returns; a connection that is merely dropped
    /// holds them until the server notices.
    pub async fn release(self) {
        let mut connection = self.0;
        let unlocked =
            sqlx::query("SELECT pg_advisory_unlock_all()").execute(&mut connection).await;
        if let Err(error) = unlocked.and(connection.close().await) {
            tracing::debug!(%error, "connection lost while it was closed");
        }
    }
}

impl Deref for OwnerConnection {
    type Target = DatabaseConnection;

    fn deref(&self) -> &DatabaseConnection {
        &self.0
    }
}

impl DerefMut for OwnerConnection {
    fn deref_mut(&mut self) -> &mut DatabaseConnection {
        &mut self.0
    }
}
