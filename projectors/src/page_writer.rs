//! Writes a page of the log into a generation: rows, checkpoint and counters in one transaction, by the
//! generation's owner alone.
//!
//! Invariants: the checkpoint moves with the rows and from where the page begins; events read =
//! applied + parked. A page is applied as a whole; when an event in it is at fault, it is applied again, halved
//! behind savepoints until that event is found, and its stream is parked. One that only newer software knows
//! is not at fault: nothing of its page is written, and the page waits for that software, or for a decision to go
//! on without it. A decision about the projection's own streams divides its page: what stands before it is
//! written first.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use platform::event_log::{EventLog, Page, Position, Recorded, StreamId};
use platform::postgres::DatabaseConnection;

use crate::checkpoint::{WriteError, advance_checkpoint, begin_on_tables, lock_checkpoint};
use crate::generation::Generation;
use crate::parked_streams::{self, Passed};
use crate::poison::Poison;
use crate::projection::{ApplyError, Projection};
use crate::repair;

/// Why an event was not even tried.
const DISCARDED: &str = "it is discarded";

/// What a page changed beyond rows.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// The events that parked a stream.
    pub(crate) poisons: Vec<Poison>,
    /// Decisions about parked streams that were carried out.
    pub(crate) decisions: usize,
}

/// Writes the page that follows on the generation's position, in as many transactions as decisions divide it
/// into. When one fails, those before it stay written, and the generation says up to where.
#[tracing::instrument(
    skip_all,
    fields(
        projection = generation.projection.name(),
        generation = generation.number,
        position = page.up_to.0,
    )
)]
pub(crate) async fn write_page(
    connection: &mut DatabaseConnection,
    log: &dyn EventLog,
    generation: &mut Generation,
    page: &Page,
) -> Result<Written, WriteError> {
    let (mut written, projection) = (Written::default(), generation.projection);
    let mut rest = page.events.as_slice();
    while let Some(at) = rest.iter().position(|event| repair::is_decision(projection, event)) {
        let (before, decided) = rest.split_at(at);
        let Some((decision, after)) = decided.split_first() else { break };
        if !before.is_empty() {
            let up_to = Position(decision.position.0 - 1);
            written.poisons.extend(write_stretch(connection, generation, before, up_to).await?);
        }
        repair::carry_out(connection, log, generation, decision).await?;
        written.decisions += 1;
        rest = after;
    }
    // Nothing is left where a decision was the page's last event.
    if !rest.is_empty() || generation.position < page.up_to {
        written.poisons.extend(write_stretch(connection, generation, rest, page.up_to).await?);
    }
    Ok(written)
}

/// Writes events that follow on the generation's position: all of them, or nothing.
async fn write_stretch(
    connection: &mut DatabaseConnection,
    generation: &mut Generation,
    events: &[Arc<Recorded>],
    up_to: Position,
) -> Result<Vec<Poison>, WriteError> {
    if write_at_once(connection, generation, events, up_to).await? {
        return Ok(Vec::new());
    }
    let mut tx = begin_on_tables(connection, generation).await?;
    lock_checkpoint(&mut tx, generation).await?;
    let tally = apply_events(&mut tx, generation, events).await?;
    advance_checkpoint(&mut tx, generation, up_to, (tally.applied, tally.parked)).await?;
    for (stream, passed) in &tally.streams {
        parked_streams::pass_over(&mut tx, generation, stream, passed).await?;
    }
    tx.commit().await?;
    tracing::debug!(applied = tally.applied, parked = tally.parked, "page projected");
    generation.position = up_to;
    generation.parked.extend(tally.streams.keys().cloned());
    Ok(tally.streams.into_values().filter_map(|passed| passed.poison).collect())
}

/// The same where nothing is in the way, which is nearly always: `false`, and nothing is written, when some event is
/// passed over or at fault.
async fn write_at_once(
    connection: &mut DatabaseConnection,
    generation: &mut Generation,
    events: &[Arc<Recorded>],
    up_to: Position,
) -> Result<bool, WriteError> {
    let projection = generation.projection;
    let ours = events_of(projection, events);
    let is_passed_over = |event: &&Recorded| {
        generation.parked.contains(&event.stream)
            || generation.has_discarded(&event.stream, event.position)
    };
    if ours.iter().any(is_passed_over) {
        return Ok(false);
    }
    let counted = (events.len() as u64, 0);
    if ours.is_empty() {
        advance_checkpoint(connection, generation, up_to, counted).await?;
    } else {
        let mut tx = begin_on_tables(connection, generation).await?;
        advance_checkpoint(&mut tx, generation, up_to, counted).await?;
        match projection.apply(&mut tx, &ours).await {
            Ok(()) => tx.commit().await?,
            Err(ApplyError::Transient(error)) => return Err(error.into()),
            Err(ApplyError::Permanent(_) | ApplyError::Unknown(_)) => {
                tx.rollback().await?;
                return Ok(false);
            }
        }
    }
    tracing::debug!(applied = events.len(), "page projected");
    generation.position = up_to;
    Ok(true)
}

/// The events that the projection reads.
fn events_of<'a>(projection: &dyn Projection, events: &'a [Arc<Recorded>]) -> Vec<&'a Recorded> {
    let aggregate_types = projection.definition().aggregate_types;
    let is_ours = |event: &&Recorded| aggregate_types.contains(&&*event.stream.aggregate_type);
    events.iter().map(|event| &**event).filter(is_ours).collect()
}

/// What became of events.
#[derive(Debug, Default)]
struct Tally {
    applied: u64,
    parked: u64,
    streams: BTreeMap<StreamId, Passed>,
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
}

async fn apply_events(
    tx: &mut DatabaseConnection,
    generation: &Generation,
    events: &[Arc<Recorded>],
) -> Result<Tally, WriteError> {
    let projection = generation.projection;
    let ours = events_of(projection, events);
    let mut tally = Tally { applied: (events.len() - ours.len()) as u64, ..Tally::default() };
    let mut stretches = vec![ours];
    while let Some(mut stretch) = stretches.pop() {
        stretch.retain(|event| {
            let parked = generation.parked.contains(&event.stream)
                || tally.streams.contains_key(&event.stream);
            if parked {
                tally.pass_over(&event.stream, None);
                return false;
            }
            let discarded = generation.has_discarded(&event.stream, event.position);
            if discarded {
                let poison = Poison::new(event, DISCARDED.to_owned());
                tally.pass_over(&event.stream, Some(poison));
            }
            !discarded
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
            // One that only newer software knows is looked for in the same way, and then nothing is written.
            (Err(ApplyError::Unknown(reason)), [event]) => {
                return Err(WriteError::Unknown(Poison::new(event, reason)));
            }
            (Err(ApplyError::Permanent(reason)), [event]) => {
                savepoint.rollback().await?;
                tally.pass_over(&event.stream, Some(Poison::new(event, reason)));
            }
            (Err(ApplyError::Permanent(_) | ApplyError::Unknown(_)), _) => {
                savepoint.rollback().await?;
                let second = stretch.split_off(stretch.len() / 2);
                stretches.extend([second, stretch]);
            }
        }
    }
    Ok(tally)
}
