//! Follows the log for one projection, for as long as the process lives.
//!
//! Invariant: whatever goes wrong ends the session with its connection, and the next one continues
//! from the checkpoint; nothing in memory outlives a session.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use platform::backoff::Backoff;
use platform::event_log::{EventLog, EventLogError};
use platform::follower::LogTail;
use platform::shutdown::Shutdown;
use sqlx::{PgConnection, PgPool};

use crate::generation::Generation;
use crate::hint::Hint;
use crate::lease;
use crate::page::{self, OnPoison, Tally, WriteError};
use crate::projection::Projection;
use crate::schema_version::{self, SchemaMismatch};

/// Between attempts at what the database or others stood in the way of.
pub(crate) const BACKOFF: Backoff =
    Backoff::new(Duration::from_millis(50), Duration::from_secs(10), 1.0);

/// What a runner works with.
pub(crate) struct Runner {
    pub(crate) pool: PgPool,
    pub(crate) tail: LogTail,
    pub(crate) projection: &'static dyn Projection,
    /// The most events in one transaction.
    pub(crate) page_events: usize,
    pub(crate) hint: Hint,
}

/// Why following the log was interrupted. What was written before stays.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// Another process, a rebuild or a retry has taken the generation over.
    #[error("another process owns the generation now")]
    Fenced,
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] EventLogError),
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The generation was built by code of another version.
    #[error(transparent)]
    OtherSchema(SchemaMismatch),
    /// There is no generation to write.
    #[error("no generation serves")]
    NothingServes,
}

impl From<WriteError> for ProjectError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Fenced => Self::Fenced,
            WriteError::Database(error) => Self::Database(error),
            // Streams are parked here; only a rebuild stops.
            WriteError::Poison(poison) => Self::Database(sqlx::Error::Protocol(poison.to_string())),
        }
    }
}

/// Applies what is in the log now and returns how many events that was. Waits first, as an instance
/// that stands by does, while another process writes the projection.
///
/// # Errors
/// When it was interrupted; calling again continues.
pub async fn catch_up(
    pool: &PgPool,
    log: &dyn EventLog,
    projection: &'static dyn Projection,
    page_events: usize,
) -> Result<u64, ProjectError> {
    let (mut connection, mut generation) = take_over(pool, projection).await?;
    let mut events = 0;
    loop {
        let page = log.read_all(generation.position, page_events).await?;
        if page.up_to <= generation.position {
            lease::release(connection).await;
            return Ok(events);
        }
        let started = Instant::now();
        let tally = page::write(&mut connection, &mut generation, &page, OnPoison::Park).await?;
        log_page(&generation, &tally, started);
        events += page.events.len() as u64;
    }
}

async fn take_over(
    pool: &PgPool,
    projection: &'static dyn Projection,
) -> Result<(PgConnection, Generation), ProjectError> {
    let mut connection = lease::acquire(pool, projection).await?;
    let Some(generation) = lease::take_over(&mut connection, projection).await? else {
        let mismatch = schema_version::find_mismatch(&mut connection, projection).await?;
        lease::release(connection).await;
        return Err(mismatch.map_or(ProjectError::NothingServes, ProjectError::OtherSchema));
    };
    Ok((connection, generation))
}

impl Runner {
    /// Keeps the projection up to date until shutdown is requested. What is in flight then is
    /// rolled back, and done again by whoever comes next.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        tokio::select! {
            () = self.sessions() => {}
            () = shutdown.requested() => {}
        }
    }

    async fn sessions(&self) {
        let mut attempt = 0;
        loop {
            let Err(error) = self.session(&mut attempt).await;
            let projection = self.projection.name();
            if let ProjectError::Fenced = error {
                tracing::info!(projection, "the generation has another owner; looking again");
            } else {
                tracing::warn!(projection, attempt, %error, "projection interrupted");
            }
            BACKOFF.wait(attempt).await;
            attempt = attempt.saturating_add(1);
        }
    }

    async fn session(&self, attempt: &mut u32) -> Result<Infallible, ProjectError> {
        let (mut connection, mut generation) = take_over(&self.pool, self.projection).await?;
        self.log_start(&generation);
        let mut follow = self.tail.follow(generation.position);
        loop {
            let page = follow.next_page(self.page_events).await?;
            let started = Instant::now();
            let tally =
                page::write(&mut connection, &mut generation, &page, OnPoison::Park).await?;
            *attempt = 0;
            self.hint.changed();
            log_page(&generation, &tally, started);
        }
    }

    fn log_start(&self, generation: &Generation) {
        tracing::info!(
            projection = self.projection.name(),
            generation = generation.number,
            epoch = generation.epoch,
            position = generation.position.0,
            parked_streams = generation.parked.len(),
            "projecting"
        );
    }
}

fn log_page(generation: &Generation, tally: &Tally, started: Instant) {
    let projection = generation.projection.name();
    for poison in tally.poisons() {
        tracing::error!(projection, position = poison.position.0, %poison, "stream parked");
    }
    tracing::debug!(
        projection,
        generation = generation.number,
        position = generation.position.0,
        applied = tally.applied,
        parked = tally.parked,
        duration_ms = started.elapsed().as_secs_f64() * 1e3,
        "page projected"
    );
}
