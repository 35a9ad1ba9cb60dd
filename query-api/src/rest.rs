//! REST reads: lists with cursors, single resources with strong ETags, reports as JSON or PDF.
//!
//! Invariant: an ETag names bytes of one projection only, so that it never lies when another lags.

mod accept;
mod artifacts;
mod health;
mod inspections;
mod parts;
mod query;
mod reports;
mod respond;

use axum::Router;
use axum::routing::get;

use crate::QueryApi;

pub(crate) fn routes() -> Router<QueryApi> {
    Router::new()
        .route("/v1/inspections", get(inspections::list))
        .route("/v1/inspections/{inspection_id}", get(inspections::get))
        .route("/v1/parts", get(parts::list))
        .route("/v1/parts/{part}", get(parts::get))
        .route("/v1/reports", get(reports::list))
        .route("/v1/reports/{report_id}", get(reports::get))
        .route("/v1/artifacts/{artifact_id}", get(artifacts::get))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
}

/// The REST reads in OpenAPI, to be merged into the platform's description.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    use utoipa::OpenApi as _;

    #[derive(utoipa::OpenApi)]
    #[openapi(paths(
        inspections::list,
        inspections::get,
        parts::list,
        parts::get,
        reports::list,
        reports::get,
        artifacts::get,
        health::alive,
        health::ready
    ))]
    struct Reads;

    Reads::openapi()
}
