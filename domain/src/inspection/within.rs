//! Who may give an inspection commands: whoever is let in where it is.

use super::{Inspection, InspectionCommand};
use crate::Reach;

/// Whether the inspection, or the one that is to be created, is within `reach`.
pub(super) fn is_within(state: &Inspection, reach: &Reach, command: &InspectionCommand) -> bool {
    match (state.facts(), command) {
        (Some(facts), _) => reach.covers(&facts.station, &facts.part),
        (None, InspectionCommand::CreateInspection { station, part, .. }) => {
            reach.covers(station, part)
        }
        // There is nothing to keep anybody from.
        (None, _) => true,
    }
}
