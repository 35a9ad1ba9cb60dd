//! `POST /v1/token` (RFC 6749, section 4.3).
//!
//! Errors here have the shape of RFC 6749, section 5.2, which OAuth clients expect. Never answered:
//! whether it was the name or the password that was wrong.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use chrono::Utc;
use platform::auth::{Actor, Scope};
use platform::http::{Problem, RequestCaller, ShownRateLimit};
use serde::Serialize;
use utoipa::ToSchema;

use super::peer_address::PeerAddress;
use crate::CommandApi;
use crate::descriptions::TokenProblems;

/// A request for a token, as a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a form that is read by name")]
pub(crate) struct TokenRequest {
    /// `password`, or absent.
    #[schema(example = "password")]
    grant_type: Option<String>,
    /// The user.
    #[schema(example = "demo")]
    username: String,
    /// The password.
    #[schema(format = "password", example = "demo")]
    password: String,
    /// The scopes wanted, with a space between them; all that the user has, when absent.
    #[schema(example = "inspections:read inspections:write")]
    scope: Option<String>,
}

/// An access token.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenBody {
    /// A JWT; send it as `Authorization: Bearer`.
    access_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds until it expires.
    #[schema(example = 900)]
    expires_in: u64,
    /// The scopes it grants, with a space between them.
    #[schema(example = "inspections:read inspections:write")]
    scope: String,
}

/// Why there is no token (RFC 6749, section 5.2).
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenError {
    /// `invalid_request`, `invalid_grant`, `invalid_scope` or `unsupported_grant_type`.
    #[schema(example = "invalid_grant")]
    error: &'static str,
    /// What to do about it.
    #[schema(example = "user name or password is wrong")]
    error_description: String,
}

/// Get an access token
///
/// For development users, with user name and password. In production tokens come from the identity
/// provider.
#[utoipa::path(
    post, path = "/v1/token", tag = "tokens", operation_id = "issueToken",
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    security(()),
    responses(
        (status = 200, description = "A token", body = TokenBody),
        (status = 400, description = "No token", body = TokenError),
        TokenProblems,
    ),
)]
pub(super) async fn issue_token(
    State(api): State<CommandApi>,
    PeerAddress(peer): PeerAddress,
    shown: ShownRateLimit,
    caller: RequestCaller,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Result<Response, Problem> {
    api.peer_rate().count_request(&peer, &shown)?;
    match grant_token(&api, form) {
        Ok(actor) => {
            caller.identify(&actor.subject);
            let token = api.issuer().issue(&actor, Utc::now())?;
            let scopes: Vec<_> = actor.scopes.iter().map(|scope| scope.as_str()).collect();
            let body = TokenBody {
                access_token: token.token,
                token_type: "Bearer",
                expires_in: token.expires_in,
                scope: scopes.join(" "),
            };
            Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
        }
        Err(refused) => {
            let headers = [(header::CACHE_CONTROL, "no-store")];
            Ok((StatusCode::BAD_REQUEST, headers, Json(refused)).into_response())
        }
    }
}

fn grant_token(
    api: &CommandApi,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Result<Actor, TokenError> {
    let Form(pairs) = form.map_err(|error| token_error("invalid_request", error.body_text()))?;
    let count = pairs.len();
    let mut form: BTreeMap<String, String> = pairs.into_iter().collect();
    if form.len() < count {
        return Err(token_error("invalid_request", "a parameter stands there twice"));
    }
    match form.get("grant_type").map_or("password", String::as_str) {
        "password" => {}
        _ => {
            return Err(token_error(
                "unsupported_grant_type",
                "only the grant type password is known",
            ));
        }
    }
    let (Some(name), Some(password)) = (form.remove("username"), form.remove("password")) else {
        return Err(token_error("invalid_request", "send username and password"));
    };
    let actor = api.users().authenticate(&name, &password);
    let actor =
        actor.ok_or_else(|| token_error("invalid_grant", "user name or password is wrong"))?;
    match form.get("scope") {
        Some(wanted) => narrow_scopes(actor, wanted),
        None => Ok(actor),
    }
}

/// The actor with the scopes that it wants, all of which it must have.
fn narrow_scopes(mut actor: Actor, wanted: &str) -> Result<Actor, TokenError> {
    let wanted = wanted.split_whitespace().map(|name| {
        let granted = name.parse::<Scope>().ok().filter(|scope| actor.allows(*scope));
        granted
            .ok_or_else(|| token_error("invalid_scope", "a scope is unknown or not granted to you"))
    });
    actor.scopes = wanted.collect::<Result<_, _>>()?;
    Ok(actor)
}

fn token_error(error: &'static str, description: impl Into<String>) -> TokenError {
    TokenError { error, error_description: description.into() }
}
