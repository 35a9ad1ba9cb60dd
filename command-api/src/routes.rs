//! Every route, each beside its description.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
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
    let commands: Router = Router::from(described()).with_state(api);
    // The page must work without the network: no badge from validator.swagger.io.
    let page = Config::from("/openapi.json").validator_url("none");
    let docs = SwaggerUi::new("/docs").url("/openapi.json", document).config(page);
    commands.layer(DefaultBodyLimit::max(FORM_MAX_BYTES)).merge(docs)
}

/// Routes and their descriptions.
pub(crate) fn described() -> OpenApiRouter<CommandApi> {
    OpenApiRouter::default()
        .routes(routes!(token::issue_token))
        .routes(routes!(token::get_key_set))
        .routes(routes!(parts::register_part))
        .routes(routes!(parts::reserve_golden_sample))
        .routes(routes!(inspections::create_inspection))
        .routes(routes!(artifacts::reserve_artifact))
        .routes(routes!(uploads::upload_picture))
        .routes(routes!(artifacts::complete_artifact))
        .routes(routes!(inspections::request_inference))
        .routes(routes!(inspections::void_inspection))
}
