//! What is done, what waits, and who is told.

use futures::FutureExt as _;

use super::*;

fn partition() -> PartitionName {
    ("chipq.part".to_owned(), 0)
}

fn acknowledge(progress: &Progress, positions: &[i64]) {
    let last = Position(positions.last().copied().unwrap());
    let sent = Sent { position: last, offset: 0, last };
    let positions = positions.iter().copied().map(Position);
    progress.acknowledge(&partition(), positions, sent);
}

/// What [`Progress::done`] says now, if it says anything.
fn done(progress: &Progress) -> Option<i64> {
    progress.done().now_or_never().map(|done| done.unwrap().0)
}

#[test]
fn everything_is_done_up_to_the_first_event_that_waits() {
    let progress = Progress::new(Position(10), BTreeMap::new());
    assert_eq!(done(&progress), None, "nothing has changed");
    progress.take([12, 13, 15].map(Position).into_iter(), Position(16));
    assert_eq!(done(&progress), Some(11), "what no topic asks for is done");
    assert_eq!(done(&progress), None, "it was said");
    acknowledge(&progress, &[13]);
    assert_eq!(done(&progress), Some(11), "another lane does not come before");
    acknowledge(&progress, &[12]);
    assert_eq!(done(&progress), Some(14));
    acknowledge(&progress, &[15]);
    assert_eq!(done(&progress), Some(16));
}

#[test]
fn there_is_no_room_while_too_many_wait_and_again_when_some_are_done() {
    let progress = Progress::new(Position(0), BTreeMap::new());
    let most = i64::try_from(WAITING_MAX).unwrap();
    progress.take((1..=most).map(Position), Position(most));
    assert_eq!(done(&progress), Some(0));
    assert!(!progress.has_room());
    acknowledge(&progress, &[2]);
    assert_eq!(done(&progress), Some(0), "who waits for room is told");
    assert!(progress.has_room());
}

#[test]
fn a_failure_ends_the_session_and_is_the_first_one() {
    let progress = Progress::new(Position(0), BTreeMap::new());
    progress.fail("one".to_owned());
    progress.fail("two".to_owned());
    for _ in 0..2 {
        let said = progress.done().now_or_never().unwrap().unwrap_err();
        assert_eq!(said.to_string(), "one");
    }
}

#[test]
fn what_is_known_of_a_partition_is_asked_for_once_and_as_it_is_now() {
    let known = Sent { position: Position(3), offset: 2, last: Position(3) };
    let progress = Progress::new(Position(0), BTreeMap::from([(partition(), known)]));
    assert_eq!(progress.take_unsaved(), (BTreeMap::from([(partition(), known)]), Position(0)));
    assert_eq!(progress.take_unsaved().0, BTreeMap::new());
    progress.take([4, 5].map(Position).into_iter(), Position(6));
    acknowledge(&progress, &[4]);
    assert_eq!(progress.take_unsaved().1, Position(4));
    acknowledge(&progress, &[5]);
    let last = Sent { position: Position(5), offset: 0, last: Position(5) };
    assert_eq!(progress.take_unsaved(), (BTreeMap::from([(partition(), last)]), Position(6)));
}
