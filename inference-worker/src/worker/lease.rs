//! Which partitions this worker holds, and up to where each of them is done.
//!
//! Invariants: a partition has one owner at a time by the database's clock; a checkpoint is moved only
//! forward and only by the owner of the newest epoch. Saving it late is harmless: work that is done
//! again changes nothing. Absent: the process's clock, which says nothing about validity.

use std::time::Duration;

use platform::event_log::Position;
use sqlx::PgPool;
use uuid::Uuid;

use super::partition::{PARTITIONS, Partition};

/// Where the names of workers become ids.
const NAMES: Uuid = Uuid::from_u128(0x8a6f_31c2_5d0e_4b7a_9c44_1be2_70d3_f615);

/// A partition that this worker holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Which.
    pub partition: Partition,
    /// The fence: the next owner has a higher one.
    pub epoch: i64,
    /// Everything of the partition up to here is done.
    pub position: Position,
}

/// What a renewal found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewed {
    /// The partitions that are still this worker's.
    pub held: Vec<Lease>,
    /// How many should be, by the number of workers alive.
    pub fair: usize,
}

/// The leases of one worker.
#[derive(Debug, Clone)]
pub struct Leases {
    pool: PgPool,
    worker: Uuid,
    lasts: Duration,
}

type Row = (i16, i64, i64);

impl Leases {
    /// Leases that last so long unless they are renewed, for the worker of this name, or for one that
    /// nobody was before.
    #[must_use]
    pub fn new(pool: PgPool, lasts: Duration, name: Option<&str>) -> Self {
        let worker = name.map_or_else(Uuid::now_v7, |name| Uuid::new_v5(&NAMES, name.as_bytes()));
        Self { pool, worker, lasts }
    }

    /// Takes up again what a worker of this name left behind when it was killed, and fences it off.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resume_named(&self) -> Result<(), sqlx::Error> {
        let resumed = sqlx::query("UPDATE worker_leases SET epoch = epoch + 1 WHERE owner = $1");
        resumed.bind(self.worker).execute(&self.pool).await?;
        Ok(())
    }

    /// How long a lease lasts.
    #[must_use]
    pub const fn lease_duration(&self) -> Duration {
        self.lasts
    }

    /// Says that this worker is alive, and renews what it holds.
    ///
    /// # Errors
    /// When the database fails; the leases then run on until they expire.
    pub async fn renew(&self) -> Result<Renewed, sqlx::Error> {
        let lasts = self.lasts.as_secs_f64();
        sqlx::query(
            "INSERT INTO worker_members AS m (worker, expires_at)
             VALUES ($1, now() + make_interval(secs => $2))
             ON CONFLICT (worker) DO UPDATE SET expires_at = excluded.expires_at",
        )
        .bind(self.worker)
        .bind(lasts)
        .execute(&self.pool)
        .await?;
        let held: Vec<Row> = sqlx::query_as(
            "UPDATE worker_leases SET expires_at = now() + make_interval(secs => $2)
             WHERE owner = $1 RETURNING partition, epoch, position",
        )
        .bind(self.worker)
        .bind(lasts)
        .fetch_all(&self.pool)
        .await?;
        let fair = compute_fair_share(&self.find_alive_members().await?, self.worker);
        Ok(Renewed { held: held.into_iter().map(lease_from_row).collect(), fair })
    }

    /// The workers that are alive, in the order of their names; those that are not are forgotten.
    async fn find_alive_members(&self) -> Result<Vec<Uuid>, sqlx::Error> {
        // Rows that another worker is just writing or forgetting are left to it.
        sqlx::query(
            "DELETE FROM worker_members WHERE worker IN (
                 SELECT worker FROM worker_members WHERE expires_at < now() FOR UPDATE SKIP LOCKED)",
        )
        .execute(&self.pool)
        .await?;
        sqlx::query_scalar(
            "SELECT worker FROM worker_members WHERE expires_at >= now() ORDER BY worker",
        )
        .fetch_all(&self.pool)
        .await
    }

    /// Takes at most `most` partitions that nobody holds or whose lease has expired.
    ///
    /// # Errors
    /// When the database fails; then nothing was taken, or it is found by the next renewal.
    pub async fn acquire(&self, most: usize) -> Result<Vec<Lease>, sqlx::Error> {
        let taken: Vec<Row> = sqlx::query_as(
            "UPDATE worker_leases
             SET owner = $1, epoch = epoch + 1, expires_at = now() + make_interval(secs => $2)
             WHERE partition IN (
                 SELECT partition FROM worker_leases WHERE owner IS NULL OR expires_at < now()
                 ORDER BY partition LIMIT $3 FOR UPDATE SKIP LOCKED)
             RETURNING partition, epoch, position",
        )
        .bind(self.worker)
        .bind(self.lasts.as_secs_f64())
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        Ok(taken.into_iter().map(lease_from_row).collect())
    }

    /// Moves the checkpoints of these leases forward, never back; those that were lost stay.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn save_positions(&self, leases: &[Lease]) -> Result<(), sqlx::Error> {
        // A crash of the server may forget it: then work is done again, and changes nothing.
        let statement = "WITH this_transaction AS MATERIALIZED (
                 SELECT set_config('synchronous_commit', 'off', true))
             UPDATE worker_leases AS w SET position = s.position, updated_at = now()
             FROM unnest($2::smallint[], $3::bigint[], $4::bigint[])
                 AS s (partition, epoch, position), this_transaction
             WHERE w.partition = s.partition AND w.owner = $1 AND w.epoch = s.epoch
                 AND w.position < s.position";
        self.update_leases(statement, leases).await
    }

    /// Gives these leases back, done up to their positions; those that were lost stay.
    ///
    /// # Errors
    /// When the database fails; they expire then.
    pub async fn release(&self, leases: &[Lease]) -> Result<(), sqlx::Error> {
        let statement = "UPDATE worker_leases AS w
             SET owner = NULL, expires_at = '-infinity', updated_at = now(),
                 position = greatest(w.position, s.position)
             FROM unnest($2::smallint[], $3::bigint[], $4::bigint[])
                 AS s (partition, epoch, position)
             WHERE w.partition = s.partition AND w.owner = $1 AND w.epoch = s.epoch";
        self.update_leases(statement, leases).await
    }

    async fn update_leases(&self, statement: &str, leases: &[Lease]) -> Result<(), sqlx::Error> {
        if leases.is_empty() {
            return Ok(());
        }
        let partitions: Vec<_> = leases.iter().map(|l| l.partition.0.cast_signed()).collect();
        let epochs: Vec<_> = leases.iter().map(|lease| lease.epoch).collect();
        let positions: Vec<_> = leases.iter().map(|lease| lease.position.0).collect();
        let query = sqlx::query(statement).bind(self.worker).bind(partitions).bind(epochs);
        query.bind(positions).execute(&self.pool).await?;
        Ok(())
    }

    /// Says that this worker goes: the others share what it gives back from now on.
    ///
    /// # Errors
    /// When the database fails; the others find out when it expires.
    pub async fn leave_group(&self) -> Result<(), sqlx::Error> {
        let leaving = sqlx::query("DELETE FROM worker_members WHERE worker = $1").bind(self.worker);
        leaving.execute(&self.pool).await?;
        Ok(())
    }
}

fn lease_from_row((partition, epoch, position): Row) -> Lease {
    Lease { partition: Partition(partition.cast_unsigned()), epoch, position: Position(position) }
}

/// This worker's part of all partitions. By its rank among the workers alive, so that all of them
/// come to shares that differ by one at most and add up to all partitions, without talking.
fn compute_fair_share(members: &[Uuid], worker: Uuid) -> usize {
    let all = usize::from(PARTITIONS);
    let Some(rank) = members.iter().position(|member| *member == worker) else { return 0 };
    all / members.len() + usize::from(rank < all % members.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compute_fair_shares_add_up_and_differ_by_one_at_most() {
        for workers in 1..=20_u128 {
            let members: Vec<_> = (0..workers).map(Uuid::from_u128).collect();
            let shares: Vec<_> = members.iter().map(|m| compute_fair_share(&members, *m)).collect();
            assert_eq!(shares.iter().sum::<usize>(), usize::from(PARTITIONS));
            assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1, "{shares:?}");
        }
        assert_eq!(compute_fair_share(&[], Uuid::nil()), 0, "who is not alive has no share");
    }
}
