//! What has been read and is not settled yet, by partition.
//!
//! Invariant: a partition is settled up to just before its first event whose inspection is not settled,
//! wherever the reader of the log is. Of a partition that is not held nothing is on the desk.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::InspectionId;
use platform::event_log::{Page, Position, Recorded};

use super::lease::Lease;
use super::partition::Partition;

#[derive(Debug, Default)]
pub(super) struct Desk {
    held: BTreeMap<Partition, Held>,
    /// The events that wait for an inspection to be settled, waiting or under way.
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
    /// It is given back once nothing of it is under way.
    leaving: bool,
}

impl Desk {
    /// A partition was leased: what comes after its checkpoint has to be read.
    pub(super) fn hold(&mut self, lease: Lease) {
        let (epoch, read_up_to) = (lease.epoch, lease.position);
        let held = Held { epoch, read_up_to, saved: read_up_to, leaving: false };
        self.held.insert(lease.partition, held);
    }

    /// A partition is not held any more: the inspections of it that are under way.
    pub(super) fn drop(&mut self, partition: Partition) -> Vec<InspectionId> {
        self.held.remove(&partition);
        let others = |id: &InspectionId| Partition::of(*id) != partition;
        self.events.retain(|id, _| others(id));
        self.waiting.retain(|_, id| others(id));
        self.under_way.extract_if(|id, _| !others(id)).map(|(id, _)| id).collect()
    }

    /// How many partitions are held and not about to be given back.
    pub(super) fn kept(&self) -> usize {
        self.held.values().filter(|held| !held.leaving).count()
    }

    pub(super) fn partitions(&self) -> Vec<Partition> {
        self.held.keys().copied().collect()
    }

    /// Where the log has to be read from.
    pub(super) fn read_up_to(&self) -> Option<Position> {
        self.held.values().map(|held| held.read_up_to).min()
    }

    /// Nothing more of `most` partitions is taken up, those with the least under way.
    pub(super) fn leave(&mut self, most: usize) {
        let mut kept: Vec<_> =
            self.held.iter().filter(|(_, h)| !h.leaving).map(|(p, _)| *p).collect();
        kept.sort_by_key(|partition| self.under_way_of(*partition));
        for partition in kept.into_iter().take(most) {
            if let Some(held) = self.held.get_mut(&partition) {
                held.leaving = true;
            }
        }
    }

    /// At most `most` partitions that were about to be given back are kept after all.
    pub(super) fn stay(&mut self, most: usize) {
        let leaving = self.held.values_mut().filter(|held| held.leaving);
        leaving.take(most).for_each(|held| held.leaving = false);
    }

    /// The partitions to give back; with nothing under way, if `idle` is asked for.
    pub(super) fn leaving(&self, idle: bool) -> Vec<Partition> {
        let leaving = self.held.iter().filter(|(_, held)| held.leaving).map(|(p, _)| *p);
        leaving.filter(|partition| !idle || self.under_way_of(*partition) == 0).collect()
    }

    fn under_way_of(&self, partition: Partition) -> usize {
        self.under_way.keys().filter(|id| Partition::of(**id) == partition).count()
    }

    /// What was read: of each partition only what it has not seen.
    pub(super) fn read(&mut self, page: &Page) {
        for event in &page.events {
            self.put(event);
        }
        for held in self.held.values_mut() {
            held.read_up_to = held.read_up_to.max(page.up_to);
        }
    }

    fn put(&mut self, event: &Recorded) {
        let gives_work =
            matches!(event.event_type.as_str(), "ArtifactUploaded" | "InferenceRequested");
        let id = event.stream.aggregate_id.parse().ok().filter(|_| gives_work).map(InspectionId);
        let Some(inspection_id) = id else { return };
        let held = self.held.get(&Partition::of(inspection_id));
        if held.is_none_or(|held| event.position <= held.read_up_to) {
            return;
        }
        let events = self.events.entry(inspection_id).or_default();
        if events.is_empty() && !self.under_way.contains_key(&inspection_id) {
            self.waiting.insert(event.position, inspection_id);
        }
        events.insert(event.position);
    }

    /// The inspection to take up next.
    pub(super) fn take(&mut self) -> Option<InspectionId> {
        let stays = |id: &InspectionId| {
            self.held.get(&Partition::of(*id)).is_some_and(|held| !held.leaving)
        };
        let (position, _) = self.waiting.iter().find(|(_, id)| stays(id))?;
        let position = *position;
        let inspection_id = self.waiting.remove(&position)?;
        let events = self.events.remove(&inspection_id).unwrap_or_default();
        self.under_way.insert(inspection_id, events);
        Some(inspection_id)
    }

    /// Events that came while the inspection was under way make it wait again.
    pub(super) fn settled(&mut self, inspection_id: InspectionId) {
        if self.under_way.remove(&inspection_id).is_none() {
            return;
        }
        if let Some(first) = self.events.get(&inspection_id).and_then(BTreeSet::first) {
            self.waiting.insert(*first, inspection_id);
        }
    }

    /// Back-pressure: reads ahead of what is under way by a few rounds only.
    pub(super) fn has_room(&self, concurrency: usize) -> bool {
        !self.held.is_empty() && self.waiting.len() < 4 * concurrency
    }

    /// A partition's lease with the checkpoint as it is now.
    pub(super) fn lease(&self, partition: Partition) -> Option<Lease> {
        let held = self.held.get(&partition)?;
        let open = self.events.iter().chain(&self.under_way);
        let own = open.filter(|(id, _)| Partition::of(**id) == partition);
        let first_open = own.filter_map(|(_, events)| events.first()).min();
        let position = first_open.map_or(held.read_up_to, |first| Position(first.0 - 1));
        Some(Lease { partition, epoch: held.epoch, position })
    }

    /// The checkpoints that have moved since they were saved.
    pub(super) fn unsaved(&self) -> Vec<Lease> {
        let leases = self.held.iter().filter_map(|(p, held)| Some((held, self.lease(*p)?)));
        leases.filter(|(held, now)| now.position > held.saved).map(|(_, lease)| lease).collect()
    }

    pub(super) fn saved(&mut self, leases: &[Lease]) {
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
            metadata: EventMetadata::default(),
            recorded_at: chrono::Utc::now(),
        }
    }

    fn uploaded(position: i64, inspection: InspectionId) -> Recorded {
        event(position, inspection, "ArtifactUploaded")
    }

    /// Inspection `n` of a partition.
    fn id(partition: u16, n: usize) -> InspectionId {
        let ids = (0..).map(|id| InspectionId(Uuid::from_u128(id)));
        ids.filter(|id| Partition::of(*id) == Partition(partition)).nth(n).unwrap()
    }

    fn page(events: Vec<Recorded>, up_to: i64) -> Page {
        Page { events, up_to: Position(up_to), head: Position(up_to) }
    }

    fn lease(partition: u16, position: i64) -> Lease {
        Lease { partition: Partition(partition), epoch: 1, position: Position(position) }
    }

    /// A desk that holds these partitions from the beginning of the log.
    fn desk(partitions: impl IntoIterator<Item = u16>) -> Desk {
        let mut desk = Desk::default();
        partitions.into_iter().for_each(|partition| desk.hold(lease(partition, 0)));
        desk
    }

    fn settled_up_to(desk: &Desk, partition: u16) -> i64 {
        desk.lease(Partition(partition)).unwrap().position.0
    }

    #[test]
    fn the_checkpoint_stays_before_the_first_event_that_is_not_settled() {
        let (one, two, other) = (id(3, 0), id(3, 1), id(4, 0));
        let mut desk = desk(0..PARTITIONS);
        let created = event(1, one, "InspectionCreated");
        desk.read(&page(vec![created, uploaded(2, one), uploaded(3, two), uploaded(4, other)], 4));
        assert_eq!((desk.take(), desk.take()), (Some(one), Some(two)));
        desk.settled(two);
        assert_eq!((settled_up_to(&desk, 3), settled_up_to(&desk, 4)), (1, 3));
        desk.settled(one);
        assert_eq!((settled_up_to(&desk, 3), settled_up_to(&desk, 5)), (4, 4));
        let moved: Vec<_> = desk.unsaved();
        assert_eq!(moved.len(), usize::from(PARTITIONS));
        desk.saved(&moved);
        assert_eq!(desk.unsaved(), []);
    }

    #[test]
    fn an_event_that_comes_while_its_inspection_is_under_way_makes_it_wait_again() {
        let one = id(0, 0);
        let mut desk = desk([0]);
        desk.read(&page(vec![uploaded(1, one)], 1));
        assert_eq!(desk.take(), Some(one));
        desk.read(&page(vec![event(2, one, "InferenceRequested")], 2));
        assert_eq!(desk.take(), None);
        desk.settled(one);
        assert_eq!(settled_up_to(&desk, 0), 1);
        assert_eq!(desk.take(), Some(one));
        desk.settled(one);
        assert_eq!((settled_up_to(&desk, 0), desk.take()), (2, None));
    }

    #[test]
    fn what_belongs_to_others_is_left_to_them() {
        let mut desk = desk([1]);
        desk.read(&page(vec![uploaded(1, id(0, 0)), uploaded(2, id(1, 0))], 2));
        assert_eq!((desk.take(), desk.take()), (Some(id(1, 0)), None));
    }

    #[test]
    fn a_partition_that_comes_later_is_read_from_its_own_checkpoint_and_no_other_is_read_twice() {
        let (mine, theirs) = (id(1, 0), id(2, 0));
        let log = vec![uploaded(3, theirs), uploaded(4, mine), uploaded(6, theirs)];
        let mut desk = desk([1]);
        desk.read(&page(log.clone(), 6));
        assert_eq!(desk.take(), Some(mine));
        desk.settled(mine);
        desk.hold(lease(2, 3));
        assert_eq!(desk.read_up_to(), Some(Position(3)));
        desk.read(&page(log[1..].to_vec(), 6));
        assert_eq!((desk.take(), desk.take()), (Some(theirs), None));
        assert_eq!((settled_up_to(&desk, 1), settled_up_to(&desk, 2)), (6, 5));
        assert_eq!(desk.read_up_to(), Some(Position(6)));
    }

    #[test]
    fn nothing_of_a_lost_partition_is_taken_up_or_held_against_another() {
        let (lost, waiting, kept) = (id(1, 0), id(1, 1), id(2, 0));
        let mut desk = desk([1, 2]);
        desk.read(&page(vec![uploaded(1, lost), uploaded(2, waiting), uploaded(3, kept)], 3));
        assert_eq!(desk.take(), Some(lost));
        assert_eq!(desk.drop(Partition(1)), [lost]);
        assert_eq!(desk.lease(Partition(1)), None);
        assert_eq!((desk.take(), desk.take()), (Some(kept), None));
        desk.settled(lost);
        assert_eq!(settled_up_to(&desk, 2), 2);
    }

    #[test]
    fn a_partition_that_is_given_back_finishes_what_is_under_way_and_takes_up_nothing() {
        let (first, second) = (id(1, 0), id(1, 1));
        let mut desk = desk([1]);
        desk.read(&page(vec![uploaded(1, first), uploaded(2, second)], 2));
        assert_eq!(desk.take(), Some(first));
        desk.leave(1);
        assert_eq!((desk.take(), desk.kept()), (None, 0));
        assert_eq!((desk.leaving(true), desk.leaving(false)), (vec![], vec![Partition(1)]));
        desk.settled(first);
        assert_eq!((desk.leaving(true), settled_up_to(&desk, 1)), (vec![Partition(1)], 1));
        desk.stay(1);
        assert_eq!((desk.take(), desk.kept()), (Some(second), 1));
    }

    #[test]
    fn partitions_with_nothing_under_way_are_given_back_first() {
        let mut desk = desk([1, 2]);
        desk.read(&page(vec![uploaded(1, id(1, 0))], 1));
        desk.take();
        desk.leave(1);
        assert_eq!(desk.leaving(true), [Partition(2)]);
    }

    #[test]
    fn nothing_is_read_ahead_beyond_a_few_rounds_or_without_a_lease() {
        let mut desk = desk([1]);
        assert!(desk.has_room(1));
        let events = (1..=4).map(|n| uploaded(n, id(1, n.unsigned_abs() as usize))).collect();
        desk.read(&page(events, 4));
        assert!(!desk.has_room(1));
        desk.drop(Partition(1));
        assert!(!desk.has_room(1), "nothing is held");
    }
}
