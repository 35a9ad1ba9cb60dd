//! The road of every command: a caller that may send it within its rate, a key, a precondition; then claim
//! the key, plan, execute, answer.
//!
//! Invariants: a handler that takes a [`Mutation`] runs only for callers with its permission. The body is
//! parsed after this, the key claimed after that, and the key is looked at before `If-Match`, so that a
//! lost answer never turns into 412. Only the answers of executed commands are kept: a refusal changed
//! nothing, and its key is given back, so that the same request may succeed once what was in its way is
//! gone. A command that has begun is finished even when its client leaves or the time limit strikes; the
//! same key then finds the answer.

use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, Utc};
use domain::{Aggregate, Reach};
use platform::auth::{Actor, Scope};
use platform::event_log::{EventMetadata, StreamVersion};
use platform::execute::{ExecuteError, Executed, Request, execute_once};
use platform::http::{Authenticated, ClientAddress, Problem, ProblemType, ShownRateLimit};
use platform::idempotency::{Answer, Claim, Claimed, Fingerprint, IdempotencyKey};
use platform::telemetry::TraceContext;
use serde::Serialize;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::CommandApi;
use crate::announcer::Announcer;
use crate::problems;

#[cfg(test)]
mod tests;

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

/// A command whose key is claimed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AcceptedCommand {
    /// Stands for principal and key, for ever; new ids are derived from it.
    pub(crate) command_id: Uuid,
    /// When the command was accepted first, by the database's clock.
    pub(crate) at: DateTime<Utc>,
}

impl AcceptedCommand {
    /// After a crash the command is accepted again, with the time of what it had appended.
    fn from_claim(claim: &Claim) -> Self {
        Self { command_id: claim.command_id(), at: claim.accepted_at() }
    }

    /// The id of the new thing of this kind that the command makes.
    pub(crate) fn new_id(&self, kind: &str) -> Uuid {
        Uuid::new_v5(&self.command_id, kind.as_bytes())
    }
}

/// Makes the answer of what was executed; pure, so that it can be made again after a crash.
pub(crate) type AnswerMaker<A> = Arc<dyn Fn(&Executed<A>) -> Answer + Send + Sync>;

/// What to execute, and how to answer.
pub(crate) struct Plan<A: Aggregate> {
    pub(crate) aggregate_id: String,
    pub(crate) command: A::Command,
    pub(crate) answer: AnswerMaker<A>,
}

/// What a command was answered.
pub(crate) enum CommandAnswer {
    /// It was executed now, or its answer made again from the log.
    Made(Answer),
    /// The answer of an earlier request with its key.
    Replayed(Answer),
}

impl CommandAnswer {
    pub(crate) fn into_response(self) -> Response {
        match self {
            Self::Made(answer) => make_response(&answer),
            Self::Replayed(answer) => {
                let mut response = make_response(&answer);
                response.headers_mut().insert(REPLAYED.clone(), HeaderValue::from_static("true"));
                response
            }
        }
    }
}

/// Executes what `plan` makes of the accepted command, once, and answers; or replays the answer.
pub(crate) async fn dispatch_command<A, Planning>(
    api: &CommandApi,
    keyed: KeyedRequest,
    plan: impl FnOnce(AcceptedCommand) -> Planning + Send + 'static,
) -> Result<Response, Problem>
where
    A: Aggregate,
    A::Command: Clone + Sync,
    Planning: Future<Output = Result<Plan<A>, Problem>> + Send,
{
    answer_command(api, keyed, plan).await.map(CommandAnswer::into_response)
}

/// The same, before it is sent: what is sent once, and kept nowhere, can be added.
pub(crate) async fn answer_command<A, Planning>(
    api: &CommandApi,
    keyed: KeyedRequest,
    plan: impl FnOnce(AcceptedCommand) -> Planning + Send + 'static,
) -> Result<CommandAnswer, Problem>
where
    A: Aggregate,
    A::Command: Clone + Sync,
    Planning: Future<Output = Result<Plan<A>, Problem>> + Send,
{
    let api = api.clone();
    finish_regardless(async move {
        let keys = api.idempotency();
        let claimed = keys.claim(&keyed.principal, &keyed.key, keyed.fingerprint).await;
        let claim = match claimed.map_err(problems::from_claim_error)? {
            Claimed::Answered(answer) => return Ok(CommandAnswer::Replayed(answer)),
            Claimed::Fresh(claim) => claim,
        };
        let work = async {
            let plan = plan(AcceptedCommand::from_claim(&claim)).await?;
            execute_plan(&api, &claim, keyed, plan).await
        };
        let outcome = keys.keep_claimed(&claim, work).await;
        if outcome.is_err() {
            keys.release(&claim).await;
        }
        outcome.map(CommandAnswer::Made)
    })
    .await
}

/// Goes on with `work` whatever becomes of the request that asked for it.
pub(crate) async fn finish_regardless<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::spawn(work.in_current_span()).await;
    done.unwrap_or_else(|error| Err(Problem::internal(error)))
}

async fn execute_plan<A: Aggregate>(
    api: &CommandApi,
    claim: &Claim,
    keyed: KeyedRequest,
    plan: Plan<A>,
) -> Result<Answer, Problem>
where
    A::Command: Clone + Sync,
{
    let request = Request::<A> {
        aggregate_id: plan.aggregate_id,
        command: plan.command.clone(),
        if_match: keyed.if_match,
        metadata: keyed.metadata.with_occurred_at(AcceptedCommand::from_claim(claim).at),
    };
    let answer = plan.answer;
    let by = (claim, &keyed.reach);
    execute_once(api.log(), request, by, move |done| answer(done)).await.map_err(|error| {
        match (error, A::default().decide(plan.command)) {
            // RFC 9110, 13.2.1: what does not exist is not found, whatever the precondition says.
            (ExecuteError::VersionMismatch { current }, Err(missing)) if current.number == 0 => {
                problems::from_rejection(&missing)
            }
            (error, _) => problems::from_execute_error(error),
        }
    })
}

/// A JSON answer with the version and position that `done` left behind.
pub(crate) fn make_answer<A: Aggregate>(
    status: StatusCode,
    done: &Executed<A>,
    location: Option<String>,
    body: impl Serialize,
) -> Answer {
    let mut headers = vec![
        (header::ETAG.to_string(), done.stream_version().entity_tag()),
        (LOG_POSITION.to_string(), done.place().to_string()),
    ];
    headers.extend(location.map(|location| (header::LOCATION.to_string(), location)));
    let body = serde_json::to_value(body).unwrap_or_default();
    Answer { status: status.as_u16(), headers, body }
}

/// The answer as it is sent.
pub(crate) fn make_response(answer: &Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body.to_string()).into_response();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
