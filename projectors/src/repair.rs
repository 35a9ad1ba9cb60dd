//! What operators decide about parked streams takes effect here, where the decision stands in the log; and
//! what code before this one could not apply is tried again.
//!
//! Invariants: a decision is carried out in the transaction that moves the checkpoint over it; a stream that is
//! tried again is applied as a whole or stays as it was. That it comes late is right because rows depend on
//! the order within a stream only; events that were applied before it was parked are given again and change
//! nothing.

use std::collections::HashMap;

use domain::{Aggregate as _, PoisonedEvent, ProjectionRepair, ProjectionRepairEvent};
use platform::event_log::{EventLog, EventLogError, Position, Recorded, StreamId};
use platform::postgres::DatabaseConnection;

use crate::checkpoint::{WriteError, advance_checkpoint, begin_on_tables, lock_checkpoint};
use crate::generation::Generation;
use crate::parked_streams;
use crate::poison::Poison;
use crate::projection::{ApplyError, Projection};

/// Streams that are looked up at a time to be tried again.
const RETRY_BATCH: i64 = 100;

/// Whether an event is a decision about the projection's own parked streams.
pub(crate) fn is_decision(projection: &dyn Projection, event: &Recorded) -> bool {
    event.stream.aggregate_type == ProjectionRepair::TYPE
        && event.stream.aggregate_id == projection.name()
}

/// What is given up of a projection, as the log says now: by stream, the event from which on. What was decided
/// last counts at once, also for a generation that has not come there.
pub(crate) async fn load_discarded(
    log: &dyn EventLog,
    projection: &dyn Projection,
) -> Result<HashMap<StreamId, Position>, EventLogError> {
    if projection.leaves_nothing_out() {
        return Ok(HashMap::new());
    }
    let stream = StreamId::for_aggregate::<ProjectionRepair>(projection.name());
    let mut repair = ProjectionRepair::default();
    for event in log.read_stream(&stream, 0).await?.events {
        // One that cannot be read is told of when it is carried out.
        if let Ok(decision) = event.decode::<ProjectionRepair>() {
            repair.evolve(&decision);
        }
    }
    Ok(repair.discarded().map(|poison| (stream_of(poison), Position(poison.position))).collect())
}

/// The decision; `None` when it is damaged or newer than this software, so that nobody here can tell what was
/// decided. That stops nothing: decisions are the way out of what cannot be read, and must always be open.
fn decode_decision(event: &Recorded) -> Option<ProjectionRepairEvent> {
    let decoded = event.decode::<ProjectionRepair>();
    let projection = &event.stream.aggregate_id;
    decoded
        .inspect_err(|error| {
            let position = event.position.0;
            tracing::error!(%projection, position, %error, "a decision is passed over: make it again");
        })
        .ok()
}

fn stream_of(poison: &PoisonedEvent) -> StreamId {
    StreamId {
        aggregate_type: poison.aggregate_type.clone(),
        aggregate_id: poison.aggregate_id.clone(),
    }
}

/// Carries out the decision that follows on the generation's position, and moves the checkpoint over it.
pub(crate) async fn carry_out(
    connection: &mut DatabaseConnection,
    log: &dyn EventLog,
    generation: &mut Generation,
    event: &Recorded,
) -> Result<(), WriteError> {
    let decision = decode_decision(event);
    generation.discarded = load_discarded(log, generation.projection).await?;
    let parked = match &decision {
        Some(ProjectionRepairEvent::StreamRetryRequested { poison, .. }) => {
            Some(read_stream(log, stream_of(poison), event.position).await?)
        }
        Some(ProjectionRepairEvent::StreamDiscarded { .. }) | None => None,
    };
    let mut tx = begin_on_tables(connection, generation).await?;
    lock_checkpoint(&mut tx, generation).await?;
    let taken_up = match parked {
        Some(parked) if retry_stream(&mut tx, generation, &parked).await? => Some(parked.stream),
        _ => None,
    };
    parked_streams::mark_discarded(&mut tx, generation).await?;
    if generation.projection.leaves_nothing_out() {
        apply_decision(&mut tx, generation, event).await?;
    }
    advance_checkpoint(&mut tx, generation, event.position, (1, 0)).await?;
    tx.commit().await?;
    generation.position = event.position;
    if let Some(stream) = taken_up {
        tracing::info!(projection = generation.projection.name(), %stream, "stream taken up again");
        generation.parked.remove(&stream);
    }
    Ok(())
}

/// A decision is an event as well.
async fn apply_decision(
    tx: &mut DatabaseConnection,
    generation: &Generation,
    event: &Recorded,
) -> Result<(), WriteError> {
    generation.projection.apply(tx, &[event]).await.map_err(|error| match error {
        ApplyError::Transient(error) => error.into(),
        ApplyError::Permanent(reason) | ApplyError::Unknown(reason) => {
            WriteError::Unknown(Poison::new(event, reason))
        }
    })
}

/// Tries every stream again that other code has parked: this code may be able to apply it. Each is tried once,
/// since one that stays parked is then parked by this code.
pub(crate) async fn retry_after_upgrade(
    connection: &mut DatabaseConnection,
    log: &dyn EventLog,
    generation: &mut Generation,
) -> Result<(), WriteError> {
    loop {
        let left =
            parked_streams::list_parked_by_other_code(connection, generation, RETRY_BATCH).await?;
        if left.is_empty() {
            return Ok(());
        }
        for stream in left {
            let parked = read_stream(log, stream, generation.position).await?;
            let mut tx = begin_on_tables(connection, generation).await?;
            lock_checkpoint(&mut tx, generation).await?;
            let is_taken_up = retry_stream(&mut tx, generation, &parked).await?;
            tx.commit().await?;
            let (projection, stream) = (generation.projection.name(), &parked.stream);
            tracing::info!(projection, %stream, is_taken_up, "tried again what other code parked");
            if is_taken_up {
                generation.parked.remove(stream);
            }
        }
    }
}

/// A stream up to some position in the log.
struct StreamUpTo {
    stream: StreamId,
    events: Vec<Recorded>,
}

async fn read_stream(
    log: &dyn EventLog,
    stream: StreamId,
    up_to: Position,
) -> Result<StreamUpTo, EventLogError> {
    let mut events = log.read_stream(&stream, 0).await?.events;
    events.retain(|event| event.position <= up_to);
    Ok(StreamUpTo { stream, events })
}

/// Applies the events of a parked stream up to the checkpoint and unparks it. False when it is not parked, was
/// discarded meanwhile, or still cannot be applied.
async fn retry_stream(
    tx: &mut DatabaseConnection,
    generation: &Generation,
    parked: &StreamUpTo,
) -> Result<bool, WriteError> {
    let StreamUpTo { stream, events } = parked;
    if generation.discarded.contains_key(stream)
        || !parked_streams::is_parked(tx, generation, stream).await?
    {
        return Ok(false);
    }
    let mut savepoint = tx.begin().await?;
    if let Some(poison) = apply_in_turn(&mut savepoint, generation.projection, events).await? {
        savepoint.rollback().await?;
        parked_streams::keep_parked(tx, generation, &poison).await?;
        return Ok(false);
    }
    savepoint.commit().await?;
    parked_streams::unpark_stream(tx, generation, stream).await?;
    Ok(true)
}

/// Applies event after event, and says which cannot be applied. What this software does not know is one, too:
/// the others need not wait for newer software, since the stream is parked already.
async fn apply_in_turn(
    tx: &mut DatabaseConnection,
    projection: &dyn Projection,
    events: &[Recorded],
) -> Result<Option<Poison>, sqlx::Error> {
    for event in events {
        match projection.apply(tx, &[event]).await {
            Ok(()) => {}
            Err(ApplyError::Transient(error)) => return Err(error),
            Err(ApplyError::Permanent(reason) | ApplyError::Unknown(reason)) => {
                return Ok(Some(Poison::new(event, reason)));
            }
        }
    }
    Ok(None)
}
