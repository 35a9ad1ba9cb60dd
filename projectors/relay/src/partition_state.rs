//! How far the partitions of topics were sent, as it is written down in the database.
//!
//! Invariant: it is written in the transaction that moves the relay's checkpoint, by whoever owns the relay. Absent:
//! what a partition really holds, which only Kafka knows.

use std::collections::BTreeMap;

use platform::event_log::Position;
use platform::postgres::{DatabaseConnection, Pool};

/// Up to where a partition was sent and acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Every event of the partition up to here is in it, or was until it expired.
    pub(crate) position: Position,
    /// The offset of the last record; -1 before the first.
    pub(crate) offset: i64,
}

impl Sent {
    /// Nothing was.
    pub(crate) const NOTHING: Self = Self { position: Position(0), offset: -1 };
}

/// What is known of the partitions of `topic`, by number; empty where nothing was ever sent to it.
pub(crate) async fn load_sent(
    pool: &Pool,
    topic: &str,
) -> Result<BTreeMap<i32, Sent>, sqlx::Error> {
    let sql = "SELECT partition, position, record_offset FROM relay_partitions WHERE topic = $1";
    let rows: Vec<(i32, i64, i64)> = sqlx::query_as(sql).bind(topic).fetch_all(pool).await?;
    let sent =
        |(partition, position, offset)| (partition, Sent { position: Position(position), offset });
    Ok(rows.into_iter().map(sent).collect())
}

/// Writes down what is known of a partition now.
pub(crate) async fn save_sent(
    transaction: &mut DatabaseConnection,
    (topic, partition): (&str, i32),
    sent: Sent,
) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO relay_partitions (topic, partition, position, record_offset)
               VALUES ($1, $2, $3, $4)
               ON CONFLICT (topic, partition) DO UPDATE
               SET position = $3, record_offset = $4, updated_at = now()";
    let saving = sqlx::query(sql).bind(topic).bind(partition).bind(sent.position.0);
    saving.bind(sent.offset).execute(transaction).await.map(drop)
}

/// Forgets what is known of `topic`, and fences off whoever owns the relay, which then begins anew: the topic gets
/// every event that it does not hold. Says of how many partitions something was known.
///
/// # Errors
/// When the database fails.
pub async fn resend_topic(pool: &Pool, topic: &str) -> Result<u64, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    // In the order in which an owner writes them: its checkpoint first.
    let fence = "UPDATE follower_leases SET epoch = epoch + 1 WHERE follower = $1";
    sqlx::query(fence).bind(crate::RELAY).execute(&mut *transaction).await?;
    let forgotten = sqlx::query("DELETE FROM relay_partitions WHERE topic = $1").bind(topic);
    let forgotten = forgotten.execute(&mut *transaction).await?.rows_affected();
    transaction.commit().await?;
    Ok(forgotten)
}

/// What was sent to a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionState {
    /// The topic's whole name.
    pub topic: String,
    /// From 0.
    pub partition: i32,
    /// Every event of the partition up to here was acknowledged.
    pub position: Position,
    /// How many records were, those that have expired among them.
    pub records: i64,
}

/// What was sent to each partition, by topic and number.
///
/// # Errors
/// When the database fails.
pub async fn list_partitions(pool: &Pool) -> Result<Vec<PartitionState>, sqlx::Error> {
    let sql = "SELECT topic, partition, position, record_offset + 1 FROM relay_partitions
               ORDER BY topic, partition";
    let rows: Vec<(String, i32, i64, i64)> = sqlx::query_as(sql).fetch_all(pool).await?;
    let state = |(topic, partition, position, records)| {
        let position = Position(position);
        PartitionState { topic, partition, position, records }
    };
    Ok(rows.into_iter().map(state).collect())
}
