//! Attempts that were begun, kept where a process that dies leaves them: for work that may kill whoever
//! does it, such as a picture whose decoding takes all memory.
//!
//! Invariant: an attempt is in the database before its work begins, and goes from there when it ends,
//! whatever came of it. So one that stays was begun by a process that died, or that was cut off: its
//! work is *suspect*. One suspect at a time is tried here, and one that was begun twice in vain is tried
//! alone, so that the work that kills is told from what was only under way beside it. Absent: how many attempts
//! are enough, which is the reactor's; it is more than [`COMPANY_MAX`], or nothing is ever tried alone.
//!
//! A piece of work that kills nobody costs one small statement before it, and shares another one with
//! all that ended in the same moment. Neither waits for the disk: what a crash of the database forgets is
//! an attempt that was not counted.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::postgres::Pool;
use tokio::sync::{
    OwnedRwLockReadGuard, OwnedRwLockWriteGuard, OwnedSemaphorePermit, RwLock, Semaphore,
};
use uuid::Uuid;

/// How often attempts that ended are saved at most. A process that dies sooner leaves them as suspects.
const SAVE_INTERVAL: Duration = Duration::from_millis(200);
/// After so many days an attempt that never ended is forgotten: nobody has tried its work again.
const FORGOTTEN_AFTER_DAYS: i32 = 30;

/// So many attempts without an end may have been beside the work that killed: where several pieces of work
/// kill, each process that dies by another one counts against the same innocent. The next attempt is alone.
const COMPANY_MAX: i32 = 2;
/// How long others wait for work that is tried alone, and that for the others: work that hangs must not stop
/// the line.
const ALONE_MAX: Duration = Duration::from_secs(60);

/// What is known of a reactor's attempts at pieces of work, by the ids of these.
pub struct AttemptLedger {
    pool: Pool,
    reactor: &'static str,
    ended: Arc<Mutex<Ended>>,
    /// Whoever tries a suspect holds it.
    suspect: Arc<Semaphore>,
    /// Held by every attempt, and by one that is alone against all others.
    room: Arc<RwLock<()>>,
    /// [`ALONE_MAX`].
    alone_max: Duration,
}

/// Attempts that ended here and are still in the database, with their number. They are few: each was
/// begun there, since the last ones were saved.
type Ended = HashMap<Uuid, i32>;

/// Attempts that are being saved: whatever keeps them from it, the end of the reactor in the middle of it too,
/// they are saved later.
struct Unsaved<'a> {
    attempts: Ended,
    ended: &'a Mutex<Ended>,
}

impl Drop for Unsaved<'_> {
    fn drop(&mut self) {
        let mut ended = lock(self.ended);
        for (work, number) in self.attempts.drain() {
            // One that ended again meanwhile has a later number.
            ended.entry(work).or_insert(number);
        }
    }
}

/// An attempt that is under way. It ends when it is dropped.
pub struct Attempt {
    work: Uuid,
    number: i32,
    ended: Arc<Mutex<Ended>>,
    _suspect: Option<OwnedSemaphorePermit>,
    _room: Room,
}

/// What an attempt holds of the room that all of them are in.
enum Room {
    /// With others.
    Shared { _held: OwnedRwLockReadGuard<()> },
    /// Alone.
    Alone { _held: OwnedRwLockWriteGuard<()> },
    /// Nothing: it waited for [`ALONE_MAX`].
    Unheld,
}

impl AttemptLedger {
    /// Of the attempts of this reactor, whichever process begins them.
    #[must_use]
    pub fn new(pool: Pool, reactor: &'static str) -> Self {
        let suspect = Arc::new(Semaphore::new(1));
        let (ended, room) = (Arc::default(), Arc::default());
        Self { pool, reactor, ended, suspect, room, alone_max: ALONE_MAX }
    }

    /// Begins an attempt: waits, when another one was begun and did not end, until no other suspect is
    /// tried here, and when that happened twice until nothing else is. Cancel-safe.
    ///
    /// # Errors
    /// When the database fails; then nothing may be begun.
    pub async fn begin(&self, work: Uuid) -> Result<Attempt, sqlx::Error> {
        let shared = self.share_room().await;
        let taken_back = lock(&self.ended).remove(&work);
        if let Some(number) = taken_back {
            return Ok(self.attempt(work, number, None, shared));
        }
        let fresh = "INSERT INTO follower_attempts (follower, work, number)
             SELECT $1, $2, 1 FROM this_transaction ON CONFLICT DO NOTHING RETURNING number";
        if let Some(number) = self.write_begun(fresh, work).await? {
            return Ok(self.attempt(work, number, None, shared));
        }
        // Nothing is held while it waits for its turn: the suspect before it may want to be alone.
        drop(shared);
        // It is never closed.
        let turn = Arc::clone(&self.suspect).acquire_owned().await.ok();
        // Before it is counted: whatever dies while it waits was not killed by it.
        let room = match self.count_unended(work).await? {
            ..COMPANY_MAX => self.share_room().await,
            _ => self.take_room().await,
        };
        let again = "INSERT INTO follower_attempts AS a (follower, work, number)
             SELECT $1, $2, 1 FROM this_transaction
             ON CONFLICT (follower, work)
             DO UPDATE SET number = a.number + 1, begun_at = now() RETURNING number";
        let number = self.write_begun(again, work).await?.ok_or(sqlx::Error::RowNotFound)?;
        Ok(self.attempt(work, number, turn, room))
    }

    async fn share_room(&self) -> Room {
        let shared =
            tokio::time::timeout(self.alone_max, Arc::clone(&self.room).read_owned()).await;
        shared.map_or(Room::Unheld, |held| Room::Shared { _held: held })
    }

    async fn take_room(&self) -> Room {
        let alone =
            tokio::time::timeout(self.alone_max, Arc::clone(&self.room).write_owned()).await;
        alone.map_or(Room::Unheld, |held| Room::Alone { _held: held })
    }

    async fn count_unended(&self, work: Uuid) -> Result<i32, sqlx::Error> {
        let sql = "SELECT number FROM follower_attempts WHERE follower = $1 AND work = $2";
        let query = sqlx::query_scalar(sql).bind(self.reactor).bind(work);
        Ok(query.fetch_optional(&self.pool).await?.unwrap_or_default())
    }

    async fn write_begun(&self, statement: &str, work: Uuid) -> Result<Option<i32>, sqlx::Error> {
        let statement = format!(
            "WITH this_transaction AS MATERIALIZED (
                 SELECT set_config('synchronous_commit', 'off', true)) {statement}"
        );
        let query = sqlx::query_scalar(&statement);
        query.bind(self.reactor).bind(work).fetch_optional(&self.pool).await
    }

    fn attempt(
        &self,
        work: Uuid,
        number: i32,
        suspect: Option<OwnedSemaphorePermit>,
        room: Room,
    ) -> Attempt {
        let ended = Arc::clone(&self.ended);
        Attempt { work, number, ended, _suspect: suspect, _room: room }
    }

    /// Saves what has ended, now and then, for as long as the reactor runs.
    pub async fn keep_saving(&self) -> Infallible {
        if let Err(error) = self.forget_old().await {
            tracing::warn!(%error, "attempts of long ago not forgotten; the next start does it");
        }
        loop {
            tokio::time::sleep(SAVE_INTERVAL).await;
            self.save_ended().await;
        }
    }

    /// Saves what has ended. What cannot be saved now is saved with what ends later. Cancel-safe.
    pub async fn save_ended(&self) {
        let attempts = std::mem::take(&mut *lock(&self.ended));
        if attempts.is_empty() {
            return;
        }
        let mut unsaved = Unsaved { attempts, ended: &self.ended };
        // One that was begun again meanwhile, here or elsewhere, has another number and stays.
        let statement = "WITH this_transaction AS MATERIALIZED (
                 SELECT set_config('synchronous_commit', 'off', true))
             DELETE FROM follower_attempts AS a
             USING unnest($2::uuid[], $3::integer[]) AS e (work, number), this_transaction
             WHERE a.follower = $1 AND a.work = e.work AND a.number = e.number";
        let attempts = unsaved.attempts.iter().map(|(work, number)| (*work, *number));
        let (works, numbers): (Vec<_>, Vec<_>) = attempts.unzip();
        let query = sqlx::query(statement).bind(self.reactor).bind(works).bind(numbers);
        match query.execute(&self.pool).await {
            Ok(_) => unsaved.attempts.clear(),
            Err(error) => {
                tracing::warn!(%error, "attempts that ended not saved; they will be later");
            }
        }
    }

    async fn forget_old(&self) -> Result<(), sqlx::Error> {
        sqlx::query(
            "DELETE FROM follower_attempts
             WHERE follower = $1 AND begun_at < now() - make_interval(days => $2)",
        )
        .bind(self.reactor)
        .bind(FORGOTTEN_AFTER_DAYS)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

impl Attempt {
    /// How many attempts were begun and did not end before this one.
    #[must_use]
    pub fn unended_before(&self) -> u32 {
        u32::try_from(self.number - 1).unwrap_or_default()
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        lock(&self.ended).insert(self.work, self.number);
    }
}

fn lock(ended: &Mutex<Ended>) -> MutexGuard<'_, Ended> {
    // Every change under this lock is whole.
    ended.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
