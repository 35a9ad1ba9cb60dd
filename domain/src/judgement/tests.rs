//! What a board is judged by what was seen of it.

use proptest::prelude::*;

use super::*;
use crate::test_support::{all_but_a_strip, difference, view};
use crate::{Confidence, DifferenceKind, PixelBox};

fn finding(class: DefectClass, confidence: f32) -> Defect {
    let bounds = PixelBox { x: 1, y: 2, width: 3, height: 4 };
    Defect { class, confidence: Confidence::new(confidence).unwrap(), bounds }
}

static WHOLE: Coverage = Coverage::complete(100);

/// A picture that was compared, all of it, and on which nothing is unexplained.
fn compared(findings: &[Defect]) -> View<'_> {
    View::Compared { findings, differences: &[], coverage: Some(&WHOLE) }
}

/// Pictures that were announced without a name.
fn unnamed<'a>(
    views: impl IntoIterator<Item = View<'a>>,
) -> impl Iterator<Item = (Option<&'a ViewName>, View<'a>)> {
    views.into_iter().map(|view| (None, view))
}

fn judge_one(view: View<'_>) -> (Judgement, Vec<FiredRule>) {
    judge([(None, view)], &Recipe::factory(1))
}

#[test]
fn a_board_on_which_nothing_is_found_passes() {
    assert_eq!(judge_one(compared(&[])), (Judgement::Pass, vec![FiredRule::NothingFound]));
}

#[test]
fn a_board_without_any_view_is_review() {
    let (judgement, rules) = judge([], &Recipe::factory(1));
    assert_eq!((judgement, rules), (Judgement::Review, vec![FiredRule::MissingView]));
}

#[test]
fn a_certain_defect_fails_the_board_though_another_view_is_missing() {
    let found = [finding(DefectClass::Open, 0.5)];
    let (judgement, rules) = judge(unnamed([View::Missing, compared(&found)]), &Recipe::factory(1));
    assert_eq!(judgement, Judgement::Fail);
    let defect = FiredRule::Defect { class: DefectClass::Open, count: 1 };
    assert_eq!(rules, [defect, FiredRule::MissingView]);
}

#[test]
fn a_doubtful_finding_is_review_and_a_negligible_one_is_not() {
    let judgement = |c| judge_one(compared(&[finding(DefectClass::Spur, c)])).0;
    assert_eq!(judgement(0.49), Judgement::Review);
    assert_eq!(judgement(0.25), Judgement::Review);
    assert_eq!(judgement(0.24), Judgement::Pass);
}

#[test]
fn an_unexplained_difference_is_review_and_counted_over_all_views() {
    let differences = [difference(DifferenceKind::Joined, 1.0); 2];
    let view = View::Compared { findings: &[], differences: &differences, coverage: Some(&WHOLE) };
    let (judgement, rules) = judge(unnamed([view, compared(&[]), view]), &Recipe::factory(1));
    assert_eq!(judgement, Judgement::Review);
    assert_eq!(rules, [FiredRule::UnexplainedDifference { count: 4 }]);
    assert_eq!(rules[0].to_string(), "4 × unexplained-difference");
}

#[test]
fn what_was_not_compared_is_review_also_when_nobody_knows_how_much_that_is() {
    let strip = all_but_a_strip();
    let seen = |coverage| View::Compared { findings: &[], differences: &[], coverage };
    let views = [seen(Some(&strip)), seen(None), seen(Some(&WHOLE))];
    let (judgement, rules) = judge(unnamed(views), &Recipe::factory(1));
    assert_eq!(judgement, Judgement::Review);
    assert_eq!(rules, [FiredRule::NotCovered { pieces: 2 }]);
    assert_eq!(rules[0].to_string(), "2 × not-covered");
}

#[test]
fn the_same_picture_twice_is_review_and_named_once() {
    let views = [compared(&[]), compared(&[]), View::Duplicate, View::Duplicate];
    let (judgement, rules) = judge(unnamed(views), &Recipe::factory(1));
    assert_eq!((judgement, rules), (Judgement::Review, vec![FiredRule::DuplicateView]));
}

#[test]
fn a_certain_defect_fails_the_board_whatever_is_unexplained_or_not_covered() {
    let (found, strip) = ([finding(DefectClass::Short, 0.9)], all_but_a_strip());
    let differences = [difference(DifferenceKind::Appearance, 3.0)];
    let (judgement, rules) = judge_one(View::Compared {
        findings: &found,
        differences: &differences,
        coverage: Some(&strip),
    });
    assert_eq!(judgement, Judgement::Fail);
    let defect = FiredRule::Defect { class: DefectClass::Short, count: 1 };
    let unexplained = FiredRule::UnexplainedDifference { count: 1 };
    assert_eq!(rules, [defect, unexplained, FiredRule::NotCovered { pieces: 1 }]);
}

/// What a picture may be: compared, with anything; not comparable; missing; a duplicate.
#[derive(Debug, Clone)]
enum Seen {
    Compared(Vec<Defect>, Vec<UnexplainedDifference>, Option<Coverage>),
    Not(View<'static>),
}

impl Seen {
    fn view(&self) -> View<'_> {
        match self {
            Self::Compared(findings, differences, coverage) => {
                View::Compared { findings, differences, coverage: coverage.as_ref() }
            }
            Self::Not(view) => *view,
        }
    }

    /// Compared, all of it, nothing found, nothing unexplained.
    fn is_flawless(&self) -> bool {
        matches!(self, Self::Compared(findings, differences, Some(coverage))
            if findings.iter().all(|finding| finding.confidence.get() < 0.25)
                && differences.is_empty()
                && coverage.uncovered().is_empty()
                && coverage.compared_share() >= 0.95)
    }

    fn has_defect(&self) -> bool {
        matches!(self, Self::Compared(findings, ..)
            if findings.iter().any(|finding| finding.confidence.get() >= 0.5))
    }
}

fn seen() -> impl Strategy<Value = Seen> {
    let findings = proptest::collection::vec(0.0_f32..=1.0, 0..3).prop_map(|confidences| {
        confidences.into_iter().map(|c| finding(DefectClass::Short, c)).collect()
    });
    let differences = prop_oneof![
        3 => Just(vec![]),
        1 => Just(vec![difference(DifferenceKind::Parted, 1.0)]),
    ];
    let coverage = prop_oneof![
        6 => Just(Some(WHOLE.clone())),
        // A rim too thin to hide a flaw, and so many thin ones that hardly anything is left.
        1 => Just(Some(Coverage::new(100, 97, vec![]).unwrap())),
        1 => (0..=1_000_u64).prop_map(|seen| Some(Coverage::new(1_000, seen, vec![]).unwrap())),
        1 => Just(Some(all_but_a_strip())),
        1 => Just(Some(Coverage::complete(0))),
        1 => Just(None),
    ];
    let compared = (findings, differences, coverage).prop_map(|(f, d, c)| Seen::Compared(f, d, c));
    let not = proptest::sample::select(vec![
        View::NotComparable(NotComparable::Unreadable),
        View::Missing,
        View::Duplicate,
    ]);
    prop_oneof![6 => compared, 1 => not.prop_map(Seen::Not)]
}

proptest! {
    #[test]
    fn nothing_passes_with_an_uncovered_piece_an_unexplained_difference_a_finding_or_an_unseen_view(
        board in proptest::collection::vec(seen(), 0..4),
    ) {
        let (judgement, rules) = judge(unnamed(board.iter().map(Seen::view)), &Recipe::factory(1));
        let clean = !board.is_empty() && board.iter().all(Seen::is_flawless);
        prop_assert_eq!(judgement == Judgement::Pass, clean);
        prop_assert_eq!(judgement == Judgement::Fail, board.iter().any(Seen::has_defect));
        prop_assert_eq!(rules == [FiredRule::NothingFound], clean);
        prop_assert!(!rules.is_empty());
    }
}

/// Some of three names, and none.
fn name() -> impl Strategy<Value = Option<ViewName>> {
    proptest::option::weighted(0.8, proptest::sample::select(&["top", "bottom", "side"][..]))
        .prop_map(|name| name.map(view))
}

proptest! {
    #[test]
    fn no_set_of_views_passes_unless_each_named_view_was_compared_exactly_once_and_no_other(
        board in proptest::collection::vec((name(), seen()), 0..4),
        required in proptest::sample::subsequence(vec!["top", "bottom"], 1..=2),
    ) {
        let required: Vec<_> = required.into_iter().map(view).collect();
        let recipe = Recipe::factory(1).with_views(required.clone()).unwrap();
        let (judgement, rules) =
            judge(board.iter().map(|(name, seen)| (name.as_ref(), seen.view())), &recipe);
        let mut names: Vec<_> = board.iter().map(|(name, _)| name.as_ref()).collect();
        let mut once: Vec<_> = required.iter().map(Some).collect();
        names.sort();
        once.sort();
        let clean = names == once && board.iter().all(|(_, seen)| seen.is_flawless());
        prop_assert_eq!(judgement == Judgement::Pass, clean, "{:?}", rules);
        prop_assert_eq!(rules == [FiredRule::NothingFound], clean);
        let has_defect = board.iter().any(|(_, seen)| seen.has_defect());
        prop_assert_eq!(judgement == Judgement::Fail, has_defect);
    }

    #[test]
    fn names_change_nothing_where_the_recipe_has_none(
        board in proptest::collection::vec((name(), seen()), 0..4),
    ) {
        let recipe = Recipe::factory(1);
        let named = judge(board.iter().map(|(name, seen)| (name.as_ref(), seen.view())), &recipe);
        prop_assert_eq!(named, judge(unnamed(board.iter().map(|(_, seen)| seen.view())), &recipe));
    }
}
