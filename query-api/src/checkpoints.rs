//! How far the serving read models have come: what a read may claim, and waiting for more.
//!
//! Invariant: a position is given out only after the checkpoint was seen there, so rows read after
//! it reflect at least that position; with it goes the history of the log that it was seen in. However many
//! wait, the table is read once for each hint of the projectors, and without one every [`LOOK_INTERVAL`]:
//! hints may be lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::ProjectionName;
use platform::event_log::postgres::find_session_incarnation;
use platform::event_log::{EventLog, Incarnation, LogPlace, POLL_INTERVAL, Position};
use platform::postgres::Pool;
use platform::postgres::channel::{HintListener, PROJECTED_CHANNEL};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout_at};

use crate::error::QueryError;

/// How long checkpoints are believed while no hint comes.
const LOOK_INTERVAL: Duration = POLL_INTERVAL;
/// How old a checkpoint may be for a read that does not wait for a position, hint or not: under load
/// hints come faster than anybody needs the newest.
const FRESH_FOR: Duration = Duration::from_millis(15);
/// How long a read waits for the position it asked for, however many read models it is of.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// The serving checkpoints, as they were seen in one history of the log.
#[derive(Clone)]
struct ServingPositions {
    incarnation: Incarnation,
    positions: Arc<BTreeMap<String, Position>>,
}

/// The serving checkpoints, as they were seen last.
pub(crate) struct Checkpoints {
    pool: Pool,
    log: Arc<dyn EventLog>,
    hints: HintListener,
    look_interval: Duration,
    seen: Mutex<Option<Seen>>,
}

struct Seen {
    /// The hints that had come before the table was read.
    hints: u64,
    at: Instant,
    serving: ServingPositions,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asker {
    /// A read that names what it reflects.
    Reads,
    /// A read that was given a place: the log may have lost it since, and the hint with it.
    ReadsFrom,
    /// Somebody who waits for more than was seen.
    Waits,
    /// Somebody who knows that what was seen before may be of an earlier history.
    LooksAnew,
}

impl Checkpoints {
    /// The checkpoints in the database of `pool`, of what follows `log`. Listens for hints from now on: call it
    /// inside a tokio runtime.
    pub(crate) fn new(pool: Pool, log: Arc<dyn EventLog>) -> Self {
        let hints = HintListener::start(pool.clone(), PROJECTED_CHANNEL);
        Self { pool, log, hints, look_interval: LOOK_INTERVAL, seen: Mutex::new(None) }
    }

    /// The log that the read models are of.
    pub(crate) fn log(&self) -> &dyn EventLog {
        &*self.log
    }

    /// The place that the first of `projections` has reached, once all of them are at `wanted` at least.
    ///
    /// # Errors
    /// [`QueryError::Behind`] when they do not come there within [`WAIT_MAX`], all together;
    /// [`QueryError::Reissued`] when they never will, because the log has lost that place;
    /// [`QueryError::NotBuilt`] when nothing serves.
    pub(crate) async fn all_reached(
        &self,
        projections: &[ProjectionName],
        wanted: Option<LogPlace>,
    ) -> Result<LogPlace, QueryError> {
        let deadline = Instant::now() + WAIT_MAX;
        let mut reached = LogPlace::default();
        for projection in projections.iter().rev() {
            reached = self.reached_by(deadline, *projection, wanted.unwrap_or_default()).await?;
        }
        Ok(reached)
    }

    /// The place that `projection` has reached, once that is at least `wanted`.
    ///
    /// # Errors
    /// As [`Self::all_reached`].
    pub(crate) async fn reached(
        &self,
        projection: ProjectionName,
        wanted: Option<LogPlace>,
    ) -> Result<LogPlace, QueryError> {
        self.all_reached(&[projection], wanted).await
    }

    async fn reached_by(
        &self,
        deadline: Instant,
        projection: ProjectionName,
        wanted: LogPlace,
    ) -> Result<LogPlace, QueryError> {
        let asker = if wanted.is_beginning() { Asker::Reads } else { Asker::ReadsFrom };
        let mut at = self.place_for(asker, projection).await?;
        let mut hints = self.hints.subscribe();
        let mut stands_in = wanted.incarnation;
        while !wanted.is_beginning() {
            if at.incarnation != stands_in {
                // What was seen may be of a history before that of the place.
                at = self.place_for(Asker::LooksAnew, projection).await?;
            }
            if at.incarnation != stands_in {
                self.log.check_place(wanted).await?;
                // Or of one before that of the log, as it was asked just now.
                at = self.place_for(Asker::LooksAnew, projection).await?;
                stands_in = at.incarnation;
            }
            if at.position >= wanted.position {
                break;
            }
            hints.mark_unchanged();
            at = self.place_for(Asker::Waits, projection).await?;
            if at.incarnation == stands_in && at.position < wanted.position {
                if Instant::now() >= deadline {
                    let (projection, at) = (projection.as_str(), at.position);
                    return Err(QueryError::Behind { projection, at, wanted });
                }
                self.wait_for_hint(&mut hints, deadline).await;
            }
        }
        Ok(at)
    }

    /// Waits until `projection` has come past `after`, however long that takes. Cancel-safe.
    ///
    /// # Errors
    /// [`QueryError::NotBuilt`] when nothing serves.
    pub(crate) async fn wait_past(
        &self,
        projection: ProjectionName,
        after: Position,
    ) -> Result<(), QueryError> {
        let mut hints = self.hints.subscribe();
        loop {
            hints.mark_unchanged();
            if self.place_for(Asker::Waits, projection).await?.position > after {
                return Ok(());
            }
            self.wait_for_hint(&mut hints, Instant::now() + self.look_interval).await;
        }
    }

    /// The place that `projection` has reached, as it was seen last.
    pub(crate) async fn place(&self, projection: ProjectionName) -> Result<LogPlace, QueryError> {
        self.place_for(Asker::Reads, projection).await
    }

    async fn place_for(
        &self,
        asker: Asker,
        projection: ProjectionName,
    ) -> Result<LogPlace, QueryError> {
        let ServingPositions { incarnation, positions } = self.serving_for(asker).await?;
        let position = positions.get(projection.as_str()).copied().ok_or(QueryError::NotBuilt)?;
        Ok(LogPlace { incarnation, position })
    }

    /// Whoever comes while another reads the table waits for that and shares it.
    async fn serving_for(&self, asker: Asker) -> Result<ServingPositions, QueryError> {
        let mut seen = self.seen.lock().await;
        // Before the table is read: a hint that comes meanwhile may be of what was not seen.
        let hints = *self.hints.subscribe().borrow();
        if let Some(seen) = &*seen {
            let is_read = matches!(asker, Asker::Reads | Asker::ReadsFrom);
            let is_fresh = is_read && seen.at.elapsed() < FRESH_FOR;
            let is_believed = seen.hints == hints && seen.at.elapsed() < self.look_interval;
            let may_be_old = matches!(asker, Asker::Reads | Asker::Waits);
            if is_fresh || (is_believed && may_be_old) {
                return Ok(seen.serving.clone());
            }
        }
        let at = Instant::now();
        // Both in one session, which is in one history for as long as it lives.
        let mut connection = self.pool.acquire().await?;
        let incarnation = find_session_incarnation(&mut connection).await?;
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT projection, position FROM projection_checkpoints WHERE status = 'serving'",
        )
        .fetch_all(&mut *connection)
        .await?;
        let positions: BTreeMap<_, _> =
            rows.into_iter().map(|(name, position)| (name, Position(position))).collect();
        let serving = ServingPositions { incarnation, positions: Arc::new(positions) };
        *seen = Some(Seen { hints, at, serving: serving.clone() });
        Ok(serving)
    }

    /// Waits for a hint, for as long as nobody would look without one, and no longer than `deadline`.
    async fn wait_for_hint(&self, hints: &mut watch::Receiver<u64>, deadline: Instant) {
        let look_at = deadline.min(Instant::now() + self.look_interval);
        // The sender lives as long as `self.hints`.
        let _ = timeout_at(look_at, hints.changed()).await;
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use platform::event_log::postgres::PostgresEventLog;
    use platform::postgres::channel::HintSender;
    use platform::test_support::{DatabaseBackup, fresh_database};
    use sqlx::Executor as _;

    use super::*;

    async fn move_to(pool: &Pool, position: i64) {
        let sql = "INSERT INTO projection_checkpoints
                       (projection, generation, status, schema_version, position)
                   VALUES ('parts', 1, 'serving', 1, $1)
                   ON CONFLICT (projection, generation) DO UPDATE SET position = $1";
        sqlx::query(sql).bind(position).execute(pool).await.unwrap();
    }

    /// Checkpoints that are never looked at without a hint.
    async fn hinted_only(pool: &Pool) -> Checkpoints {
        let log = Arc::new(PostgresEventLog::new(pool.clone()));
        let mut checkpoints = Checkpoints::new(pool.clone(), log);
        checkpoints.look_interval = Duration::from_secs(3600);
        checkpoints.hints.subscribe().changed().await.expect("it listens");
        checkpoints
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_the_hint_alone() {
        let database = fresh_database().await;
        let pool = database.pool();
        move_to(&pool, 1).await;
        let checkpoints = hinted_only(&pool).await;
        let hint = HintSender::start(pool.clone(), PROJECTED_CHANNEL);
        let waiting = (0..50).map(|_| checkpoints.wait_past(ProjectionName::Parts, Position(7)));
        let moving = async {
            for position in [5, 7, 8] {
                move_to(&pool, position).await;
                hint.send_hint();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waiting = async { tokio::join!(join_all(waiting), moving) };
        let (outcomes, ()) =
            tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("woken");
        assert!(outcomes.into_iter().all(|outcome| outcome.is_ok()));
    }

    #[tokio::test]
    async fn what_was_seen_before_a_restore_does_not_stand_for_what_came_after_it() {
        let database = fresh_database().await;
        let pool = database.pool();
        let reconnect = async || {
            while pool.execute("SELECT 1").await.is_err() {}
        };
        move_to(&pool, 1).await;
        let backup = DatabaseBackup::take(&database).await;
        reconnect().await;
        let checkpoints = hinted_only(&pool).await;
        move_to(&pool, 7).await;
        let seen = checkpoints.place(ProjectionName::Parts).await.unwrap();
        assert_eq!(seen.position, Position(7));
        backup.restore().await;
        reconnect().await;
        let incarnation = checkpoints.log.end().await.unwrap().incarnation;
        let wanted = Some(LogPlace { incarnation, position: Position(5) });
        let told = checkpoints.reached(ProjectionName::Parts, wanted).await.unwrap_err();
        assert!(matches!(told, QueryError::Behind { at: Position(1), .. }), "{told}");
    }

    #[tokio::test]
    async fn without_a_hint_what_was_seen_is_believed() {
        let database = fresh_database().await;
        let pool = database.pool();
        move_to(&pool, 1).await;
        let checkpoints = hinted_only(&pool).await;
        let place = || checkpoints.place(ProjectionName::Parts);
        assert_eq!(place().await.unwrap().position, Position(1));
        // The table could not even be read: nobody does.
        pool.execute("ALTER TABLE projection_checkpoints RENAME TO gone").await.unwrap();
        for asked in join_all((0..50).map(|_| place())).await {
            assert_eq!(asked.unwrap().position, Position(1));
        }
    }
}
