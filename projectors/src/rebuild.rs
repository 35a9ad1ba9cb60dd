//! Builds a generation from the beginning of the log while the old one serves, compares the two at one
//! position, and swaps them in one transaction.
//!
//! Invariants: the comparison looks at a snapshot, so that nobody who serves waits for it; the old
//! generation stands still only for the swap, while the new one reads the last events before it; a
//! rebuild that fails leaves it as it was.

mod builder;
mod compare;
mod serving_snapshot;

use std::sync::Arc;
use std::time::Duration;

use domain::GenerationStatus;
use platform::event_log::{EventLog, EventLogError, Position};
use platform::follower::SESSION_BACKOFF;
use platform::postgres::{DatabaseConnection, Pool};
use sqlx::Executor as _;

pub use compare::{Comparison, TableDifference};

use crate::beyond_log::BeyondLog;
use crate::generation::{Generation, tables};
use crate::poison::Poison;
use crate::projection::Projection;
use builder::Builder;
use serving_snapshot::ServingSnapshot;

/// How often a swap is tried that readers hold up.
const SWAP_ATTEMPTS_MAX: u32 = 20;
/// How long a swap waits for readers before it lets go and catches up again: below PostgreSQL's
/// `deadlock_timeout` of 1 s, so that it is never a reader who is sacrificed.
const SWAP_LOCK_TIMEOUT: Duration = Duration::from_millis(500);
/// SQLSTATE of a lock that was waited for in vain.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// How to rebuild.
#[derive(Debug, Clone, Copy, Default)]
pub struct RebuildOptions {
    /// Keep the old generation when the new one differs in anything.
    pub expect_identical: bool,
}

/// How far a rebuild is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Everything up to here is applied.
    pub position: Position,
    /// The old generation is here.
    pub target: Position,
    /// Events read so far.
    pub events: u64,
}

/// What a rebuild did.
#[derive(Debug, Clone)]
pub struct RebuildReport {
    /// The projection.
    pub projection: &'static str,
    /// The generation that served.
    pub old_generation: i32,
    /// The generation that serves now.
    pub new_generation: i32,
    /// Where both were when they were swapped.
    pub position: Position,
    /// Events read.
    pub events: u64,
    /// How long it took to fill the new generation.
    pub filling: Duration,
    /// Where both were when they were compared: at or before the swap.
    pub compared_at: Position,
    /// How the two compare. After a change of code differences are what one wants to see.
    pub comparison: Comparison,
}

/// How a serving generation compares with one built from the log alone.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The projection.
    pub projection: &'static str,
    /// The generation that serves.
    pub generation: i32,
    /// Where both were when they were compared.
    pub position: Position,
    /// How they compare.
    pub comparison: Comparison,
}

/// Why a rebuild did not happen. The old generation serves as before.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// Another process is at it.
    #[error("{0} is being rebuilt or verified by another process")]
    InProgress(&'static str),
    /// There is no old generation.
    #[error("no generation of {0} serves; start the projectors once")]
    NothingServes(&'static str),
    /// Events can never be applied, and nobody has discarded them: the first ones, at most 1,000.
    #[error("{} of the log cannot be applied", count_events(.0))]
    Poison(Vec<Poison>),
    /// Newer software wrote an event, and nobody has discarded it.
    #[error("{}", .0.reason)]
    Unknown(Poison),
    /// The new generation differs, and was expected not to.
    #[error("the new generation differs: {0}")]
    Differs(Comparison),
    /// The generation that was verified is beyond the end of the log.
    #[error(transparent)]
    BeyondLog(#[from] BeyondLog),
    /// The log is not complete up to where the old generation is.
    #[error("the log is not complete up to position {0}, which the read model has reached")]
    LogTooShort(Position),
    /// Readers or other processes were in the way for too long.
    #[error("readers hold on to the old generation; try again when they have finished")]
    Busy,
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] EventLogError),
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

fn count_events(poisons: &[Poison]) -> String {
    match poisons {
        [_] => "an event".to_owned(),
        _ => format!("{} events", poisons.len()),
    }
}

/// Rebuilds a projection from the beginning of the log while the old generation serves, and swaps
/// the new one in. `progress` is told after every page.
///
/// # Errors
/// When it was not swapped in; the old generation then serves as before.
pub async fn rebuild(
    pool: &Pool,
    log: Arc<dyn EventLog>,
    projection: &'static dyn Projection,
    options: RebuildOptions,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<RebuildReport, RebuildError> {
    let mut builder = Builder::begin(pool, log, projection).await?;
    let outcome = fill_and_swap(pool, &mut builder, options, progress).await;
    let compared = match outcome {
        Ok(compared) => compared,
        Err(error) => {
            builder.remove_and_release().await;
            return Err(error);
        }
    };
    let report = RebuildReport {
        projection: projection.name(),
        old_generation: compared.generation,
        new_generation: builder.generation.number,
        position: builder.generation.position,
        events: builder.events,
        filling: builder.filling,
        compared_at: compared.position,
        comparison: compared.comparison,
    };
    builder.release().await;
    Ok(report)
}

/// Builds every serving generation again, in a scratch generation that nobody sees, and compares.
/// A stream that is parked is parked in both.
///
/// # Errors
/// When a projection could not be compared.
pub async fn verify(pool: &Pool, log: Arc<dyn EventLog>) -> Result<Vec<Verified>, RebuildError> {
    verify_each(&crate::ALL, pool, log).await
}

/// [`verify`] for these projections.
///
/// # Errors
/// When a projection could not be compared.
pub async fn verify_each(
    projections: &[&'static dyn Projection],
    pool: &Pool,
    log: Arc<dyn EventLog>,
) -> Result<Vec<Verified>, RebuildError> {
    let mut verified = Vec::with_capacity(projections.len());
    for projection in projections {
        let mut builder = Builder::begin(pool, Arc::clone(&log), *projection).await?;
        let outcome = verify_one(pool, &mut builder).await;
        builder.remove_and_release().await;
        verified.push(outcome?);
    }
    Ok(verified)
}

/// A generation beyond the end of the log is wrong, whatever it holds.
async fn verify_one(pool: &Pool, builder: &mut Builder) -> Result<Verified, RebuildError> {
    let verified = fill_and_compare(pool, builder, &mut |_| {}).await?;
    builder.refuse_beyond_log(verified.position).await?;
    builder.refuse_lost_log(pool, verified.generation).await?;
    Ok(verified)
}

/// Fills the new generation to where the old one is, or to the end of a log that ends before, and compares
/// them there. The old one moves on meanwhile.
async fn fill_and_compare(
    pool: &Pool,
    builder: &mut Builder,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Verified, RebuildError> {
    builder.approach_serving(pool, progress).await?;
    let projection = builder.generation.projection;
    let mut snapshot = ServingSnapshot::open(pool, projection).await?;
    builder.fill_to_or_end(snapshot.position, progress).await?;
    let comparison = builder.compare_with(pool, &mut snapshot).await?;
    let (generation, position) = (snapshot.generation, snapshot.position);
    snapshot.release().await;
    Ok(Verified { projection: projection.name(), generation, position, comparison })
}

async fn fill_and_swap(
    pool: &Pool,
    builder: &mut Builder,
    options: RebuildOptions,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Verified, RebuildError> {
    builder.approach_serving(pool, progress).await?;
    // Before the comparison, which may take long and is in vain then.
    refuse_poisons(builder).await?;
    builder.refresh_summaries(pool).await?;
    let compared = fill_and_compare(pool, builder, progress).await?;
    if options.expect_identical && !compared.comparison.is_identical() {
        return Err(RebuildError::Differs(compared.comparison));
    }
    for attempt in 0..SWAP_ATTEMPTS_MAX {
        builder.approach_serving(pool, progress).await?;
        match try_swap(pool, builder, progress).await {
            Err(RebuildError::Database(sqlx::Error::Database(error)))
                if error.code().as_deref() == Some(LOCK_NOT_AVAILABLE) =>
            {
                let projection = builder.generation.projection.name();
                tracing::info!(projection, attempt, "readers hold up the swap; trying again");
                SESSION_BACKOFF.wait(attempt).await;
            }
            outcome => return outcome.map(|()| compared),
        }
    }
    Err(RebuildError::Busy)
}

async fn refuse_poisons(builder: &mut Builder) -> Result<(), RebuildError> {
    let poisons = builder.list_poisons().await?;
    if poisons.is_empty() { Ok(()) } else { Err(RebuildError::Poison(poisons)) }
}

/// Holds the old generation still, catches up with it, and swaps.
async fn try_swap(
    pool: &Pool,
    builder: &mut Builder,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), RebuildError> {
    let mut tx = pool.begin().await?;
    let old = hold_serving(&mut tx, builder.generation.projection).await?;
    builder.fill_to_or_end(old.position, progress).await?;
    refuse_poisons(builder).await?;
    swap_generations(&mut tx, &old, &builder.generation).await?;
    tx.commit().await?;
    Ok(())
}

/// The generation that serves, held still by the lock on its checkpoint.
#[derive(Debug, Clone, Copy)]
struct Old {
    generation: i32,
    position: Position,
}

async fn hold_serving(
    tx: &mut DatabaseConnection,
    projection: &'static dyn Projection,
) -> Result<Old, RebuildError> {
    // It idles while the new generation reads the last events.
    (&mut *tx).execute("SET LOCAL idle_in_transaction_session_timeout = '60s'").await?;
    let old: Option<(i32, i64)> = sqlx::query_as(
        "SELECT generation, least(position, log_lost_after) FROM public.projection_checkpoints
         WHERE projection = $1 AND status = 'serving' FOR UPDATE",
    )
    .bind(projection.name())
    .fetch_optional(tx)
    .await?;
    let (generation, position) = old.ok_or(RebuildError::NothingServes(projection.name()))?;
    Ok(Old { generation, position: Position(position) })
}

/// Retires the old generation and lets the new one serve. The old one's owner finds itself fenced
/// off and goes on with the new one.
async fn swap_generations(
    tx: &mut DatabaseConnection,
    old: &Old,
    new: &Generation,
) -> Result<(), sqlx::Error> {
    let name = new.projection.name();
    let limit = format!("SET LOCAL lock_timeout = {}", SWAP_LOCK_TIMEOUT.as_millis());
    (&mut *tx).execute(limit.as_str()).await?;
    for (number, status) in
        [(old.generation, GenerationStatus::Retired), (new.number, GenerationStatus::Serving)]
    {
        sqlx::query(
            "UPDATE public.projection_checkpoints
             SET status = $3, owner_epoch = owner_epoch + 1, updated_at = clock_timestamp()
             WHERE projection = $1 AND generation = $2",
        )
        .bind(name)
        .bind(number)
        .bind(status.as_str())
        .execute(&mut *tx)
        .await?;
    }
    sqlx::query("DELETE FROM public.parked_streams WHERE projection = $1 AND generation = $2")
        .bind(name)
        .bind(old.generation)
        .execute(&mut *tx)
        .await?;
    tables::point_views(tx, new).await?;
    tables::drop_tables(tx, name, old.generation).await
}
