//! How the stream space of a reactor is divided among the processes that run it: which partitions this
//! one holds, and up to where each of them is done.
//!
//! Invariants: a partition has one owner at a time by the database's clock; a lease is believed for no
//! longer than twice its own length, whatever that clock said when it was dated; a checkpoint is moved
//! only forward and only by the owner of the newest epoch. Saving it late is harmless: work that is done
//! again changes nothing. Absent: the process's clock, which says nothing about validity, and any talk
//! among the members but by these rows.

use std::time::Duration;

use uuid::Uuid;

use crate::event_log::{Position, StreamId};
use crate::postgres::Pool;

#[cfg(test)]
mod tests;

/// Where the names of members become ids.
const NAMES: Uuid = Uuid::from_u128(0x8a6f_31c2_5d0e_4b7a_9c44_1be2_70d3_f615);

/// Whether a lease or a sign of life stands. The clock that dated it may have run ahead, and was put right
/// since, or was the clock of a server before this one: a lease cannot end later than its own length from
/// now, unless the clock has gone back. By how much more it is believed, a clock may go back a little (a
/// step of NTP, a new primary) without the leases of those who are well being taken from them.
const STANDS: &str = "(expires_at >= now() AND expires_at <= now() + 2 * lasts)";

/// A part of the stream space, below the reactor's number of partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Partition(pub(super) u16);

impl Partition {
    /// The partition of a stream among so many: FNV-1a (64 bit; Fowler, Noll, Vo, 1991) of its
    /// aggregate's id, folded; the same for ever, because stored checkpoints depend on it. An id that
    /// is a UUID counts by its 16 bytes, however it is written, any other by its UTF-8.
    pub(super) fn for_stream(stream: &StreamId, partitions: u16) -> Self {
        let id = &stream.aggregate_id;
        let hash =
            id.parse::<Uuid>().map_or_else(|_| fnv_1a(id.as_bytes()), |id| fnv_1a(id.as_bytes()));
        let folded = (hash >> 32) ^ (hash & 0xffff_ffff);
        Self(u16::try_from(folded % u64::from(partitions.max(1))).unwrap_or_default())
    }
}

fn fnv_1a(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// A partition that this member holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lease {
    /// Which.
    pub(super) partition: Partition,
    /// The fence: the next owner has a higher one.
    pub(super) epoch: i64,
    /// Everything of the partition up to here is done.
    pub(super) position: Position,
}

/// What a renewal found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Renewed {
    /// The partitions that are still this member's.
    pub(super) held: Vec<Lease>,
    /// How many should be, by the number of members alive.
    pub(super) fair_share: usize,
}

/// Why a follower cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The database failed.
    #[error("the leases cannot be used: {0}")]
    Database(#[from] sqlx::Error),
    /// The stored checkpoints are of another division of the streams: with this one, events would be
    /// skipped.
    #[error(
        "{follower} has checkpoints for {stored} partitions and is built for {wanted}; \
         changing their number needs a migration"
    )]
    Partitions {
        /// Whose.
        follower: &'static str,
        /// The partitions in the database.
        stored: i64,
        /// The partitions that the code has.
        wanted: u16,
    },
}

/// The leases of one member of a follower.
#[derive(Debug, Clone)]
pub(super) struct Leases {
    pool: Pool,
    follower: &'static str,
    partitions: u16,
    member: Uuid,
    duration: Duration,
    /// What this member says of itself at its next renewal.
    is_able: bool,
}

type Row = (i16, i64, i64);
/// A member that is alive, and whether it can do its share.
type Member = (Uuid, bool);

impl Leases {
    /// Leases that last so long unless they are renewed, for the member of this name, or for one that
    /// nobody was before.
    pub(super) fn new(
        pool: Pool,
        (follower, partitions): (&'static str, u16),
        duration: Duration,
        member_name: Option<&str>,
    ) -> Self {
        let member =
            member_name.map_or_else(Uuid::now_v7, |name| Uuid::new_v5(&NAMES, name.as_bytes()));
        Self { pool, follower, partitions, member, duration, is_able: true }
    }

    /// How long a lease lasts.
    pub(super) const fn duration(&self) -> Duration {
        self.duration
    }

    /// Whether this member can do its share, which the others learn at its next renewal.
    pub(super) const fn set_able(&mut self, is_able: bool) {
        self.is_able = is_able;
    }

    /// Joins the follower: makes its rows when it is new, takes up again what a member of this name
    /// left behind when it was killed, and fences that past off.
    ///
    /// # Errors
    /// When the database fails or has another number of partitions.
    pub(super) async fn join_group(&self) -> Result<Renewed, LeaseError> {
        sqlx::query(
            "INSERT INTO follower_leases (follower, partition)
             SELECT $1, n FROM generate_series(0, $2 - 1) AS n
             WHERE NOT EXISTS (SELECT FROM follower_leases WHERE follower = $1)
             ON CONFLICT DO NOTHING",
        )
        .bind(self.follower)
        .bind(i32::from(self.partitions))
        .execute(&self.pool)
        .await?;
        let (follower, wanted) = (self.follower, self.partitions);
        let stored = sqlx::query_scalar("SELECT count(*) FROM follower_leases WHERE follower = $1");
        let stored: i64 = stored.bind(follower).fetch_one(&self.pool).await?;
        if stored != i64::from(wanted) {
            return Err(LeaseError::Partitions { follower, stored, wanted });
        }
        sqlx::query(
            "UPDATE follower_leases SET epoch = epoch + 1 WHERE follower = $1 AND owner = $2",
        )
        .bind(follower)
        .bind(self.member)
        .execute(&self.pool)
        .await?;
        Ok(self.renew().await?)
    }

    /// Says that this member is alive, and renews what it holds.
    ///
    /// # Errors
    /// When the database fails; the leases then run on until they expire.
    pub(super) async fn renew(&self) -> Result<Renewed, sqlx::Error> {
        let duration_s = self.duration.as_secs_f64();
        sqlx::query(
            "INSERT INTO follower_members AS m (follower, member, lasts, expires_at, is_able)
             VALUES ($1, $2, make_interval(secs => $3), now() + make_interval(secs => $3), $4)
             ON CONFLICT (follower, member)
             DO UPDATE SET expires_at = excluded.expires_at, lasts = excluded.lasts,
                 is_able = excluded.is_able",
        )
        .bind(self.follower)
        .bind(self.member)
        .bind(duration_s)
        .bind(self.is_able)
        .execute(&self.pool)
        .await?;
        let held: Vec<Row> = sqlx::query_as(
            "UPDATE follower_leases
             SET lasts = make_interval(secs => $3), expires_at = now() + make_interval(secs => $3)
             WHERE follower = $1 AND owner = $2 RETURNING partition, epoch, position",
        )
        .bind(self.follower)
        .bind(self.member)
        .bind(duration_s)
        .fetch_all(&self.pool)
        .await?;
        let alive = self.find_alive_members().await?;
        let fair_share = compute_fair_share(&alive, self.member, self.partitions);
        Ok(Renewed { held: held.into_iter().map(lease_from_row).collect(), fair_share })
    }

    /// The members that are alive, in the order of their ids, and whether they are able; those that are not are forgotten.
    async fn find_alive_members(&self) -> Result<Vec<Member>, sqlx::Error> {
        // Rows that another member is just writing or forgetting are left to it.
        let forget = format!(
            "DELETE FROM follower_members WHERE follower = $1 AND member IN (
                 SELECT member FROM follower_members WHERE follower = $1 AND NOT {STANDS}
                 FOR UPDATE SKIP LOCKED)"
        );
        sqlx::query(&forget).bind(self.follower).execute(&self.pool).await?;
        let find = format!(
            "SELECT member, is_able FROM follower_members WHERE follower = $1 AND {STANDS}
             ORDER BY member"
        );
        sqlx::query_as(&find).bind(self.follower).fetch_all(&self.pool).await
    }

    /// Takes at most `most` partitions that nobody holds or whose lease does not stand.
    ///
    /// # Errors
    /// When the database fails; then nothing was taken, or it is found by the next renewal.
    pub(super) async fn acquire(&self, most: usize) -> Result<Vec<Lease>, sqlx::Error> {
        let take = format!(
            "UPDATE follower_leases
             SET owner = $2, epoch = epoch + 1, lasts = make_interval(secs => $3),
                 expires_at = now() + make_interval(secs => $3)
             WHERE follower = $1 AND partition IN (
                 SELECT partition FROM follower_leases
                 WHERE follower = $1 AND (owner IS NULL OR NOT {STANDS})
                 ORDER BY partition LIMIT $4 FOR UPDATE SKIP LOCKED)
             RETURNING partition, epoch, position"
        );
        let taken: Vec<Row> = sqlx::query_as(&take)
            .bind(self.follower)
            .bind(self.member)
            .bind(self.duration.as_secs_f64())
            .bind(i64::try_from(most).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await?;
        Ok(taken.into_iter().map(lease_from_row).collect())
    }

    /// Moves the checkpoints of these leases forward, never back; those that were lost stay.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn save_positions(&self, leases: &[Lease]) -> Result<(), sqlx::Error> {
        // A crash of the server may forget it: then work is done again, and changes nothing.
        let statement = "WITH this_transaction AS MATERIALIZED (
                 SELECT set_config('synchronous_commit', 'off', true))
             UPDATE follower_leases AS l SET position = s.position, updated_at = now()
             FROM unnest($3::smallint[], $4::bigint[], $5::bigint[])
                 AS s (partition, epoch, position), this_transaction
             WHERE l.follower = $1 AND l.partition = s.partition AND l.owner = $2
                 AND l.epoch = s.epoch AND l.position < s.position";
        self.update_leases(statement, leases).await
    }

    /// Gives these leases back, done up to their positions; those that were lost stay.
    ///
    /// # Errors
    /// When the database fails; they expire then.
    pub(super) async fn release(&self, leases: &[Lease]) -> Result<(), sqlx::Error> {
        let statement = "UPDATE follower_leases AS l
             SET owner = NULL, expires_at = '-infinity', updated_at = now(),
                 position = greatest(l.position, s.position)
             FROM unnest($3::smallint[], $4::bigint[], $5::bigint[])
                 AS s (partition, epoch, position)
             WHERE l.follower = $1 AND l.partition = s.partition AND l.owner = $2
                 AND l.epoch = s.epoch";
        self.update_leases(statement, leases).await
    }

    async fn update_leases(&self, statement: &str, leases: &[Lease]) -> Result<(), sqlx::Error> {
        if leases.is_empty() {
            return Ok(());
        }
        let partitions: Vec<_> = leases.iter().map(|l| l.partition.0.cast_signed()).collect();
        let epochs: Vec<_> = leases.iter().map(|lease| lease.epoch).collect();
        let positions: Vec<_> = leases.iter().map(|lease| lease.position.0).collect();
        let query = sqlx::query(statement).bind(self.follower).bind(self.member);
        query.bind(partitions).bind(epochs).bind(positions).execute(&self.pool).await?;
        Ok(())
    }

    /// Says that this member goes: the others share what it gives back from now on.
    ///
    /// # Errors
    /// When the database fails; the others find out when it expires.
    pub(super) async fn leave_group(&self) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM follower_members WHERE follower = $1 AND member = $2")
            .bind(self.follower)
            .bind(self.member)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

fn lease_from_row((partition, epoch, position): Row) -> Lease {
    Lease { partition: Partition(partition.cast_unsigned()), epoch, position: Position(position) }
}

/// This member's part of all partitions. By its rank among the members alive, so that all of them come
/// to shares that differ by one at most and add up to all partitions, without talking. Those who are
/// not able have none, unless nobody is: then all keep theirs, and wait.
fn compute_fair_share(alive: &[Member], member: Uuid, partitions: u16) -> usize {
    let all = usize::from(partitions);
    let nobody_is_able = alive.iter().all(|(_, is_able)| !is_able);
    let sharing: Vec<_> =
        alive.iter().filter(|(_, is_able)| *is_able || nobody_is_able).map(|(of, _)| *of).collect();
    let Some(rank) = sharing.iter().position(|other| *other == member) else { return 0 };
    all / sharing.len() + usize::from(rank < all % sharing.len())
}
