//! `POST /v1/token` (RFC 6749, sections 4.3, 4.4 and 6).
//!
//! Errors here have the shape of RFC 6749, section 5.2, which OAuth clients expect. Never answered:
//! whether it was the name or the secret that was wrong.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use chrono::Utc;
use platform::http::Problem;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use utoipa::ToSchema;

use super::form::TokenForm;
use super::grant::{Granted, grant_token};
use super::refusal::{NotGranted, TokenError};
use super::requester::Requester;
use crate::CommandApi;
use crate::descriptions::TokenProblems;

/// A request for a token, as a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a form that is read by name")]
pub(crate) struct TokenRequest {
    /// `password`, or absent, for a person; `refresh_token` to go on; `client_credentials` for a station or another
    /// machine.
    #[schema(example = "password")]
    grant_type: Option<String>,
    /// The person's account.
    #[schema(example = "demo")]
    username: Option<String>,
    /// The password.
    #[schema(format = "password", example = "demo")]
    password: Option<String>,
    /// The client; it may come with its secret as `Authorization: Basic` instead.
    client_id: Option<String>,
    /// The client's secret.
    #[schema(format = "password")]
    client_secret: Option<String>,
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`, for a client that has a key.
    client_assertion_type: Option<String>,
    /// A JWT that the client has signed (RFC 7523).
    #[schema(format = "password")]
    client_assertion: Option<String>,
    /// The refresh token that came last; it is worth one use.
    #[schema(format = "password")]
    refresh_token: Option<String>,
    /// The scopes wanted, with a space between them; all that are granted, when absent.
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
    /// For a person: what the next access token is had for, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

/// Get an access token
///
/// A station, or another machine, asks with its client's id and secret, or with an assertion that it has signed
/// (`client_credentials`); a person with name and password, and then with the refresh token that came last. One that
/// is used again ends the session.
#[utoipa::path(
    post, path = "/v1/token", tag = "tokens", operation_id = "issueToken",
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    security(()),
    responses(
        (status = 200, description = "A token", body = TokenBody),
        (status = 400, description = "No token", body = TokenError),
        (status = 401, description = "The client is not who it says (`invalid_client`)", body = TokenError),
        TokenProblems,
    ),
)]
pub(super) async fn issue_token(
    State(api): State<CommandApi>,
    requester: Requester,
    request: Request,
) -> Result<Response, NotGranted> {
    requester.conclude(grant(&api, &requester, request).await)
}

async fn grant(
    api: &CommandApi,
    requester: &Requester,
    request: Request,
) -> Result<Response, NotGranted> {
    requester.count_request(api)?;
    let form = TokenForm::read(request).await?;
    let Granted { actor, grant_type, session, refresh_token } =
        grant_token(api, requester, form).await?;
    requester.identify(&actor.subject);
    let issued = api.issuer().issue_in_session(&actor, session, Utc::now());
    let token = issued.map_err(Problem::from)?;
    let scopes: Vec<_> = actor.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
    let scope = scopes.join(" ");
    requester.note_grant((&actor.subject, grant_type), &token.token_id, scopes);
    let body = TokenBody {
        access_token: token.token,
        token_type: "Bearer",
        expires_in: token.expires_in,
        scope,
        refresh_token: refresh_token.map(|token| token.expose_secret().to_owned()),
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
}
