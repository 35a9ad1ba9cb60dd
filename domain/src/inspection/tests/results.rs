//! Results of inference: first, repeated, late, wrong; and the judgement that follows from the last.

use super::*;
use crate::inspection::{InferenceResult, Registration};
use crate::{Confidence, Coverage, DefectClass, DifferenceKind, UnexplainedDifference};

fn record(result: InferenceResult) -> C {
    C::RecordInference(Box::new(result))
}

fn unreadable(n: u128, content: &str) -> C {
    record(not_comparable(n, content, NotComparable::Unreadable))
}

/// Artifacts 1 and 2 are uploaded and the judgement waits for both.
fn two_views() -> Vec<E> {
    vec![
        created(),
        reserved(1),
        reserved(2),
        uploaded(1, "top"),
        uploaded(2, "bottom"),
        requested([1, 2]),
    ]
}

#[test]
fn the_only_result_judges_the_board() {
    given(inferring())
        .when(record(compared(1, "board", vec![])))
        .then([completed(1, "board", vec![]), passed()]);
}

#[test]
fn a_defect_fails_the_board_and_names_the_rule() {
    let found = vec![defect(DefectClass::Open, 0.9), defect(DefectClass::Open, 0.5)];
    let rule = FiredRule::Defect { class: DefectClass::Open, count: 2 };
    given(inferring())
        .when(record(compared(1, "board", found.clone())))
        .then([completed(1, "board", found), judged(Judgement::Fail, [rule])]);
}

#[test]
fn a_doubtful_finding_sends_the_board_to_review() {
    let found = vec![defect(DefectClass::Spur, 0.3)];
    let rule = FiredRule::DoubtfulFinding { class: DefectClass::Spur, count: 1 };
    given(inferring())
        .when(record(compared(1, "board", found.clone())))
        .then([completed(1, "board", found), judged(Judgement::Review, [rule])]);
}

/// The same result with differences and another coverage.
fn seen(
    mut result: InferenceResult,
    unexplained: Vec<UnexplainedDifference>,
    covered: Coverage,
) -> InferenceResult {
    if let InferenceResult::Completed { differences, coverage, .. } = &mut result {
        (*differences, *coverage) = (unexplained, covered);
    }
    result
}

#[test]
fn an_unexplained_difference_sends_the_board_to_review_and_is_kept_strongest_first() {
    let [weak, strong] = [(DifferenceKind::Appearance, 1.5), (DifferenceKind::Joined, 40.0)]
        .map(|(k, s)| difference(k, s));
    let lost = UnexplainedDifference { strength: f32::NAN, ..weak };
    let result = seen(compared(1, "board", vec![]), vec![lost, weak, strong], whole_picture());
    let events = Inspection::replay(&inferring()).decide(record(result)).unwrap();
    let E::InferenceCompleted { differences, .. } = &events[0] else { panic!("{events:?}") };
    let kept = UnexplainedDifference { strength: 1.0, ..weak };
    assert_eq!(differences, &[strong, weak, kept]);
    let rule = FiredRule::UnexplainedDifference { count: 3 };
    assert_eq!(events[1], judged(Judgement::Review, [rule]));
}

#[test]
fn a_piece_that_was_not_compared_sends_the_board_to_review() {
    let result = seen(compared(1, "board", vec![]), vec![], all_but_a_strip());
    let events = Inspection::replay(&inferring()).decide(record(result)).unwrap();
    let rule = FiredRule::NotCovered { pieces: 1 };
    assert_eq!(events[1], judged(Judgement::Review, [rule]));
}

/// A camera gives no two files of the same bytes: one side was sent as two.
#[test]
fn the_same_picture_twice_sends_the_board_to_review() {
    let begun = [created(), reserved(1), reserved(2), uploaded(1, "top"), uploaded(2, "top")];
    let waiting = begun.into_iter().chain([requested([1, 2]), completed(1, "top", vec![])]);
    given(waiting)
        .when(record(compared(2, "top", vec![])))
        .then([completed(2, "top", vec![]), judged(Judgement::Review, [FiredRule::DuplicateView])]);
}

/// The oldest results do not say how much was compared.
#[test]
fn a_board_whose_result_was_recorded_before_coverage_was_measured_is_review() {
    let mut old = completed(1, "board", vec![]);
    if let E::InferenceCompleted { coverage, .. } = &mut old {
        *coverage = None;
    }
    given([created(), reserved(1), uploaded(1, "board"), old])
        .when(request())
        .then([requested([1]), judged(Judgement::Review, [FiredRule::NotCovered { pieces: 1 }])]);
}

#[test]
fn every_reason_why_a_picture_is_not_comparable_sends_the_board_to_review() {
    for reason in NotComparable::ALL {
        let review = judged(Judgement::Review, [FiredRule::NotCompared { reason }]);
        given(inferring())
            .when(record(not_comparable(1, "board", reason)))
            .then([failed(1, "board", reason), review]);
    }
}

#[test]
fn a_board_of_an_unregistered_part_is_judged_review_by_the_factory_recipe() {
    let recipe = crate::Part::default().recipe();
    let created = E::InspectionCreated {
        inspection_id: inspection_id(),
        lot: lot(),
        part: part(),
        station: station(),
        recipe,
        golden_sample_revision: None,
    };
    let reason = NotComparable::NoGoldenSample;
    let mut expected = failed(1, "board", reason);
    if let E::InferenceFailed { recipe_revision, .. } = &mut expected {
        *recipe_revision = 0;
    }
    let review = E::InspectionJudged {
        judgement: Judgement::Review,
        rules: vec![FiredRule::NotCompared { reason }],
        recipe_revision: 0,
    };
    given([created, reserved(1), uploaded(1, "board"), requested([1])])
        .when(record(not_comparable(1, "board", reason)))
        .then([expected, review]);
}

#[test]
fn nothing_is_judged_before_the_last_of_several_pictures_is_settled() {
    given(two_views()).when(record(compared(2, "bottom", vec![]))).then([completed(
        2,
        "bottom",
        vec![],
    )]);
    let waiting = two_views().into_iter().chain([completed(2, "bottom", vec![])]);
    given(waiting)
        .when(record(compared(1, "top", vec![])))
        .then([completed(1, "top", vec![]), passed()]);
}

#[test]
fn a_certain_defect_does_not_judge_the_board_before_the_other_picture_is_settled() {
    let found = vec![defect(DefectClass::Short, 1.0)];
    given(two_views())
        .when(record(compared(1, "top", found.clone())))
        .then([completed(1, "top", found)]);
}

#[test]
fn one_view_that_is_not_comparable_keeps_the_board_from_passing() {
    let waiting = two_views().into_iter().chain([completed(1, "top", vec![])]);
    let reason = NotComparable::Unreadable;
    let review = judged(Judgement::Review, [FiredRule::NotCompared { reason }]);
    given(waiting).when(unreadable(2, "bottom")).then([failed(2, "bottom", reason), review]);
}

#[test]
fn a_result_that_comes_before_the_request_waits_for_it() {
    let early = [created(), reserved(1), uploaded(1, "board")];
    given(early.clone()).when(record(compared(1, "board", vec![]))).then([completed(
        1,
        "board",
        vec![],
    )]);
    given(early.into_iter().chain([completed(1, "board", vec![])]))
        .when(request())
        .then([requested([1]), passed()]);
}

#[test]
fn a_result_delivered_again_changes_nothing() {
    let mut waiting = two_views();
    waiting.push(completed(1, "top", vec![]));
    given(waiting).when(record(compared(1, "top", vec![]))).then_nothing();
}

#[test]
fn the_first_result_of_a_picture_stands_whatever_comes_later() {
    let mut waiting = two_views();
    waiting.push(completed(1, "top", vec![]));
    let shadow = compared(1, "top", vec![defect(DefectClass::Open, 1.0)]);
    given(waiting.clone()).when(record(shadow)).then_nothing();
    given(waiting).when(unreadable(1, "top")).then_nothing();
    let mut settled = two_views();
    settled.push(failed(1, "top", NotComparable::Unreadable));
    given(settled).when(record(compared(1, "top", vec![]))).then_nothing();
}

fn by(n: u8, mut result: InferenceResult) -> C {
    if let InferenceResult::Completed { model, .. } = &mut result {
        *model = model_version(n);
    }
    record(result)
}

#[test]
fn the_first_comparison_pins_its_network_and_another_ones_result_is_refused() {
    let waiting: Vec<_> = two_views().into_iter().chain([completed(1, "top", vec![])]).collect();
    let (pinned, found) = (model().into(), model_version(2).into());
    given(waiting.clone())
        .when(by(2, compared(2, "bottom", vec![])))
        .then_rejected(Rejected::MixedModels { pinned, found });
    given(waiting)
        .when(by(1, compared(2, "bottom", vec![])))
        .then([completed(2, "bottom", vec![]), passed()]);
}

#[test]
fn a_picture_that_was_not_comparable_pins_no_network() {
    let reason = NotComparable::Unreadable;
    let waiting: Vec<_> = two_views().into_iter().chain([failed(1, "top", reason)]).collect();
    let state = Inspection::replay(&waiting);
    assert!(state.decide(by(2, compared(2, "bottom", vec![]))).is_ok());
}

#[test]
fn a_network_that_is_gone_leaves_a_failed_picture_and_a_board_for_review() {
    let waiting = two_views().into_iter().chain([completed(1, "top", vec![])]);
    let reason = NotComparable::InferenceFailed;
    let review = judged(Judgement::Review, [FiredRule::NotCompared { reason }]);
    given(waiting)
        .when(record(not_comparable(2, "bottom", reason)))
        .then([failed(2, "bottom", reason), review]);
}

#[test]
fn a_repeated_or_late_result_of_another_network_changes_nothing() {
    let waiting: Vec<_> = two_views().into_iter().chain([completed(1, "top", vec![])]).collect();
    given(waiting).when(by(2, compared(1, "top", vec![]))).then_nothing();
    given(judged_pass()).when(by(2, compared(1, "board", vec![]))).then_nothing();
}

#[test]
fn a_late_result_never_changes_a_judgement() {
    let done = [created(), reserved(1), reserved(2), uploaded(1, "board"), requested([1, 2])]
        .into_iter()
        .chain([completed(1, "board", vec![]), missing_view()]);
    given(done.clone()).when(record(compared(2, "late", vec![]))).then_nothing();
    given(done).when(unreadable(7, "never announced")).then_nothing();
}

#[test]
fn a_late_result_never_revives_a_voided_inspection() {
    let withdrawn = inferring().into_iter().chain([voided()]);
    given(withdrawn).when(record(compared(1, "board", vec![]))).then_nothing();
}

#[test]
fn a_result_of_a_picture_that_is_not_there_is_refused() {
    given(inferring())
        .when(record(compared(2, "board", vec![])))
        .then_rejected(Rejected::NoSuchArtifact { artifact_id: artifact(2) });
    given([created(), reserved(1)])
        .when(record(compared(1, "board", vec![])))
        .then_rejected(Rejected::ArtifactNotUploaded { artifact_id: artifact(1) });
}

#[test]
fn a_result_computed_from_other_bytes_is_refused() {
    for result in
        [compared(1, "other", vec![]), not_comparable(1, "other", NotComparable::Unreadable)]
    {
        given(inferring())
            .when(record(result))
            .then_rejected(Rejected::ArtifactMismatch { artifact_id: artifact(1) });
    }
}

#[test]
fn findings_are_stored_most_confident_first_and_equal_ones_as_they_came() {
    let (spur, open) = (defect(DefectClass::Spur, 0.6), defect(DefectClass::Open, 0.9));
    let copper = defect(DefectClass::Copper, 0.6);
    let rules = [DefectClass::Open, DefectClass::Spur, DefectClass::Copper]
        .map(|class| FiredRule::Defect { class, count: 1 });
    given(inferring())
        .when(record(compared(1, "board", vec![spur.clone(), open.clone(), copper.clone()])))
        .then([completed(1, "board", vec![open, spur, copper]), judged(Judgement::Fail, rules)]);
}

/// JSON has no such numbers: stored, the event could never be read again.
#[test]
fn a_registration_that_is_not_a_number_is_recorded_as_not_registered() {
    let reason = NotComparable::NotRegistered;
    let review = judged(Judgement::Review, [FiredRule::NotCompared { reason }]);
    for nonsense in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let [mut dx, mut dy, mut score, mut bend] = [registration(); 4];
        (dx.dx, dy.dy, score.score) = (nonsense, nonsense, nonsense);
        bend.bend = Some(nonsense);
        for broken in [dx, dy, score, bend] {
            let mut expected = failed(1, "board", reason);
            if let E::InferenceFailed { detail, .. } = &mut expected {
                *detail = "the registration gave no finite numbers".into();
            }
            given(inferring())
                .when(record(with_registration(broken)))
                .then([expected, review.clone()]);
        }
    }
}

fn with_registration(broken: Registration) -> InferenceResult {
    let mut result = compared(1, "board", vec![]);
    if let InferenceResult::Completed { registration, .. } = &mut result {
        *registration = broken;
    }
    result
}

#[test]
fn a_detail_is_kept_without_the_one_character_that_no_database_keeps() {
    let mut result = not_comparable(1, "board", NotComparable::Unreadable);
    if let InferenceResult::Failed { detail, .. } = &mut result {
        *detail = "chunk \0".into();
    }
    let events = Inspection::replay(&inferring()).decide(record(result)).unwrap();
    let E::InferenceFailed { detail, .. } = &events[0] else { panic!("{events:?}") };
    assert_eq!(detail, "chunk \u{fffd}");
}

#[test]
fn the_recipe_of_the_inspection_decides_not_the_factory() {
    let strict = Recipe::new(4, Confidence::QUARTER, Confidence::new(0.1).unwrap()).unwrap();
    let created = E::InspectionCreated {
        inspection_id: inspection_id(),
        lot: lot(),
        part: part(),
        station: station(),
        recipe: strict,
        golden_sample_revision: None,
    };
    let found = vec![defect(DefectClass::Spur, 0.3), defect(DefectClass::Copper, 0.2)];
    let events = Inspection::replay(&[created, reserved(1), uploaded(1, "board"), requested([1])])
        .decide(record(compared(1, "board", found)))
        .unwrap();
    let expected = E::InspectionJudged {
        judgement: Judgement::Fail,
        rules: vec![
            FiredRule::Defect { class: DefectClass::Spur, count: 1 },
            FiredRule::DoubtfulFinding { class: DefectClass::Copper, count: 1 },
        ],
        recipe_revision: 4,
    };
    assert_eq!(events.last(), Some(&expected));
}

#[test]
fn rules_stand_in_the_order_in_which_the_pictures_were_announced() {
    let reasons = [NotComparable::Unreadable, NotComparable::SizeMismatch];
    for [first, second] in [[1, 2], [2, 1]] {
        let last = not_comparable(first, "one", reasons[0]);
        let events = [
            created(),
            reserved(first),
            reserved(second),
            uploaded(second, "two"),
            uploaded(first, "one"),
            requested([first, second]),
            failed(second, "two", reasons[1]),
        ];
        let rules = reasons.map(|reason| FiredRule::NotCompared { reason });
        given(events)
            .when(C::RecordInference(Box::new(last)))
            .then([failed(first, "one", reasons[0]), judged(Judgement::Review, rules)]);
    }
}
