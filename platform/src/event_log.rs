//! The event log as services see it: one log, totally ordered by [`Position`], complete.
//!
//! Invariant: a reader that asks for everything after P and gets an answer up to Q will never later
//! find an event between P and Q. Adapters live in submodules; nothing else touches the events table.

mod actor;
mod answers;
pub mod cqrs;
mod event;
mod incarnation;
mod kurrentdb;
mod log_moment;
mod log_up_to;
mod metrics;
mod payload;
pub mod postgres;
mod snapshots;
mod stored;
mod turns;
mod url;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use uuid::Uuid;

pub use actor::ActorRef;
pub use answers::{Answer, AnswerNotKept, KeyedAnswer, RequestKey, keep_answers};
pub use event::{EventMetadata, NewEvent, Recorded, Undecodable, UndecodableEvent, decode_stored};
pub use incarnation::{
    Incarnation, InvalidLogPlace, InvalidStreamVersion, LogPlace, StreamVersion,
};
pub use log_moment::{
    CLOCK_DISORDER_MAX, FindMomentError, InvalidLogMoment, LogMoment, find_moment,
};
pub use log_up_to::LogUpTo;
pub use payload::StoredPayload;
pub(crate) use snapshots::Snapshot;
pub use snapshots::Snapshots;
pub use stored::{StoredEvent, StoredPage};
pub use turns::{StreamTurn, StreamTurns};
pub use url::{EventLogConfig, EventLogUrl, InvalidEventLogUrl, OpenEventLogError, open};

/// How long whoever waits for the log waits without a hint before it looks.
pub const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// A place in the log. 0 is before the first event.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(pub i64);

impl Position {
    /// Whether a log that ends at `end`, and had come to this position, still has what it had.
    ///
    /// # Errors
    /// [`EventLogError::EndsBefore`].
    pub fn ensure_reached(self, end: Self) -> Result<(), EventLogError> {
        if end < self { Err(EventLogError::EndsBefore { end, place: self }) } else { Ok(()) }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The stream of one aggregate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// The aggregate's stored type, such as `inspection`.
    pub aggregate_type: String,
    /// The aggregate's id.
    pub aggregate_id: String,
}

impl StreamId {
    /// The stream of the aggregate `A` with this id.
    #[must_use]
    pub fn for_aggregate<A: domain::Aggregate>(aggregate_id: impl fmt::Display) -> Self {
        Self { aggregate_type: A::TYPE.to_owned(), aggregate_id: aggregate_id.to_string() }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.aggregate_type, self.aggregate_id)
    }
}

/// A complete stretch of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The events after the position asked for, in order; shared by all who follow the log.
    pub events: Vec<Arc<Recorded>>,
    /// The log is complete up to here in this page: ask for what comes after it next.
    pub up_to: Position,
    /// The log was complete up to here when the page was read.
    pub head: Position,
    /// Which history of the log it was.
    pub incarnation: Incarnation,
}

/// The events of one stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamEvents {
    /// In order; none when there is no such stream.
    pub events: Vec<Recorded>,
    /// Which history of the log they are of.
    pub incarnation: Incarnation,
}

/// What to append, atomically.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Append {
    /// To which stream.
    pub stream: StreamId,
    /// How many events the stream has; another number is a conflict.
    pub expected_version: u64,
    /// The events; none when only the answer is to be kept.
    pub events: Vec<NewEvent>,
    /// An id for each of them.
    pub event_ids: Vec<Uuid>,
    /// The circumstances.
    pub metadata: EventMetadata,
    /// The answer to keep with the events.
    pub answer: Option<KeyedAnswer>,
}

impl Append {
    /// Events to append to a stream of `expected_version` events. What `metadata` leaves out and
    /// follows from the append is filled in: the time, and the transaction that begins here.
    #[must_use]
    pub fn new(
        stream: StreamId,
        expected_version: u64,
        events: Vec<NewEvent>,
        metadata: EventMetadata,
    ) -> Self {
        let metadata = metadata.completed_for(&stream.aggregate_id);
        let id_of = |n| metadata.command_id.map_or_else(Uuid::new_v4, |id| event_id(id, n));
        let event_ids = (0..events.len()).map(id_of).collect();
        Self { stream, expected_version, events, event_ids, metadata, answer: None }
    }

    /// How many events the stream has afterwards.
    #[must_use]
    pub const fn version_after(&self) -> u64 {
        self.expected_version + self.events.len() as u64
    }

    /// The circumstances of each event: those of the command, but for what a part of the platform decided by
    /// itself, which is caused by the event before it.
    #[must_use]
    pub fn circumstances(&self) -> Vec<EventMetadata> {
        let causes = std::iter::once(None).chain(self.event_ids.iter().copied().map(Some));
        let with_causes = self.events.iter().zip(causes);
        with_causes
            .map(|(event, cause)| match event.labels.decided_by {
                Some(name) => self.metadata.clone().decided_by(name, cause),
                None => self.metadata.clone(),
            })
            .collect()
    }

    /// The same, with an answer to keep with it.
    #[must_use]
    pub fn keeping(mut self, answer: KeyedAnswer) -> Self {
        self.answer = Some(answer);
        self
    }
}

/// The id of the `n`-th event that follows from a command: unique in the log, so a command that is
/// executed again collides with itself.
fn event_id(command_id: Uuid, n: usize) -> Uuid {
    Uuid::new_v5(&command_id, &(n as u64).to_be_bytes())
}

/// The id that the first event of a command has, by which the command is found.
pub(crate) fn first_event_id(command_id: Uuid) -> Uuid {
    event_id(command_id, 0)
}

/// What was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// How many events the stream has now.
    pub version: u64,
    /// The position of the last event appended; `None` when there was none.
    pub position: Option<Position>,
    /// To which history of the log.
    pub incarnation: Incarnation,
}

impl Appended {
    /// The version in its history of the log.
    #[must_use]
    pub const fn stream_version(&self) -> StreamVersion {
        StreamVersion { incarnation: self.incarnation, number: self.version }
    }
}

/// Why nothing was appended, or why an answer was not kept.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Somebody else appended to the stream first.
    #[error("stream {stream} has changed since it was read")]
    Conflict {
        /// The stream.
        stream: StreamId,
    },
    /// The command is in the log already.
    #[error("command {command_id} is in the log already")]
    DuplicateCommand {
        /// The command.
        command_id: Uuid,
    },
    /// The answer was not kept.
    #[error("the answer to the append was not kept: {source}")]
    NotKept {
        /// What is in the log all the same; `None` when nothing was appended.
        appended: Option<Appended>,
        /// Why not.
        source: AnswerNotKept,
    },
    /// The log cannot be reached, or failed.
    #[error(transparent)]
    Log(#[from] EventLogError),
}

/// The log cannot be reached, or failed.
#[derive(Debug, thiserror::Error)]
pub enum EventLogError {
    /// It may work again by itself.
    #[error("the event log is unavailable: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What was read after a place that somebody kept is not what comes after it now.
    #[error(
        "positions after {after} were given out again: the log was restored, or another server took over, \
         without what had been appended there"
    )]
    Reissued {
        /// Up to here nothing has changed; 0 when nobody can tell.
        after: Position,
    },
    /// An earlier state of the log was put back under whoever had read on: what it had read is lost, and nobody
    /// can tell from where on.
    #[error(
        "the log ends at position {end} and had come to {place}: an earlier state of it was put back; \
         SELECT begin_log_incarnation() on its database, or a restart of its server, leads out"
    )]
    EndsBefore {
        /// Where it ends now.
        end: Position,
        /// Up to where it had been read.
        place: Position,
    },
    /// It will not work again by itself.
    #[error("the event log failed: {0}")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The port. Adapters keep the invariant of this module; one conformance suite runs against each.
pub trait EventLog: Send + Sync + 'static {
    /// The events of a stream after `after_sequence`.
    fn read_stream<'a>(
        &'a self,
        stream: &'a StreamId,
        after_sequence: u64,
    ) -> BoxFuture<'a, Result<StreamEvents, EventLogError>>;

    /// The last events of a stream, at most `limit`, the latest first: for who need not know how it came there.
    fn read_stream_end<'a>(
        &'a self,
        stream: &'a StreamId,
        limit: usize,
    ) -> BoxFuture<'a, Result<StreamEvents, EventLogError>>;

    /// At most `limit` events after `after`, in order and without a gap.
    fn read_all(&self, after: Position, limit: usize)
    -> BoxFuture<'_, Result<Page, EventLogError>>;

    /// At most `limit` events after `after`, exactly as they are stored, in order and without a gap, and none after
    /// `up_to`, up to where the log was found to be complete.
    fn read_stored(
        &self,
        after: Position,
        up_to: Position,
        limit: usize,
    ) -> BoxFuture<'_, Result<StoredPage, EventLogError>>;

    /// The position up to which the log is complete.
    fn head(&self) -> BoxFuture<'_, Result<Position, EventLogError>>;

    /// The last event, which comes after the head while somebody appends before it, and the log's history at
    /// present. The last event of a history never goes back: where it does, the log was replaced.
    fn end(&self) -> BoxFuture<'_, Result<LogPlace, EventLogError>>;

    /// Whether what comes after a place that somebody kept is what came after it then:
    /// [`EventLogError::Reissued`] or [`EventLogError::EndsBefore`] when it is not, or when nobody can tell.
    fn check_place(&self, place: LogPlace) -> BoxFuture<'_, Result<(), EventLogError>>;

    /// The events that follow from a command, in order; empty when it never appended any.
    fn read_command(&self, command_id: Uuid)
    -> BoxFuture<'_, Result<Vec<Recorded>, EventLogError>>;

    /// Appends all events and keeps the answer.
    ///
    /// The events are appended all or none. Their ids are derived from the command's id, so that a
    /// command that is in the log already is a [`AppendError::DuplicateCommand`].
    ///
    /// An adapter whose database holds the answers as well keeps both in one transaction
    /// ([`Self::keeps_answers_with_events`]): when the answer is not kept, nothing is appended. Any other
    /// appends first and keeps then ([`keep_answers`]), and says by [`AppendError::NotKept`]
    /// what is in the log. When it dies in between, the events are in the log without the answer;
    /// whoever executes the command again finds them by [`EventLog::read_command`], before the append
    /// or when it collides, and keeps an answer with an append of no events
    /// ([`crate::execute::execute_once`] does). So a command is executed once with either.
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>>;

    /// Whether an answer is kept in the transaction of its append: then a key need not be claimed before.
    fn keeps_answers_with_events(&self) -> bool;

    /// About by how many positions the log grows with an event: 1 where positions count events, more where they count
    /// bytes. To judge by how much somebody is behind, and never for a place.
    fn positions_per_event(&self) -> i64 {
        1
    }

    /// Whether [`Self::read_all`] takes any number for a place, or an event's position alone.
    fn reads_on_from_any_position(&self) -> bool {
        true
    }

    /// Changes when something may have been appended: a reason to poll, never data. A hint may be
    /// late, early or lost; whoever waits for one polls at [`POLL_INTERVAL`] as well.
    fn hints(&self) -> watch::Receiver<u64>;

    /// Whose turn it is to append to a stream, among those in this process who decide on what it holds.
    /// Appending without a turn is no fault: the version is checked all the same.
    fn turns(&self) -> &StreamTurns;

    /// What this process has made of long streams already.
    fn snapshots(&self) -> &Snapshots;
}
