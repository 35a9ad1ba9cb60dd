//! What one comparison is of: a picture, its golden sample, and the network to compare them by.

use domain::inspection::ModelIdentity;
use domain::part::GoldenSample;
use domain::{ArtifactId, Picture};

/// A picture to compare, with all that the comparison depends on.
pub(super) struct PictureToCompare<'a> {
    pub(super) artifact_id: ArtifactId,
    pub(super) picture: &'a Picture,
    pub(super) golden: &'a GoldenSample,
    pub(super) model: &'a SelectedModel,
}

/// The network that an inspection is compared by.
pub(super) struct SelectedModel {
    pub(super) identity: ModelIdentity,
    /// New inspections are compared by another one.
    pub(super) is_superseded: bool,
}
