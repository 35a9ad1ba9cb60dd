//! A log whose events are given, for what the tail does with them.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use chrono::Utc;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::watch;
use uuid::Uuid;

use crate::event_log::{
    Append, AppendError, Appended, EventLog, EventLogError, EventMetadata, Incarnation, LogPlace,
    Page, Position, Recorded, Snapshots, StoredPage, StreamEvents, StreamId, StreamTurns,
};

/// What happens to one read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mishap {
    /// It never comes back.
    Hangs,
    Panics,
    /// An appender came in below what had been read: nothing is complete any more.
    FindsNothing,
}

/// A log whose events are given: every position, but for the holes.
pub(super) struct FakeLog {
    pub(super) positions: Mutex<Vec<i64>>,
    pub(super) reads: AtomicUsize,
    pub(super) is_away: AtomicBool,
    /// What happens to the next read.
    pub(super) mishap: Mutex<Option<Mishap>>,
    pub(super) restores: AtomicU64,
    pub(super) kept_up_to: AtomicI64,
    pub(super) hints: watch::Sender<u64>,
    pub(super) turns: StreamTurns,
    pub(super) snapshots: Snapshots,
}

impl FakeLog {
    pub(super) fn new(positions: impl IntoIterator<Item = i64>) -> Arc<Self> {
        Arc::new(Self {
            positions: Mutex::new(positions.into_iter().collect()),
            reads: AtomicUsize::new(0),
            is_away: AtomicBool::new(false),
            mishap: Mutex::new(None),
            restores: AtomicU64::new(1),
            kept_up_to: AtomicI64::new(0),
            hints: watch::Sender::new(0),
            turns: StreamTurns::default(),
            snapshots: Snapshots::default(),
        })
    }

    /// Which history it has.
    pub(super) fn history(&self) -> Incarnation {
        Incarnation(Uuid::from_u128(self.restores.load(Ordering::SeqCst).into()))
    }

    /// Goes back to what it was up to here.
    pub(super) fn restore(&self, kept_up_to: i64) {
        self.positions.lock().unwrap().retain(|position| *position <= kept_up_to);
        self.kept_up_to.store(kept_up_to, Ordering::SeqCst);
        self.restores.fetch_add(1, Ordering::SeqCst);
    }

    /// The same, without another history.
    pub(super) fn cut(&self, kept_up_to: i64) {
        self.positions.lock().unwrap().retain(|position| *position <= kept_up_to);
    }

    pub(super) fn put(&self, positions: impl IntoIterator<Item = i64>) {
        self.positions.lock().unwrap().extend(positions);
        self.hints.send_modify(|count| *count += 1);
    }

    pub(super) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    pub(super) fn page(&self, after: Position, limit: usize) -> Page {
        let positions = self.positions.lock().unwrap();
        let head = Position(positions.last().copied().unwrap_or_default());
        let found = positions.iter().filter(|position| **position > after.0).take(limit);
        let events: Vec<_> = found.map(|position| Arc::new(recorded(*position))).collect();
        let last = events.last().filter(|_| events.len() == limit).map(|event| event.position);
        let up_to = last.unwrap_or(head).max(after);
        Page { events, up_to, head, incarnation: self.history() }
    }
}

impl EventLog for FakeLog {
    fn read_all(
        &self,
        after: Position,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page, EventLogError>> {
        async move {
            self.reads.fetch_add(1, Ordering::SeqCst);
            let mishap = self.mishap.lock().unwrap().take();
            tokio::task::yield_now().await;
            match mishap {
                Some(Mishap::Hangs) => std::future::pending().await,
                Some(Mishap::Panics) => panic!("the adapter has a fault"),
                Some(Mishap::FindsNothing) => {
                    let (events, incarnation) = (Vec::new(), self.history());
                    return Ok(Page { events, up_to: after, head: after, incarnation });
                }
                None => {}
            }
            if self.is_away.load(Ordering::SeqCst) {
                return Err(EventLogError::Unavailable("the cable is out".into()));
            }
            Ok(self.page(after, limit))
        }
        .boxed()
    }

    fn read_stored(
        &self,
        _after: Position,
        _up_to: Position,
        _limit: usize,
    ) -> BoxFuture<'_, Result<StoredPage, EventLogError>> {
        unreachable!("the tail never asks for stored events")
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, EventLogError>> {
        async { Ok(self.page(Position(0), usize::MAX).head) }.boxed()
    }

    fn read_stream<'a>(
        &'a self,
        _: &'a StreamId,
        _: u64,
    ) -> BoxFuture<'a, Result<StreamEvents, EventLogError>> {
        async { Ok(StreamEvents { events: Vec::new(), incarnation: self.history() }) }.boxed()
    }

    fn read_stream_end<'a>(
        &'a self,
        stream: &'a StreamId,
        _: usize,
    ) -> BoxFuture<'a, Result<StreamEvents, EventLogError>> {
        self.read_stream(stream, 0)
    }

    fn end(&self) -> BoxFuture<'_, Result<LogPlace, EventLogError>> {
        let positions = self.positions.lock().unwrap();
        let position = Position(positions.last().copied().unwrap_or_default());
        let end = LogPlace { incarnation: self.history(), position };
        async move { Ok(end) }.boxed()
    }

    fn check_place(&self, place: LogPlace) -> BoxFuture<'_, Result<(), EventLogError>> {
        let kept = Position(self.kept_up_to.load(Ordering::SeqCst));
        let is_kept = place.incarnation == self.history() || place.position <= kept;
        let checked = if is_kept { Ok(()) } else { Err(EventLogError::Reissued { after: kept }) };
        async { checked }.boxed()
    }

    fn read_command(&self, _: Uuid) -> BoxFuture<'_, Result<Vec<Recorded>, EventLogError>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn append(&self, _: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        async { Err(EventLogError::Failed("read only".into()).into()) }.boxed()
    }

    fn keeps_answers_with_events(&self) -> bool {
        false
    }

    fn hints(&self) -> watch::Receiver<u64> {
        self.hints.subscribe()
    }

    fn turns(&self) -> &StreamTurns {
        &self.turns
    }

    fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }
}

pub(super) fn recorded(position: i64) -> Recorded {
    Recorded {
        position: Position(position),
        event_id: Uuid::from_u128(position.unsigned_abs().into()),
        command_id: None,
        stream: StreamId { aggregate_type: "test".into(), aggregate_id: "a".into() },
        sequence: position.unsigned_abs(),
        event_type: "Happened".into(),
        event_version: "1".into(),
        payload: serde_json::Value::Null.into(),
        metadata: EventMetadata::by_service("test"),
        recorded_at: Utc::now(),
    }
}
