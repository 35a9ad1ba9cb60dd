//! `POST /v1/token/revoke` (RFC 7009).
//!
//! Invariant: nobody learns here whether a token is one. What a client was given, only that client takes back; what
//! a person was given, whoever has it, since there is nothing else that it is proved with.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use chrono::Utc;
use domain::{PrincipalKind, PrincipalName};
use platform::auth::{Actor, AuthError, VerifiedToken};
use platform::http::Problem;
use secrecy::SecretString;
use utoipa::ToSchema;

use super::client::authenticate_client;
use super::form::TokenForm;
use super::refusal::{NotGranted, TokenError, TokenRefusal, from_session_error};
use super::requester::Requester;
use crate::CommandApi;
use crate::descriptions::TokenProblems;

/// A token that is to be worth nothing any more, as a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a form that is read by name")]
pub(crate) struct RevocationRequest {
    /// An access token or a refresh token.
    token: String,
    /// `access_token` or `refresh_token`; what it is, is seen without it.
    token_type_hint: Option<String>,
    /// The client that an access token was given to; it may come with its secret as `Authorization: Basic` instead.
    client_id: Option<String>,
    /// The client's secret.
    #[schema(format = "password")]
    client_secret: Option<String>,
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`, for a client that has a key.
    client_assertion_type: Option<String>,
    /// A JWT that the client has signed (RFC 7523).
    #[schema(format = "password")]
    client_assertion: Option<String>,
}

/// Take a token back
///
/// A person's refresh token, or access token, ends the session that it belongs to: that is signing out. A client takes
/// back an access token of its own, and proves who it is. The answer is the same for a token that nobody knows.
#[utoipa::path(
    post, path = "/v1/token/revoke", tag = "tokens", operation_id = "revokeToken",
    request_body(content = RevocationRequest, content_type = "application/x-www-form-urlencoded"),
    security(()),
    responses(
        (status = 200, description = "It is worth nothing, in every process within seconds"),
        (status = 400, description = "Nothing was done", body = TokenError),
        (status = 401, description = "The client is not who it says (`invalid_client`)", body = TokenError),
        TokenProblems,
    ),
)]
pub(super) async fn revoke_token(
    State(api): State<CommandApi>,
    requester: Requester,
    request: Request,
) -> Result<Response, NotGranted> {
    requester.conclude(revoke_for(&api, &requester, request).await)
}

async fn revoke_for(
    api: &CommandApi,
    requester: &Requester,
    request: Request,
) -> Result<Response, NotGranted> {
    requester.count_request(api)?;
    let mut form = TokenForm::read(request).await?;
    let token = form.require("token")?;
    let client = authenticate_client(api, requester, &mut form).await?;
    if let Some(client) = &client {
        requester.identify(&client.subject);
    }
    revoke(api, token, client.as_ref()).await?;
    Ok((StatusCode::OK, [(header::CACHE_CONTROL, "no-store")]).into_response())
}

async fn revoke(api: &CommandApi, token: String, client: Option<&Actor>) -> Result<(), NotGranted> {
    let (config, now) = (api.issuer().config(), Utc::now());
    let verified = match api.verifier().inspect(&token, now) {
        Ok(verified) => verified,
        Err(error @ AuthError::AccessUnknown) => return Err(Problem::from(error).into()),
        Err(_) => {
            let token = SecretString::from(token);
            let revoked = api.sessions().revoke_refresh_token(&token, config, now).await;
            return revoked.map_err(from_session_error);
        }
    };
    check_owner(api, &verified, client)?;
    let revoked = api.sessions().revoke_access_token(&verified, config, now).await;
    revoked.map_err(from_session_error)
}

/// Whether this token may be taken back by whoever asks.
fn check_owner(
    api: &CommandApi,
    token: &VerifiedToken,
    client: Option<&Actor>,
) -> Result<(), NotGranted> {
    let owner = &token.actor.subject;
    let principal = match owner.parse::<PrincipalName>() {
        Ok(name) => {
            api.register().find(&name).map_err(|_| Problem::from(AuthError::AccessUnknown))?
        }
        Err(_) => None,
    };
    match (principal.map(|principal| principal.kind), client) {
        (Some(PrincipalKind::Account), _) => Ok(()),
        (Some(PrincipalKind::Client), Some(client)) if client.subject == *owner => Ok(()),
        (Some(PrincipalKind::Client), Some(_)) => {
            Err(TokenError::new("invalid_grant", "the token was given to another client").into())
        }
        (Some(PrincipalKind::Client), None) => {
            let say = "the token was given to a client: send its client_id and client_secret";
            Err(NotGranted::Refused(TokenRefusal::of_client(say, false)))
        }
        (None, _) => {
            let demo = "a token of the demonstration's account is good until it expires";
            Err(TokenError::new("unsupported_token_type", demo).into())
        }
    }
}
