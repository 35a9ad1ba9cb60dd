//! From where on a partition is sent to, by what it holds and what is known.

use platform::event_log::Incarnation;

use super::*;
use crate::tail::TailFinding;

fn place(position: i64) -> LogPlace {
    LogPlace { incarnation: Incarnation::default(), position: Position(position) }
}

/// A partition that ends at `latest` with records at these offsets, of events at these positions.
fn ends(latest: i64, records: &[(i64, i64)]) -> TailFinding {
    let places = records.iter().map(|(offset, position)| (*offset, place(*position)));
    TailFinding { latest, places: places.collect() }
}

fn known(position: i64, offset: i64) -> Option<Sent> {
    Some(Sent { position: Position(position), offset })
}

#[test]
fn a_partition_is_gone_on_from_where_it_was_sent_up_to() {
    let cases = [
        // Never sent to, and empty; sent to by whom nothing is known of.
        (ends(0, &[]), None, (0, -1)),
        (ends(2, &[(0, 5), (1, 9)]), None, (9, 1)),
        // As it was left; sent on after that was written down.
        (ends(2, &[(0, 5), (1, 9)]), known(9, 1), (9, 1)),
        (ends(4, &[(1, 9), (2, 11), (3, 14)]), known(9, 1), (14, 3)),
        // Expired: it says nothing by itself.
        (ends(5, &[]), known(30, 4), (30, 4)),
        // What came late does not lead back.
        (ends(7, &[(5, 11), (6, 12)]), known(30, 4), (30, 6)),
        // What stands before what is known may be there in any order: it was all sent again, up to 20.
        (ends(9, &[(6, 5000), (7, 19), (8, 20)]), known(20, 8), (20, 8)),
    ];
    for (finding, known, (position, offset)) in cases {
        let (sent, was_lost) = judge_end(&finding, known);
        assert_eq!(sent, Sent { position: Position(position), offset }, "{finding:?} {known:?}");
        assert!(!was_lost, "{finding:?} {known:?}");
    }
}

#[test]
fn a_partition_that_ends_before_what_it_acknowledged_gets_everything_again() {
    // Emptied by being made anew; truncated; made anew and sent to unawares.
    for finding in [ends(0, &[]), ends(3, &[(1, 9), (2, 11)]), ends(1, &[(0, 5000)])] {
        assert_eq!(judge_end(&finding, known(30, 4)), (Sent::NOTHING, true), "{finding:?}");
    }
}
