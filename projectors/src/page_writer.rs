//! Writes a page of the log into a generation: rows, checkpoint and counters in one transaction, by the
//! generation's owner alone.
//!
//! Invariants: the checkpoint moves with the rows and from where the page begins; events read =
//! applied + parked. A page is applied as a whole; when an event in it is at fault, it is halved
//! behind savepoints until that event is found. One that only newer software knows is not at fault: nothing
//! of its page is written, and the page waits for that software.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use platform::event_log::{Page, Position, Recorded, StreamId};
use sqlx::{Acquire as _, PgConnection};

use crate::generation::Generation;
use crate::projection::ApplyError;

/// What to do with an event that can never be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnPoison {
    /// Park its stream and go on with the others.
    Park,
    /// Stop; nothing of the page is written.
    Stop,
}

/// An event that can never be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poison {
    /// Where it is.
    pub position: Position,
    /// Its stream.
    pub stream: StreamId,
    /// Its stored name.
    pub event_type: String,
    /// Why it cannot be applied.
    pub reason: String,
}

impl Poison {
    pub(crate) fn new(event: &Recorded, reason: String) -> Self {
        Self {
            position: event.position,
            stream: event.stream.clone(),
            event_type: event.event_type.clone(),
            reason,
        }
    }
}

impl fmt::Display for Poison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, stream, event_type, reason } = self;
        write!(f, "{event_type} of {stream} at position {position} cannot be applied: {reason}")
    }
}

/// Why a page was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("another process owns the generation now")]
    Fenced,
    #[error("{0}")]
    Poison(Box<Poison>),
    #[error("{0}")]
    Unknown(String),
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// What became of a page's events.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) applied: u64,
    pub(crate) parked: u64,
    streams: BTreeMap<StreamId, Passed>,
}

/// The events of one parked stream in a page.
#[derive(Debug, Default)]
struct Passed {
    poison: Option<Poison>,
    events: u64,
}

impl Tally {
    fn pass_over(&mut self, stream: &StreamId, poison: Option<Poison>) {
        self.parked += 1;
        let passed = self.streams.entry(stream.clone()).or_default();
        passed.events += 1;
        if poison.is_some() {
            passed.poison = poison;
        }
    }

    /// The events that parked a stream.
    pub(crate) fn poisons(&self) -> impl Iterator<Item = &Poison> {
        self.streams.values().filter_map(|passed| passed.poison.as_ref())
    }
}

/// Writes the page that follows on the generation's position: all of it, or nothing.
#[tracing::instrument(
    skip_all,
    fields(
        projection = generation.projection.name(),
        generation = generation.number,
        position = page.up_to.0,
    )
)]
pub(crate) async fn write_page(
    connection: &mut PgConnection,
    generation: &mut Generation,
    page: &Page,
    on_poison: OnPoison,
) -> Result<Tally, WriteError> {
    let mut tx = connection.begin().await?;
    lock_checkpoint(&mut tx, generation).await?;
    let tally = apply_events(&mut tx, generation, &page.events, on_poison).await?;
    advance_checkpoint(&mut tx, generation, page.up_to, &tally).await?;
    tx.commit().await?;
    tracing::debug!(applied = tally.applied, parked = tally.parked, "page projected");
    generation.position = page.up_to;
    generation.parked.extend(tally.streams.keys().cloned());
    Ok(tally)
}

/// Takes the checkpoint's row, if it is still ours and where we left it, and points the transaction
/// at the generation's tables.
///
/// Rows are looked up by keys, some hundred of them at a time, in tables that grow with every page and that
/// nothing is known of yet: PostgreSQL would rather read them whole, and a rebuild would take longer with
/// the square of the log. So it is told not to.
pub(crate) async fn lock_checkpoint(
    tx: &mut PgConnection,
    generation: &Generation,
) -> Result<(), WriteError> {
    let ours: Option<i32> = sqlx::query_scalar(
        "SELECT generation FROM public.projection_checkpoints
         WHERE projection = $1 AND generation = $2 AND status = $3 AND owner_epoch = $4
           AND position = $5
         FOR UPDATE",
    )
    .bind(generation.projection.name())
    .bind(generation.number)
    .bind(generation.status.as_str())
    .bind(generation.epoch)
    .bind(generation.position.0)
    .fetch_optional(&mut *tx)
    .await?;
    if ours.is_none() {
        return Err(WriteError::Fenced);
    }
    sqlx::query(
        "SELECT set_config('search_path', $1, true), set_config('enable_seqscan', 'off', true)",
    )
    .bind(generation.schema())
    .execute(tx)
    .await?;
    Ok(())
}

async fn apply_events(
    tx: &mut PgConnection,
    generation: &Generation,
    events: &[Recorded],
    on_poison: OnPoison,
) -> Result<Tally, WriteError> {
    let projection = generation.projection;
    let aggregate_types = projection.definition().aggregate_types;
    let (ours, others): (Vec<&Recorded>, Vec<&Recorded>) = events
        .iter()
        .partition(|event| aggregate_types.contains(&event.stream.aggregate_type.as_str()));
    let mut tally = Tally { applied: others.len() as u64, ..Tally::default() };
    let mut stretches = vec![ours];
    while let Some(mut stretch) = stretches.pop() {
        stretch.retain(|event| {
            let parked = generation.parked.contains(&event.stream)
                || tally.streams.contains_key(&event.stream);
            if parked {
                tally.pass_over(&event.stream, None);
            }
            !parked
        });
        if stretch.is_empty() {
            continue;
        }
        let mut savepoint = tx.begin().await?;
        let applied = projection.apply(&mut savepoint, &stretch).await;
        match (applied, stretch.as_slice()) {
            (Ok(()), _) => {
                savepoint.commit().await?;
                tally.applied += stretch.len() as u64;
            }
            (Err(ApplyError::Transient(error)), _) => return Err(error.into()),
            (Err(ApplyError::Unknown(reason)), _) => return Err(WriteError::Unknown(reason)),
            (Err(ApplyError::Permanent(reason)), [event]) => {
                savepoint.rollback().await?;
                let poison = Poison::new(event, reason);
                match on_poison {
                    OnPoison::Park => tally.pass_over(&event.stream, Some(poison)),
                    OnPoison::Stop => return Err(WriteError::Poison(Box::new(poison))),
                }
            }
            (Err(ApplyError::Permanent(_)), _) => {
                savepoint.rollback().await?;
                let second = stretch.split_off(stretch.len() / 2);
                stretches.extend([second, stretch]);
            }
        }
    }
    Ok(tally)
}

async fn advance_checkpoint(
    tx: &mut PgConnection,
    generation: &Generation,
    up_to: Position,
    tally: &Tally,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE public.projection_checkpoints
         SET position = $3, events_read = events_read + $4 + $5,
             events_applied = events_applied + $4, events_parked = events_parked + $5,
             updated_at = clock_timestamp()
         WHERE projection = $1 AND generation = $2",
    )
    .bind(generation.projection.name())
    .bind(generation.number)
    .bind(up_to.0)
    .bind(to_bigint(tally.applied))
    .bind(to_bigint(tally.parked))
    .execute(&mut *tx)
    .await?;
    for (stream, passed) in &tally.streams {
        park_stream(tx, generation, stream, passed).await?;
    }
    Ok(())
}

/// Parks the stream, or counts what was passed over of one that is parked already.
async fn park_stream(
    tx: &mut PgConnection,
    generation: &Generation,
    stream: &StreamId,
    passed: &Passed,
) -> Result<(), sqlx::Error> {
    let query = if let Some(poison) = &passed.poison {
        sqlx::query(
            "INSERT INTO public.parked_streams (projection, generation, aggregate_type,
                 aggregate_id, events, position, event_type, error)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(generation.projection.name())
        .bind(generation.number)
        .bind(&stream.aggregate_type)
        .bind(&stream.aggregate_id)
        .bind(to_bigint(passed.events))
        .bind(poison.position.0)
        .bind(&poison.event_type)
        .bind(&poison.reason)
    } else {
        sqlx::query(
            "UPDATE public.parked_streams SET events = events + $5
             WHERE projection = $1 AND generation = $2 AND aggregate_type = $3
               AND aggregate_id = $4",
        )
        .bind(generation.projection.name())
        .bind(generation.number)
        .bind(&stream.aggregate_type)
        .bind(&stream.aggregate_id)
        .bind(to_bigint(passed.events))
    };
    query.execute(tx).await?;
    Ok(())
}

fn to_bigint(events: u64) -> i64 {
    i64::try_from(events).unwrap_or(i64::MAX)
}
