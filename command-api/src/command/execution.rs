//! Plan, execute, answer: with the key taken by what is appended, or claimed before.

use std::sync::Arc;

use axum::http::HeaderValue;
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::Aggregate;
use platform::execute::{ExecuteError, Executed, Request, execute_once};
use platform::http::Problem;
use platform::idempotency::{Answer, Claim, Claimed};
use tracing::Instrument as _;
use uuid::Uuid;

use super::{KeyedRequest, REPLAYED, make_response};
use crate::CommandApi;
use crate::problems;

/// A command that has come so far that it is planned.
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

    /// The id of the new thing of this kind that the command makes: a UUID of version 7 (RFC 9562) whose random bits
    /// follow from the command. What is made one after the other lies side by side in every index, however large that is.
    pub(crate) fn new_id(&self, kind: &str) -> Uuid {
        let derived = Uuid::new_v5(&self.command_id, kind.as_bytes()).into_bytes();
        let mut random = [0; 10];
        // Past the bits that say the version and the variant.
        random[..6].copy_from_slice(&derived[..6]);
        random[6..].copy_from_slice(&derived[9..13]);
        let milliseconds = self.at.timestamp_millis().unsigned_abs();
        uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid()
    }
}

/// Makes the answer of what was executed; pure, so that it can be made again after a crash.
pub(crate) type AnswerMaker<A> = Arc<dyn Fn(&Executed<A>) -> Answer + Send + Sync>;

/// What to execute, and how to answer.
pub(crate) struct Plan<A: Aggregate> {
    pub(crate) aggregate_id: String,
    /// Whether its id is one that the command makes.
    pub(crate) is_new: bool,
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
        if api.log().keeps_answers_with_events() {
            execute_at_once(&api, keyed, plan).await
        } else {
            execute_claimed(&api, keyed, plan).await
        }
    })
    .await
}

/// The append takes the key. Whoever comes second, and whoever is refused, is told what was answered first, if
/// anything was.
async fn execute_at_once<A, Planning>(
    api: &CommandApi,
    keyed: KeyedRequest,
    plan: impl FnOnce(AcceptedCommand) -> Planning + Send,
) -> Result<CommandAnswer, Problem>
where
    A: Aggregate,
    A::Command: Clone + Sync,
    Planning: Future<Output = Result<Plan<A>, Problem>> + Send,
{
    let keys = api.idempotency();
    let claim = keys.begin(&keyed.principal, &keyed.key, keyed.fingerprint).await;
    let claim = claim.map_err(problems::from_log_error)?;
    let outcome = async {
        let plan = plan(AcceptedCommand::from_claim(&claim)).await?;
        execute_plan(api, &claim, keyed, plan).await
    };
    match outcome.await {
        Ok(answer) => Ok(CommandAnswer::Made(answer)),
        Err(refused) => match keys.find_answer(&claim).await.map_err(problems::from_claim_error)? {
            Some(answer) => Ok(CommandAnswer::Replayed(answer)),
            None => Err(refused),
        },
    }
}

/// The key is claimed first: its answer is kept after the append.
async fn execute_claimed<A, Planning>(
    api: &CommandApi,
    keyed: KeyedRequest,
    plan: impl FnOnce(AcceptedCommand) -> Planning + Send,
) -> Result<CommandAnswer, Problem>
where
    A: Aggregate,
    A::Command: Clone + Sync,
    Planning: Future<Output = Result<Plan<A>, Problem>> + Send,
{
    let keys = api.idempotency();
    let claimed = keys.claim(&keyed.principal, &keyed.key, keyed.fingerprint).await;
    let claim = match claimed.map_err(problems::from_claim_error)? {
        Claimed::Answered(answer) => return Ok(CommandAnswer::Replayed(answer)),
        Claimed::Fresh(claim) => claim,
    };
    let work = async {
        let plan = plan(AcceptedCommand::from_claim(&claim)).await?;
        execute_plan(api, &claim, keyed, plan).await
    };
    let outcome = keys.keep_claimed(&claim, work).await;
    if outcome.is_err() {
        keys.release(&claim).await;
    }
    outcome.map(CommandAnswer::Made)
}

/// The same where planning has effects of its own: the key is claimed before it begins, so that it is planned once.
pub(crate) async fn answer_claimed_command<A, Planning>(
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
    finish_regardless(async move { execute_claimed(&api, keyed, plan).await }).await
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
        is_new: plan.is_new,
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
