//! The route of a model: which of its versions new inspections are compared by.
//!
//! Invariants: a route never leads to another model than it began with; every routing has a reason and
//! names what it replaced. What an inspection is compared by once it began is its own to keep.

mod command;
mod event;
mod rejection;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use command::ModelRouteCommand;
pub use event::{Comparison, ModelRouteEvent};
pub use rejection::ModelRouteRejection;

use crate::inspection::ModelIdentity;
use crate::{Aggregate, StoredEvent};

/// The state of a model's route; the stream's id is the model's name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModelRoute {
    /// Nobody routed: the version that the software ships with is in force.
    #[default]
    Unrouted,
    /// Somebody did: this version is in force.
    Routed(ModelIdentity),
}

impl ModelRoute {
    /// The version in force; `None` means the one that the software ships with.
    #[must_use]
    pub const fn model(&self) -> Option<&ModelIdentity> {
        match self {
            Self::Unrouted => None,
            Self::Routed(model) => Some(model),
        }
    }
}

impl Aggregate for ModelRoute {
    const TYPE: &'static str = "model-route";
    const EVENTS: &'static [StoredEvent] = ModelRouteEvent::STORED;
    type Command = ModelRouteCommand;
    type Event = ModelRouteEvent;
    type Rejection = ModelRouteRejection;

    fn decide(
        &self,
        command: ModelRouteCommand,
    ) -> Result<Vec<ModelRouteEvent>, ModelRouteRejection> {
        command::decide(self, command)
    }

    fn evolve(&mut self, event: &ModelRouteEvent) {
        match event {
            ModelRouteEvent::ModelRouted { to, .. } => *self = Self::Routed(to.clone()),
        }
    }
}
