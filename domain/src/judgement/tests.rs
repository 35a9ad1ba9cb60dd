//! What a recipe makes of a confidence, and what the board is judged by that.

use proptest::prelude::*;

use super::*;
use crate::PixelBox;

fn confidence(value: f32) -> Confidence {
    Confidence::new(value).unwrap()
}

#[test]
fn a_recipe_doubts_no_later_than_it_fails() {
    assert!(Recipe::new(1, confidence(0.5), confidence(0.5)).is_ok());
    let refused = Recipe::new(1, confidence(0.5), confidence(0.51)).unwrap_err();
    assert_eq!(refused.to_string(), "review_at must not be above fail_at");
}

#[test]
fn the_factory_recipe_fails_from_one_half_and_doubts_from_one_quarter() {
    let factory = Recipe::factory(7);
    assert_eq!((factory.revision, factory.fail_at.get(), factory.review_at.get()), (7, 0.5, 0.25));
}

#[test]
fn a_threshold_belongs_to_the_grade_above_it() {
    let grade = |value| Recipe::factory(1).grade(confidence(value)).as_str();
    assert_eq!(
        [0.0, 0.2499, 0.25, 0.4999, 0.5, 1.0].map(grade),
        ["negligible", "negligible", "doubtful", "doubtful", "defect", "defect",]
    );
}

proptest! {
    #[test]
    fn more_confidence_is_never_a_lesser_grade(
        thresholds in (0.0_f32..=1.0, 0.0_f32..=1.0),
        confidences in (0.0_f32..=1.0, 0.0_f32..=1.0),
    ) {
        let (fail_at, review_at) = thresholds;
        if let Ok(recipe) = Recipe::new(1, confidence(fail_at), confidence(review_at)) {
            let (less, more) = (confidences.0.min(confidences.1), confidences.0.max(confidences.1));
            prop_assert!(recipe.grade(confidence(less)) <= recipe.grade(confidence(more)));
        }
    }
}

fn finding(class: DefectClass, confidence: f32) -> Defect {
    let bounds = PixelBox { x: 1, y: 2, width: 3, height: 4 };
    Defect { class, confidence: Confidence::new(confidence).unwrap(), bounds }
}

#[test]
fn a_board_on_which_nothing_is_found_passes() {
    let (judgement, rules) = judge([View::Compared(&[])], &Recipe::factory(1));
    assert_eq!((judgement, rules), (Judgement::Pass, vec![FiredRule::NothingFound]));
}

#[test]
fn a_board_without_any_view_is_review() {
    let (judgement, rules) = judge([], &Recipe::factory(1));
    assert_eq!((judgement, rules), (Judgement::Review, vec![FiredRule::MissingView]));
}

#[test]
fn a_certain_defect_fails_the_board_though_another_view_is_missing() {
    let found = [finding(DefectClass::Open, 0.5)];
    let (judgement, rules) = judge([View::Missing, View::Compared(&found)], &Recipe::factory(1));
    assert_eq!(judgement, Judgement::Fail);
    let defect = FiredRule::Defect { class: DefectClass::Open, count: 1 };
    assert_eq!(rules, [defect, FiredRule::MissingView]);
}

#[test]
fn a_doubtful_finding_is_review_and_a_negligible_one_is_not() {
    let recipe = Recipe::factory(1);
    let judgement = |c| judge([View::Compared(&[finding(DefectClass::Spur, c)])], &recipe).0;
    assert_eq!(judgement(0.49), Judgement::Review);
    assert_eq!(judgement(0.25), Judgement::Review);
    assert_eq!(judgement(0.24), Judgement::Pass);
}

proptest! {
    #[test]
    fn nothing_passes_with_an_unseen_view_or_a_finding_from_review_at(
        confidences in proptest::collection::vec(0.0_f32..=1.0, 0..8),
        unseen in proptest::bool::ANY,
    ) {
        let recipe = Recipe::factory(1);
        let found: Vec<_> = confidences.iter().map(|c| finding(DefectClass::Short, *c)).collect();
        let views = std::iter::once(View::Compared(&found))
            .chain(unseen.then_some(View::NotComparable(NotComparable::Unreadable)));
        let (judgement, rules) = judge(views, &recipe);
        let clean = !unseen && confidences.iter().all(|c| *c < 0.25);
        prop_assert_eq!(judgement == Judgement::Pass, clean);
        prop_assert_eq!(judgement == Judgement::Fail, confidences.iter().any(|c| *c >= 0.5));
        prop_assert!(!rules.is_empty());
    }
}
