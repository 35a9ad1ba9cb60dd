//! What can have happened to a model's route, and under which names it is stored.

use serde::{Deserialize, Serialize};

use crate::aggregate::stored_events;
use crate::inspection::ModelIdentity;

/// How two versions of a model compare on a fixed set of boards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The boards, in words: the same words, the same boards.
    pub set: String,
    /// The rules by which the new version is worse, by name; whoever routed accepted them.
    pub worse: Vec<String>,
    /// Boards that both judged.
    pub boards_compared: u32,
    /// Those of them that the two judge differently.
    pub boards_judged_differently: u32,
    /// Findings of both, at the same place.
    pub findings_matched: u32,
    /// Findings of the old version alone.
    pub findings_only_old: u32,
    /// Findings of the new version alone.
    pub findings_only_new: u32,
    /// Defects that the fixed set is known to have.
    pub labelled_defects: u32,
    /// Those of them that the old version finds.
    pub labelled_found_by_old: u32,
    /// Those of them that the new version finds.
    pub labelled_found_by_new: u32,
    /// Findings of the old version where no defect is known.
    pub false_calls_by_old: u32,
    /// Findings of the new version where no defect is known.
    pub false_calls_by_new: u32,
}

/// The events of a model's route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum ModelRouteEvent {
    /// New inspections are compared by another version.
    #[serde(rename = "ModelRouted")]
    ModelRouted {
        /// The version routed to before; none when it was the one the software ships with.
        from: Option<ModelIdentity>,
        /// The version.
        to: ModelIdentity,
        /// Why, in the words of whoever routed.
        reason: String,
        /// How the two compare on a fixed set of boards; none when it was not measured.
        comparison: Option<Comparison>,
    },
}

stored_events!(ModelRouteEvent { MODEL_ROUTED: ModelRouted = "ModelRouted" });
