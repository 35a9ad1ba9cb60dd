//! Given / when / then over the attempts of an hour.

use super::{
    AccessAttemptEvent as E, AccessAttempts, AccessAttemptsCommand as C,
    AccessAttemptsRejection as Rejected, EVENTS_MAX,
};
use crate::test_support::{self, at};
use crate::{Aggregate as _, Rejection as _};

fn refused(count: u64) -> E {
    E::AccessRefused {
        subject: Some("ada".into()),
        address: Some("192.0.2.7".into()),
        asked: "POST /v1/token".into(),
        reason: "wrong-secret".into(),
        count,
        first_at: at(0),
        last_at: at(9),
    }
}

#[test]
fn what_was_observed_is_kept_as_it_is() {
    let observed = vec![refused(1), refused(7)];
    test_support::given::<AccessAttempts>([refused(1)])
        .when(C::Record(observed.clone()))
        .then(observed);
    test_support::given::<AccessAttempts>([]).when(C::Record(vec![])).then_nothing();
}

#[test]
fn an_hour_has_an_end_whatever_is_tried() {
    let almost = AccessAttempts { events: EVENTS_MAX - 1 };
    assert_eq!(almost.decide(C::Record(vec![refused(1)])), Ok(vec![refused(1)]));
    let too_many = C::Record(vec![refused(1), refused(1)]);
    assert_eq!(almost.decide(too_many), Err(Rejected::HourIsFull));
    assert!(!Rejected::HourIsFull.is_not_found());
    assert_eq!(Rejected::HourIsFull.name(), "hour-is-full");
}

#[test]
fn the_stream_of_an_attempt_is_that_of_its_hour() {
    assert_eq!(AccessAttempts::id_at(at(0)), "2026-09-21T14");
    assert_ne!(AccessAttempts::id_at(at(0)), AccessAttempts::id_at(at(3_600)));
}
