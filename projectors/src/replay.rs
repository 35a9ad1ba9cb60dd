//! The read models as of a position of the log, in generations that nobody else sees: filled by the projectors that
//! serve, up to that position and not one event further, while everything runs.
//!
//! Invariants: who replays disturbs nobody, not even another who does; what a replay made goes with it, and what one
//! left that was killed goes with the next.

mod leftovers;
mod replayed_reports;
mod replayed_tables;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::{GenerationStatus, Inspection, InspectionEvent, Part, PartNumber};
use platform::event_log::{
    EventLog, EventLogError, LogPlace, LogUpTo, Page, Position, Recorded, StreamId,
};
use platform::follower::OwnerConnection;
use platform::postgres::Pool;
use uuid::Uuid;

pub use replayed_reports::{ReplayedReport, Retirements};
pub use replayed_tables::ReplayedTable;

use crate::checkpoint::WriteError;
use crate::generation::{Generation, tables};
use crate::page_writer::write_page;
use crate::poison::Poison;
use crate::rebuild::Progress;
use crate::repair;

/// Events in one transaction.
const PAGE_EVENTS: usize = 2_000;

/// Why there is no replay.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Nobody ever created it.
    #[error("there is no inspection {0}")]
    NoInspection(Uuid),
    /// It was not there yet.
    #[error("inspection {inspection} was created later, at position {created}")]
    CreatedLater {
        /// The inspection.
        inspection: Uuid,
        /// Where it was created.
        created: Position,
    },
    /// Newer software wrote an event.
    #[error("{}", .0.reason)]
    Unknown(Poison),
    /// Somebody took the tables away.
    #[error("another process removed the tables of this replay")]
    Removed,
    /// A read model is in the way of comparing with it.
    #[error("no generation of {0} serves")]
    NothingServes(&'static str),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] EventLogError),
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

impl From<WriteError> for ReplayError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Unknown(poison) => Self::Unknown(poison),
            WriteError::Log(error) => Self::Log(error),
            WriteError::Database(error) => Self::Database(error),
            WriteError::Fenced => Self::Removed,
        }
    }
}

/// The read models as of a position. [`Self::remove`] takes them away again.
pub struct Replay {
    connection: OwnerConnection,
    log: Arc<dyn EventLog>,
    generations: Vec<Generation>,
    up_to: LogPlace,
    events: u64,
    latest: Option<(Position, DateTime<Utc>)>,
}

impl Replay {
    /// Empty read models, after those were removed that a replay left that was killed.
    ///
    /// # Errors
    /// When the database or the log fails.
    pub async fn begin(
        pool: &Pool,
        log: Arc<dyn EventLog>,
        up_to: LogPlace,
    ) -> Result<Self, ReplayError> {
        let log: Arc<dyn EventLog> = Arc::new(LogUpTo::new(log, up_to));
        let mut connection = OwnerConnection::open(pool).await?;
        // Whole tables are read and counted.
        connection.allow_long_statements(pool).await?;
        sqlx::query("SET statement_timeout = 0").execute(&mut *connection).await?;
        leftovers::remove_abandoned(&mut connection).await?;
        let mut tx = connection.begin().await?;
        let mut generations = Vec::with_capacity(crate::ALL.len());
        for projection in crate::ALL {
            let created = tables::create(&mut tx, projection, GenerationStatus::Replaying).await?;
            leftovers::hold(&mut tx, &created.schema()).await?;
            generations.push(created);
        }
        tx.commit().await?;
        let mut replay = Self { connection, log, generations, up_to, events: 0, latest: None };
        for generation in &mut replay.generations {
            generation.discarded =
                repair::load_discarded(&*replay.log, generation.projection).await?;
        }
        Ok(replay)
    }

    /// Fills them from the whole log. The next page is read while one is written.
    ///
    /// # Errors
    /// When the log cannot be read to the end, or the database fails.
    pub async fn fill(
        &mut self,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(), ReplayError> {
        let (log, target) = (Arc::clone(&self.log), self.up_to.position);
        let mut page = log.read_all(Position(0), PAGE_EVENTS).await?;
        loop {
            let next = log.read_all(page.up_to, PAGE_EVENTS);
            let (written, next) = tokio::join!(self.write(&page), next);
            written?;
            progress(Progress { position: page.up_to, target, events: self.events });
            if page.up_to >= target {
                return Ok(());
            }
            page = next?;
        }
    }

    /// Fills them with one inspection and its part alone.
    ///
    /// # Errors
    /// When there was no such inspection then.
    pub async fn fill_with_inspection(&mut self, inspection: Uuid) -> Result<(), ReplayError> {
        let stream = StreamId::for_aggregate::<Inspection>(inspection);
        let mut events = self.log.read_stream(&stream, 0).await?.events;
        if let Some(part) = events.first().and_then(part_of) {
            let part = StreamId::for_aggregate::<Part>(part);
            events.extend(self.log.read_stream(&part, 0).await?.events);
        }
        events.sort_by_key(|event| event.position);
        let LogPlace { position, incarnation } = self.up_to;
        let events = events.into_iter().map(Arc::new).collect();
        self.write(&Page { events, up_to: position, head: position, incarnation }).await
    }

    async fn write(&mut self, page: &Page) -> Result<(), ReplayError> {
        for generation in &mut self.generations {
            write_page(&mut self.connection, &*self.log, generation, page).await?;
        }
        self.events += page.events.len() as u64;
        let latest = page.events.iter().map(|event| (event.position, event.recorded_at));
        self.latest = self.latest.into_iter().chain(latest).max_by_key(|(_, time)| *time);
        Ok(())
    }

    /// Up to where they are filled.
    #[must_use]
    pub const fn up_to(&self) -> LogPlace {
        self.up_to
    }

    /// How many events they were filled with.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// Which of these events bears the latest time.
    #[must_use]
    pub const fn latest_recorded(&self) -> Option<(Position, DateTime<Utc>)> {
        self.latest
    }

    /// Takes everything away again. A failure is logged: the next replay does it then.
    pub async fn remove(self, pool: &Pool) {
        // Whoever was interrupted leaves a statement on its connection.
        self.connection.release().await;
        let removed = async {
            let mut connection = pool.acquire().await?;
            for generation in &self.generations {
                let key = (generation.projection.name(), generation.number);
                leftovers::remove(&mut connection, key).await?;
            }
            Ok::<_, sqlx::Error>(())
        };
        if let Err(error) = removed.await {
            tracing::warn!(%error, "the tables of a replay are left behind; the next one removes them");
        }
    }

    fn generation(&self, projection: &str) -> Result<String, ReplayError> {
        let found = self.generations.iter().find(|one| one.projection.name() == projection);
        found.map(Generation::schema).ok_or(ReplayError::Removed)
    }
}

/// Makes sure that an inspection was there as of a place in the log.
///
/// # Errors
/// [`ReplayError::NoInspection`], [`ReplayError::CreatedLater`], or when the log fails.
pub async fn check_inspection(
    log: &dyn EventLog,
    inspection: Uuid,
    up_to: LogPlace,
) -> Result<(), ReplayError> {
    let stream = StreamId::for_aggregate::<Inspection>(inspection);
    let events = log.read_stream(&stream, 0).await?.events;
    match events.first().map(|event| event.position) {
        None => Err(ReplayError::NoInspection(inspection)),
        Some(created) if created > up_to.position => {
            Err(ReplayError::CreatedLater { inspection, created })
        }
        Some(_) => Ok(()),
    }
}

/// Which part an inspection is of, as its first event says.
fn part_of(created: &Recorded) -> Option<PartNumber> {
    match created.decode::<Inspection>() {
        Ok(InspectionEvent::InspectionCreated { part, .. }) => Some(part),
        // One that cannot be read parks its stream where it is applied.
        _ => None,
    }
}
