//! `GET /.well-known/oauth-authorization-server` (RFC 8414), and by which names this server is meant.
//!
//! Invariant: `issuer` is what tokens say in `iss`, and an address at which this is found. Where tokens name no
//! address, there are no metadata: they would be of somebody else.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use domain::KeyAlgorithm;
use platform::auth::Scope;
use platform::http::{Problem, ProblemType};
use serde::Serialize;
use utoipa::ToSchema;

use crate::CommandApi;
use crate::descriptions::MetadataProblems;

/// The token endpoint, below the address of this server.
const TOKEN_PATH: &str = "/v1/token";
/// How a client proves who it is.
const CLIENT_METHODS: [&str; 3] = ["client_secret_basic", "client_secret_post", "private_key_jwt"];

/// What an OAuth client has to know of this server (RFC 8414, section 2).
#[derive(Serialize, ToSchema)]
pub(crate) struct ServerMetadata {
    /// `iss` of every token.
    #[schema(example = "https://chipq.example")]
    issuer: String,
    token_endpoint: String,
    jwks_uri: String,
    revocation_endpoint: String,
    introspection_endpoint: String,
    service_documentation: String,
    scopes_supported: Vec<&'static str>,
    /// None: nobody is sent here by a browser.
    response_types_supported: Vec<&'static str>,
    grant_types_supported: Vec<&'static str>,
    token_endpoint_auth_methods_supported: Vec<&'static str>,
    token_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    revocation_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    introspection_endpoint_auth_methods_supported: Vec<&'static str>,
    introspection_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
}

/// What an OAuth client has to know of this server
///
/// Only where `CHIPQ_TOKEN_ISSUER` says at which address it is found.
#[utoipa::path(
    get, path = "/.well-known/oauth-authorization-server", tag = "tokens",
    operation_id = "getAuthorizationServerMetadata",
    security(()),
    responses(
        (status = 200, description = "Metadata (RFC 8414)", body = ServerMetadata),
        MetadataProblems,
    ),
)]
pub(super) async fn get_metadata(State(api): State<CommandApi>) -> Result<Response, Problem> {
    let issuer = &api.issuer().config().issuer;
    if !is_address(issuer) {
        let detail =
            "tokens of this server name no address as their issuer: set CHIPQ_TOKEN_ISSUER";
        return Err(Problem::new(ProblemType::NotFound, detail));
    }
    let headers = [(header::CACHE_CONTROL, "public, max-age=300")];
    Ok((headers, Json(describe(issuer))).into_response())
}

/// By which names a client may mean this server in what it signs: the issuer, and the token endpoint.
pub(super) fn audiences(api: &CommandApi) -> Vec<String> {
    let issuer = api.issuer().config().issuer.clone();
    let addresses = api.public_url().map(ToString::to_string).into_iter();
    let addresses = addresses.chain(Some(issuer.clone()).filter(|issuer| is_address(issuer)));
    let endpoints = addresses.map(|address| format!("{address}{TOKEN_PATH}"));
    endpoints.chain([issuer.clone()]).collect()
}

fn is_address(issuer: &str) -> bool {
    issuer.starts_with("https://") || issuer.starts_with("http://")
}

fn describe(issuer: &str) -> ServerMetadata {
    let at = |path: &str| format!("{issuer}{path}");
    let algorithms = || KeyAlgorithm::ALL.map(KeyAlgorithm::as_str).to_vec();
    let with_none = || [&CLIENT_METHODS[..], &["none"]].concat();
    ServerMetadata {
        issuer: issuer.to_owned(),
        token_endpoint: at(TOKEN_PATH),
        jwks_uri: at("/.well-known/jwks.json"),
        revocation_endpoint: at("/v1/token/revoke"),
        introspection_endpoint: at("/v1/token/introspect"),
        service_documentation: at("/docs"),
        scopes_supported: Scope::ALL.map(Scope::as_str).to_vec(),
        response_types_supported: Vec::new(),
        grant_types_supported: vec!["client_credentials", "password", "refresh_token"],
        token_endpoint_auth_methods_supported: with_none(),
        token_endpoint_auth_signing_alg_values_supported: algorithms(),
        revocation_endpoint_auth_methods_supported: with_none(),
        revocation_endpoint_auth_signing_alg_values_supported: algorithms(),
        introspection_endpoint_auth_methods_supported: CLIENT_METHODS.to_vec(),
        introspection_endpoint_auth_signing_alg_values_supported: algorithms(),
    }
}
