//! What may be asked of a model's route, and what follows.

use super::{Comparison, ModelRoute, ModelRouteEvent, ModelRouteRejection as Rejection};
use crate::inspection::ModelIdentity;
use crate::value::replace_nul;

/// The commands of a model's route.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelRouteCommand {
    /// Compare new inspections by this version.
    RouteModel {
        /// The version.
        to: ModelIdentity,
        /// Why, in the words of whoever routes.
        reason: String,
        /// How the two versions compare on a fixed set of boards; none when it was not measured.
        comparison: Option<Comparison>,
    },
}

pub(super) fn decide(
    state: &ModelRoute,
    command: ModelRouteCommand,
) -> Result<Vec<ModelRouteEvent>, Rejection> {
    match command {
        ModelRouteCommand::RouteModel { to, reason, comparison } => {
            let from = state.model();
            if from.is_some_and(|from| from.name != to.name) {
                return Err(Rejection::OtherModel { name: to.name });
            }
            if from == Some(&to) {
                return Err(Rejection::AlreadyRouted { version: to.version });
            }
            if reason.trim().is_empty() {
                return Err(Rejection::EmptyReason);
            }
            let (from, reason) = (from.cloned(), replace_nul(reason));
            Ok(vec![ModelRouteEvent::ModelRouted { from, to, reason, comparison }])
        }
    }
}
