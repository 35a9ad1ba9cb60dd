//! The road of every command: claim the key, plan, execute, answer.
//!
//! Invariants: the key is looked at before `If-Match`, so that a lost answer never turns into 412.
//! Only the answers of executed commands are kept: a refusal changed nothing, and its key is given
//! back, so that the same request may succeed once what was in its way is gone. A command that has
//! begun is finished even when its client leaves or the time limit strikes; the same key then finds
//! the answer.

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, Utc};
use domain::Aggregate;
use platform::event_log::Recorded;
use platform::execute::{ExecuteError, Executed, Request, execute_once};
use platform::http::Problem;
use platform::idempotency::{Answer, Claim, Claimed};
use serde::Serialize;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::mutation::KeyedRequest;
use crate::{CommandApi, problems};

pub(crate) static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
pub(crate) static LOG_POSITION: HeaderName = HeaderName::from_static("x-log-position");

/// A command whose key is claimed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AcceptedCommand {
    /// Stands for principal and key, for ever; new ids are derived from it.
    pub(crate) command_id: Uuid,
    /// When the command was accepted first.
    pub(crate) at: DateTime<Utc>,
}

impl AcceptedCommand {
    /// After a crash the command is accepted again, with the time of what it had appended.
    fn from_claim(claim: &Claim) -> Self {
        let at = claim.recorded().first().map_or_else(Utc::now, Recorded::occurred_at);
        Self { command_id: claim.command_id(), at }
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
    let api = api.clone();
    finish_regardless(async move {
        let keys = api.idempotency();
        let claimed = keys.claim(&keyed.principal, &keyed.key, keyed.fingerprint).await;
        let claim = match claimed.map_err(problems::from_claim_error)? {
            Claimed::Answered(answer) => return Ok(make_replay(&answer)),
            Claimed::Fresh(claim) => claim,
        };
        let outcome = match plan(AcceptedCommand::from_claim(&claim)).await {
            Ok(plan) => execute_plan(&api, &claim, keyed, plan).await,
            Err(problem) => Err(problem),
        };
        if outcome.is_err() {
            keys.release(&claim).await;
        }
        outcome.map(|answer| make_response(&answer))
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
    execute_once(api.log(), request, claim, move |done| answer(done)).await.map_err(|error| {
        match (error, A::default().decide(plan.command)) {
            // RFC 9110, 13.2.1: what does not exist is not found, whatever the precondition says.
            (ExecuteError::VersionMismatch { current: 0 }, Err(missing)) => {
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
        (header::ETAG.to_string(), entity_tag(done.version)),
        (LOG_POSITION.to_string(), done.position.to_string()),
    ];
    headers.extend(location.map(|location| (header::LOCATION.to_string(), location)));
    let body = serde_json::to_value(body).unwrap_or_default();
    Answer { status: status.as_u16(), headers, body }
}

/// The strong entity tag of a version.
pub(crate) fn entity_tag(version: u64) -> String {
    format!("\"{version}\"")
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

fn make_replay(answer: &Answer) -> Response {
    let mut response = make_response(answer);
    response.headers_mut().insert(REPLAYED.clone(), HeaderValue::from_static("true"));
    response
}
