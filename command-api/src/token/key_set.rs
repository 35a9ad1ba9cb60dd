//! `GET /.well-known/jwks.json`: the public keys (RFC 7517).

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use crate::CommandApi;

/// The keys that tokens are checked with
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "tokens", operation_id = "getKeySet",
    security(()),
    responses((status = 200, description = "A JWK Set (RFC 7517)", body = serde_json::Value)),
)]
pub(super) async fn get_key_set(State(api): State<CommandApi>) -> Response {
    let headers = [(header::CACHE_CONTROL, "public, max-age=30")];
    (headers, Json(api.issuer().jwks())).into_response()
}
