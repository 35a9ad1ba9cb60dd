//! Why a command on a model's route is refused.

use crate::Rejection;

/// A refusal; its message tells a person what is in the way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelRouteRejection {
    /// The version is in force.
    #[error("version {version} with this digest is routed to already")]
    AlreadyRouted {
        /// The version.
        version: String,
    },
    /// A routing without a reason cannot be understood later.
    #[error("the reason is empty; say why the version is routed to")]
    EmptyReason,
    /// The route is another model's.
    #[error("this is the route of another model than {name}; route {name} by its own name")]
    OtherModel {
        /// The model that was asked for.
        name: String,
    },
}

impl Rejection for ModelRouteRejection {
    fn name(&self) -> &'static str {
        match self {
            Self::AlreadyRouted { .. } => "already-routed",
            Self::EmptyReason => "empty-reason",
            Self::OtherModel { .. } => "other-model",
        }
    }

    fn is_not_found(&self) -> bool {
        match self {
            Self::AlreadyRouted { .. } | Self::EmptyReason | Self::OtherModel { .. } => false,
        }
    }
}
