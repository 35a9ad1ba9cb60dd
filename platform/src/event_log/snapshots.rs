//! What this process has made of long streams already, so that of a stream that is asked for again only what came
//! since is read: the state, and which commands are in it.
//!
//! Invariants: a snapshot is only a beginning. Whoever begins at it reads its last event again, and reads the
//! whole stream when that is not there any more, as after a restore of the log. Streams and events that are
//! remembered are bounded; the ones that were not asked for longest are forgotten.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::{Recorded, StreamId};

/// A stream of fewer events is read whole: that takes no longer.
const EVENTS_MIN: u64 = 32;
/// The most streams.
const STREAMS_MAX: usize = 256;
/// The most events, of all streams together: each may be something in a state, and its command's id is kept.
const EVENTS_MAX: u64 = 200_000;

/// An aggregate as the first events of its stream make it.
#[derive(Debug)]
pub(crate) struct Snapshot<A> {
    /// The state.
    pub(crate) state: A,
    /// The last event that is in it.
    pub(crate) last_event_id: Uuid,
    /// How many are: that event's place in its stream.
    pub(crate) version: u64,
    /// Of those events.
    pub(crate) commands: HashSet<Uuid>,
}

impl<A> Snapshot<A> {
    /// Whether `event` is the last one that is in the state.
    pub(crate) fn ends_with(&self, event: &Recorded) -> bool {
        (event.event_id, event.sequence) == (self.last_event_id, self.version)
    }
}

/// The snapshots of one process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Snapshots(Arc<Mutex<Remembered>>);

#[derive(Debug, Default)]
struct Remembered {
    streams: HashMap<StreamId, RememberedStream>,
    /// Counts how often something was asked for.
    clock: u64,
    /// The events of all streams.
    events: u64,
}

#[derive(Debug)]
struct RememberedStream {
    snapshot: Arc<dyn Any + Send + Sync>,
    version: u64,
    last_asked: u64,
}

impl Snapshots {
    pub(crate) fn find<A: Send + Sync + 'static>(
        &self,
        stream: &StreamId,
    ) -> Option<Arc<Snapshot<A>>> {
        let mut remembered = self.remembered();
        remembered.clock += 1;
        let now = remembered.clock;
        let entry = remembered.streams.get_mut(stream)?;
        entry.last_asked = now;
        Arc::clone(&entry.snapshot).downcast().ok()
    }

    /// Keeps `snapshot`, if it is worth it.
    pub(crate) fn keep<A: Send + Sync + 'static>(&self, stream: &StreamId, snapshot: Snapshot<A>) {
        let version = snapshot.version;
        if !(EVENTS_MIN..=EVENTS_MAX).contains(&version) {
            return;
        }
        let mut remembered = self.remembered();
        remembered.clock += 1;
        let last_asked = remembered.clock;
        let entry = RememberedStream { snapshot: Arc::new(snapshot), version, last_asked };
        remembered.forget(stream);
        remembered.streams.insert(stream.clone(), entry);
        remembered.events += version;
        while remembered.streams.len() > STREAMS_MAX || remembered.events > EVENTS_MAX {
            let oldest = remembered.streams.iter().min_by_key(|(_, entry)| entry.last_asked);
            let Some(oldest) = oldest.map(|(stream, _)| stream.clone()) else { break };
            remembered.forget(&oldest);
        }
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        // Nothing that holds it can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered {
    fn forget(&mut self, stream: &StreamId) {
        if let Some(entry) = self.streams.remove(stream) {
            self.events -= entry.version;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(id: impl ToString) -> StreamId {
        StreamId { aggregate_type: "part".into(), aggregate_id: id.to_string() }
    }

    fn of_version(version: u64) -> Snapshot<u64> {
        Snapshot { state: version, last_event_id: Uuid::nil(), version, commands: HashSet::new() }
    }

    #[test]
    fn what_was_not_asked_for_longest_is_forgotten() {
        let snapshots = Snapshots::default();
        for n in 0..STREAMS_MAX {
            snapshots.keep(&stream(n), of_version(EVENTS_MIN));
        }
        assert!(snapshots.find::<u64>(&stream(0)).is_some());
        snapshots.keep(&stream("one more"), of_version(EVENTS_MIN));
        assert!(snapshots.find::<u64>(&stream(1)).is_none());
        assert_eq!(snapshots.find::<u64>(&stream(0)).unwrap().version, EVENTS_MIN);
        // One that grows takes the place of itself, and then of the others.
        for version in [EVENTS_MIN + 1, EVENTS_MAX - EVENTS_MIN, EVENTS_MAX] {
            snapshots.keep(&stream("long"), of_version(version));
            assert_eq!(snapshots.find::<u64>(&stream("long")).unwrap().version, version);
        }
        assert_eq!(snapshots.remembered().streams.len(), 1);
    }

    #[test]
    fn what_is_short_too_long_or_of_another_type_is_not_found() {
        let snapshots = Snapshots::default();
        for version in [0, EVENTS_MIN - 1, EVENTS_MAX + 1] {
            snapshots.keep(&stream("a"), of_version(version));
        }
        assert!(snapshots.find::<u64>(&stream("a")).is_none());
        snapshots.keep(&stream("a"), of_version(EVENTS_MIN));
        assert!(snapshots.find::<String>(&stream("a")).is_none());
    }
}
