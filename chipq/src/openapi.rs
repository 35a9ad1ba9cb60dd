//! The platform's REST in one document: the commands, and the reads merged into them.

use utoipa::openapi::OpenApi;

/// The OpenAPI 3.1 document of commands and reads; `schemas/openapi.json` is its copy.
#[must_use]
pub fn openapi() -> OpenApi {
    let mut document = command_api::openapi();
    document.merge(query_api::openapi());
    document
}
