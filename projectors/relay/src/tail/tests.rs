//! What the end of a partition says, beside what is known of it.

use platform::event_log::Incarnation;

use super::*;

fn place(position: i64) -> LogPlace {
    LogPlace { incarnation: Incarnation::default(), position: Position(position) }
}

/// A partition that ends at `latest` with records at these offsets, of events at these positions.
fn ends(latest: i64, records: &[(i64, i64)]) -> TailFinding {
    let places = records.iter().map(|(offset, position)| (*offset, place(*position)));
    TailFinding { earliest: 0, latest, places: places.collect(), others: Vec::new() }
}

fn sent(position: i64, offset: i64, last: i64) -> Sent {
    Sent { position: Position(position), offset, last: Position(last) }
}

#[test]
fn a_partition_is_gone_on_from_where_it_was_sent_up_to() {
    let cases = [
        // Never sent to, and empty; sent to by whom nothing is known of.
        (ends(0, &[]), None, None, sent(0, -1, 0)),
        (ends(2, &[(0, 5), (1, 9)]), None, None, sent(9, 1, 9)),
        // As it was left, with everything up to 40 done; sent on after that was written down.
        (ends(2, &[(0, 5), (1, 9)]), Some(sent(40, 1, 9)), Some(9), sent(40, 1, 9)),
        (ends(4, &[(1, 9), (2, 41), (3, 44)]), Some(sent(40, 1, 9)), Some(9), sent(44, 3, 44)),
        // Expired: it says nothing by itself.
        (ends(5, &[]), Some(sent(30, 4, 30)), None, sent(30, 4, 30)),
        // What came late does not lead back.
        (ends(7, &[(5, 11), (6, 12)]), Some(sent(30, 4, 30)), None, sent(30, 6, 12)),
        // All was sent again: what stood before that may be there in any order.
        (ends(9, &[(6, 5000), (7, 19), (8, 20)]), Some(sent(0, 6, 0)), Some(5000), sent(20, 8, 20)),
    ];
    for (finding, known, there, expected) in cases {
        let judged = finding.judge_end(known, there.map(Position));
        assert_eq!(judged, EndJudgement::AsLeft(expected), "{finding:?} {known:?}");
    }
}

#[test]
fn a_partition_that_ends_before_what_it_acknowledged_is_sent_the_rest_again() {
    // Made anew and empty; truncated.
    let known = Some(sent(30, 4, 28));
    assert_eq!(ends(0, &[]).judge_end(known, None), EndJudgement::Lost(Sent::NOTHING));
    let truncated = ends(3, &[(1, 9), (2, 11)]);
    assert_eq!(truncated.judge_end(known, None), EndJudgement::Lost(sent(11, 2, 11)));
}

#[test]
fn a_topic_that_was_made_anew_and_sent_to_unawares_is_noticed_however_much_it_holds() {
    let known = Some(sent(30, 4, 28));
    assert_eq!(ends(1, &[(0, 31)]).judge_end(known, None), EndJudgement::Mixed);
    let more = ends(40, &[(38, 69), (39, 70)]);
    assert_eq!(more.judge_end(known, Some(Position(35))), EndJudgement::Mixed);
    assert_eq!(more.judge_end(known, Some(Position(-1))), EndJudgement::Mixed, "of somebody else");
    assert_eq!(more.judge_end(known, Some(Position(28))), EndJudgement::AsLeft(sent(70, 39, 70)));
}

#[test]
fn every_history_that_something_was_sent_in_is_asked_about() {
    let mut finding = ends(9, &[(5, 40), (6, 44), (7, 41), (8, 43)]);
    let other = Incarnation(uuid::Uuid::from_u128(7));
    finding.places[2].1.incarnation = other;
    let places = finding.places_after(sent(40, 5, 40));
    assert_eq!(places, [place(44), LogPlace { incarnation: other, ..place(41) }]);
}
