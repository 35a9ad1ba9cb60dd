//! What becomes of one board under the rule that is tried, and of all of them.

use domain::inspection::{Artifact, Facts};
use domain::{ArtifactId, FiredRule, Judgement, ReportId};
use serde::Serialize;
use serde_json::{Value, json};

use super::{BoardPictures, JudgedBoard, Rule};

/// What becomes of a board.
pub(super) enum Verdict {
    /// It is judged again.
    Judged(JudgedAgain),
    /// It cannot be.
    NotJudgedAgain { why: String },
}

/// A judgement that was never recorded.
pub(super) struct JudgedAgain {
    pub(super) judgement: Judgement,
    pub(super) rules: Vec<FiredRule>,
    /// The pictures with the results that it follows from.
    pub(super) artifacts: Vec<(ArtifactId, Artifact)>,
    /// Whether its pictures were compared again.
    pub(super) compared_again: bool,
}

impl Verdict {
    /// Of a board under a rule: from the stored results where they suffice, and else from its pictures.
    pub(super) async fn new(board: &JudgedBoard, rule: &Rule, pictures: &BoardPictures) -> Self {
        let recipe = rule.recipe(&board.facts.recipe);
        let mut facts = board.facts.clone();
        let reason = rule.needs_pictures(&board.facts.recipe);
        if let Some(reason) = &reason {
            let model = match rule {
                Rule::Network(model) => Some(model),
                Rule::Recipe(_) => None,
            };
            match pictures.compare_again(board, recipe, model).await {
                Ok(again) => facts.artifacts = again.into_iter().collect(),
                Err(why) => {
                    let why = format!("{reason} needs its pictures compared again, and {why}");
                    return Self::NotJudgedAgain { why };
                }
            }
        }
        match facts.judge_by(recipe) {
            Some((judgement, rules)) => {
                let Facts { artifacts, .. } = facts;
                let (artifacts, compared_again) =
                    (artifacts.into_iter().collect(), reason.is_some());
                Self::Judged(JudgedAgain { judgement, rules, artifacts, compared_again })
            }
            None => Self::NotJudgedAgain { why: "a picture of it has no result".to_owned() },
        }
    }

    /// The word for what changes.
    pub(super) fn change(&self, board: &JudgedBoard) -> &'static str {
        match self {
            Self::NotJudgedAgain { .. } => "not-judged-again",
            Self::Judged(again) if again.judgement == board.judgement => "unchanged",
            Self::Judged(again) => match again.judgement {
                Judgement::Fail => "newly-fails",
                Judgement::Pass => "newly-passes",
                Judgement::Review => "newly-review",
            },
        }
    }

    /// As the output has it.
    pub(super) fn to_json(&self, board: &JudgedBoard) -> Value {
        let facts = &board.facts;
        let (new, compared_again, why) = match self {
            Self::Judged(JudgedAgain { judgement, rules, compared_again, .. }) => {
                (Some(json!({ "judgement": judgement, "rules": rules })), *compared_again, None)
            }
            Self::NotJudgedAgain { why } => (None, false, Some(why)),
        };
        json!({
            "inspection_id": facts.inspection_id,
            "report_id": ReportId::for_inspection(facts.inspection_id),
            "lot": facts.lot, "part": facts.part, "station": facts.station,
            "judged_at": board.judged_at, "position": board.position,
            "old": {
                "judgement": board.judgement, "rules": board.rules,
                "recipe_revision": facts.recipe.revision, "model": facts.model,
            },
            "new": new, "change": self.change(board),
            "compared_again": compared_again, "not_judged_again_because": why,
        })
    }
}

/// How many boards became what.
#[derive(Debug, Default, Serialize)]
pub(super) struct Totals {
    boards: u64,
    unchanged: u64,
    newly_fail: u64,
    newly_pass: u64,
    newly_review: u64,
    not_judged_again: u64,
    /// Of all of these, those whose pictures were compared again.
    compared_again: u64,
}

impl Totals {
    /// Counts a board.
    pub(super) fn count(&mut self, board: &JudgedBoard, verdict: &Verdict) {
        self.boards += 1;
        match verdict {
            Verdict::NotJudgedAgain { .. } => self.not_judged_again += 1,
            Verdict::Judged(again) => {
                self.compared_again += u64::from(again.compared_again);
                match again.judgement {
                    same if same == board.judgement => self.unchanged += 1,
                    Judgement::Fail => self.newly_fail += 1,
                    Judgement::Pass => self.newly_pass += 1,
                    Judgement::Review => self.newly_review += 1,
                }
            }
        }
    }

    /// One line of all.
    pub(super) fn to_line(&self) -> String {
        let Self {
            boards, unchanged, newly_fail, newly_pass, newly_review, not_judged_again, ..
        } = self;
        format!(
            "{boards} boards: {unchanged} unchanged, {newly_fail} newly fail, {newly_pass} newly pass, \
             {newly_review} newly go to review, {not_judged_again} not judged again"
        )
    }

    /// Says it.
    pub(super) fn print(&self) {
        outln!("{}", self.to_line());
    }
}
