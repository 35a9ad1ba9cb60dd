//! The generation that serves as it stood at one position, in a snapshot of the database.
//!
//! Invariant: nobody waits for it, however long it is looked at. Rows and checkpoint move in one
//! transaction, so a snapshot shows both at the same position without holding either.

use std::time::Duration;

use platform::event_log::Position;
use platform::follower::OwnerConnection;
use platform::postgres::{DatabaseConnection, Pool};
use sqlx::Executor as _;

use super::RebuildError;
use crate::projection::Projection;

/// How long the snapshot may idle while the other generation catches up with it or is summed up. The
/// server ends it then, and with it the wait of a process that is gone.
const IDLE_MAX: Duration = Duration::from_secs(3_600);

/// A snapshot that stays open until it is closed; what was copied out of it may be read after that.
pub(super) struct ServingSnapshot {
    connection: OwnerConnection,
    pub(super) generation: i32,
    pub(super) position: Position,
}

impl ServingSnapshot {
    /// Looks at the generation that serves now, on a connection of its own.
    pub(super) async fn open(
        pool: &Pool,
        projection: &'static dyn Projection,
    ) -> Result<Self, RebuildError> {
        let mut connection = OwnerConnection::open(pool).await?;
        // Whole tables are read, which outlasts any statement of a service.
        connection.allow_long_statements(pool).await?;
        let idle_max = IDLE_MAX.as_millis();
        let limits = format!(
            "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = {idle_max}"
        );
        connection.execute(limits.as_str()).await?;
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
        // The first statement takes the snapshot, and with it the position of everything read after it.
        let serving: Option<(i32, i64)> = sqlx::query_as(
            "SELECT generation, least(position, log_lost_after) FROM public.projection_checkpoints
             WHERE projection = $1 AND status = 'serving'",
        )
        .bind(projection.name())
        .fetch_optional(&mut *connection)
        .await?;
        let (generation, position) =
            serving.ok_or(RebuildError::NothingServes(projection.name()))?;
        Ok(Self { connection, generation, position: Position(position) })
    }

    /// Where the snapshot is read.
    pub(super) fn connection(&mut self) -> &mut DatabaseConnection {
        &mut self.connection
    }

    /// Ends the snapshot. The connection sees the database as it is from now on, and the temporary
    /// tables that were filled from the snapshot.
    pub(super) async fn close(&mut self) -> Result<&mut DatabaseConnection, sqlx::Error> {
        self.connection.execute("COMMIT").await?;
        Ok(&mut self.connection)
    }

    /// Ends the session, and with it what was copied.
    pub(super) async fn release(self) {
        self.connection.release().await;
    }
}
