//! The road of every command: a caller that may send it within its rate, a key, a precondition; then plan,
//! execute, and answer, with the key taken by what is appended, or claimed before.
//!
//! Invariants: a handler that takes a [`Mutation`] runs only for callers with its permission. The body is
//! parsed after this, and nobody is refused, for `If-Match` or anything else, whose command was executed
//! before: a lost answer never turns into 412. Only the answers of executed commands are kept: a refusal changed
//! nothing, and its key stays free, so that the same request may succeed once what was in its way is
//! gone. A command that has begun is finished even when its client leaves or the time limit strikes; the
//! same key then finds the answer.

mod execution;
#[cfg(test)]
mod tests;

use std::marker::PhantomData;
use std::num::NonZeroU32;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use domain::{Aggregate, Reach};
use platform::auth::{Actor, Scope};
use platform::event_log::{EventMetadata, StreamVersion};
use platform::execute::Executed;
use platform::http::{Authenticated, ClientAddress, Problem, ProblemType, ShownRateLimit};
use platform::idempotency::{Answer, Fingerprint, IdempotencyKey};
use platform::telemetry::TraceContext;
use serde::Serialize;

use crate::CommandApi;
use crate::announcer::Announcer;
pub(crate) use execution::{
    AnswerMaker, CommandAnswer, Plan, answer_claimed_command, answer_command, dispatch_command,
    finish_regardless,
};

pub(crate) static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(crate) static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
pub(crate) static LOG_POSITION: HeaderName = HeaderName::from_static("x-log-position");

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

pub(crate) struct WriteAccess;

impl Permission for WriteAccess {
    const SCOPE: Scope = Scope::AccessWrite;
}

pub(crate) struct ReadAccess;

impl Permission for ReadAccess {
    const SCOPE: Scope = Scope::AccessRead;
}

pub(crate) struct WriteRetention;

impl Permission for WriteRetention {
    const SCOPE: Scope = Scope::RetentionWrite;
}

pub(crate) struct ReadRetention;

impl Permission for ReadRetention {
    const SCOPE: Scope = Scope::RetentionRead;
}

/// Somebody who may read what commands change, within the rate: it is read from the log itself.
pub(crate) struct Reader<P> {
    pub(crate) actor: Actor,
    permission: PhantomData<P>,
}

impl<P: Permission> FromRequestParts<CommandApi> for Reader<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &CommandApi) -> Result<Self, Problem> {
        let Authenticated(actor) = Authenticated::from_request_parts(parts, api).await?;
        let Ok(shown) = ShownRateLimit::from_request_parts(parts, api).await;
        api.command_rate().count_requests(&actor, NonZeroU32::MIN, &shown)?;
        actor.require(P::SCOPE)?;
        Ok(Self { actor, permission: PhantomData })
    }
}

/// A mutation by a caller who may do it.
pub(crate) struct Mutation<P> {
    actor: Actor,
    client: ClientAddress,
    key: IdempotencyKey,
    if_match: Option<StreamVersion>,
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
    pub(crate) if_match: Option<StreamVersion>,
    pub(crate) metadata: EventMetadata,
    /// Where the caller may do that.
    pub(crate) reach: Reach,
}

impl<P> Mutation<P> {
    /// Who announces a picture by this.
    pub(crate) fn announcer(&self) -> Announcer {
        let Actor { subject, token_id, revision, .. } = &self.actor;
        Announcer { subject: subject.clone(), token_id: token_id.clone(), revision: *revision }
    }

    /// Who sends it.
    pub(crate) const fn actor(&self) -> &Actor {
        &self.actor
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
        let actor = self.actor.acting_from(self.client.address);
        let metadata = EventMetadata::by_actor(actor, &self.trace);
        let Actor { subject: principal, reach, .. } = self.actor;
        let (key, if_match) = (self.key, self.if_match);
        KeyedRequest { principal, key, fingerprint, if_match, metadata, reach }
    }
}

impl<P: Permission> FromRequestParts<CommandApi> for Mutation<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &CommandApi) -> Result<Self, Problem> {
        let Authenticated(actor) = Authenticated::from_request_parts(parts, api).await?;
        let Ok(shown) = ShownRateLimit::from_request_parts(parts, api).await;
        api.command_rate().count_requests(&actor, NonZeroU32::MIN, &shown)?;
        actor.require(P::SCOPE)?;
        let Ok(client) = ClientAddress::from_request_parts(parts, api).await;
        let Ok(trace) = TraceContext::from_request_parts(parts, api).await;
        let key = idempotency_key(parts)?;
        let line = RequestLine {
            method: parts.method.to_string(),
            path_and_query: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            media_type: media_type(parts),
            if_match: single_header(parts, &header::IF_MATCH)?.map(str::to_owned),
        };
        let if_match = line.if_match.as_deref().map(parse_if_match).transpose()?.flatten();
        Ok(Self { actor, client, key, if_match, line, trace, permission: PhantomData })
    }
}

fn idempotency_key(parts: &Parts) -> Result<IdempotencyKey, Problem> {
    let missing = || {
        let detail =
            "send an Idempotency-Key: any text that is new for this command, such as a UUID";
        Problem::new(ProblemType::IdempotencyKeyMissing, detail)
    };
    let malformed = |detail: String| Problem::new(ProblemType::IdempotencyKeyMalformed, detail);
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
fn parse_if_match(header: &str) -> Result<Option<StreamVersion>, Problem> {
    if header == "*" {
        return Ok(None);
    }
    let tag = header.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let version = tag.and_then(|tag| tag.parse().ok());
    version.map(Some).ok_or_else(if_match_malformed)
}

fn if_match_malformed() -> Problem {
    let detail = "If-Match takes * or one strong entity tag as it stood in ETag, with its quotes";
    Problem::new(ProblemType::IfMatchMalformed, detail)
}

/// A JSON answer with the version and position that `done` left behind.
pub(crate) fn make_answer<A: Aggregate>(
    status: StatusCode,
    done: &Executed<A>,
    location: Option<String>,
    body: impl Serialize,
) -> Answer {
    let mut headers = vec![(header::ETAG.to_string(), done.stream_version().entity_tag())];
    headers.extend(location.map(|location| (header::LOCATION.to_string(), location)));
    let body = serde_json::to_value(body).unwrap_or_default();
    Answer { status: status.as_u16(), headers, body, place: done.place() }
}

/// The answer as it is sent.
pub(crate) fn make_response(answer: &Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body.to_string()).into_response();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    if let Ok(place) = HeaderValue::try_from(answer.place.to_string()) {
        response.headers_mut().insert(LOG_POSITION.clone(), place);
    }
    // One that was kept by an earlier version has its place among them.
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
