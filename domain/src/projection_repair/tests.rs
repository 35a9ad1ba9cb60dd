//! Given / when / then over what is decided about a projection's parked streams.

use super::{
    PoisonedEvent, ProjectionRepairCommand as C, ProjectionRepairEvent as E,
    ProjectionRepairRejection as Rejected,
};
use crate::test_support::{self, Given};
use crate::{Aggregate as _, ProjectionRepair, Rejection as _};

fn given(events: impl IntoIterator<Item = E>) -> Given<ProjectionRepair> {
    test_support::given(events)
}

fn poison(aggregate_id: &str, position: i64) -> PoisonedEvent {
    PoisonedEvent {
        aggregate_type: "inspection".into(),
        aggregate_id: aggregate_id.into(),
        position,
        event_type: "InspectionJudged".into(),
    }
}

fn discard(poison: PoisonedEvent) -> C {
    C::DiscardStream { poison, reason: "damaged by a tool".into() }
}

fn discarded(poison: PoisonedEvent) -> E {
    E::StreamDiscarded { poison, reason: "damaged by a tool".into() }
}

fn retry(poison: PoisonedEvent) -> C {
    C::RetryStream { poison, reason: "mended".into() }
}

fn retried(poison: PoisonedEvent) -> E {
    E::StreamRetryRequested { poison, reason: "mended".into() }
}

#[test]
fn a_retry_may_be_asked_for_again_and_again() {
    given([]).when(retry(poison("a", 7))).then([retried(poison("a", 7))]);
    given([retried(poison("a", 7))]).when(retry(poison("a", 7))).then([retried(poison("a", 7))]);
}

#[test]
fn an_event_is_discarded_once_until_its_stream_is_tried_again() {
    given([discarded(poison("a", 7))])
        .when(discard(poison("a", 7)))
        .then_rejected(Rejected::AlreadyDiscarded { position: 7 });
    given([discarded(poison("a", 7)), retried(poison("a", 7))])
        .when(discard(poison("a", 7)))
        .then([discarded(poison("a", 7))]);
}

#[test]
fn what_is_discarded_is_one_event_of_each_stream_the_latest_named() {
    let events = [
        discarded(poison("a", 7)),
        discarded(poison("b", 8)),
        discarded(poison("a", 9)),
        discarded(poison("c", 10)),
        retried(poison("c", 10)),
        retried(poison("d", 11)),
    ];
    let state = ProjectionRepair::replay(&events);
    let left: Vec<_> = state.discarded().cloned().collect();
    assert_eq!(left, [poison("a", 9), poison("b", 8)]);
}

#[test]
fn a_decision_needs_a_reason_that_can_be_stored_and_read() {
    let with = |reason: &str| {
        let (poison, reason) = (poison("a", 7), reason.to_owned());
        [
            C::RetryStream { poison: poison.clone(), reason: reason.clone() },
            C::DiscardStream { poison, reason },
        ]
    };
    for command in ["", " \t"].into_iter().flat_map(with) {
        given([]).when(command).then_rejected(Rejected::EmptyReason);
    }
    for command in with(&"é".repeat(501)) {
        given([]).when(command).then_rejected(Rejected::LongReason);
    }
    for command in with(&"é".repeat(500)) {
        assert_eq!(ProjectionRepair::default().decide(command).unwrap().len(), 1);
    }
    let reason = "torn\0off".to_owned();
    let kept = E::StreamDiscarded { poison: poison("a", 7), reason: "torn\u{fffd}off".into() };
    given([]).when(C::DiscardStream { poison: poison("a", 7), reason }).then([kept]);
}

#[test]
fn rejections_are_told_apart_by_name_and_none_means_not_found() {
    let rejections =
        [Rejected::AlreadyDiscarded { position: 1 }, Rejected::EmptyReason, Rejected::LongReason];
    let names: std::collections::BTreeSet<_> =
        rejections.iter().map(|rejection| rejection.name()).collect();
    assert_eq!(names.len(), rejections.len());
    assert!(rejections.iter().all(|rejection| !rejection.is_not_found()));
}
