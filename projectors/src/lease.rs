//! Who may write a projection: the process that holds its advisory lock on the connection it writes
//! with, fenced by the checkpoint's `owner_epoch`.
//!
//! A process that dies loses both at once. One that is cut off keeps believing, until the server's
//! keepalives end its session; should it wake up after that, its epoch is old and it writes
//! nothing.

use std::time::Duration;

use platform::event_log::{Position, StreamId};
use sqlx::{Connection as _, PgConnection, PgPool};

use crate::generation::{Generation, GenerationStatus, lock};
use crate::projection::Projection;

/// How long an instance that stands by waits before it asks for the lock again.
const STANDBY_INTERVAL: Duration = Duration::from_millis(500);

/// After this silence the server probes a connection (seconds), this often, so many times: a peer
/// that is cut off is dropped after 25 s.
const KEEPALIVE_IDLE_S: &str = "10";
const KEEPALIVE_INTERVAL_S: &str = "5";
const KEEPALIVE_COUNT: &str = "3";

/// A connection outside the pool that may be held for long.
pub(crate) async fn connect(pool: &PgPool) -> Result<PgConnection, sqlx::Error> {
    let mut connection = pool.acquire().await?.detach();
    sqlx::query(
        "SELECT set_config('tcp_keepalives_idle', $1, false),
                set_config('tcp_keepalives_interval', $2, false),
                set_config('tcp_keepalives_count', $3, false)",
    )
    .bind(KEEPALIVE_IDLE_S)
    .bind(KEEPALIVE_INTERVAL_S)
    .bind(KEEPALIVE_COUNT)
    .execute(&mut connection)
    .await?;
    Ok(connection)
}

/// Waits until this process is the one that writes the projection. The lease ends with the
/// connection.
pub(crate) async fn acquire(
    pool: &PgPool,
    projection: &dyn Projection,
) -> Result<PgConnection, sqlx::Error> {
    let mut connection = connect(pool).await?;
    while !try_lock(&mut connection, lock::OWNER, projection).await? {
        tokio::time::sleep(STANDBY_INTERVAL).await;
    }
    // Rows and checkpoint move together: what a crash of the server forgets is applied again.
    sqlx::query("SET synchronous_commit = off").execute(&mut connection).await?;
    Ok(connection)
}

/// Takes a projection's lock of this class for the life of the connection, if nobody else has it.
pub(crate) async fn try_lock(
    connection: &mut PgConnection,
    class: i32,
    projection: &dyn Projection,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_try_advisory_lock($1, hashtext($2))")
        .bind(class)
        .bind(projection.name())
        .fetch_one(connection)
        .await
}

/// Ends the session. Its locks are free when this returns; a connection that is merely dropped holds
/// them until the server notices.
pub(crate) async fn release(mut connection: PgConnection) {
    let unlocked = sqlx::query("SELECT pg_advisory_unlock_all()").execute(&mut connection).await;
    if let Err(error) = unlocked.and(connection.close().await) {
        tracing::debug!(%error, "connection lost while it was closed");
    }
}

/// Makes this process the owner of the generation that serves: every owner before is fenced off.
/// `None` when none serves, or only one that code of another version has built.
pub(crate) async fn take_over(
    connection: &mut PgConnection,
    projection: &'static dyn Projection,
) -> Result<Option<Generation>, sqlx::Error> {
    let taken: Option<(i32, i64, i64)> = sqlx::query_as(
        "UPDATE public.projection_checkpoints SET owner_epoch = owner_epoch + 1
         WHERE projection = $1 AND status = 'serving' AND schema_version = $2
         RETURNING generation, owner_epoch, position",
    )
    .bind(projection.name())
    .bind(projection.definition().schema_version)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((number, epoch, position)) = taken else { return Ok(None) };
    let parked: Vec<(String, String)> = sqlx::query_as(
        "SELECT aggregate_type, aggregate_id FROM public.parked_streams
         WHERE projection = $1 AND generation = $2",
    )
    .bind(projection.name())
    .bind(number)
    .fetch_all(connection)
    .await?;
    Ok(Some(Generation {
        projection,
        number,
        status: GenerationStatus::Serving,
        epoch,
        position: Position(position),
        parked: parked
            .into_iter()
            .map(|(aggregate_type, aggregate_id)| StreamId { aggregate_type, aggregate_id })
            .collect(),
    }))
}
