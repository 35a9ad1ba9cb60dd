//! `POST /v1/token` (RFC 6749, sections 4.3 and 4.4).
//!
//! Errors here have the shape of RFC 6749, section 5.2, which OAuth clients expect. Never answered:
//! whether it was the name or the secret that was wrong.

use axum::Json;
use axum::extract::{Form, FromRequest as _, Request, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use chrono::Utc;
use platform::http::{
    AttemptNotes, ClientAddress, Problem, ProblemType, RequestCaller, ShownRateLimit,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::grant::{NotGranted, grant_token};
use super::refusal::TokenError;
use crate::CommandApi;
use crate::descriptions::TokenProblems;

/// A request for a token, as a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a form that is read by name")]
pub(crate) struct TokenRequest {
    /// `password`, or absent, for a person; `client_credentials` for a station or another machine.
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
}

/// Get an access token
///
/// A station, or another machine, asks with its client's id and secret (`client_credentials`), a person with
/// name and password.
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
    client: ClientAddress,
    notes: AttemptNotes,
    shown: ShownRateLimit,
    caller: RequestCaller,
    request: Request,
) -> Result<Response, Problem> {
    api.token_rate().count_request(&client.network(), &shown)?;
    let authorization = request.headers().get(header::AUTHORIZATION).cloned();
    let form = Form::from_request(request, &()).await;
    match grant_token(&api, (client, &notes), authorization.as_ref(), form).await {
        Ok((actor, grant_type)) => {
            caller.identify(&actor.subject);
            let token = api.issuer().issue(&actor, Utc::now())?;
            let scopes: Vec<_> =
                actor.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
            notes.grant((&actor.subject, grant_type), &token.token_id, scopes.clone());
            let body = TokenBody {
                access_token: token.token,
                token_type: "Bearer",
                expires_in: token.expires_in,
                scope: scopes.join(" "),
            };
            Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
        }
        Err(NotGranted::Refused(refusal)) => {
            notes.refuse(refusal.code());
            Ok(refusal.into_response())
        }
        Err(NotGranted::Problem(problem)) => Err(*problem),
        Err(NotGranted::LockedOut(locked_out)) => {
            notes.refuse("locked-out");
            let problem = Problem::new(ProblemType::TooManyRequests, locked_out.to_string());
            Err(problem.with_retry_after(locked_out.retry_after_s()))
        }
    }
}
