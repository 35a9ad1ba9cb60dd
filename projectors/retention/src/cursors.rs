//! How far the log was looked through for each class of pictures.
//!
//! Kept beside the reactor's own checkpoint, in a lease of the same follower for each class: whatever takes
//! checkpoints back to where a restored log agrees takes these back with it.

use std::collections::BTreeMap;

use domain::RetentionClass;
use platform::event_log::Position;
use platform::postgres::{DatabaseConnection, Pool};

use crate::PICTURE_RETENTION;

/// Up to here each class was looked through.
pub(crate) type Cursors = BTreeMap<RetentionClass, Position>;

/// The lease that keeps a class's cursor; the reactor's own is 0. The same for ever.
const fn lease_of(class: RetentionClass) -> i16 {
    match class {
        RetentionClass::GoldenSample => 1,
        RetentionClass::Pass => 2,
        RetentionClass::Review => 3,
        RetentionClass::Fail => 4,
        RetentionClass::Void => 5,
    }
}

/// The cursors as they were saved, none beyond `checkpoint`: one that was moved back by hand takes them along.
pub(crate) async fn load_cursors(
    pool: &Pool,
    checkpoint: Position,
) -> Result<Cursors, sqlx::Error> {
    let sql = "SELECT partition, position FROM follower_leases WHERE follower = $1";
    let saved: Vec<(i16, i64)> =
        sqlx::query_as(sql).bind(PICTURE_RETENTION).fetch_all(pool).await?;
    let saved: BTreeMap<i16, i64> = saved.into_iter().collect();
    let cursor = |class| {
        let saved = saved.get(&lease_of(class)).copied().unwrap_or_default();
        (class, Position(saved).min(checkpoint))
    };
    Ok(RetentionClass::ALL.into_iter().map(cursor).collect())
}

/// Saves them in the transaction that moves the checkpoint of their owner.
pub(crate) async fn save_cursors(
    transaction: &mut DatabaseConnection,
    cursors: &Cursors,
) -> Result<(), sqlx::Error> {
    let (leases, positions): (Vec<i16>, Vec<i64>) =
        cursors.iter().map(|(class, position)| (lease_of(*class), position.0)).unzip();
    sqlx::query(
        "INSERT INTO follower_leases AS l (follower, partition, position)
         SELECT $1, c.partition, c.position
         FROM unnest($2::smallint[], $3::bigint[]) AS c (partition, position)
         ON CONFLICT (follower, partition) DO UPDATE SET position = excluded.position, updated_at = now()
         WHERE l.position <> excluded.position",
    )
    .bind(PICTURE_RETENTION)
    .bind(leases)
    .bind(positions)
    .execute(transaction)
    .await?;
    Ok(())
}
