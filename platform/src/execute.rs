//! Load, decide, append: how every command is executed.
//!
//! Invariant: what is decided is appended on exactly the state it was decided on, or decided again.

use std::time::Duration;

use domain::Aggregate;
use rand::Rng as _;

use crate::event_log::{
    Append, AppendError, Appended, EventLog, EventLogError, EventMetadata, NewEvent, Position,
    StreamId, UndecodableEvent,
};
use crate::idempotency::{Answer, Claim};

/// How often a command is decided again because somebody else appended first.
pub const ATTEMPTS_MAX: u32 = 8;
/// The longest pause before a command is decided again.
const BACKOFF_MAX: Duration = Duration::from_millis(100);

/// A command on one aggregate.
#[derive(Debug, Clone)]
pub struct Request<A: Aggregate> {
    /// The aggregate's id.
    pub aggregate_id: String,
    /// The command.
    pub command: A::Command,
    /// The version the caller has seen (`If-Match`); any, when absent.
    pub if_match: Option<u64>,
    /// The circumstances; when absent, `occurred_at` is now, and the correlation id the aggregate's id.
    pub metadata: EventMetadata,
}

/// An aggregate as its stream says.
#[derive(Debug, Clone)]
pub struct Loaded<A> {
    /// Its state.
    pub state: A,
    /// How many events its stream has.
    pub version: u64,
    /// The position of its last event; 0 when it has none.
    pub position: Position,
}

/// What came of a command.
#[derive(Debug, Clone)]
pub struct Executed<A: Aggregate> {
    /// The state after it.
    pub state: A,
    /// How many events the stream has now.
    pub version: u64,
    /// The position of the stream's last event.
    pub position: Position,
    /// The events that followed; none when the command changed nothing.
    pub events: Vec<A::Event>,
}

/// Why a command was not executed.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<R: std::error::Error> {
    /// The rules refuse it.
    #[error(transparent)]
    Rejected(R),
    /// The caller has seen another version.
    #[error("the resource has changed: it is at version {current} now")]
    VersionMismatch {
        /// The version now.
        current: u64,
    },
    /// Others kept appending to the stream.
    #[error("the resource is being changed by too many requests at once")]
    Contended,
    /// Another request with the same idempotency key took over.
    #[error("another request took over the idempotency key")]
    ClaimLost,
    /// The stream holds an event that this version cannot read.
    #[error(transparent)]
    Unreadable(#[from] UndecodableEvent),
    /// The log cannot be reached, or failed.
    #[error(transparent)]
    Log(#[from] EventLogError),
}

/// Loads an aggregate from its stream.
///
/// # Errors
/// When the log cannot be read or holds an event that this version cannot read.
pub async fn load<A: Aggregate>(
    log: &dyn EventLog,
    aggregate_id: &str,
) -> Result<Loaded<A>, ExecuteError<A::Rejection>> {
    let recorded = log.read_stream(&StreamId::of::<A>(aggregate_id), 0).await?;
    let mut state = A::default();
    for event in &recorded {
        state.evolve(&event.decode()?);
    }
    let last = recorded.last();
    Ok(Loaded {
        state,
        version: last.map_or(0, |event| event.sequence),
        position: last.map_or(Position::default(), |event| event.position),
    })
}

/// Executes a command. A command whose id is in the log already changes nothing.
///
/// # Errors
/// When the rules or the version refuse it, or the log fails; then nothing was appended.
pub async fn execute<A: Aggregate>(
    log: &dyn EventLog,
    request: Request<A>,
) -> Result<Executed<A>, ExecuteError<A::Rejection>>
where
    A::Command: Clone,
{
    for attempt in 0..ATTEMPTS_MAX {
        let (decided, append) = decide(log, &request).await?;
        if append.events.is_empty() {
            return Ok(decided.unchanged());
        }
        match log.append(append).await {
            Ok(appended) => return Ok(decided.after(&appended)),
            Err(AppendError::DuplicateCommand { .. }) => {
                let loaded = load::<A>(log, &request.aggregate_id).await?;
                return Ok(Decided { loaded, events: Vec::new() }.unchanged());
            }
            Err(AppendError::Conflict { .. }) => pause(attempt).await,
            Err(AppendError::ClaimLost) => return Err(ExecuteError::ClaimLost),
            Err(AppendError::Log(error)) => return Err(error.into()),
        }
    }
    Err(ExecuteError::Contended)
}

/// Executes the command of a claimed key and keeps its answer, both in one transaction. When an owner
/// that died had executed it already, answers from what is in the log. `answer` must be pure.
///
/// # Errors
/// As [`execute`]; the claim is then still held, for the caller to release.
pub async fn execute_once<A: Aggregate>(
    log: &dyn EventLog,
    mut request: Request<A>,
    claim: &Claim,
    answer: impl Fn(&Executed<A>) -> Answer + Clone + Send + 'static,
) -> Result<Answer, ExecuteError<A::Rejection>>
where
    A::Command: Clone,
{
    request.metadata =
        request.metadata.with_command_id(claim.command_id()).with_fingerprint(claim.fingerprint());
    for attempt in 0..ATTEMPTS_MAX {
        let (decided, mut append) = plan(log, &request, claim).await?;
        let (kept, answer_to_keep) = (decided.clone(), answer.clone());
        let keep = move |appended: &Appended| answer_to_keep(&kept.after(appended));
        append.completion = Some(claim.clone().complete_with(keep));
        match log.append(append).await {
            Ok(appended) => return Ok(answer(&decided.after(&appended))),
            Err(AppendError::Conflict { .. }) => pause(attempt).await,
            Err(AppendError::DuplicateCommand { .. } | AppendError::ClaimLost) => {
                return Err(ExecuteError::ClaimLost);
            }
            Err(AppendError::Log(error)) => return Err(error.into()),
        }
    }
    Err(ExecuteError::Contended)
}

#[derive(Clone)]
struct Decided<A: Aggregate> {
    loaded: Loaded<A>,
    events: Vec<A::Event>,
}

impl<A: Aggregate> Decided<A> {
    fn unchanged(self) -> Executed<A> {
        let Loaded { state, version, position } = self.loaded;
        Executed { state, version, position, events: self.events }
    }

    fn after(self, appended: &Appended) -> Executed<A> {
        let mut state = self.loaded.state;
        self.events.iter().for_each(|event| state.evolve(event));
        Executed {
            state,
            version: appended.version,
            position: appended.position.unwrap_or(self.loaded.position),
            events: self.events,
        }
    }
}

async fn decide<A: Aggregate>(
    log: &dyn EventLog,
    request: &Request<A>,
) -> Result<(Decided<A>, Append), ExecuteError<A::Rejection>>
where
    A::Command: Clone,
{
    let loaded = load::<A>(log, &request.aggregate_id).await?;
    if request.if_match.is_some_and(|seen| seen != loaded.version) {
        return Err(ExecuteError::VersionMismatch { current: loaded.version });
    }
    let events = loaded.state.decide(request.command.clone()).map_err(ExecuteError::Rejected)?;
    append_of(request, Decided { loaded, events })
}

/// Decides, unless a dead owner of the key had executed the command: then only the answer is missing.
async fn plan<A: Aggregate>(
    log: &dyn EventLog,
    request: &Request<A>,
    claim: &Claim,
) -> Result<(Decided<A>, Append), ExecuteError<A::Rejection>>
where
    A::Command: Clone,
{
    if claim.recorded().is_empty() {
        return decide(log, request).await;
    }
    let loaded = load::<A>(log, &request.aggregate_id).await?;
    append_of(request, Decided { loaded, events: Vec::new() })
}

fn append_of<A: Aggregate>(
    request: &Request<A>,
    decided: Decided<A>,
) -> Result<(Decided<A>, Append), ExecuteError<A::Rejection>> {
    let append = Append {
        stream: StreamId::of::<A>(&request.aggregate_id),
        expected_version: decided.loaded.version,
        events: decided.events.iter().map(NewEvent::of).collect::<Result<_, _>>()?,
        metadata: request.metadata.clone().completed_for(&request.aggregate_id),
        completion: None,
    };
    Ok((decided, append))
}

/// Full jitter (AWS Architecture Blog, 2015): anything up to a doubling bound.
async fn pause(attempt: u32) {
    let bound = Duration::from_millis(2 << attempt.min(6)).min(BACKOFF_MAX);
    let pause = rand::rng().random_range(Duration::ZERO..=bound);
    tokio::time::sleep(pause).await;
}
