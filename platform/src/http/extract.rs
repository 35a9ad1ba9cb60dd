//! What a handler takes from a request: who is asking, and a strict JSON body, bounded, or none.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use chrono::Utc;
use futures::StreamExt as _;
use serde::de::DeserializeOwned;

use super::{Problem, ProblemType, RequestCaller, parse_json};
use crate::auth::{Actor, AuthError, Scope, TokenVerifier};

/// The largest JSON body, in bytes.
pub const JSON_BODY_MAX_BYTES: usize = 64 << 10;

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
        let header = parts.headers.get(header::AUTHORIZATION).ok_or(AuthError::MissingToken)?;
        let token = header.to_str().ok().and_then(bearer_token).ok_or(AuthError::NotBearer)?;
        let verifier = Arc::<TokenVerifier>::from_ref(state);
        verifier.await_key_of(token).await;
        let actor = verifier.verify(token, Utc::now())?;
        RequestCaller::of_request(&parts.extensions).identify(&actor.subject);
        Ok(Self(actor))
    }
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
