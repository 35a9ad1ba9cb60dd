//! The worker's place in the log. Saving it late is harmless: work that is done again changes nothing.

use platform::event_log::Position;
use sqlx::PgPool;

/// The worker's name in `worker_checkpoints`.
pub const WORKER: &str = "inference-worker";

pub(super) struct Checkpoint {
    pool: PgPool,
}

impl Checkpoint {
    pub(super) const fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    pub(super) async fn load(&self) -> Result<Position, sqlx::Error> {
        let position: Option<i64> =
            sqlx::query_scalar("SELECT position FROM worker_checkpoints WHERE worker = $1")
                .bind(WORKER)
                .fetch_optional(&self.pool)
                .await?;
        Ok(Position(position.unwrap_or(0)))
    }

    /// Moves the checkpoint forward, never back.
    pub(super) async fn save(&self, position: Position) {
        let saved = sqlx::query(
            "INSERT INTO worker_checkpoints AS w (worker, position)
             SELECT $1, $2
             FROM (SELECT set_config('synchronous_commit', 'off', true)) AS this_transaction
             ON CONFLICT (worker) DO UPDATE SET position = excluded.position, updated_at = now()
             WHERE w.position < excluded.position",
        )
        .bind(WORKER)
        .bind(position.0)
        .execute(&self.pool)
        .await;
        if let Err(error) = saved {
            tracing::warn!(%error, %position, "worker checkpoint not saved; it will be later");
        }
    }
}
