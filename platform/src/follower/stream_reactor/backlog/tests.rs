//! The backlog, stepped: what is read, started and done when a test says so.

use uuid::Uuid;

use super::*;
use crate::event_log::{EventMetadata, Incarnation};

const PARTITIONS: u16 = 16;

fn event(position: i64, id: u128, event_type: &str) -> Arc<Recorded> {
    Arc::new(Recorded {
        position: Position(position),
        event_id: Uuid::from_u128(position.unsigned_abs().into()),
        command_id: None,
        stream: stream(id),
        sequence: 1,
        event_type: event_type.into(),
        event_version: "1".into(),
        payload: serde_json::Value::Null.into(),
        metadata: EventMetadata::by_service("test"),
        recorded_at: chrono::Utc::now(),
    })
}

/// An event that gives work.
fn asked(position: i64, id: u128) -> Arc<Recorded> {
    event(position, id, "Asked")
}

fn stream(id: u128) -> StreamId {
    StreamId { aggregate_type: "inspection".into(), aggregate_id: Uuid::from_u128(id).to_string() }
}

/// The id of stream `n` of a partition.
fn id(partition: u16, n: usize) -> u128 {
    let own = |id: &u128| Partition::for_stream(&stream(*id), PARTITIONS) == Partition(partition);
    (0..).filter(own).nth(n).unwrap()
}

fn lease(partition: u16, position: i64) -> Lease {
    Lease { partition: Partition(partition), epoch: 1, position: Position(position) }
}

/// A backlog that holds these partitions from the beginning of the log.
fn backlog(partitions: impl IntoIterator<Item = u16>) -> Backlog {
    let mut backlog = Backlog::new(PARTITIONS);
    partitions.into_iter().for_each(|partition| backlog.add_partition(lease(partition, 0)));
    backlog
}

fn read(backlog: &mut Backlog, events: Vec<Arc<Recorded>>, up_to: i64) {
    let (up_to, incarnation) = (Position(up_to), Incarnation::default());
    let page = Page { events, up_to, head: up_to, incarnation };
    backlog.add_page(&page, |event| event.event_type == "Asked");
}

fn next(backlog: &mut Backlog) -> Option<u128> {
    let work = backlog.take_next()?;
    assert!(work.events.iter().all(|event| event.stream == work.stream));
    Some(work.stream.aggregate_id.parse::<Uuid>().unwrap().as_u128())
}

fn done(backlog: &mut Backlog, id: u128) {
    backlog.mark_done(&stream(id));
}

fn done_up_to(backlog: &Backlog, partition: u16) -> i64 {
    backlog.current_lease(Partition(partition)).unwrap().position.0
}

#[test]
fn the_checkpoint_stays_before_the_first_event_that_is_not_done() {
    let (one, two, other) = (id(3, 0), id(3, 1), id(4, 0));
    let mut backlog = backlog(0..PARTITIONS);
    let created = event(1, one, "Created");
    read(&mut backlog, vec![created, asked(2, one), asked(3, two), asked(4, other)], 4);
    assert_eq!((next(&mut backlog), next(&mut backlog)), (Some(one), Some(two)));
    done(&mut backlog, two);
    assert_eq!((done_up_to(&backlog, 3), done_up_to(&backlog, 4)), (1, 3));
    done(&mut backlog, one);
    assert_eq!((done_up_to(&backlog, 3), done_up_to(&backlog, 5)), (4, 4));
    let moved: Vec<_> = backlog.unsaved_leases();
    assert_eq!(moved.len(), usize::from(PARTITIONS));
    backlog.mark_saved(&moved);
    assert_eq!(backlog.unsaved_leases(), []);
}

#[test]
fn an_event_that_comes_while_its_stream_is_under_way_makes_it_wait_again() {
    let one = id(0, 0);
    let mut backlog = backlog([0]);
    read(&mut backlog, vec![asked(1, one)], 1);
    assert_eq!(next(&mut backlog), Some(one));
    read(&mut backlog, vec![asked(2, one)], 2);
    assert_eq!(next(&mut backlog), None);
    done(&mut backlog, one);
    assert_eq!(done_up_to(&backlog, 0), 1);
    assert_eq!(next(&mut backlog), Some(one));
    done(&mut backlog, one);
    assert_eq!((done_up_to(&backlog, 0), next(&mut backlog)), (2, None));
}

#[test]
fn what_belongs_to_others_is_left_to_them() {
    let mut backlog = backlog([1]);
    read(&mut backlog, vec![asked(1, id(0, 0)), asked(2, id(1, 0))], 2);
    assert_eq!((next(&mut backlog), next(&mut backlog)), (Some(id(1, 0)), None));
}

#[test]
fn a_partition_that_comes_later_is_read_from_its_own_checkpoint_and_no_other_is_read_twice() {
    let (mine, theirs) = (id(1, 0), id(2, 0));
    let log = vec![asked(3, theirs), asked(4, mine), asked(6, theirs)];
    let mut backlog = backlog([1]);
    read(&mut backlog, log.clone(), 6);
    assert_eq!(next(&mut backlog), Some(mine));
    done(&mut backlog, mine);
    backlog.add_partition(lease(2, 3));
    assert_eq!(backlog.next_read_position(), Some(Position(3)));
    read(&mut backlog, log[1..].to_vec(), 6);
    assert_eq!((next(&mut backlog), next(&mut backlog)), (Some(theirs), None));
    assert_eq!((done_up_to(&backlog, 1), done_up_to(&backlog, 2)), (6, 5));
    assert_eq!(backlog.next_read_position(), Some(Position(6)));
}

#[test]
fn nothing_of_a_lost_partition_is_started_or_held_against_another() {
    let (lost, waiting, kept) = (id(1, 0), id(1, 1), id(2, 0));
    let mut backlog = backlog([1, 2]);
    read(&mut backlog, vec![asked(1, lost), asked(2, waiting), asked(3, kept)], 3);
    assert_eq!(next(&mut backlog), Some(lost));
    assert_eq!(backlog.drop_partition(Partition(1)), [stream(lost)]);
    assert_eq!(backlog.current_lease(Partition(1)), None);
    assert_eq!((next(&mut backlog), next(&mut backlog)), (Some(kept), None));
    done(&mut backlog, lost);
    assert_eq!(done_up_to(&backlog, 2), 2);
}

#[test]
fn a_partition_that_is_given_back_finishes_what_is_under_way_and_starts_nothing() {
    let (first, second) = (id(1, 0), id(1, 1));
    let mut backlog = backlog([1]);
    read(&mut backlog, vec![asked(1, first), asked(2, second)], 2);
    assert_eq!(next(&mut backlog), Some(first));
    backlog.mark_leaving(1);
    assert_eq!((next(&mut backlog), backlog.count_kept()), (None, 0));
    assert_eq!(
        (backlog.idle_leaving_partitions(), backlog.leaving_partitions()),
        (vec![], vec![Partition(1)])
    );
    done(&mut backlog, first);
    assert_eq!(
        (backlog.idle_leaving_partitions(), done_up_to(&backlog, 1)),
        (vec![Partition(1)], 1)
    );
    backlog.unmark_leaving(1);
    assert_eq!((next(&mut backlog), backlog.count_kept()), (Some(second), 1));
}

#[test]
fn partitions_with_nothing_under_way_are_given_back_first() {
    let mut backlog = backlog([1, 2]);
    read(&mut backlog, vec![asked(1, id(1, 0))], 1);
    next(&mut backlog);
    backlog.mark_leaving(1);
    assert_eq!(backlog.idle_leaving_partitions(), [Partition(2)]);
}

#[test]
fn nothing_is_read_ahead_beyond_a_few_rounds_or_without_a_lease() {
    let mut backlog = backlog([1]);
    assert!(backlog.has_room(1));
    let events = (1..=4).map(|n| asked(n, id(1, n.unsigned_abs() as usize))).collect();
    read(&mut backlog, events, 4);
    assert!(!backlog.has_room(1));
    backlog.drop_partition(Partition(1));
    assert!(!backlog.has_room(1), "nothing is held");
}

#[test]
fn events_of_one_stream_are_not_read_ahead_without_end() {
    let mut backlog = backlog([1]);
    let one = id(1, 0);
    let many = EVENTS_AHEAD_MAX as i64;
    read(&mut backlog, (1..many).map(|position| asked(position, one)).collect(), many - 1);
    assert!(backlog.has_room(1));
    read(&mut backlog, vec![asked(many, one)], many);
    assert!(!backlog.has_room(1));
    assert_eq!(backlog.take_next().unwrap().events.len(), EVENTS_AHEAD_MAX);
    assert!(backlog.has_room(1));
}

#[test]
fn what_was_started_under_a_lost_lease_is_not_taken_for_what_is_under_way_now() {
    let mut backlog = backlog([1]);
    let one = id(1, 0);
    read(&mut backlog, vec![asked(1, one)], 1);
    assert_eq!(next(&mut backlog), Some(one));
    assert!(backlog.is_under_way(&stream(one), 1));
    backlog.drop_partition(Partition(1));
    backlog.add_partition(Lease { epoch: 2, ..lease(1, 0) });
    read(&mut backlog, vec![asked(1, one)], 1);
    assert_eq!(backlog.take_next().unwrap().epoch, 2);
    assert!(!backlog.is_under_way(&stream(one), 1));
    assert!(backlog.is_under_way(&stream(one), 2));
}

#[test]
fn a_stream_that_panicked_waits_again_after_a_pause_and_holds_up_nobody() {
    let (faulty, other) = (id(1, 0), id(1, 1));
    let mut backlog = backlog([1]);
    read(&mut backlog, vec![asked(1, faulty)], 1);
    let now = Instant::now();
    let mut ends = Vec::new();
    for panics in 0..3 {
        let work = backlog.take_next().unwrap();
        // What comes while it is under way, and while it is paused, is given with what was open.
        read(&mut backlog, vec![asked(2 + 2 * panics, faulty)], 2 + 2 * panics);
        backlog.pause_after_panic(work, now);
        read(&mut backlog, vec![asked(3 + 2 * panics, faulty)], 3 + 2 * panics);
        let end = backlog.next_pause_end().unwrap();
        backlog.end_pauses(end - Duration::from_millis(1));
        assert_eq!((next(&mut backlog), done_up_to(&backlog, 1)), (None, 0));
        ends.push(end - now);
        backlog.end_pauses(end);
        assert_eq!(backlog.next_pause_end(), None);
    }
    // Half of a bound that doubles is always waited.
    assert!(
        ends.iter().zip([500, 1_000, 2_000]).all(|(end, ms)| end.as_millis() >= ms),
        "{ends:?}"
    );

    let work = backlog.take_next().unwrap();
    let positions: Vec<_> = work.events.iter().map(|event| event.position.0).collect();
    assert_eq!(positions, (1..=7).collect::<Vec<_>>());
    backlog.pause_after_panic(work, now);
    read(&mut backlog, vec![asked(8, other)], 8);
    assert_eq!(next(&mut backlog), Some(other));
    done(&mut backlog, other);
    assert_eq!(done_up_to(&backlog, 1), 0, "the checkpoint waits before what is open");
    backlog.end_pauses(backlog.next_pause_end().unwrap());
    assert_eq!(next(&mut backlog), Some(faulty));
    done(&mut backlog, faulty);
    assert_eq!((done_up_to(&backlog, 1), next(&mut backlog)), (8, None));
}

#[test]
fn a_paused_stream_of_a_partition_that_is_not_held_is_forgotten() {
    let one = id(1, 0);
    let mut backlog = backlog([1]);
    read(&mut backlog, vec![asked(1, one)], 1);
    let work = backlog.take_next().unwrap();
    backlog.mark_leaving(1);
    backlog.pause_after_panic(work, Instant::now());
    assert_eq!(
        backlog.idle_leaving_partitions(),
        [Partition(1)],
        "it keeps no other member waiting"
    );
    backlog.drop_partition(Partition(1));
    assert_eq!((backlog.next_pause_end(), next(&mut backlog)), (None, None));
}

#[test]
fn a_stream_that_was_put_off_leaves_its_place_and_is_given_again_with_what_came_meanwhile() {
    let (waits, other) = (id(1, 0), id(1, 1));
    let mut backlog = backlog([1]);
    read(&mut backlog, vec![asked(1, waits), asked(2, other)], 2);
    let work = backlog.take_next().unwrap();
    let due = Instant::now() + Duration::from_secs(7);
    backlog.pause(work, due);
    assert_eq!(next(&mut backlog), Some(other), "its place is free");
    done(&mut backlog, other);
    read(&mut backlog, vec![asked(3, waits)], 3);
    assert_eq!((next(&mut backlog), done_up_to(&backlog, 1)), (None, 0));
    assert_eq!(backlog.next_pause_end(), Some(due));
    backlog.end_pauses(due);
    let positions: Vec<_> =
        backlog.take_next().unwrap().events.iter().map(|event| event.position.0).collect();
    assert_eq!(positions, [1, 3]);
    done(&mut backlog, waits);
    assert_eq!((done_up_to(&backlog, 1), next(&mut backlog)), (3, None));
}

#[test]
fn what_is_paused_counts_among_the_events_that_are_read_ahead() {
    let mut backlog = backlog([1]);
    let one = id(1, 0);
    let many = EVENTS_AHEAD_MAX as i64;
    read(&mut backlog, (1..=many).map(|position| asked(position, one)).collect(), many);
    let work = backlog.take_next().unwrap();
    assert!(backlog.has_room(1));
    backlog.pause(work, Instant::now() + Duration::from_secs(7));
    assert!(!backlog.has_room(1));
}
