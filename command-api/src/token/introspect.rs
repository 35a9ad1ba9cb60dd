//! `POST /v1/token/introspect` (RFC 7662): for services of the company that are shown our tokens.
//!
//! Invariant: of a token that is not believed, for whatever reason, nothing is said but that.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use chrono::Utc;
use domain::{PrincipalKind, PrincipalName};
use platform::auth::{Actor, AuthError, Scope, VerifiedToken};
use platform::http::Problem;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::client::authenticate_client;
use super::form::TokenForm;
use super::refusal::{NotGranted, TokenError, TokenRefusal};
use super::requester::Requester;
use crate::CommandApi;
use crate::descriptions::TokenProblems;

/// A token that is asked about, as a form.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a form that is read by name")]
pub(crate) struct IntrospectionRequest {
    /// An access token that somebody has shown.
    token: String,
    /// `access_token`; nothing else is asked about here.
    token_type_hint: Option<String>,
}

/// What a token is worth (RFC 7662, section 2.2). Everything but `active` is absent where it is worth nothing.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum IntrospectionBody {
    Believed(Box<IntrospectedToken>),
    NotBelieved(UnbelievedToken),
}

/// A token that is worth nothing, for whatever reason.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnbelievedToken {
    /// Always `false`.
    active: bool,
}

/// What a token that is believed says.
#[derive(Serialize, ToSchema)]
pub(crate) struct IntrospectedToken {
    /// Always `true`.
    active: bool,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// The scopes it grants, with a space between them.
    scope: String,
    /// Whom it proves.
    sub: String,
    /// The client that asked for it; `chipq:first-party` for a person who signed in without one.
    client_id: String,
    /// The account, where it proves one.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// The roles it was granted for.
    roles: Vec<String>,
    /// Who issued it.
    iss: String,
    /// For whom.
    aud: String,
    /// When it was issued, in seconds since 1970.
    iat: i64,
    /// When it expires, in seconds since 1970.
    exp: i64,
    /// Its id.
    jti: String,
    /// The session that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<Uuid>,
}

/// Ask what a token is worth
///
/// For a service that is shown access tokens and does not check them itself, or wants to know at once when one is
/// revoked. It is a client whose role allows `tokens:introspect` (`auditor`, `admin`), and proves that as for a token,
/// or by `Authorization: Bearer` with a token of its own.
#[utoipa::path(
    post, path = "/v1/token/introspect", tag = "tokens", operation_id = "introspectToken",
    request_body(content = IntrospectionRequest, content_type = "application/x-www-form-urlencoded"),
    security((), ("bearer" = [])),
    responses(
        (status = 200, description = "What it is worth now", body = IntrospectionBody),
        (status = 400, description = "Nothing is said", body = TokenError),
        (status = 401, description = "The client is not who it says (`invalid_client`)", body = TokenError),
        TokenProblems,
    ),
)]
pub(super) async fn introspect_token(
    State(api): State<CommandApi>,
    requester: Requester,
    request: Request,
) -> Result<Response, NotGranted> {
    requester.conclude(introspect_for(&api, &requester, request).await)
}

async fn introspect_for(
    api: &CommandApi,
    requester: &Requester,
    request: Request,
) -> Result<Response, NotGranted> {
    let bearer = request.headers().get(header::AUTHORIZATION).and_then(bearer_token);
    let asks = bearer.map(|token| api.verifier().verify(token, Utc::now()));
    let asks = asks.transpose().map_err(Problem::from)?;
    match &asks {
        Some(asks) => requester.count_command(api, asks)?,
        None => requester.count_request(api)?,
    }
    let mut form = TokenForm::read(request).await?;
    let asks = match asks {
        Some(asks) => asks,
        None => require_client(api, requester, &mut form).await?,
    };
    requester.identify(&asks.subject);
    asks.require(Scope::TokensIntrospect)?;
    let body = introspect(api, &form.require("token")?)?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
}

/// The token of `Authorization: Bearer`; whoever sends another scheme says who it is in another way.
fn bearer_token(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

async fn require_client(
    api: &CommandApi,
    requester: &Requester,
    form: &mut TokenForm,
) -> Result<Actor, NotGranted> {
    let client = authenticate_client(api, requester, form).await?;
    client.ok_or_else(|| {
        let say = "only a client asks about tokens: send its client_id and client_secret";
        NotGranted::Refused(TokenRefusal::of_client(say, true))
    })
}

fn introspect(api: &CommandApi, token: &str) -> Result<IntrospectionBody, NotGranted> {
    let verified = match api.verifier().inspect(token, Utc::now()) {
        Ok(verified) => verified,
        Err(error @ AuthError::AccessUnknown) => return Err(Problem::from(error).into()),
        Err(_) => return Ok(IntrospectionBody::NotBelieved(UnbelievedToken { active: false })),
    };
    let kind = match verified.actor.subject.parse::<PrincipalName>() {
        Ok(name) => {
            api.register().find(&name).map_err(|_| Problem::from(AuthError::AccessUnknown))?
        }
        Err(_) => None,
    };
    let kind = kind.map(|principal| principal.kind);
    Ok(IntrospectionBody::Believed(Box::new(describe(api, verified, kind))))
}

fn describe(
    api: &CommandApi,
    token: VerifiedToken,
    kind: Option<PrincipalKind>,
) -> IntrospectedToken {
    let VerifiedToken { actor, token_id, session, issued_at, expires_at } = token;
    let config = api.issuer().config();
    let scopes: Vec<_> = actor.scopes.iter().map(|scope| scope.as_str()).collect();
    let is_client = kind == Some(PrincipalKind::Client);
    IntrospectedToken {
        active: true,
        token_type: "Bearer",
        scope: scopes.join(" "),
        client_id: actor.client_id().to_owned(),
        username: (!is_client).then(|| actor.subject.clone()),
        sub: actor.subject,
        roles: actor.roles,
        iss: config.issuer.clone(),
        aud: config.audience.clone(),
        iat: issued_at,
        exp: expires_at,
        jti: token_id,
        sid: session,
    }
}
