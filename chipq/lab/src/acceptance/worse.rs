//! The rule for "worse": in which ways a new model must not be routed to without a second look.
//!
//! Invariant: a comparison that could not have shown that the new model is worse is itself a way of being
//! worse, so that nothing passes for want of evidence. The thresholds stand in `docs/models.md`.

use std::fmt;

use domain::Judgement;
use serde::Serialize;

use super::{Acceptance, ChangedJudgement};

/// Per cent of a set's boards that have to be comparable with their golden samples.
const COMPARED_PER_CENT_MIN: usize = 90;
/// The new model may send a person to one place more where nothing is labelled for so many crops.
const CROPS_PER_DOUBT_MORE: usize = 100;

/// A way in which the new model is worse than the one in use, or in which that is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
pub enum WorseWay {
    /// Too few boards of the set were compared, or none with a labelled defect: it shows nothing.
    SetShowsNothing {
        /// Boards that were compared.
        compared: usize,
        /// Boards of the set.
        boards: usize,
        /// Labelled defects on those that were compared.
        labels: usize,
    },
    /// Boards with labelled defects that it passes, and the model in use does not.
    DefectiveBoardsPass {
        /// Their ids.
        boards: Vec<String>,
    },
    /// Boards without a labelled defect that it does not pass, and the model in use does.
    CleanBoardsDoNotPass {
        /// Their ids.
        boards: Vec<String>,
    },
    /// It finds fewer of the labelled defects.
    FewerDefectsFound {
        /// By the model in use.
        old: usize,
        /// By the new model.
        new: usize,
    },
    /// It names fewer of the labelled defects rightly, and more of those that it finds wrongly.
    FewerRightlyNamed {
        /// By the model in use.
        old: usize,
        /// By the new model.
        new: usize,
    },
    /// It calls more defects where none is labelled.
    MoreFalseCalls {
        /// By the model in use.
        old: usize,
        /// By the new model.
        new: usize,
    },
    /// It sends a person to more places where nothing is labelled.
    MoreDoubts {
        /// By the model in use.
        old: usize,
        /// By the new model.
        new: usize,
    },
}

impl WorseWay {
    /// The rule's name, as the event of a routing keeps it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SetShowsNothing { .. } => "set-shows-nothing",
            Self::DefectiveBoardsPass { .. } => "defective-boards-pass",
            Self::CleanBoardsDoNotPass { .. } => "clean-boards-do-not-pass",
            Self::FewerDefectsFound { .. } => "fewer-defects-found",
            Self::FewerRightlyNamed { .. } => "fewer-rightly-named",
            Self::MoreFalseCalls { .. } => "more-false-calls",
            Self::MoreDoubts { .. } => "more-doubts",
        }
    }
}

impl fmt::Display for WorseWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name())?;
        match self {
            Self::SetShowsNothing { compared, boards, labels } => write!(
                f,
                "{compared} of {boards} boards compared, with {labels} labelled defects; \
                 {COMPARED_PER_CENT_MIN} per cent and one are needed"
            ),
            Self::DefectiveBoardsPass { boards } | Self::CleanBoardsDoNotPass { boards } => {
                f.write_str(&boards.join(", "))
            }
            Self::FewerDefectsFound { old, new }
            | Self::FewerRightlyNamed { old, new }
            | Self::MoreFalseCalls { old, new }
            | Self::MoreDoubts { old, new } => write!(f, "{new} instead of {old}"),
        }
    }
}

impl Acceptance {
    /// In which ways the new model is worse; none when it may be routed to without a second look.
    #[must_use]
    pub fn worse_ways(&self) -> Vec<WorseWay> {
        let mut worse = Vec::new();
        let (compared, boards) = (self.boards - self.not_comparable, self.boards);
        if compared * 100 < boards * COMPARED_PER_CENT_MIN || self.labels_compared == 0 {
            let labels = self.labels_compared;
            worse.push(WorseWay::SetShowsNothing { compared, boards, labels });
        }
        let escapes = self.changed_ids(|board| board.labels > 0 && board.new == Judgement::Pass);
        if !escapes.is_empty() {
            worse.push(WorseWay::DefectiveBoardsPass { boards: escapes });
        }
        let held_up = self.changed_ids(|board| board.labels == 0 && board.old == Judgement::Pass);
        if !held_up.is_empty() {
            worse.push(WorseWay::CleanBoardsDoNotPass { boards: held_up });
        }
        let (old, new) = (&self.old.found, &self.new.found);
        if new.found < old.found {
            worse.push(WorseWay::FewerDefectsFound { old: old.found, new: new.found });
        }
        // What is not found is not named, and is counted above already.
        if new.named < old.named && new.found - new.named > old.found - old.named {
            worse.push(WorseWay::FewerRightlyNamed { old: old.named, new: new.named });
        }
        if new.false_calls > old.false_calls {
            let (old, new) = (old.false_calls, new.false_calls);
            worse.push(WorseWay::MoreFalseCalls { old, new });
        }
        if new.doubts > old.doubts + self.crops / CROPS_PER_DOUBT_MORE {
            worse.push(WorseWay::MoreDoubts { old: old.doubts, new: new.doubts });
        }
        worse
    }

    fn changed_ids(&self, is_counted: impl Fn(&ChangedJudgement) -> bool) -> Vec<String> {
        let counted = self.changed.iter().filter(|changed| is_counted(changed));
        counted.map(|changed| changed.board.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use domain::Sha256;
    use domain::inspection::ModelIdentity;

    use super::super::{FindingMatches, LabelTally, ModelResult};
    use super::*;

    fn result(found: LabelTally) -> ModelResult {
        let sha256 = Sha256::digest_of(b"network");
        let model = ModelIdentity { name: "golden-compare".into(), version: "1".into(), sha256 };
        ModelResult { model, found, ms_per_crop: 1.0 }
    }

    /// Ten boards with ten labels, on which both models do equally well.
    fn alike() -> Acceptance {
        let found = LabelTally { found: 9, named: 8, false_calls: 2, doubts: 3 };
        Acceptance {
            set: "ten boards".into(),
            boards: 10,
            not_comparable: 0,
            crops: 200,
            labels: 10,
            labels_compared: 10,
            changed: Vec::new(),
            matches: FindingMatches::default(),
            old: result(found),
            new: result(found),
        }
    }

    fn changed(labels: usize, old: Judgement, new: Judgement) -> ChangedJudgement {
        ChangedJudgement { board: "board-7".into(), labels, old, new }
    }

    /// The names of the rules that `change` breaks.
    fn broken_by(change: impl FnOnce(&mut Acceptance)) -> Vec<&'static str> {
        let mut acceptance = alike();
        change(&mut acceptance);
        acceptance.worse_ways().iter().map(WorseWay::name).collect()
    }

    #[test]
    fn two_models_that_are_alike_break_no_rule() {
        assert_eq!(broken_by(|_| ()), [""; 0]);
    }

    #[test]
    fn a_set_shows_something_when_nine_in_ten_boards_and_a_label_are_compared() {
        assert_eq!(broken_by(|a| a.not_comparable = 1), [""; 0]);
        assert_eq!(broken_by(|a| a.not_comparable = 2), ["set-shows-nothing"]);
        assert_eq!(broken_by(|a| a.labels_compared = 1), [""; 0]);
        assert_eq!(broken_by(|a| a.labels_compared = 0), ["set-shows-nothing"]);
    }

    #[test]
    fn a_flawed_board_that_passes_is_worse_whatever_it_was_before() {
        for old in [Judgement::Fail, Judgement::Review] {
            let escape = changed(2, old, Judgement::Pass);
            assert_eq!(broken_by(|a| a.changed.push(escape)), ["defective-boards-pass"]);
        }
        let doubted = changed(2, Judgement::Fail, Judgement::Review);
        assert_eq!(broken_by(|a| a.changed.push(doubted)), [""; 0]);
        let without_flaw = changed(0, Judgement::Fail, Judgement::Pass);
        assert_eq!(broken_by(|a| a.changed.push(without_flaw)), [""; 0]);
    }

    #[test]
    fn a_clean_board_that_passes_no_more_is_worse() {
        for new in [Judgement::Fail, Judgement::Review] {
            let held_up = changed(0, Judgement::Pass, new);
            assert_eq!(broken_by(|a| a.changed.push(held_up)), ["clean-boards-do-not-pass"]);
        }
        let held_up_before = changed(0, Judgement::Review, Judgement::Fail);
        assert_eq!(broken_by(|a| a.changed.push(held_up_before)), [""; 0]);
    }

    #[test]
    fn counts_are_worse_by_one_and_doubts_by_one_in_a_hundred_crops() {
        assert_eq!(broken_by(|a| a.new.found.found = 8), ["fewer-defects-found"]);
        assert_eq!(broken_by(|a| a.new.found.named = 7), ["fewer-rightly-named"]);
        // What is not found is not named: that is one fault, not two.
        let one_less = LabelTally { found: 8, named: 7, ..alike().new.found };
        assert_eq!(broken_by(|a| a.new.found = one_less), ["fewer-defects-found"]);
        assert_eq!(broken_by(|a| a.new.found.false_calls = 3), ["more-false-calls"]);
        assert_eq!(broken_by(|a| a.new.found.doubts = 5), [""; 0]);
        assert_eq!(broken_by(|a| a.new.found.doubts = 6), ["more-doubts"]);
    }
}
