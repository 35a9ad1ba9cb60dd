//! REST reads: lists with cursors, single resources with strong ETags, reports as JSON or PDF.
//!
//! Invariant: an ETag names bytes of one projection only, so that it never lies when another lags.

mod artifacts;
mod byte_range;
mod defects;
mod descriptions;
mod health;
mod inspections;
mod list;
mod parts;
mod query;
mod reports;
mod respond;

use axum::Router;
use axum::routing::get;

use crate::QueryApi;

pub(crate) fn routes() -> Router<QueryApi> {
    Router::new()
        .route("/v1/inspections", get(inspections::list_inspections))
        .route("/v1/inspections/{inspection_id}", get(inspections::get_inspection))
        .route("/v1/defects", get(defects::list_defects))
        .route("/v1/parts", get(parts::list_parts))
        .route("/v1/parts/{part}", get(parts::get_part))
        .route("/v1/parts/{part}/recipe-revisions", get(parts::list_recipe_revisions))
        .route("/v1/parts/{part}/golden-samples", get(parts::list_golden_samples))
        .route("/v1/reports", get(reports::list_reports))
        .route("/v1/reports/{report_id}", get(reports::get_report))
        .route("/v1/artifacts/{artifact_id}", get(artifacts::get_picture))
}

/// The REST reads in OpenAPI, to be merged into the platform's description.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    use utoipa::OpenApi as _;

    #[derive(utoipa::OpenApi)]
    #[openapi(paths(
        inspections::list_inspections,
        inspections::get_inspection,
        defects::list_defects,
        parts::list_parts,
        parts::get_part,
        parts::list_recipe_revisions,
        parts::list_golden_samples,
        reports::list_reports,
        reports::get_report,
        artifacts::get_picture,
        platform::health::get_liveness,
        platform::health::get_readiness,
        platform::http::problem_pages::list_problem_types,
        platform::http::problem_pages::get_problem_type
    ))]
    struct RestReads;

    RestReads::openapi()
}
