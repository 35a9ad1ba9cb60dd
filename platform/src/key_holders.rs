//! What the processes that serve an installation know of each other's keys: that all have a key before it signs, and
//! that all have the same.
//!
//! Invariant: who begins with keys of which none is the installation's is refused, however many begin at once; whoever
//! has begun goes on. In the database are ids alone. Absent: the keys (`auth`).

mod follow;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::auth::{AgreedKey, KeyAgreement, KeyError, KeyPurpose, NamedKey, SIGNS_AFTER};
use crate::postgres::{Pool, Transaction};

pub use follow::SharedKeys;

/// A process that has said nothing for so long is not waited for.
const ALIVE_FOR: &str = "30 seconds";
/// A key that was last seen so long before the newest was retired meanwhile.
const GONE_AFTER: &str = "10 minutes";

/// Why a process must not work with its keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyHolderError {
    /// They are another installation's.
    #[error(
        "none of the keys of {} in {place} is one that the installation in this database works with; name the directory \
         that its processes share (--keys, CHIPQ_KEYS), or, where those are lost, run `chipq keys adopt` with these",
        purpose.as_str()
    )]
    Foreign {
        /// Which of them.
        purpose: KeyPurpose,
        /// Where they are.
        place: String,
    },
    /// There are none here, and the installation has some.
    #[error(
        "there are no keys in {}, and the installation in this database has some; name the directory that its processes \
         share (--keys, CHIPQ_KEYS), or, where those are lost, run `chipq keys adopt`",
        .0.display()
    )]
    Elsewhere(PathBuf),
    /// The keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// Others serve with other keys.
    #[error(
        "{0} process(es) serve with the keys that the installation works with now; stop them, wait half a minute, then run it again"
    )]
    InUse(i64),
    /// The database fails.
    #[error("what others know of the keys cannot be read or written: {0}")]
    Storage(#[from] sqlx::Error),
}

/// Those who have keys of an installation. Clones are the same process.
#[derive(Debug, Clone)]
pub struct KeyHolders {
    pool: Pool,
    /// This process, where it serves.
    holder: Option<Uuid>,
}

impl KeyHolders {
    /// As a process that serves, and is waited for before a key signs.
    #[must_use]
    pub fn for_server(pool: Pool) -> Self {
        Self { pool, holder: Some(Uuid::new_v4()) }
    }

    /// As a command, which ends.
    #[must_use]
    pub const fn for_command(pool: Pool) -> Self {
        Self { pool, holder: None }
    }

    /// Whether the installation has had keys.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn are_known(&self) -> Result<bool, KeyHolderError> {
        let known = sqlx::query_scalar("SELECT EXISTS (SELECT FROM installation_keys)");
        Ok(known.fetch_one(&self.pool).await?)
    }

    /// Begins with the keys `held`, which lie in `place`; what all know of all keys then.
    ///
    /// # Errors
    /// When they are another installation's, or the database fails.
    pub async fn begin(
        &self,
        held: &[NamedKey],
        place: impl std::fmt::Display,
    ) -> Result<KeyAgreement, KeyHolderError> {
        let mut transaction = self.begin_alone().await?;
        for purpose in KeyPurpose::ALL {
            if is_foreign(&mut transaction, purpose, held).await? {
                transaction.rollback().await?;
                return Err(KeyHolderError::Foreign { purpose, place: place.to_string() });
            }
        }
        self.note(transaction, held, &[]).await
    }

    /// Says again that this process has the keys `held`, and which sign; what all know of all keys then.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn renew(
        &self,
        held: &[NamedKey],
        signing: &[String],
    ) -> Result<KeyAgreement, KeyHolderError> {
        let transaction = self.begin_alone().await?;
        self.note(transaction, held, signing).await
    }

    /// Makes `held` the keys of the installation, whose own are lost.
    ///
    /// # Errors
    /// While somebody serves with those, or the database fails.
    pub async fn adopt(&self, held: &[NamedKey]) -> Result<KeyAgreement, KeyHolderError> {
        let mut transaction = self.begin_alone().await?;
        let serving = format!(
            "SELECT count(*) FROM key_holders WHERE seen_at > clock_timestamp() - interval '{ALIVE_FOR}'"
        );
        let serving: i64 = sqlx::query_scalar(&serving).fetch_one(&mut *transaction).await?;
        if serving > 0 {
            transaction.rollback().await?;
            return Err(KeyHolderError::InUse(serving));
        }
        sqlx::query("DELETE FROM installation_keys").execute(&mut *transaction).await?;
        self.note(transaction, held, &[]).await
    }

    /// Says that this process serves no more.
    ///
    /// # Errors
    /// When the database fails; the others then wait for it for half a minute.
    pub async fn end(&self) -> Result<(), KeyHolderError> {
        let gone = sqlx::query("DELETE FROM key_holders WHERE holder_id = $1").bind(self.holder);
        gone.execute(&self.pool).await?;
        Ok(())
    }

    /// A transaction in which nobody else begins: of two that do at once with other keys, one sees the other's.
    async fn begin_alone(&self) -> Result<Transaction<'static>, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let lock = "LOCK TABLE installation_keys IN SHARE ROW EXCLUSIVE MODE";
        sqlx::query(lock).execute(&mut *transaction).await?;
        Ok(transaction)
    }

    async fn note(
        &self,
        mut transaction: Transaction<'static>,
        held: &[NamedKey],
        signing: &[String],
    ) -> Result<KeyAgreement, KeyHolderError> {
        note_keys(&mut transaction, held).await?;
        if let Some(holder) = self.holder {
            note_holder(&mut transaction, holder, held, signing).await?;
        }
        let agreement = read_agreement(&mut transaction).await?;
        transaction.commit().await?;
        Ok(agreement)
    }
}

/// Whether there are keys of this purpose, and none of them is held.
async fn is_foreign(
    transaction: &mut Transaction<'_>,
    purpose: KeyPurpose,
    held: &[NamedKey],
) -> Result<bool, sqlx::Error> {
    let current = format!(
        "SELECT key_id FROM installation_keys WHERE purpose = $1 AND last_seen_at >= \
         (SELECT max(last_seen_at) FROM installation_keys WHERE purpose = $1) - interval '{GONE_AFTER}'"
    );
    let current = sqlx::query_scalar(&current).bind(purpose.as_str());
    let current: Vec<String> = current.fetch_all(&mut **transaction).await?;
    let is_current = |key: &NamedKey| key.purpose == purpose && current.contains(&key.id);
    Ok(!current.is_empty() && !held.iter().any(is_current))
}

/// The first keys of a purpose are as old as they say; those after them begin now, whatever the name of their file says:
/// it may have been long on its way.
async fn note_keys(
    transaction: &mut Transaction<'_>,
    held: &[NamedKey],
) -> Result<(), sqlx::Error> {
    let ids: Vec<_> = held.iter().map(|key| key.id.as_str()).collect();
    let purposes: Vec<_> = held.iter().map(|key| key.purpose.as_str()).collect();
    let made_at: Vec<DateTime<Utc>> = held.iter().map(|key| key.made_at).collect();
    let note = "INSERT INTO installation_keys (key_id, purpose, first_seen_at, last_seen_at) \
        SELECT held.key_id, held.purpose, \
               CASE WHEN EXISTS (SELECT FROM installation_keys AS known WHERE known.purpose = held.purpose) \
                         OR held.made_at = to_timestamp(0) \
                    THEN clock_timestamp() ELSE least(held.made_at, clock_timestamp()) END, \
               clock_timestamp() \
        FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS held (key_id, purpose, made_at) \
        ON CONFLICT (key_id) DO UPDATE SET last_seen_at = excluded.last_seen_at";
    let note = sqlx::query(note).bind(ids).bind(purposes).bind(made_at);
    note.execute(&mut **transaction).await?;
    Ok(())
}

async fn note_holder(
    transaction: &mut Transaction<'_>,
    holder: Uuid,
    held: &[NamedKey],
    signing: &[String],
) -> Result<(), sqlx::Error> {
    let ids: Vec<_> = held.iter().map(|key| key.id.as_str()).collect();
    let note = "INSERT INTO key_holders (holder_id, key_ids, signing_ids, seen_at) \
        VALUES ($1, $2, $3, clock_timestamp()) ON CONFLICT (holder_id) DO UPDATE \
        SET key_ids = excluded.key_ids, signing_ids = excluded.signing_ids, seen_at = excluded.seen_at";
    sqlx::query(note).bind(holder).bind(ids).bind(signing).execute(&mut **transaction).await?;
    let forget = format!(
        "DELETE FROM key_holders WHERE seen_at < clock_timestamp() - interval '{GONE_AFTER}'"
    );
    sqlx::query(&forget).execute(&mut **transaction).await?;
    Ok(())
}

async fn read_agreement(transaction: &mut Transaction<'_>) -> Result<KeyAgreement, sqlx::Error> {
    let agreement = format!(
        "WITH alive AS (SELECT key_ids, signing_ids FROM key_holders \
                        WHERE seen_at > clock_timestamp() - interval '{ALIVE_FOR}') \
         SELECT key_id, purpose = 'tokens' AS is_of_tokens, first_seen_at, \
                first_seen_at <= clock_timestamp() - make_interval(secs => $1) AS is_published, \
                (SELECT count(*) FROM alive WHERE key_id = ANY (alive.key_ids)) AS known_by, \
                (SELECT count(*) FROM alive WHERE key_id = ANY (alive.signing_ids)) AS signed_by, \
                (SELECT count(*) FROM alive) AS holders \
         FROM installation_keys AS known \
         WHERE last_seen_at >= (SELECT max(last_seen_at) FROM installation_keys AS newest \
                                WHERE newest.purpose = known.purpose) - interval '{GONE_AFTER}' \
         ORDER BY first_seen_at, key_id"
    );
    let agreement = sqlx::query(&agreement).bind(SIGNS_AFTER.as_secs_f64());
    let rows = agreement.fetch_all(&mut **transaction).await?;
    rows.iter().map(read_key).collect()
}

fn read_key(row: &PgRow) -> Result<AgreedKey, sqlx::Error> {
    let is_of_tokens: bool = row.try_get("is_of_tokens")?;
    Ok(AgreedKey {
        id: row.try_get("key_id")?,
        purpose: if is_of_tokens { KeyPurpose::Tokens } else { KeyPurpose::Urls },
        first_seen_at: row.try_get("first_seen_at")?,
        is_published: row.try_get("is_published")?,
        known_by: row.try_get("known_by")?,
        signed_by: row.try_get("signed_by")?,
        holders: row.try_get("holders")?,
    })
}
