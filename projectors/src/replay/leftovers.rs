//! The generations of replays: whose they are, and that they go.
//!
//! Invariant: whoever replays holds a lock with its session, so one that nobody holds was left by a process that is
//! gone.

use domain::GenerationStatus;
use platform::postgres::DatabaseConnection;

use crate::generation::{lock, schema, tables};

/// Holds the generation in this schema for as long as the session lives.
pub(super) async fn hold(
    connection: &mut DatabaseConnection,
    schema: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_lock($1, hashtext($2))")
        .bind(lock::REPLAY)
        .bind(schema)
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes what nobody holds any more.
pub(super) async fn remove_abandoned(
    connection: &mut DatabaseConnection,
) -> Result<(), sqlx::Error> {
    let found: Vec<(String, i32)> = sqlx::query_as(
        "SELECT projection, generation FROM public.projection_checkpoints WHERE status = $1",
    )
    .bind(GenerationStatus::Replaying.as_str())
    .fetch_all(&mut *connection)
    .await?;
    for (projection, number) in found {
        let schema = schema(&projection, number);
        let is_free: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1, hashtext($2))")
            .bind(lock::REPLAY)
            .bind(&schema)
            .fetch_one(&mut *connection)
            .await?;
        if !is_free {
            continue;
        }
        remove(connection, (&projection, number)).await?;
        sqlx::query("SELECT pg_advisory_unlock($1, hashtext($2))")
            .bind(lock::REPLAY)
            .bind(&schema)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Removes a generation of a replay, if it is still there.
pub(super) async fn remove(
    connection: &mut DatabaseConnection,
    (projection, number): (&str, i32),
) -> Result<(), sqlx::Error> {
    let mut tx = connection.begin().await?;
    let removed = sqlx::query(
        "DELETE FROM public.projection_checkpoints
         WHERE projection = $1 AND generation = $2 AND status = $3",
    )
    .bind(projection)
    .bind(number)
    .bind(GenerationStatus::Replaying.as_str())
    .execute(&mut *tx)
    .await?;
    // Its number may be another's by now.
    if removed.rows_affected() > 0 {
        tables::drop_tables(&mut tx, projection, number).await?;
    }
    tx.commit().await
}
