//! An aggregate from its stream: of a long one only what came since this process read it last.
//!
//! Invariant: what is loaded is what the whole stream makes, whether it was read whole or not.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use domain::Aggregate;
use uuid::Uuid;

use super::ExecuteError;
use crate::event_log::{
    EventLog, Incarnation, LogPlace, Position, Recorded, Snapshot, StreamEvents, StreamId,
    StreamVersion,
};

/// An aggregate as its stream says.
#[derive(Debug, Clone)]
pub struct Loaded<A> {
    /// Its state.
    pub state: A,
    /// How many events its stream has.
    pub version: u64,
    /// The position of its last event; 0 when it has none.
    pub position: Position,
    /// In which history of the log.
    pub incarnation: Incarnation,
}

impl<A: Default> Loaded<A> {
    /// An aggregate to which nothing has happened, in no history of the log: an append tells in which.
    pub(super) fn nothing() -> Self {
        let LogPlace { incarnation, position } = LogPlace::default();
        Self { state: A::default(), version: 0, position, incarnation }
    }
}

impl<A> Loaded<A> {
    /// The version in its history of the log.
    #[must_use]
    pub const fn stream_version(&self) -> StreamVersion {
        StreamVersion { incarnation: self.incarnation, number: self.version }
    }
}

/// Loads an aggregate from its stream.
///
/// # Errors
/// When the log cannot be read or holds an event that this version cannot read.
#[tracing::instrument(skip_all, fields(aggregate_type = A::TYPE, aggregate_id))]
pub async fn load<A: Aggregate>(
    log: &dyn EventLog,
    aggregate_id: &str,
) -> Result<Loaded<A>, ExecuteError<A::Rejection>> {
    let stream = StreamId::for_aggregate::<A>(aggregate_id);
    let (snapshot, read) = read_on(log, &stream, log.snapshots().find(&stream)).await?;
    replay(log, &stream, snapshot.as_deref(), &read)
}

/// Loads an aggregate, and what the command of this id appended to it.
///
/// # Errors
/// As [`load`].
pub(super) async fn load_beside<A: Aggregate>(
    log: &dyn EventLog,
    aggregate_id: &str,
    command_id: Uuid,
) -> Result<(Loaded<A>, Option<Recorded>), ExecuteError<A::Rejection>> {
    let stream = StreamId::for_aggregate::<A>(aggregate_id);
    let kept = log.snapshots().find::<A>(&stream);
    let kept = kept.filter(|kept| !kept.commands.contains(&command_id));
    let (snapshot, mut read) = read_on(log, &stream, kept).await?;
    let loaded = replay(log, &stream, snapshot.as_deref(), &read)?;
    let of_command = |event: &Recorded| event.command_id == Some(command_id);
    let appended = read.events.iter().position(of_command);
    Ok((loaded, appended.map(|index| read.events.swap_remove(index))))
}

type ReadOn<A> = (Option<Arc<Snapshot<A>>>, StreamEvents);

/// What comes after `kept`; or the whole stream, without it, when it is none of that.
async fn read_on<A: Aggregate>(
    log: &dyn EventLog,
    stream: &StreamId,
    kept: Option<Arc<Snapshot<A>>>,
) -> Result<ReadOn<A>, ExecuteError<A::Rejection>> {
    if let Some(kept) = kept {
        let read = log.read_stream(stream, kept.version - 1).await?;
        if read.events.first().is_some_and(|event| kept.ends_with(event)) {
            return Ok((Some(kept), read));
        }
    }
    Ok((None, log.read_stream(stream, 0).await?))
}

/// The aggregate that `snapshot` and the events after its last one make.
fn replay<A: Aggregate>(
    log: &dyn EventLog,
    stream: &StreamId,
    snapshot: Option<&Snapshot<A>>,
    read: &StreamEvents,
) -> Result<Loaded<A>, ExecuteError<A::Rejection>> {
    let known = usize::from(snapshot.is_some());
    let mut state = snapshot.map(|snapshot| snapshot.state.clone()).unwrap_or_default();
    for event in &read.events[known..] {
        state.evolve(&event.decode::<A>()?);
    }
    let last = read.events.last();
    if let Some(last) = last.filter(|_| read.events.len() > known) {
        let before = snapshot.into_iter().flat_map(|snapshot| &snapshot.commands).copied();
        let commands = read.events.iter().filter_map(|event| event.command_id);
        log.snapshots().keep(
            stream,
            Snapshot {
                state: state.clone(),
                last_event_id: last.event_id,
                version: last.sequence,
                commands: before.chain(commands).collect(),
            },
        );
    }
    Ok(Loaded {
        state,
        version: last.map_or(0, |event| event.sequence),
        position: last.map_or(Position::default(), |event| event.position),
        incarnation: read.incarnation,
    })
}
