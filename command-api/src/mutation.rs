//! What every mutation brings along: a caller that may do it, an idempotency key, a precondition.
//!
//! Invariant: a handler that takes a [`Mutation`] runs only for callers with its permission, within
//! their rate. The body is parsed after this, and the key claimed after that.

use std::marker::PhantomData;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, header};
use futures::StreamExt as _;
use platform::auth::{Actor, Scope};
use platform::event_log::{ActorRef, EventMetadata};
use platform::http::{Authenticated, Problem};
use platform::idempotency::{Fingerprint, IdempotencyKey};
use platform::telemetry::TraceContext;
use serde::Serialize;

use crate::CommandApi;

pub(crate) static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A permission as a type, so that a handler's signature says what it takes.
pub(crate) trait Permission: Send {
    const SCOPE: Scope;
}

pub(crate) struct WriteParts;

impl Permission for WriteParts {
    const SCOPE: Scope = Scope::PartsWrite;
}

pub(crate) struct WriteInspections;

impl Permission for WriteInspections {
    const SCOPE: Scope = Scope::InspectionsWrite;
}

pub(crate) struct VoidInspections;

impl Permission for VoidInspections {
    const SCOPE: Scope = Scope::InspectionsVoid;
}

/// A mutation by a caller who may do it.
pub(crate) struct Mutation<P> {
    actor: Actor,
    key: IdempotencyKey,
    if_match: Option<u64>,
    line: RequestLine,
    trace: TraceContext,
    permission: PhantomData<P>,
}

/// The parts of a request, besides its body, that make it what it is.
struct RequestLine {
    method: String,
    path_and_query: String,
    media_type: Option<String>,
    if_match: Option<String>,
}

/// A mutation whose body is known: ready to claim its key.
pub(crate) struct KeyedRequest {
    pub(crate) principal: String,
    pub(crate) key: IdempotencyKey,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) if_match: Option<u64>,
    pub(crate) metadata: EventMetadata,
}

impl<P> Mutation<P> {
    /// The subject of the caller's token.
    pub(crate) fn subject(&self) -> &str {
        &self.actor.subject
    }

    /// The trace of the request.
    pub(crate) fn trace(&self) -> &TraceContext {
        &self.trace
    }

    /// With `body`, whose serialisation is canonical: strict parsing has left nothing out, and a
    /// struct always serialises its fields in one order.
    pub(crate) fn with_body<T: Serialize>(self, body: &T) -> Result<KeyedRequest, Problem> {
        let canonical = serde_json::to_vec(body).map_err(Problem::internal)?;
        Ok(self.into_keyed_request(&canonical))
    }

    /// Without a body.
    pub(crate) fn without_body(self) -> KeyedRequest {
        self.into_keyed_request(b"")
    }

    fn into_keyed_request(self, canonical_body: &[u8]) -> KeyedRequest {
        let fingerprint = Fingerprint::for_request(
            &self.line.method,
            &self.line.path_and_query,
            self.line.media_type.as_deref(),
            self.line.if_match.as_deref(),
            canonical_body,
        );
        let actor = ActorRef { subject: self.actor.subject.clone(), roles: self.actor.roles };
        let metadata = EventMetadata::by_actor(actor, &self.trace);
        let (key, if_match) = (self.key, self.if_match);
        KeyedRequest { principal: self.actor.subject, key, fingerprint, if_match, metadata }
    }
}

impl<P: Permission> FromRequestParts<CommandApi> for Mutation<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &CommandApi) -> Result<Self, Problem> {
        let Authenticated(actor) = Authenticated::from_request_parts(parts, api).await?;
        api.principal_rate().count_request(&actor.subject)?;
        actor.require(P::SCOPE)?;
        let Ok(trace) = TraceContext::from_request_parts(parts, api).await;
        let key = idempotency_key(parts)?;
        let line = RequestLine {
            method: parts.method.to_string(),
            path_and_query: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            media_type: media_type(parts),
            if_match: single_header(parts, &header::IF_MATCH)?.map(str::to_owned),
        };
        let if_match = line.if_match.as_deref().map(parse_if_match).transpose()?.flatten();
        Ok(Self { actor, key, if_match, line, trace, permission: PhantomData })
    }
}

fn idempotency_key(parts: &Parts) -> Result<IdempotencyKey, Problem> {
    let missing = || {
        let detail =
            "send an Idempotency-Key: any text that is new for this command, such as a UUID";
        Problem::bad_request("idempotency-key-missing", detail)
    };
    let malformed = |detail: String| Problem::bad_request("idempotency-key-malformed", detail);
    let mut values = parts.headers.get_all(&IDEMPOTENCY_KEY).iter();
    let value = values.next().ok_or_else(missing)?;
    if values.next().is_some() {
        return Err(malformed("send one Idempotency-Key only".to_owned()));
    }
    // Bytes beyond ASCII do not make a header text; they do not make a key either.
    let key = IdempotencyKey::parse(value.to_str().unwrap_or_default());
    key.map_err(|error| malformed(error.to_string()))
}

/// The media type without its parameters, which say nothing about JSON.
fn media_type(parts: &Parts) -> Option<String> {
    let value = parts.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default().trim();
    Some(essence.to_ascii_lowercase())
}

fn single_header<'a>(parts: &'a Parts, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = parts.headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(one)), None) => Ok(Some(one.trim())),
        _ => Err(if_match_malformed()),
    }
}

/// The version that a strong entity tag names; `None` for `*`, which any version fits (RFC 9110).
fn parse_if_match(header: &str) -> Result<Option<u64>, Problem> {
    if header == "*" {
        return Ok(None);
    }
    let tag = header.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let digits = tag.filter(|tag| !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_digit()));
    let version = digits.and_then(|digits| digits.parse().ok()).ok_or_else(if_match_malformed)?;
    Ok(Some(version))
}

fn if_match_malformed() -> Problem {
    let detail = "If-Match takes * or one strong entity tag as it stood in ETag, such as \"3\"";
    Problem::bad_request("if-match-malformed", detail)
}

/// A body that must be absent.
pub(crate) struct NoBody;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_is_a_star_or_one_strong_tag() {
        assert_eq!(parse_if_match("*").unwrap(), None);
        assert_eq!(parse_if_match("\"12\"").unwrap(), Some(12));
        for bad in ["", "12", "W/\"12\"", "\"\"", "\"+1\"", "\"a\"", "\"1\", \"2\"", "\"1"] {
            assert_eq!(parse_if_match(bad).unwrap_err().name(), "if-match-malformed", "{bad:?}");
        }
        assert!(parse_if_match("\"99999999999999999999\"").is_err());
    }
}
