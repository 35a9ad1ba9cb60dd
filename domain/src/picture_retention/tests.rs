//! The policy: revised as a whole, with a reason, and never to no time at all.

use super::command::REVISIONS_MAX;
use super::*;

fn days(days: u32) -> Option<RetentionDays> {
    Some(RetentionDays::new(days).unwrap())
}

fn revise(state: &mut PictureRetention, periods: RetentionPeriods) -> usize {
    let reason = "the customer asks for two years".to_owned();
    let command = PictureRetentionCommand::RevisePictureRetention { periods, reason };
    let events = state.decide(command).unwrap();
    events.iter().for_each(|event| state.evolve(event));
    events.len()
}

#[test]
fn without_a_policy_everything_is_kept() {
    let policy = PictureRetention::default();
    assert!(RetentionClass::ALL.iter().all(|class| policy.periods.of_class(*class).is_none()));
}

#[test]
fn a_revision_is_the_whole_policy_and_the_same_again_is_none() {
    let mut policy = PictureRetention::default();
    let first =
        RetentionPeriods { pass_days: days(90), fail_days: days(730), ..Default::default() };
    assert_eq!(revise(&mut policy, first), 1);
    assert_eq!(revise(&mut policy, first), 0);
    assert_eq!(policy.periods.of_class(RetentionClass::Pass), days(90));
    let second = RetentionPeriods { void_days: days(1), ..Default::default() };
    assert_eq!(revise(&mut policy, second), 1);
    assert_eq!(policy.periods.of_class(RetentionClass::Pass), None, "it is not said any more");
    assert_eq!(policy.revision, 2);
}

#[test]
fn the_same_periods_for_another_reason_are_a_revision_so_that_the_log_has_the_reason() {
    let mut policy = PictureRetention::default();
    let periods = RetentionPeriods { pass_days: days(90), ..Default::default() };
    assert_eq!(revise(&mut policy, periods), 1);
    let decide = |policy: &PictureRetention, reason: &str| {
        let reason = reason.to_owned();
        policy.decide(PictureRetentionCommand::RevisePictureRetention { periods, reason }).unwrap()
    };
    let events = decide(&policy, "the auditor confirmed ninety\0days");
    events.iter().for_each(|event| policy.evolve(event));
    assert_eq!((policy.revision, policy.periods), (2, periods));
    assert_eq!(policy.reason.as_deref(), Some("the auditor confirmed ninety\u{FFFD}days"));
    assert!(decide(&policy, "the auditor confirmed ninety\0days").is_empty(), "as it is stored");
}

#[test]
fn that_everything_is_kept_may_be_said_as_the_first_revision() {
    let mut policy = PictureRetention::default();
    assert_eq!(revise(&mut policy, RetentionPeriods::default()), 1);
    assert_eq!(policy.revision, 1);
}

#[test]
fn a_policy_needs_a_reason_and_its_stream_ends_somewhere() {
    let refused = |policy: &PictureRetention, reason: &str| {
        let (periods, reason) =
            (RetentionPeriods { pass_days: days(7), ..Default::default() }, reason.to_owned());
        policy
            .decide(PictureRetentionCommand::RevisePictureRetention { periods, reason })
            .unwrap_err()
    };
    assert_eq!(refused(&PictureRetention::default(), "  "), PictureRetentionRejection::EmptyReason);
    let full = PictureRetention { revision: REVISIONS_MAX, ..Default::default() };
    let max = REVISIONS_MAX;
    assert_eq!(refused(&full, "why"), PictureRetentionRejection::TooManyRevisions { max });
}

#[test]
fn a_period_is_a_whole_number_of_days_and_never_none_at_all() {
    assert!(RetentionDays::new(0).is_err());
    assert!(RetentionDays::new(RetentionDays::MAX + 1).is_err());
    assert!(serde_json::from_str::<RetentionDays>("0").is_err(), "nor from the log");
    assert_eq!(serde_json::to_string(&days(1)).unwrap(), "1");
}

#[test]
fn every_judgement_has_its_class() {
    for judgement in Judgement::ALL {
        assert_eq!(RetentionClass::from(judgement).as_str(), judgement.as_str());
    }
}
