//! Fills a generation that does not serve yet, in large pages.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::GenerationStatus;
use platform::event_log::{EventLog, Page, Position};
use platform::follower::{OwnerConnection, OwnerLock};
use platform::postgres::{DatabaseConnection, Pool};
use sqlx::Executor as _;

use super::compare::{Comparison, compare_generations};
use super::serving_snapshot::ServingSnapshot;
use super::{Progress, RebuildError};
use crate::beyond_log::{find_beyond_log, find_lost_log};
use crate::checkpoint::WriteError;
use crate::generation::{Generation, lock, tables};
use crate::page_writer::write_page;
use crate::parked_streams;
use crate::poison::Poison;
use crate::projection::Projection;
use crate::repair;
use crate::status::serving_position;
use crate::summaries::refresh_generation;

/// Events in one transaction of a rebuild.
const PAGE_EVENTS: usize = 2_000;
/// The old generation moves on while the new one is filled. After so many rounds, each as long as
/// the one before took, the rest is read while the old one stands still.
const APPROACHES_MAX: u32 = 8;

type OnProgress<'a> = &'a mut (dyn FnMut(Progress) + Send);

/// A generation being built, and the connection that builds it.
pub(super) struct Builder {
    connection: OwnerConnection,
    log: Arc<dyn EventLog>,
    pub(super) generation: Generation,
    /// Events read so far.
    pub(super) events: u64,
    /// How long it took to read and write them.
    pub(super) filling: Duration,
}

impl Builder {
    /// Creates an empty generation, after removing what a rebuild that was killed left behind.
    pub(super) async fn begin(
        pool: &Pool,
        log: Arc<dyn EventLog>,
        projection: &'static dyn Projection,
    ) -> Result<Self, RebuildError> {
        let mut connection = OwnerConnection::open(pool).await?;
        let lock = OwnerLock { class: lock::REBUILD, name: projection.name() };
        if !connection.try_lock(lock).await? {
            return Err(RebuildError::InProgress(projection.name()));
        }
        // Nothing here waits for the disk: a crash costs at most a rebuild. The swap itself does,
        // and with it waits for this.
        let mut tx = connection.begin().await?;
        remove_leftovers(&mut tx, projection).await?;
        let mut generation =
            tables::create(&mut tx, projection, GenerationStatus::Building).await?;
        tx.commit().await?;
        generation.discarded = repair::load_discarded(&*log, projection).await?;
        Ok(Self { connection, log, generation, events: 0, filling: Duration::ZERO })
    }

    /// Comes within a page of the generation that serves.
    pub(super) async fn approach_serving(
        &mut self,
        pool: &Pool,
        progress: OnProgress<'_>,
    ) -> Result<(), RebuildError> {
        for _ in 0..APPROACHES_MAX {
            let before = self.events;
            let name = self.generation.projection.name();
            let serving = serving_position(pool, name).await?;
            let target = serving.ok_or(RebuildError::NothingServes(name))?;
            self.fill_to_or_end(target, progress).await?;
            if self.events - before <= PAGE_EVENTS as u64 {
                break;
            }
        }
        Ok(())
    }

    /// Materialises its sums, where the database does that, so that it serves them at once.
    pub(super) async fn refresh_summaries(&mut self, pool: &Pool) -> Result<(), RebuildError> {
        self.connection.allow_long_statements(pool).await?;
        self.connection.execute("SET statement_timeout = 0").await?;
        let schema = self.generation.schema();
        refresh_generation(&mut self.connection, &schema).await?;
        self.connection.execute("RESET statement_timeout").await?;
        Ok(())
    }

    /// Applies everything up to `target` and nothing after it.
    async fn fill_to(
        &mut self,
        target: Position,
        progress: OnProgress<'_>,
    ) -> Result<(), RebuildError> {
        let begun = Instant::now();
        let filled = self.fill_pages(target, progress).await;
        self.filling += begun.elapsed();
        filled
    }

    /// Applies everything up to `target`, or up to the end of a log that does not come there any more.
    pub(super) async fn fill_to_or_end(
        &mut self,
        target: Position,
        progress: OnProgress<'_>,
    ) -> Result<(), RebuildError> {
        let end = self.log.end().await?.position;
        self.fill_to(target.min(end), progress).await
    }

    /// The next page is read while one is written.
    async fn fill_pages(
        &mut self,
        target: Position,
        progress: OnProgress<'_>,
    ) -> Result<(), RebuildError> {
        if self.generation.position >= target {
            return Ok(());
        }
        let mut page = self.log.read_all(self.generation.position, PAGE_EVENTS).await?;
        loop {
            if page.up_to <= self.generation.position {
                return Err(RebuildError::LogTooShort(target));
            }
            cut_page(&mut page, target);
            let next = self.log.read_all(page.up_to, PAGE_EVENTS);
            let write = write_page(&mut self.connection, &*self.log, &mut self.generation, &page);
            let (written, next) = tokio::join!(write, next);
            written?;
            self.events += page.events.len() as u64;
            let position = self.generation.position;
            progress(Progress { position, target, events: self.events });
            if position >= target {
                return Ok(());
            }
            page = next?;
        }
    }

    /// The events that park a stream and that nobody has discarded, as is decided now.
    pub(super) async fn list_poisons(&mut self) -> Result<Vec<Poison>, RebuildError> {
        let projection = self.generation.projection;
        self.generation.discarded = repair::load_discarded(&*self.log, projection).await?;
        parked_streams::mark_discarded(&mut self.connection, &self.generation).await?;
        Ok(parked_streams::list_poisons(&mut self.connection, &self.generation).await?)
    }

    /// Makes sure that the log did not go back under what a generation had read.
    pub(super) async fn refuse_lost_log(
        &self,
        pool: &Pool,
        generation: i32,
    ) -> Result<(), RebuildError> {
        let lost = find_lost_log(pool, self.generation.projection, generation).await?;
        lost.map_or(Ok(()), |lost| Err(lost.into()))
    }

    /// Makes sure that the log comes up to `position`.
    pub(super) async fn refuse_beyond_log(&self, position: Position) -> Result<(), RebuildError> {
        let projection = self.generation.projection;
        let beyond = find_beyond_log(&*self.log, projection, position).await?;
        beyond.map_or(Ok(()), |beyond| Err(beyond.into()))
    }

    /// Compares the generation with one that is seen in a snapshot, at the same position.
    pub(super) async fn compare_with(
        &mut self,
        pool: &Pool,
        snapshot: &mut ServingSnapshot,
    ) -> Result<Comparison, RebuildError> {
        let built = (pool, &mut *self.connection);
        Ok(compare_generations(snapshot, built, &self.generation).await?)
    }

    /// Removes the generation again. A failure is logged: the next rebuild removes it then.
    pub(super) async fn remove_and_release(mut self) {
        let (name, number) = (self.generation.projection.name(), self.generation.number);
        if let Err(error) = self.remove_generation().await {
            tracing::warn!(
                projection = name, generation = number, %error, "unfinished generation left behind"
            );
        }
        self.release().await;
    }

    /// Lets others rebuild the projection.
    pub(super) async fn release(self) {
        self.connection.release().await;
    }

    async fn remove_generation(&mut self) -> Result<(), sqlx::Error> {
        let mut tx = self.connection.begin().await?;
        remove_leftovers(&mut tx, self.generation.projection).await?;
        tx.commit().await
    }
}

/// Removes every generation of the projection that is being built: the lock says that nobody else
/// builds one.
async fn remove_leftovers(
    tx: &mut DatabaseConnection,
    projection: &dyn Projection,
) -> Result<(), sqlx::Error> {
    let numbers: Vec<i32> = sqlx::query_scalar(
        "DELETE FROM public.projection_checkpoints
         WHERE projection = $1 AND status = 'building' RETURNING generation",
    )
    .bind(projection.name())
    .fetch_all(&mut *tx)
    .await?;
    for number in numbers {
        tables::drop_tables(tx, projection.name(), number).await?;
    }
    Ok(())
}

/// Leaves of the page what is not after `target`.
fn cut_page(page: &mut Page, target: Position) {
    if page.up_to > target {
        page.events.retain(|event| event.position <= target);
        page.up_to = target;
    }
}

impl From<WriteError> for RebuildError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Unknown(poison) => Self::Unknown(poison),
            WriteError::Log(error) => Self::Log(error),
            WriteError::Database(error) => Self::Database(error),
            // Only whoever holds the rebuild lock touches a generation that is being built.
            WriteError::Fenced => Self::Busy,
        }
    }
}
