//! Every resource with its routes, and the page that describes them.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::{CommandApi, artifacts, inspections, openapi, parts, token, uploads};

/// The largest body of a request for a token, in bytes.
const FORM_MAX_BYTES: usize = 64 << 10;

/// The commands, `/docs`, `/openapi.json` and the public keys, to be merged with other routers and
/// wrapped once by `platform::http::wrap`.
pub fn router(api: CommandApi) -> Router {
    router_described_by(api, openapi())
}

/// The same, with a document that describes more than the commands.
pub fn router_described_by(api: CommandApi, document: OpenApi) -> Router {
    let commands: Router = Router::from(described_routes()).with_state(api);
    // The page must work without the network: no badge from validator.swagger.io.
    let page = Config::from("/openapi.json").validator_url("none");
    let docs = SwaggerUi::new("/docs").url("/openapi.json", document).config(page);
    commands.layer(DefaultBodyLimit::max(FORM_MAX_BYTES)).merge(docs)
}

/// Routes and their descriptions, by resource.
pub(crate) fn described_routes() -> OpenApiRouter<CommandApi> {
    OpenApiRouter::default()
        .merge(token::routes())
        .merge(parts::routes())
        .merge(inspections::routes())
        .merge(artifacts::routes())
        .merge(uploads::routes())
}
