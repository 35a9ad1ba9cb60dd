//! What a handler takes from a request: who is asking, and a strict JSON body, typed, bounded, and with the
//! place of every mistake, or none.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use chrono::Utc;
use futures::StreamExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;

use super::{FieldError, Problem};
use crate::auth::{Actor, AuthError, Scope, TokenVerifier};

/// The largest JSON body, in bytes.
pub const JSON_BODY_MAX_BYTES: usize = 64 << 10;

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

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
        Ok(Self(verifier.verify(token, Utc::now())?))
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

/// A JSON body parsed into `T`; give `T` `#[serde(deny_unknown_fields)]`.
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

/// Parses `bytes` as [`JsonBody`] does; for handlers that need the bytes as well.
///
/// # Errors
/// 400 when it is not JSON, 422 when it is not a `T`.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Some editors and languages begin a text with it; a parser may pass over it (RFC 8259, 8.1).
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    refuse_array(bytes)?;
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        explain_refusal(&path, error.inner())
    })?;
    json.end().map_err(|error| explain_refusal(".", &error))?;
    // Last: a field that takes no NUL has said so, with its name.
    refuse_nul(bytes)?;
    Ok(value)
}

/// An array would be taken for the fields of an object in the order in which they are declared here.
fn refuse_array(bytes: &[u8]) -> Result<(), Problem> {
    match bytes.trim_ascii_start().first() {
        Some(b'[') => Err(Problem::invalid_field("", "must be an object, not an array")),
        _ => Ok(()),
    }
}

/// NUL, which JSON can only escape, is part of no text, and PostgreSQL stores none.
fn refuse_nul(bytes: &[u8]) -> Result<(), Problem> {
    let escaped_nul = br"\u0000";
    if !bytes.windows(escaped_nul.len()).any(|window| window == escaped_nul) {
        return Ok(());
    }
    // Behind a backslash that is escaped itself the same bytes are only digits.
    let place = serde_json::from_slice(bytes).ok().and_then(|value| find_nul(&value, ""));
    match place {
        Some(field) => Err(Problem::invalid_field(field, "must hold no NUL character")),
        None => Ok(()),
    }
}

/// The path to the first text with NUL in it. No deeper than what serde_json parses, 128 levels.
fn find_nul(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(|| path.to_owned()),
        Value::Array(values) => {
            let mut numbered = values.iter().enumerate();
            numbered.find_map(|(number, value)| find_nul(value, &format!("{path}[{number}]")))
        }
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            if name.contains('\0') { Some(path.to_owned()) } else { find_nul(value, &inner) }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
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
                Problem::bad_request("interrupted", "the body ended before its time")
            })?;
            if !chunk.is_empty() {
                let detail = "this command takes no body; send none";
                return Err(Problem::bad_request("unexpected-body", detail));
            }
        }
        Ok(Self)
    }
}

fn explain_refusal(path: &str, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    // serde_json ends every message with its place, which we give apart.
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    match error.classify() {
        Category::Data => Problem::validation(vec![FieldError {
            field: name_field(path, message),
            message: message.to_owned(),
        }]),
        Category::Syntax | Category::Eof | Category::Io => {
            let (line, column) = (error.line(), error.column());
            let detail = format!("the body is not JSON: {message} at line {line}, column {column}");
            Problem::bad_request("malformed-json", detail)
                .with_extension("line", line)
                .with_extension("column", column)
        }
    }
}

/// The path to the mistake; a missing or repeated field is named by serde in the message only.
fn name_field(path: &str, message: &str) -> String {
    let parent = if path == "." { "" } else { path };
    let named = ["missing field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start)?.strip_suffix('`'));
    match named {
        Some(name) if parent.is_empty() => name.to_owned(),
        Some(name) => format!("{parent}.{name}"),
        None => parent.to_owned(),
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
        let chunk = chunk
            .map_err(|_| Problem::bad_request("interrupted", "the body ended before its time"))?;
        if bytes.len() + chunk.len() > JSON_BODY_MAX_BYTES {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
