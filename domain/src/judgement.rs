//! The machine's judgement: a pure function of the results and the part's recipe, with the rules that
//! fired.
//!
//! Invariants: a board passes only when every picture was compared, all of it, nothing was found, not even
//! doubtfully, nothing differs without an explanation, and every view that the recipe names was seen once. Human verification and disposition are other
//! facts and live elsewhere.

#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::vocabulary::vocabulary;
use crate::{
    Coverage, Defect, DefectClass, Grade, Recipe, ScaleConflict, UnexplainedDifference, ViewName,
};

vocabulary! {
    /// The machine's judgement of a board.
    pub enum Judgement ("judgement") {
        /// Every picture was compared, all of it, and nothing was found.
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
        /// The picture states another scale than the golden sample.
        ScaleMismatch = "scale-mismatch",
        /// The golden sample states its scale, and the picture none.
        ScaleUnknown = "scale-unknown",
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

impl From<ScaleConflict> for NotComparable {
    fn from(conflict: ScaleConflict) -> Self {
        match conflict {
            ScaleConflict::Mismatch { .. } => Self::ScaleMismatch,
            ScaleConflict::Unknown { .. } => Self::ScaleUnknown,
        }
    }
}

/// What became of the required pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum View<'a> {
    /// Compared.
    Compared {
        /// What was found.
        findings: &'a [Defect],
        /// What differs and is not explained by it.
        differences: &'a [UnexplainedDifference],
        /// How much of the picture was compared; a picture of which that is not known is not covered.
        coverage: Option<&'a Coverage>,
    },
    /// Not comparable, for this reason.
    NotComparable(NotComparable),
    /// Announced, never uploaded.
    Missing,
    /// The same picture as another one of the board: what it should have shown was not seen.
    Duplicate,
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
    /// Significant differences from the golden sample that no finding explains.
    UnexplainedDifference {
        /// How many, on all pictures.
        count: u32,
    },
    /// Pieces of the area to be inspected that were not compared.
    NotCovered {
        /// How many, on all pictures; a picture of which nothing is known, or of which too little was compared
        /// in pieces however small, counts as one.
        pieces: u32,
    },
    /// A picture that could not be compared.
    NotCompared {
        /// Why.
        reason: NotComparable,
    },
    /// A picture that was announced and never came, or a view of the recipe that no picture shows.
    MissingView,
    /// The same picture came twice, as two, or two pictures as one view.
    DuplicateView,
    /// A picture was announced without a name, or under one that the recipe does not have.
    UnknownView,
    /// Every picture compared, all of it, and nothing found.
    NothingFound,
}

impl FiredRule {
    /// What the rule says on its own.
    #[must_use]
    pub const fn judgement(&self) -> Judgement {
        match self {
            Self::Defect { .. } => Judgement::Fail,
            Self::DoubtfulFinding { .. }
            | Self::UnexplainedDifference { .. }
            | Self::NotCovered { .. }
            | Self::NotCompared { .. }
            | Self::MissingView
            | Self::DuplicateView
            | Self::UnknownView => Judgement::Review,
            Self::NothingFound => Judgement::Pass,
        }
    }
}

impl fmt::Display for FiredRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defect { class, count } => write!(f, "{count} × {class}"),
            Self::DoubtfulFinding { class, count } => write!(f, "{count} × {class}, doubtful"),
            Self::UnexplainedDifference { count } => write!(f, "{count} × unexplained-difference"),
            Self::NotCovered { pieces } => write!(f, "{pieces} × not-covered"),
            Self::NotCompared { reason } => reason.fmt(f),
            Self::MissingView => f.write_str("missing-view"),
            Self::DuplicateView => f.write_str("duplicate-view"),
            Self::UnknownView => f.write_str("unknown-view"),
            Self::NothingFound => f.write_str("nothing-found"),
        }
    }
}

/// Judges a board by what was seen of it: each picture with the view that it was announced as. No picture
/// at all is a missing view. When the recipe names views, every one must be seen once, and no other.
///
/// The worst rule decides: a certain defect fails the board even when another view is missing.
#[must_use]
pub fn judge<'a>(
    pictures: impl IntoIterator<Item = (Option<&'a ViewName>, View<'a>)>,
    recipe: &Recipe,
) -> (Judgement, Vec<FiredRule>) {
    let mut tally = BoardTally::default();
    pictures.into_iter().for_each(|(name, view)| tally.add_view(name, view, recipe));
    tally.check_names(&recipe.views);
    let rules = tally.into_rules();
    let worst = rules.iter().map(FiredRule::judgement).max().unwrap_or(Judgement::Review);
    (worst, rules)
}

/// What was seen on all views of a board, and what was not.
#[derive(Default)]
struct BoardTally<'a> {
    views: usize,
    names: Vec<Option<&'a ViewName>>,
    defects: [u32; DefectClass::ALL.len()],
    doubtful: [u32; DefectClass::ALL.len()],
    unexplained: u32,
    uncovered: u32,
    unseen: Vec<FiredRule>,
}

impl<'a> BoardTally<'a> {
    fn add_view(&mut self, name: Option<&'a ViewName>, view: View<'_>, recipe: &Recipe) {
        self.views += 1;
        match view {
            View::Compared { .. } | View::NotComparable(_) | View::Missing => self.names.push(name),
            // Says of two pictures that they are one; both have been counted under their names.
            View::Duplicate => {}
        }
        match view {
            View::Compared { findings, differences, coverage } => {
                self.add_findings(findings, recipe);
                let count = u32::try_from(differences.len()).unwrap_or(u32::MAX);
                self.unexplained = self.unexplained.saturating_add(count);
                self.uncovered += coverage.map_or(1, Coverage::uncovered_pieces);
            }
            View::NotComparable(reason) => self.add_unseen(FiredRule::NotCompared { reason }),
            View::Missing => self.add_unseen(FiredRule::MissingView),
            View::Duplicate => self.add_unseen(FiredRule::DuplicateView),
        }
    }

    /// Nothing is asked of names when the recipe has none.
    fn check_names(&mut self, required: &[ViewName]) {
        if required.is_empty() {
            return;
        }
        for view in required {
            match self.names.iter().filter(|name| **name == Some(view)).count() {
                0 => self.add_unseen(FiredRule::MissingView),
                1 => {}
                _ => self.add_unseen(FiredRule::DuplicateView),
            }
        }
        if self.names.iter().any(|name| name.is_none_or(|name| !required.contains(name))) {
            self.add_unseen(FiredRule::UnknownView);
        }
    }

    fn add_findings(&mut self, findings: &[Defect], recipe: &Recipe) {
        for finding in findings {
            let class = finding.class as usize;
            match recipe.grade(finding.confidence) {
                Grade::Defect => self.defects[class] += 1,
                Grade::Doubtful => self.doubtful[class] += 1,
                Grade::Negligible => {}
            }
        }
    }

    fn add_unseen(&mut self, rule: FiredRule) {
        if !self.unseen.contains(&rule) {
            self.unseen.push(rule);
        }
    }

    /// The rules that fired, in this order: what was found, what is not explained, what was not seen.
    fn into_rules(mut self) -> Vec<FiredRule> {
        if self.views == 0 {
            self.add_unseen(FiredRule::MissingView);
        }
        let mut rules = Vec::new();
        for (class, count) in DefectClass::ALL.into_iter().zip(self.defects) {
            rules.extend((count > 0).then_some(FiredRule::Defect { class, count }));
        }
        for (class, count) in DefectClass::ALL.into_iter().zip(self.doubtful) {
            rules.extend((count > 0).then_some(FiredRule::DoubtfulFinding { class, count }));
        }
        let (count, pieces) = (self.unexplained, self.uncovered);
        rules.extend((count > 0).then_some(FiredRule::UnexplainedDifference { count }));
        rules.extend((pieces > 0).then_some(FiredRule::NotCovered { pieces }));
        rules.extend(self.unseen);
        if rules.is_empty() {
            rules.push(FiredRule::NothingFound);
        }
        rules
    }
}
