//! What a reactor has read and not done yet, by partition.
//!
//! Invariant: the checkpoint of a partition is just before its first *open* event, one that was given
//! to the reactor, or waits for it, and is not done, wherever the reader of the log is. Of a partition
//! that is not held nothing is in the backlog.
//!
//! Streams are done in any order, so a checkpoint cannot be the last event that was done: what is open
//! before it would be forgotten by the next owner. It waits before the first open event instead; a next
//! owner is given again what was done after that, and finds it done.
//!
//! A stream that the reactor put off, or whose handling panicked, is open again, but *paused*: it waits
//! again only after a back-off, so that what is in one stream's way neither takes the place of the others
//! nor lasts until the lease moves. What is paused counts among the events that are read ahead.
//!
//! A partition that is held is *kept*, or it is *leaving*: another member has a right to it, so nothing
//! new of it is started, what is under way may finish, and then it is given back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::lease::{Lease, Partition};
use crate::backoff::Backoff;
use crate::event_log::{Page, Position, Recorded, StreamId};

#[cfg(test)]
mod tests;

/// How many streams may wait for each that may be under way.
const ROUNDS_AHEAD: usize = 4;
/// The most events that are read ahead, of however few streams.
const EVENTS_AHEAD_MAX: usize = 4_096;

/// Before a stream is started again whose handling panicked.
const PANIC_BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60), 0.5);

/// What is held, waits and is under way.
#[derive(Debug)]
pub(super) struct Backlog {
    /// How many partitions the stream space has.
    partitions: u16,
    held: BTreeMap<Partition, HeldPartition>,
    /// Streams that wait, in the order of their first event.
    waiting: BTreeMap<Position, (Partition, StreamId)>,
    /// Streams that wait again later, by when and by their first event.
    paused: BTreeMap<(Instant, Position), (Partition, StreamId)>,
}

/// What a stream asks the reactor for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StreamWork {
    pub(super) stream: StreamId,
    /// The epoch of the lease under which it was started.
    pub(super) epoch: i64,
    /// The events that give work, in order; never empty.
    pub(super) events: Vec<Arc<Recorded>>,
}

#[derive(Debug)]
struct HeldPartition {
    epoch: i64,
    read_up_to: Position,
    /// The checkpoint as it was saved last.
    saved: Position,
    /// It is given back once nothing of it is under way: others wait for their fair share.
    is_leaving: bool,
    /// The events that came since a stream was started, or since the beginning while it waits.
    events: HashMap<StreamId, Vec<Arc<Recorded>>>,
    /// Streams under way, each with the first event that it was started for.
    under_way: HashMap<StreamId, Position>,
    /// How often in a row the handling of a stream has panicked.
    panics: HashMap<StreamId, u32>,
}

impl HeldPartition {
    fn new(lease: Lease) -> Self {
        Self {
            epoch: lease.epoch,
            read_up_to: lease.position,
            saved: lease.position,
            is_leaving: false,
            events: HashMap::new(),
            under_way: HashMap::new(),
            panics: HashMap::new(),
        }
    }

    fn checkpoint(&self) -> Position {
        let waiting = self.events.values().filter_map(|events| events.first()).map(|e| e.position);
        let first_open = waiting.chain(self.under_way.values().copied()).min();
        first_open.map_or(self.read_up_to, |first| Position(first.0 - 1))
    }
}

impl Backlog {
    /// Of a reactor whose streams are divided into so many partitions; none is held yet.
    pub(super) const fn new(partitions: u16) -> Self {
        Self {
            partitions,
            held: BTreeMap::new(),
            waiting: BTreeMap::new(),
            paused: BTreeMap::new(),
        }
    }

    /// A partition was leased: what comes after its checkpoint has to be read.
    pub(super) fn add_partition(&mut self, lease: Lease) {
        self.held.insert(lease.partition, HeldPartition::new(lease));
    }

    /// Forgets a partition that is not held any more. Returns its streams that are under way, for the
    /// caller to break off: another member does them.
    pub(super) fn drop_partition(&mut self, partition: Partition) -> Vec<StreamId> {
        self.waiting.retain(|_, (of, _)| *of != partition);
        self.paused.retain(|_, (of, _)| *of != partition);
        let dropped = self.held.remove(&partition);
        dropped.map(|held| held.under_way.into_keys().collect()).unwrap_or_default()
    }

    /// How many partitions are held and not about to be given back.
    pub(super) fn count_kept(&self) -> usize {
        self.held.values().filter(|held| !held.is_leaving).count()
    }

    pub(super) fn held_partitions(&self) -> Vec<Partition> {
        self.held.keys().copied().collect()
    }

    /// Where the log has to be read from: one reader serves all partitions, so it starts at the one
    /// that is furthest behind.
    pub(super) fn next_read_position(&self) -> Option<Position> {
        self.held.values().map(|held| held.read_up_to).min()
    }

    /// Starts nothing more of `most` partitions: those with the least under way, because they can be
    /// given back soonest.
    pub(super) fn mark_leaving(&mut self, most: usize) {
        let mut kept: Vec<_> = self.held.values_mut().filter(|held| !held.is_leaving).collect();
        kept.sort_by_key(|held| held.under_way.len());
        kept.into_iter().take(most).for_each(|held| held.is_leaving = true);
    }

    /// Keeps at most `most` leaving partitions after all: a member they were meant for has gone.
    pub(super) fn unmark_leaving(&mut self, most: usize) {
        let leaving = self.held.values_mut().filter(|held| held.is_leaving);
        leaving.take(most).for_each(|held| held.is_leaving = false);
    }

    /// The partitions to give back.
    pub(super) fn leaving_partitions(&self) -> Vec<Partition> {
        self.held.iter().filter(|(_, held)| held.is_leaving).map(|(p, _)| *p).collect()
    }

    /// The partitions to give back of which nothing is under way.
    pub(super) fn idle_leaving_partitions(&self) -> Vec<Partition> {
        let leaving = self.held.iter().filter(|(_, held)| held.is_leaving);
        leaving.filter(|(_, held)| held.under_way.is_empty()).map(|(p, _)| *p).collect()
    }

    /// Adds what was read and gives work. The reader may have gone back for a partition that came
    /// later: of each partition only what it has not seen counts.
    pub(super) fn add_page(&mut self, page: &Page, gives_work: impl Fn(&Recorded) -> bool) {
        for event in page.events.iter().filter(|event| gives_work(event)) {
            self.add_event(event);
        }
        for held in self.held.values_mut() {
            held.read_up_to = held.read_up_to.max(page.up_to);
        }
    }

    fn add_event(&mut self, event: &Arc<Recorded>) {
        let (stream, position) = (&event.stream, event.position);
        let partition = Partition::for_stream(stream, self.partitions);
        let Some(held) = self.held.get_mut(&partition) else { return };
        if position <= held.read_up_to {
            return;
        }
        let events = held.events.entry(stream.clone()).or_default();
        if events.is_empty() && !held.under_way.contains_key(stream) {
            self.waiting.insert(position, (partition, stream.clone()));
        }
        events.push(Arc::clone(event));
    }

    /// Takes the stream that has waited longest and whose partition is kept.
    pub(super) fn take_next(&mut self) -> Option<StreamWork> {
        let is_kept = |partition| self.held.get(partition).is_some_and(|held| !held.is_leaving);
        let (&first, _) = self.waiting.iter().find(|(_, (partition, _))| is_kept(partition))?;
        let (partition, stream) = self.waiting.remove(&first)?;
        let held = self.held.get_mut(&partition)?;
        let events = held.events.remove(&stream)?;
        held.under_way.insert(stream.clone(), first);
        Some(StreamWork { stream, epoch: held.epoch, events })
    }

    /// Whether a stream that was started under the lease of `epoch` is still this member's to do. One
    /// that was lost and taken again since then is another lease: what ended was of the old one.
    pub(super) fn is_under_way(&self, stream: &StreamId, epoch: i64) -> bool {
        let held = self.held.get(&Partition::for_stream(stream, self.partitions));
        held.is_some_and(|held| held.epoch == epoch && held.under_way.contains_key(stream))
    }

    /// A stream is done: the events it was started for are open no more. Those that came while it was
    /// under way may ask for something that it has not seen, so they make it wait again.
    pub(super) fn mark_done(&mut self, stream: &StreamId) {
        let partition = Partition::for_stream(stream, self.partitions);
        let Some(held) = self.held.get_mut(&partition) else { return };
        if held.under_way.remove(stream).is_none() {
            return;
        }
        held.panics.remove(stream);
        if let Some(first) = held.events.get(stream).and_then(|events| events.first()) {
            self.waiting.insert(first.position, (partition, stream.clone()));
        }
    }

    /// The handling of a stream panicked at `now`: it is paused for a back-off.
    pub(super) fn pause_after_panic(&mut self, work: StreamWork, now: Instant) {
        let partition = Partition::for_stream(&work.stream, self.partitions);
        let Some(held) = self.held.get_mut(&partition) else { return };
        let panics = held.panics.entry(work.stream.clone()).or_default();
        let until = now + PANIC_BACKOFF.delay(*panics);
        *panics = panics.saturating_add(1);
        self.pause(work, until);
    }

    /// A stream is not done: its events are open again, before those that came meanwhile, and it waits
    /// again from `until` on.
    pub(super) fn pause(&mut self, work: StreamWork, until: Instant) {
        let StreamWork { stream, epoch: _, mut events } = work;
        let partition = Partition::for_stream(&stream, self.partitions);
        let Some(held) = self.held.get_mut(&partition) else { return };
        let Some(first) = held.under_way.remove(&stream) else { return };
        events.extend(held.events.remove(&stream).unwrap_or_default());
        held.events.insert(stream.clone(), events);
        self.paused.insert((until, first), (partition, stream));
    }

    /// When the first paused stream waits again.
    pub(super) fn next_pause_end(&self) -> Option<Instant> {
        self.paused.keys().next().map(|(until, _)| *until)
    }

    /// Streams whose pause is over by `now` wait again.
    pub(super) fn end_pauses(&mut self, now: Instant) {
        while let Some(paused) = self.paused.first_entry()
            && paused.key().0 <= now
        {
            let ((_, first), stream) = paused.remove_entry();
            self.waiting.insert(first, stream);
        }
    }

    /// Back-pressure: the log is read ahead of what is under way by a few rounds only, so that a slow
    /// reactor leaves the rest in the log, and not in this process's memory.
    pub(super) fn has_room(&self, concurrency: usize) -> bool {
        let events = self.held.values().flat_map(|held| held.events.values()).map(Vec::len);
        !self.held.is_empty()
            && self.waiting.len() < ROUNDS_AHEAD * concurrency
            && events.sum::<usize>() < EVENTS_AHEAD_MAX
    }

    /// Up to where everything that is held is done; `None` while nothing is.
    pub(super) fn lowest_checkpoint(&self) -> Option<Position> {
        self.held.values().map(HeldPartition::checkpoint).min()
    }

    /// A partition's lease with the checkpoint as it is now.
    pub(super) fn current_lease(&self, partition: Partition) -> Option<Lease> {
        let held = self.held.get(&partition)?;
        Some(Lease { partition, epoch: held.epoch, position: held.checkpoint() })
    }

    /// The checkpoints that have moved since they were saved.
    pub(super) fn unsaved_leases(&self) -> Vec<Lease> {
        let moved = |(&partition, held): (&Partition, &HeldPartition)| {
            let position = held.checkpoint();
            (position > held.saved).then_some(Lease { partition, epoch: held.epoch, position })
        };
        self.held.iter().filter_map(moved).collect()
    }

    pub(super) fn mark_saved(&mut self, leases: &[Lease]) {
        for lease in leases {
            if let Some(held) = self.held.get_mut(&lease.partition) {
                held.saved = held.saved.max(lease.position);
            }
        }
    }
}
