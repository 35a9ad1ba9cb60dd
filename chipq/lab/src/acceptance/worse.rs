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
