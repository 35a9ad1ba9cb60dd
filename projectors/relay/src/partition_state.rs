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
    /// Which event that is; 0 where nobody knows.
    pub(crate) last: Position,
}

impl Sent {
    /// Nothing was.
    pub(crate) const NOTHING: Self = Self { position: Position(0), offset: -1, last: Position(0) };
}

/// What is known of a topic.
#[derive(Debug, Default)]
pub(crate) struct KnownTopic {
    /// By number; empty where nothing was ever sent to it, or nothing of that counts.
    pub(crate) partitions: BTreeMap<i32, Sent>,
    /// Whether every event is to be sent again, whatever the topic holds.
    pub(crate) is_resent: bool,
}

/// What is known of `topic`.
pub(crate) async fn load_topic(pool: &Pool, topic: &str) -> Result<KnownTopic, sqlx::Error> {
    let sql = "SELECT partition, position, record_offset, record_position, is_resent
               FROM relay_partitions WHERE topic = $1";
    let rows: Vec<(i32, i64, i64, i64, bool)> =
        sqlx::query_as(sql).bind(topic).fetch_all(pool).await?;
    if rows.iter().any(|(.., is_resent)| *is_resent) {
        return Ok(KnownTopic { partitions: BTreeMap::new(), is_resent: true });
    }
    let sent = |(partition, position, offset, last, _)| {
        (partition, Sent { position: Position(position), offset, last: Position(last) })
    };
    Ok(KnownTopic { partitions: rows.into_iter().map(sent).collect(), is_resent: false })
}

/// Writes down what is known of a partition now.
pub(crate) async fn save_sent(
    transaction: &mut DatabaseConnection,
    (topic, partition): (&str, i32),
    sent: Sent,
) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO relay_partitions
                   (topic, partition, position, record_offset, record_position)
               VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (topic, partition) DO UPDATE
               SET position = $3, record_offset = $4, record_position = $5, updated_at = now()";
    let saving = sqlx::query(sql).bind(topic).bind(partition).bind(sent.position.0);
    saving.bind(sent.offset).bind(sent.last.0).execute(transaction).await.map(drop)
}

/// Writes down that everything up to `done` is in `topics`, where one partition or another had nothing to be sent.
pub(crate) async fn save_done(
    transaction: &mut DatabaseConnection,
    topics: &[String],
    done: Position,
) -> Result<(), sqlx::Error> {
    let sql = "UPDATE relay_partitions SET position = $2, updated_at = now()
               WHERE topic = ANY($1) AND position < $2";
    sqlx::query(sql).bind(topics).bind(done.0).execute(transaction).await.map(drop)
}

/// Forgets what was known of a topic, and that it was to be sent again; whether anything was known.
pub(crate) async fn forget_topic(
    transaction: &mut DatabaseConnection,
    topic: &str,
) -> Result<bool, sqlx::Error> {
    let forgotten = sqlx::query("DELETE FROM relay_partitions WHERE topic = $1").bind(topic);
    Ok(forgotten.execute(transaction).await?.rows_affected() > 0)
}

/// Whether somebody asked for one of `topics` to be sent again.
pub(crate) async fn is_any_resent(pool: &Pool, topics: &[String]) -> Result<bool, sqlx::Error> {
    let sql = "SELECT EXISTS (SELECT FROM relay_partitions WHERE topic = ANY($1) AND is_resent)";
    sqlx::query_scalar(sql).bind(topics).fetch_one(pool).await
}

/// Asks the relay to send `topic` every event again, from the log's first on; it notices within seconds. Says whether
/// the relay has ever sent to it.
///
/// # Errors
/// When the database fails.
pub async fn resend_topic(pool: &Pool, topic: &str) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let is_known = forget_topic(&mut transaction, topic).await?;
    if is_known {
        let sql = "INSERT INTO relay_partitions
                       (topic, partition, position, record_offset, record_position, is_resent)
                   VALUES ($1, 0, 0, -1, 0, true)";
        sqlx::query(sql).bind(topic).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(is_known)
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
