//! Parts: register one, announce its golden sample.

mod register;
mod reserve_golden_sample;

use domain::{Part, PartNumber};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::CommandApi;

/// The commands on parts.
pub(crate) fn routes() -> OpenApiRouter<CommandApi> {
    OpenApiRouter::default()
        .routes(routes!(register::register_part))
        .routes(routes!(reserve_golden_sample::reserve_golden_sample))
}

/// A registered part.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PartBody {
    /// The part number.
    #[schema(value_type = String, example = "PCB-4711")]
    part: PartNumber,
    /// The recipe in force.
    #[schema(value_type = RecipeBody)]
    recipe: domain::Recipe,
    /// The golden sample in force, if any, by its number within the part.
    golden_sample_revision: Option<u32>,
    /// The version that `ETag` names.
    #[schema(example = 1)]
    version: u64,
}

impl PartBody {
    fn from_state(part: PartNumber, state: &Part, version: u64) -> Self {
        let golden_sample_revision = state.golden_sample().map(|golden| golden.revision);
        Self { part, recipe: state.recipe(), golden_sample_revision, version }
    }
}

/// The thresholds that a part is judged by.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes domain::Recipe, which knows no OpenAPI")]
pub(crate) struct RecipeBody {
    /// 0 for the factory recipe of an unregistered part.
    #[schema(example = 1)]
    revision: u32,
    /// Confidence from which a finding is a defect.
    #[schema(minimum = 0, maximum = 1, example = 0.5)]
    fail_at: f32,
    /// Confidence from which a finding is doubtful.
    #[schema(minimum = 0, maximum = 1, example = 0.25)]
    review_at: f32,
}
