//! Ownership that ends with a connection: an advisory lock on the connection that does the work, and an
//! epoch that the work is fenced by.
//!
//! A process that dies loses both at once. One that is cut off keeps believing, until the server's
//! keepalives end its session; should it wake up after that, its epoch is old and it writes
//! nothing. Absent: the epoch itself, which stands beside the checkpoint.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::{Connection as _, PgConnection, PgPool};

/// How long an instance that stands by waits before it asks for the lock again.
const STANDBY_INTERVAL: Duration = Duration::from_millis(500);

/// After this silence the server probes a connection (seconds), this often, so many times: a peer
/// that is cut off is dropped after 25 s.
const KEEPALIVE_IDLE_S: &str = "10";
const KEEPALIVE_INTERVAL_S: &str = "5";
const KEEPALIVE_COUNT: &str = "3";

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
pub struct OwnerConnection(PgConnection);

impl OwnerConnection {
    /// A connection that owns nothing yet.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn open(pool: &PgPool) -> Result<Self, sqlx::Error> {
        let mut connection = pool.acquire().await?.detach();
        // Not waiting for the disk: rows and checkpoint move together, so what a crash of the server
        // forgets is done again.
        sqlx::query(
            "SELECT set_config('tcp_keepalives_idle', $1, false),
                    set_config('tcp_keepalives_interval', $2, false),
                    set_config('tcp_keepalives_count', $3, false),
                    set_config('synchronous_commit', 'off', false)",
        )
        .bind(KEEPALIVE_IDLE_S)
        .bind(KEEPALIVE_INTERVAL_S)
        .bind(KEEPALIVE_COUNT)
        .execute(&mut connection)
        .await?;
        Ok(Self(connection))
    }

    /// Waits until this process is the owner, and calls `on_standby` as long as another is. Ownership
    /// ends with the connection.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn wait_for(
        pool: &PgPool,
        lock: OwnerLock,
        on_standby: impl Fn() + Send,
    ) -> Result<Self, sqlx::Error> {
        let mut connection = Self::open(pool).await?;
        while !connection.try_lock(lock).await? {
            on_standby();
            tokio::time::sleep(STANDBY_INTERVAL).await;
        }
        Ok(connection)
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
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for OwnerConnection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}
