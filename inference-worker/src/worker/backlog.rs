//! What has been read and is not done yet, by partition.
//!
//! Invariant: the checkpoint of a partition is just before its first *open* event, one whose
//! inspection is not done, wherever the reader of the log is. Of a partition that is not held nothing
//! is in the backlog.
//!
//! Inspections are done in any order, so a checkpoint cannot be the last event that was done: what is
//! open before it would be forgotten by the next owner. It waits before the first open event instead;
//! a next owner is given again what was done after that, and finds it done.
//!
//! A partition that is held is *kept*, or it is *leaving*: another worker has a right to it, so nothing
//! new of it is started, what is under way may finish, and then it is given back.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::{InspectionEvent, InspectionId};
use platform::event_log::{Page, Position, Recorded};

use super::lease::Lease;
use super::partition::Partition;

/// How many inspections may wait for each that may be under way.
const ROUNDS_AHEAD: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Backlog {
    held: BTreeMap<Partition, Held>,
    /// The events that came since an inspection was taken up, or since the beginning while it waits.
    events: HashMap<InspectionId, BTreeSet<Position>>,
    /// Inspections that wait, in the order of their first event.
    waiting: BTreeMap<Position, InspectionId>,
    /// Inspections under way, and the events that were there when they were taken up.
    under_way: HashMap<InspectionId, BTreeSet<Position>>,
}

/// A partition that is held.
#[derive(Debug)]
struct Held {
    epoch: i64,
    read_up_to: Position,
    /// The checkpoint as it was saved last.
    saved: Position,
    /// It is given back once nothing of it is under way: others wait for their fair share.
    is_leaving: bool,
}

impl Backlog {
    /// A partition was leased: what comes after its checkpoint has to be read.
    pub(super) fn add_partition(&mut self, lease: Lease) {
        let (epoch, read_up_to) = (lease.epoch, lease.position);
        let held = Held { epoch, read_up_to, saved: read_up_to, is_leaving: false };
        self.held.insert(lease.partition, held);
    }

    /// Forgets a partition that is not held any more. Returns its inspections that are under way, for
    /// the caller to break off: another worker does them.
    pub(super) fn drop_partition(&mut self, partition: Partition) -> Vec<InspectionId> {
        self.held.remove(&partition);
        let others = |id: &InspectionId| Partition::for_inspection(*id) != partition;
        self.events.retain(|id, _| others(id));
        self.waiting.retain(|_, id| others(id));
        self.under_way.extract_if(|id, _| !others(id)).map(|(id, _)| id).collect()
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
        let mut kept: Vec<_> =
            self.held.iter().filter(|(_, h)| !h.is_leaving).map(|(p, _)| *p).collect();
        kept.sort_by_key(|partition| self.count_under_way(*partition));
        for partition in kept.into_iter().take(most) {
            if let Some(held) = self.held.get_mut(&partition) {
                held.is_leaving = true;
            }
        }
    }

    /// Keeps at most `most` leaving partitions after all: a worker they were meant for has gone.
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
        let leaving = self.leaving_partitions().into_iter();
        leaving.filter(|partition| self.count_under_way(*partition) == 0).collect()
    }

    fn count_under_way(&self, partition: Partition) -> usize {
        self.under_way.keys().filter(|id| Partition::for_inspection(**id) == partition).count()
    }

    /// Adds what was read. The reader may have gone back for a partition that came later: of each
    /// partition only what it has not seen counts.
    pub(super) fn add_page(&mut self, page: &Page) {
        for event in &page.events {
            self.add_event(event);
        }
        for held in self.held.values_mut() {
            held.read_up_to = held.read_up_to.max(page.up_to);
        }
    }

    fn add_event(&mut self, event: &Recorded) {
        let gives_work = matches!(
            event.event_type.as_str(),
            InspectionEvent::ARTIFACT_UPLOADED | InspectionEvent::INFERENCE_REQUESTED
        );
        let id = event.stream.aggregate_id.parse().ok().filter(|_| gives_work).map(InspectionId);
        let Some(inspection_id) = id else { return };
        let held = self.held.get(&Partition::for_inspection(inspection_id));
        if held.is_none_or(|held| event.position <= held.read_up_to) {
            return;
        }
        let events = self.events.entry(inspection_id).or_default();
        if events.is_empty() && !self.under_way.contains_key(&inspection_id) {
            self.waiting.insert(event.position, inspection_id);
        }
        events.insert(event.position);
    }

    /// Takes the inspection that has waited longest and whose partition is kept.
    pub(super) fn take_next(&mut self) -> Option<InspectionId> {
        let stays = |id: &InspectionId| {
            self.held.get(&Partition::for_inspection(*id)).is_some_and(|held| !held.is_leaving)
        };
        let (position, _) = self.waiting.iter().find(|(_, id)| stays(id))?;
        let position = *position;
        let inspection_id = self.waiting.remove(&position)?;
        let events = self.events.remove(&inspection_id).unwrap_or_default();
        self.under_way.insert(inspection_id, events);
        Some(inspection_id)
    }

    /// An inspection is done: its events are open no more. Those that came while it was under way may
    /// ask for something that it has not seen, so they make it wait again.
    pub(super) fn mark_processed(&mut self, inspection_id: InspectionId) {
        if self.under_way.remove(&inspection_id).is_none() {
            return;
        }
        if let Some(first) = self.events.get(&inspection_id).and_then(BTreeSet::first) {
            self.waiting.insert(*first, inspection_id);
        }
    }

    /// Back-pressure: the log is read ahead of what is under way by a few rounds only, so that a slow
    /// engine fills the log's tables and not this process's memory.
    pub(super) fn has_room(&self, concurrency: usize) -> bool {
        !self.held.is_empty() && self.waiting.len() < ROUNDS_AHEAD * concurrency
    }

    /// A partition's lease with the checkpoint as it is now.
    pub(super) fn current_lease(&self, partition: Partition) -> Option<Lease> {
        let held = self.held.get(&partition)?;
        let open = self.events.iter().chain(&self.under_way);
        let own = open.filter(|(id, _)| Partition::for_inspection(**id) == partition);
        let first_open = own.filter_map(|(_, events)| events.first()).min();
        let position = first_open.map_or(held.read_up_to, |first| Position(first.0 - 1));
        Some(Lease { partition, epoch: held.epoch, position })
    }

    /// The checkpoints that have moved since they were saved.
    pub(super) fn unsaved_leases(&self) -> Vec<Lease> {
        let leases = self.held.iter().filter_map(|(p, held)| Some((held, self.current_lease(*p)?)));
        leases.filter(|(held, now)| now.position > held.saved).map(|(_, lease)| lease).collect()
    }

    pub(super) fn mark_saved(&mut self, leases: &[Lease]) {
        for lease in leases {
            if let Some(held) = self.held.get_mut(&lease.partition) {
                held.saved = held.saved.max(lease.position);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use platform::event_log::{EventMetadata, StreamId};
    use uuid::Uuid;

    use super::*;
    use crate::worker::partition::PARTITIONS;

    fn event(position: i64, inspection: InspectionId, event_type: &str) -> Recorded {
        Recorded {
            position: Position(position),
            event_id: Uuid::from_u128(position.unsigned_abs().into()),
            command_id: None,
            stream: StreamId {
                aggregate_type: "inspection".into(),
                aggregate_id: inspection.to_string(),
            },
            sequence: 1,
            event_type: event_type.into(),
            event_version: "1".into(),
            payload: serde_json::Value::Null,
            metadata: EventMetadata::by_service("test"),
            recorded_at: chrono::Utc::now(),
        }
    }

    fn uploaded(position: i64, inspection: InspectionId) -> Recorded {
        event(position, inspection, InspectionEvent::ARTIFACT_UPLOADED)
    }

    /// Inspection `n` of a partition.
    fn id(partition: u16, n: usize) -> InspectionId {
        let ids = (0..).map(|id| InspectionId(Uuid::from_u128(id)));
        ids.filter(|id| Partition::for_inspection(*id) == Partition(partition)).nth(n).unwrap()
    }

    fn page(events: Vec<Recorded>, up_to: i64) -> Page {
        Page { events, up_to: Position(up_to), head: Position(up_to) }
    }

    fn lease(partition: u16, position: i64) -> Lease {
        Lease { partition: Partition(partition), epoch: 1, position: Position(position) }
    }

    /// A backlog that holds these partitions from the beginning of the log.
    fn backlog(partitions: impl IntoIterator<Item = u16>) -> Backlog {
        let mut backlog = Backlog::default();
        partitions.into_iter().for_each(|partition| backlog.add_partition(lease(partition, 0)));
        backlog
    }

    fn processed_up_to(backlog: &Backlog, partition: u16) -> i64 {
        backlog.current_lease(Partition(partition)).unwrap().position.0
    }

    #[test]
    fn the_checkpoint_stays_before_the_first_event_that_is_not_done() {
        let (one, two, other) = (id(3, 0), id(3, 1), id(4, 0));
        let mut backlog = backlog(0..PARTITIONS);
        let created = event(1, one, InspectionEvent::INSPECTION_CREATED);
        backlog.add_page(&page(
            vec![created, uploaded(2, one), uploaded(3, two), uploaded(4, other)],
            4,
        ));
        assert_eq!((backlog.take_next(), backlog.take_next()), (Some(one), Some(two)));
        backlog.mark_processed(two);
        assert_eq!((processed_up_to(&backlog, 3), processed_up_to(&backlog, 4)), (1, 3));
        backlog.mark_processed(one);
        assert_eq!((processed_up_to(&backlog, 3), processed_up_to(&backlog, 5)), (4, 4));
        let moved: Vec<_> = backlog.unsaved_leases();
        assert_eq!(moved.len(), usize::from(PARTITIONS));
        backlog.mark_saved(&moved);
        assert_eq!(backlog.unsaved_leases(), []);
    }

    #[test]
    fn an_event_that_comes_while_its_inspection_is_under_way_makes_it_wait_again() {
        let one = id(0, 0);
        let mut backlog = backlog([0]);
        backlog.add_page(&page(vec![uploaded(1, one)], 1));
        assert_eq!(backlog.take_next(), Some(one));
        backlog.add_page(&page(vec![event(2, one, InspectionEvent::INFERENCE_REQUESTED)], 2));
        assert_eq!(backlog.take_next(), None);
        backlog.mark_processed(one);
        assert_eq!(processed_up_to(&backlog, 0), 1);
        assert_eq!(backlog.take_next(), Some(one));
        backlog.mark_processed(one);
        assert_eq!((processed_up_to(&backlog, 0), backlog.take_next()), (2, None));
    }

    #[test]
    fn what_belongs_to_others_is_left_to_them() {
        let mut backlog = backlog([1]);
        backlog.add_page(&page(vec![uploaded(1, id(0, 0)), uploaded(2, id(1, 0))], 2));
        assert_eq!((backlog.take_next(), backlog.take_next()), (Some(id(1, 0)), None));
    }

    #[test]
    fn a_partition_that_comes_later_is_read_from_its_own_checkpoint_and_no_other_is_read_twice() {
        let (mine, theirs) = (id(1, 0), id(2, 0));
        let log = vec![uploaded(3, theirs), uploaded(4, mine), uploaded(6, theirs)];
        let mut backlog = backlog([1]);
        backlog.add_page(&page(log.clone(), 6));
        assert_eq!(backlog.take_next(), Some(mine));
        backlog.mark_processed(mine);
        backlog.add_partition(lease(2, 3));
        assert_eq!(backlog.next_read_position(), Some(Position(3)));
        backlog.add_page(&page(log[1..].to_vec(), 6));
        assert_eq!((backlog.take_next(), backlog.take_next()), (Some(theirs), None));
        assert_eq!((processed_up_to(&backlog, 1), processed_up_to(&backlog, 2)), (6, 5));
        assert_eq!(backlog.next_read_position(), Some(Position(6)));
    }

    #[test]
    fn nothing_of_a_lost_partition_is_taken_up_or_held_against_another() {
        let (lost, waiting, kept) = (id(1, 0), id(1, 1), id(2, 0));
        let mut backlog = backlog([1, 2]);
        backlog
            .add_page(&page(vec![uploaded(1, lost), uploaded(2, waiting), uploaded(3, kept)], 3));
        assert_eq!(backlog.take_next(), Some(lost));
        assert_eq!(backlog.drop_partition(Partition(1)), [lost]);
        assert_eq!(backlog.current_lease(Partition(1)), None);
        assert_eq!((backlog.take_next(), backlog.take_next()), (Some(kept), None));
        backlog.mark_processed(lost);
        assert_eq!(processed_up_to(&backlog, 2), 2);
    }

    #[test]
    fn a_partition_that_is_given_back_finishes_what_is_under_way_and_takes_up_nothing() {
        let (first, second) = (id(1, 0), id(1, 1));
        let mut backlog = backlog([1]);
        backlog.add_page(&page(vec![uploaded(1, first), uploaded(2, second)], 2));
        assert_eq!(backlog.take_next(), Some(first));
        backlog.mark_leaving(1);
        assert_eq!((backlog.take_next(), backlog.count_kept()), (None, 0));
        assert_eq!(
            (backlog.idle_leaving_partitions(), backlog.leaving_partitions()),
            (vec![], vec![Partition(1)])
        );
        backlog.mark_processed(first);
        assert_eq!(
            (backlog.idle_leaving_partitions(), processed_up_to(&backlog, 1)),
            (vec![Partition(1)], 1)
        );
        backlog.unmark_leaving(1);
        assert_eq!((backlog.take_next(), backlog.count_kept()), (Some(second), 1));
    }

    #[test]
    fn partitions_with_nothing_under_way_are_given_back_first() {
        let mut backlog = backlog([1, 2]);
        backlog.add_page(&page(vec![uploaded(1, id(1, 0))], 1));
        backlog.take_next();
        backlog.mark_leaving(1);
        assert_eq!(backlog.idle_leaving_partitions(), [Partition(2)]);
    }

    #[test]
    fn nothing_is_read_ahead_beyond_a_few_rounds_or_without_a_lease() {
        let mut backlog = backlog([1]);
        assert!(backlog.has_room(1));
        let events = (1..=4).map(|n| uploaded(n, id(1, n.unsigned_abs() as usize))).collect();
        backlog.add_page(&page(events, 4));
        assert!(!backlog.has_room(1));
        backlog.drop_partition(Partition(1));
        assert!(!backlog.has_room(1), "nothing is held");
    }
}
