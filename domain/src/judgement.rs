//! The machine's judgement: a pure function of the results and the recipe, with the rules that fired.
//!
//! Invariant: a board passes only when every picture was compared and nothing was found, not even
//! doubtfully. Human verification and disposition are other facts and live elsewhere.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::recipe::Grade;
use crate::vocabulary::vocabulary;
use crate::{Defect, DefectClass, Recipe};

vocabulary! {
    /// The machine's judgement of a board.
    pub enum Judgement ("judgement") {
        /// Every picture was compared and nothing was found.
        Pass = "pass",
        /// A person has to look: something is doubtful or could not be compared.
        Review = "review",
        /// At least one defect is certain enough.
        Fail = "fail",
    }
}

vocabulary! {
    /// Why a picture could not be compared with its golden sample; also the name of the rule that it
    /// fires.
    pub enum NotComparable ("reason") {
        /// The part has no golden sample.
        NoGoldenSample = "no-golden-sample",
        /// The picture's bytes do not decode.
        Unreadable = "unreadable",
        /// The picture and the golden sample differ in size.
        SizeMismatch = "size-mismatch",
        /// The picture could not be registered to the golden sample: out of place, turned, covered.
        NotRegistered = "not-registered",
        /// The picture is too blurred to be compared with its golden sample.
        OutOfFocus = "out-of-focus",
        /// The picture shows a part, and not the one of the golden sample.
        WrongPart = "wrong-part",
        /// So much differs that counting defects would mean nothing.
        TooManyDifferences = "too-many-differences",
        /// Inference failed after every attempt.
        InferenceFailed = "inference-failed",
    }
}

/// What became of one required picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum View<'a> {
    /// Compared; these are the findings.
    Compared(&'a [Defect]),
    /// Not comparable, for this reason.
    NotComparable(NotComparable),
    /// Announced, never uploaded.
    Missing,
}

/// A rule of judgement that fired, and on what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
pub enum FiredRule {
    /// Findings of a class at or above the recipe's `fail_at`.
    Defect {
        /// The class.
        class: DefectClass,
        /// How many findings.
        count: u32,
    },
    /// Findings of a class from `review_at` up to `fail_at`.
    DoubtfulFinding {
        /// The class.
        class: DefectClass,
        /// How many findings.
        count: u32,
    },
    /// A picture that could not be compared.
    NotCompared {
        /// Why.
        reason: NotComparable,
    },
    /// A picture that was announced and never came.
    MissingView,
    /// Every picture compared, nothing found.
    NothingFound,
}

impl FiredRule {
    /// What the rule says on its own.
    #[must_use]
    pub const fn judgement(&self) -> Judgement {
        match self {
            Self::Defect { .. } => Judgement::Fail,
            Self::DoubtfulFinding { .. } | Self::NotCompared { .. } | Self::MissingView => {
                Judgement::Review
            }
            Self::NothingFound => Judgement::Pass,
        }
    }
}

impl fmt::Display for FiredRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defect { class, count } => write!(f, "{count} × {class}"),
            Self::DoubtfulFinding { class, count } => write!(f, "{count} × {class}, doubtful"),
            Self::NotCompared { reason } => reason.fmt(f),
            Self::MissingView => f.write_str("missing-view"),
            Self::NothingFound => f.write_str("nothing-found"),
        }
    }
}

/// Judges a board by its required views. No view at all is a missing view.
///
/// The worst rule decides: a certain defect fails the board even when another view is missing.
#[must_use]
pub fn judge<'a>(
    views: impl IntoIterator<Item = View<'a>>,
    recipe: &Recipe,
) -> (Judgement, Vec<FiredRule>) {
    let mut defects = [0_u32; DefectClass::ALL.len()];
    let mut doubtful = [0_u32; DefectClass::ALL.len()];
    let mut unseen = Vec::new();
    let mut seen = 0_usize;
    for view in views {
        match view {
            View::Compared(findings) => {
                seen += 1;
                for finding in findings {
                    let class = finding.class as usize;
                    match recipe.grade(finding.confidence) {
                        Grade::Defect => defects[class] += 1,
                        Grade::Doubtful => doubtful[class] += 1,
                        Grade::Negligible => {}
                    }
                }
            }
            View::NotComparable(reason) => {
                push_once(&mut unseen, FiredRule::NotCompared { reason })
            }
            View::Missing => push_once(&mut unseen, FiredRule::MissingView),
        }
    }
    if seen == 0 && unseen.is_empty() {
        unseen.push(FiredRule::MissingView);
    }
    let found = |counts: [u32; 6], rule: fn(DefectClass, u32) -> FiredRule| {
        DefectClass::ALL
            .into_iter()
            .zip(counts)
            .filter(|(_, n)| *n > 0)
            .map(move |(c, n)| rule(c, n))
    };
    let mut rules: Vec<_> = found(defects, |class, count| FiredRule::Defect { class, count })
        .chain(found(doubtful, |class, count| FiredRule::DoubtfulFinding { class, count }))
        .chain(unseen)
        .collect();
    if rules.is_empty() {
        rules.push(FiredRule::NothingFound);
    }
    let worst = rules.iter().map(FiredRule::judgement).max().unwrap_or(Judgement::Review);
    (worst, rules)
}

fn push_once(rules: &mut Vec<FiredRule>, rule: FiredRule) {
    if !rules.contains(&rule) {
        rules.push(rule);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Confidence, PixelBox};

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
        let (judgement, rules) =
            judge([View::Missing, View::Compared(&found)], &Recipe::factory(1));
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
}
