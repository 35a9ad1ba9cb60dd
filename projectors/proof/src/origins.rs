//! The names that a log has had in its tree heads.

use chrono::{DateTime, Utc};
use platform::postgres::Pool;

/// A name of the log.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct LogOrigin {
    /// The name, as tree heads have it.
    pub origin: String,
    /// Since when.
    pub begun_at: DateTime<Utc>,
    /// Who began it by hand; none of the first.
    pub actor: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The last tree head that was signed in it, as a note, as the database says.
    pub signed_head: Option<String>,
}

/// Every name, the oldest first; the last is the one that is signed in.
///
/// # Errors
/// When the database fails.
pub async fn list_origins(pool: &Pool) -> Result<Vec<LogOrigin>, sqlx::Error> {
    sqlx::query_as(
        "SELECT origin, begun_at, actor, reason, signed_head FROM proof_origins ORDER BY number",
    )
    .fetch_all(pool)
    .await
}

/// The name that is signed in; the first one is given here.
pub(crate) async fn ensure_origin(pool: &Pool) -> Result<LogOrigin, sqlx::Error> {
    let first =
        "INSERT INTO proof_origins (number, origin) VALUES (1, 'chipq/' || gen_random_uuid())
         ON CONFLICT (number) DO NOTHING";
    sqlx::query(first).execute(pool).await?;
    list_origins(pool).await?.pop().ok_or(sqlx::Error::RowNotFound)
}

/// Notes the tree head that was signed last in this name.
pub(crate) async fn note_signed_head(
    pool: &Pool,
    origin: &str,
    note: &str,
) -> Result<(), sqlx::Error> {
    let noted = sqlx::query("UPDATE proof_origins SET signed_head = $2 WHERE origin = $1");
    noted.bind(origin).bind(note).execute(pool).await?;
    Ok(())
}

/// Gives the log another name, and has its tree built again from the log's first event: for a log that went back behind
/// what was signed, as one does that was restored from a backup. Returns the name.
///
/// # Errors
/// When the database fails; then nothing has changed.
pub async fn begin_origin(pool: &Pool, actor: &str, reason: &str) -> Result<String, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let begun = sqlx::query_scalar(
        "INSERT INTO proof_origins (number, origin, actor, reason)
         SELECT coalesce(max(number), 0) + 1, 'chipq/' || gen_random_uuid(), $1, $2 FROM proof_origins
         RETURNING origin",
    );
    let origin = begun.bind(actor).bind(reason).fetch_one(&mut *transaction).await?;
    // Whoever owns the tree is fenced off by its epoch, and begins again.
    sqlx::query("UPDATE follower_leases SET epoch = epoch + 1, position = 0 WHERE follower = $1")
        .bind(crate::LOG_PROOF)
        .execute(&mut *transaction)
        .await?;
    sqlx::query("DELETE FROM proof_tiles").execute(&mut *transaction).await?;
    sqlx::query(
        "UPDATE proof_tree SET size = 0, position = 0, chain = decode(repeat('00', 32), 'hex')",
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(origin)
}
