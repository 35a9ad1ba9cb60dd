//! `GET /docs`: every call to read and to try, by Swagger UI with a beginning of our own, complete without the network;
//! and `GET /openapi.json`, the document that it shows.
//!
//! The page is public, as its source is; what it calls needs a token.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use platform::http::Problem;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

/// Swagger UI styles its parts one by one, and draws its symbols from data. It may call this server alone.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PAGE: &str = include_str!("docs_page/index.html");
const SCRIPT: &str = include_str!("docs_page/docs.js");
/// What of Swagger UI the page loads.
const PARTS: [&str; 3] = ["swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"];

/// The page and the document.
pub(crate) fn routes(document: OpenApi) -> Router {
    let document = Arc::new(document);
    Router::new()
        .route("/openapi.json", get(async move || Json(document)))
        .route("/docs", get(async || Redirect::to("/docs/")))
        .route("/docs/", get(async || asset("text/html; charset=utf-8", PAGE)))
        .route("/docs/docs.js", get(async || asset("text/javascript; charset=utf-8", SCRIPT)))
        .route("/docs/{part}", get(serve_part))
}

async fn serve_part(Path(part): Path<String>) -> Result<Response, Problem> {
    let nothing = || Problem::not_found(format!("there is nothing at /docs/{part}"));
    let known = PARTS.iter().find(|known| **known == part).ok_or_else(nothing)?;
    let file = utoipa_swagger_ui::serve(known, Arc::new(Config::default()));
    let file = file.map_err(Problem::internal)?.ok_or_else(nothing)?;
    Ok(asset(&file.content_type, file.bytes.into_owned()))
}

fn asset(media_type: &str, content: impl IntoResponse) -> Response {
    let about = [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (about, content).into_response()
}
