//! What a handler takes from a request: who is asking, and a strict JSON body, bounded, or none.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use futures::StreamExt as _;
use serde::de::DeserializeOwned;

use super::{AttemptNotes, Problem, ProblemType, RequestCaller, parse_json};
use crate::auth::{Actor, AuthError, Scope, TokenVerifier};

/// The largest JSON body, in bytes.
pub const JSON_BODY_MAX_BYTES: usize = 64 << 10;

/// The longest subject that is noted of a token that is refused, in bytes.
const SUBJECT_MAX_BYTES: usize = 255;

/// The verified caller. Works with any state from which an `Arc<TokenVerifier>` can be taken.
///
/// Refuses with 401 and `WWW-Authenticate` (RFC 6750).
#[derive(Debug, Clone)]
pub struct Authenticated(pub Actor);

impl<S> FromRequestParts<S> for Authenticated
where
    Arc<TokenVerifier>: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let verifier = Arc::<TokenVerifier>::from_ref(state);
        let actor = authenticate(&parts.headers, &verifier).await;
        let actor = actor.inspect_err(|error| note_refusal(parts, error))?;
        RequestCaller::of_request(&parts.extensions)
            .identify(&actor.subject, actor.token_id.as_deref());
        Ok(Self(actor))
    }
}

/// Notes a refusal, with whom the token names where its signature was found good before.
fn note_refusal(parts: &Parts, error: &AuthError) {
    if !error.is_refusal() {
        return;
    }
    let notes = AttemptNotes::of_request(&parts.extensions);
    if matches!(error, AuthError::Expired | AuthError::NotYetValid | AuthError::Revoked) {
        let token = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if let Some(subject) = token.and_then(bearer_token).and_then(subject_of) {
            notes.concern(&subject);
        }
    }
    notes.refuse(error.name());
}

/// The subject of a signed token.
fn subject_of(token: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    let subject = claims["sub"].as_str()?;
    let is_name = subject.len() <= SUBJECT_MAX_BYTES && !subject.chars().any(char::is_control);
    is_name.then(|| subject.to_owned())
}

async fn authenticate(headers: &HeaderMap, verifier: &TokenVerifier) -> Result<Actor, AuthError> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let header = lines.next().ok_or(AuthError::MissingToken)?;
    if lines.next().is_some() {
        return Err(AuthError::NotBearer);
    }
    let token = header.to_str().ok().and_then(bearer_token).ok_or(AuthError::NotBearer)?;
    verifier.await_key_of(token).await;
    verifier.verify(token, Utc::now())
}

/// The token of `Bearer <token>`; the scheme's case does not matter (RFC 9110).
fn bearer_token(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

impl Actor {
    /// # Errors
    /// 403 that names `scope`, when the actor lacks it.
    pub fn require(&self, scope: Scope) -> Result<(), Problem> {
        if self.allows(scope) { Ok(()) } else { Err(AuthError::MissingScope(scope).into()) }
    }
}

/// A JSON body parsed into `T`, as [`parse_json`] does; give `T` and what is in it
/// `#[serde(deny_unknown_fields)]`.
///
/// Refuses with 415 (not JSON), 413 (over [`JSON_BODY_MAX_BYTES`]), 400 `malformed-json` (with line
/// and column) or 422 `validation` (with the field).
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        require_json(request.headers())?;
        parse_json(&read(request).await?).map(Self)
    }
}

/// A body that must be absent.
#[derive(Debug, Clone, Copy)]
pub struct NoBody;

impl<S: Sync> FromRequest<S> for NoBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let mut chunks = request.into_body().into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| {
                Problem::new(ProblemType::Interrupted, "the body ended before its time")
            })?;
            if !chunk.is_empty() {
                let detail = "this command takes no body; send none";
                return Err(Problem::new(ProblemType::UnexpectedBody, detail));
            }
        }
        Ok(Self)
    }
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    let is_json = essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"));
    match (is_json, essence.as_str()) {
        (true, _) => Ok(()),
        (false, "") => Err(Problem::unsupported_media_type("send Content-Type: application/json")),
        (false, other) => Err(Problem::unsupported_media_type(format!(
            "the body is {other}; send application/json"
        ))),
    }
}

async fn read(request: Request) -> Result<Vec<u8>, Problem> {
    let too_large = || Problem::payload_too_large(JSON_BODY_MAX_BYTES as u64);
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok());
    if announced.and_then(|v| v.parse::<u64>().ok()) > Some(JSON_BODY_MAX_BYTES as u64) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let mut chunks = request.into_body().into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| {
            Problem::new(ProblemType::Interrupted, "the body ended before its time")
        })?;
        if bytes.len() + chunk.len() > JSON_BODY_MAX_BYTES {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::auth::{KeyRing, TokenConfig, TokenIssuer};

    #[tokio::test]
    async fn of_two_authorization_headers_neither_counts() {
        let folder = tempfile::tempdir().unwrap();
        let keys = KeyRing::open(folder.path(), Utc::now()).unwrap();
        let issuer = TokenIssuer::new(keys, TokenConfig::default());
        let token = issuer.issue(&Actor::with_roles("ada", &["engineer"]), Utc::now()).unwrap();
        let line: HeaderValue = format!("Bearer {}", token.token).parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.append(header::AUTHORIZATION, line.clone());
        assert!(authenticate(&headers, &issuer.verifier()).await.is_ok(), "the control");
        headers.append(header::AUTHORIZATION, line);
        let refused = authenticate(&headers, &issuer.verifier()).await;
        assert_eq!(refused, Err(AuthError::NotBearer));
    }
}
