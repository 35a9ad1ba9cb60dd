//! What stands before an event in its stream: read when an entry needs it, and remembered of some streams.

use std::collections::{HashMap, VecDeque};

use platform::event_log::{EventLog, EventLogError, Recorded, StreamId};
use projectors::{BeforeEvent, EarlierEvent, cause_within_stream, replaceable_values};
use serde_json::Value;
use uuid::Uuid;

/// Streams that are remembered: more than a line has boards in work.
const STREAMS_MAX: usize = 256;

/// The histories of the streams that were asked for last.
pub(super) struct StreamHistories<'a> {
    log: &'a dyn EventLog,
    known: VecDeque<(StreamId, StreamHistory)>,
}

/// A stream up to the event that was asked about last.
#[derive(Default)]
struct StreamHistory {
    sequence: u64,
    events: HashMap<Uuid, EarlierEvent>,
    values: HashMap<String, Value>,
    /// Read already, and not taken in.
    waiting: VecDeque<Recorded>,
}

impl<'a> StreamHistories<'a> {
    pub(super) fn new(log: &'a dyn EventLog) -> Self {
        Self { log, known: VecDeque::new() }
    }

    /// What an entry of `event` has to know. Events of one stream are asked about in their order.
    pub(super) async fn before(&mut self, event: &Recorded) -> Result<BeforeEvent, EventLogError> {
        let (cause, replaced) = (cause_within_stream(event), replaceable_values(event));
        if cause.is_none() && replaced.is_empty() {
            return Ok(BeforeEvent::default());
        }
        let known = self.known.iter().position(|(stream, _)| *stream == event.stream);
        let known = known.and_then(|at| self.known.remove(at));
        let (stream, mut history) =
            known.unwrap_or_else(|| (event.stream.clone(), StreamHistory::default()));
        history.advance_to(self.log, event).await?;
        let value = |key: String| Some((key.clone(), history.values.get(&key)?.clone()));
        let before = BeforeEvent {
            cause: cause.and_then(|id| history.events.get(&id).cloned()),
            values: replaced.into_iter().filter_map(|replaced| value(replaced.key)).collect(),
        };
        self.known.push_back((stream, history));
        if self.known.len() > STREAMS_MAX {
            self.known.pop_front();
        }
        Ok(before)
    }
}

impl StreamHistory {
    /// Takes in every event before `event`.
    async fn advance_to(
        &mut self,
        log: &dyn EventLog,
        event: &Recorded,
    ) -> Result<(), EventLogError> {
        while self.sequence + 1 < event.sequence {
            if self.waiting.is_empty() {
                self.waiting = log.read_stream(&event.stream, self.sequence).await?.events.into();
            }
            // What the log does not have any more cannot be waited for.
            let Some(next) = self.waiting.pop_front() else { return Ok(()) };
            self.take_in(&next);
        }
        Ok(())
    }

    fn take_in(&mut self, event: &Recorded) {
        self.sequence = event.sequence;
        let earlier = EarlierEvent { position: event.position, event: event.event_type.clone() };
        self.events.insert(event.event_id, earlier);
        let values = replaceable_values(event).into_iter();
        self.values.extend(values.map(|replaced| (replaced.key, replaced.value)));
    }
}
