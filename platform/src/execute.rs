//! Load, decide, append: how every command is executed.
//!
//! Invariants: what is decided is appended on exactly the state it was decided on, or decided again; of
//! commands on one aggregate, those of this process take turns ([`StreamTurns`]).
//!
//! [`StreamTurns`]: crate::event_log::StreamTurns

mod load;

use std::time::Duration;

use domain::{Aggregate, Reach};

use crate::backoff::Backoff;
use crate::event_log::{
    AnswerNotKept, Append, AppendError, Appended, EventLog, EventLogError, EventMetadata,
    Incarnation, LogPlace, NewEvent, Position, Recorded, StreamEvents, StreamId, StreamTurn,
    StreamVersion, UndecodableEvent,
};
use crate::idempotency::{Answer, Claim};
use load::load_beside;
pub use load::{Loaded, load};

/// How often a command is decided at most. Each time but the last another process appended first, since those
/// of this one wait for their turn; and each of those is one command done: so this is how many processes
/// may work on one stream at once, however slow everything is.
const ATTEMPTS_MAX: u32 = 64;
/// The pause before a command is decided again: short, since whoever was first is done already.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(2), Duration::from_millis(100), 1.0);

/// A command on one aggregate.
#[derive(Debug, Clone)]
pub struct Request<A: Aggregate> {
    /// The aggregate's id.
    pub aggregate_id: String,
    /// The command.
    pub command: A::Command,
    /// Whether nothing can have happened to the aggregate yet, because the command makes its id, and brings its first
    /// event: [`execute_once`] loads it only if the log says otherwise.
    pub is_new: bool,
    /// The version the caller has seen (`If-Match`); any, when absent.
    pub if_match: Option<StreamVersion>,
    /// The circumstances; when absent, `occurred_at` is now, and the correlation id the aggregate's id.
    pub metadata: EventMetadata,
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
    /// In which history of the log.
    pub incarnation: Incarnation,
    /// The events that followed; none when the command changed nothing.
    pub events: Vec<A::Event>,
}

impl<A: Aggregate> Executed<A> {
    /// What a command leaves behind that changes nothing.
    #[must_use]
    pub fn unchanged(loaded: Loaded<A>) -> Self {
        let Loaded { state, version, position, incarnation } = loaded;
        Self { state, version, position, incarnation, events: Vec::new() }
    }

    /// The version in its history of the log.
    #[must_use]
    pub const fn stream_version(&self) -> StreamVersion {
        StreamVersion { incarnation: self.incarnation, number: self.version }
    }

    /// Where the stream's last event is.
    #[must_use]
    pub const fn place(&self) -> LogPlace {
        LogPlace { incarnation: self.incarnation, position: self.position }
    }
}

/// Why a command was not executed.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<R: std::error::Error> {
    /// The rules refuse it.
    #[error(transparent)]
    Rejected(R),
    /// The caller has seen another version.
    #[error("the resource has changed: it is at version {} now", current.number)]
    VersionMismatch {
        /// The version now.
        current: StreamVersion,
    },
    /// Who asks is limited to other stations or parts.
    #[error("you are limited to other stations or parts than this is of")]
    OutOfReach,
    /// Others kept appending to the stream, or too many waited for their turn on it.
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

/// Executes a command. A command whose id is in the log already changes nothing.
///
/// # Errors
/// When the rules or the version refuse it, or the log fails; then nothing was appended.
#[tracing::instrument(skip_all, fields(
    aggregate_type = A::TYPE,
    aggregate_id = request.aggregate_id,
    command_id = request.metadata.command_id.map(tracing::field::display),
))]
pub async fn execute<A: Aggregate>(
    log: &dyn EventLog,
    request: Request<A>,
) -> Result<Executed<A>, ExecuteError<A::Rejection>>
where
    A::Command: Clone,
{
    execute_loading(log, request, Loading::FromSnapshot).await
}

/// What the aggregate of a command is made of.
enum Loading<A> {
    /// What this process has of it already, and what came since.
    FromSnapshot,
    /// Its whole stream, by this function.
    ByReplay(fn(&StreamEvents) -> Result<Loaded<A>, UndecodableEvent>),
}

/// [`execute`], on the aggregate that `replay` makes of its whole stream.
pub(crate) async fn execute_on<A: Aggregate>(
    log: &dyn EventLog,
    request: Request<A>,
    replay: fn(&StreamEvents) -> Result<Loaded<A>, UndecodableEvent>,
) -> Result<Executed<A>, ExecuteError<A::Rejection>>
where
    A::Command: Clone,
{
    execute_loading(log, request, Loading::ByReplay(replay)).await
}

async fn execute_loading<A: Aggregate>(
    log: &dyn EventLog,
    request: Request<A>,
    loading: Loading<A>,
) -> Result<Executed<A>, ExecuteError<A::Rejection>>
where
    A::Command: Clone,
{
    let _turn = wait_for_turn::<A>(log, &request).await?;
    for attempt in 0..ATTEMPTS_MAX {
        let loaded = loading.load(log, &request.aggregate_id).await?;
        let (decided, append) = decide_on(log, &request, loaded).await?;
        if append.events.is_empty() {
            return Ok(Executed::unchanged(decided.loaded));
        }
        match log.append(append).await {
            Ok(appended) => return Ok(decided.after(&appended)),
            Err(AppendError::DuplicateCommand { .. }) => {
                let loaded = loading.load(log, &request.aggregate_id).await?;
                return Ok(Executed::unchanged(loaded));
            }
            Err(AppendError::Conflict { .. }) => BACKOFF.wait(attempt).await,
            Err(AppendError::Log(error)) => return Err(error.into()),
            // No answer is kept here.
            Err(AppendError::NotKept { source, .. }) => return Err(source.into()),
        }
    }
    Err(ExecuteError::Contended)
}

impl<A: Aggregate> Loading<A> {
    async fn load(
        &self,
        log: &dyn EventLog,
        aggregate_id: &str,
    ) -> Result<Loaded<A>, ExecuteError<A::Rejection>> {
        match self {
            Self::FromSnapshot => load(log, aggregate_id).await,
            Self::ByReplay(replay) => {
                let stream = StreamId::for_aggregate::<A>(aggregate_id);
                Ok(replay(&log.read_stream(&stream, 0).await?)?)
            }
        }
    }
}

/// Executes the command of a key, by somebody who is limited to `reach`, and keeps its answer with what it appends.
/// When an owner of a claimed key that died had executed it already, answers from what is in the log; when the key was
/// not claimed, that is [`ExecuteError::ClaimLost`], and whoever has executed it was answered. `answer` must be pure.
///
/// Where log and answers share no transaction, a crash may come in between. The command is executed once
/// all the same: its events carry ids derived from the key, so that whoever comes second collides with
/// them, finds them by the command's id, and answers from them.
///
/// # Errors
/// As [`execute`]; a claim that was held is then still held, for the caller to release.
#[tracing::instrument(skip_all, fields(
    aggregate_type = A::TYPE,
    aggregate_id = request.aggregate_id,
    command_id = %claim.command_id(),
))]
pub async fn execute_once<A: Aggregate>(
    log: &dyn EventLog,
    mut request: Request<A>,
    (claim, reach): (&Claim, &Reach),
    answer: impl Fn(&Executed<A>) -> Answer + Clone + Send + Sync + 'static,
) -> Result<Answer, ExecuteError<A::Rejection>>
where
    A::Command: Clone,
{
    request.metadata =
        request.metadata.with_command_id(claim.command_id()).with_fingerprint(claim.fingerprint());
    let _turn = wait_for_turn::<A>(log, &request).await?;
    for attempt in 0..ATTEMPTS_MAX {
        let is_new =
            request.is_new && request.if_match.is_none() && attempt == 0 && !claim.is_held();
        let known = is_new.then(|| (Loaded::nothing(), None));
        let (decided, append) = decide_once(log, &request, (claim, reach), known).await?;
        if append.events.is_empty() && !claim.is_held() {
            // No event's id would tell that its key stands for another command.
            let known = log.read_command(claim.command_id()).await?;
            if !known.is_empty() {
                return Err(ExecuteError::ClaimLost);
            }
        }
        let (kept, answer_to_keep) = (decided.clone(), answer.clone());
        let keep = move |version| answer_to_keep(&kept.clone().at(version));
        match log.append(append.keeping(claim.complete_with(keep))).await {
            Ok(appended) => return Ok(answer(&decided.after(&appended))),
            // It may be in another stream, and the key another request's.
            Err(AppendError::DuplicateCommand { .. }) if !claim.is_held() => {
                return Err(ExecuteError::ClaimLost);
            }
            // A duplicate is found in the stream when it is decided again.
            Err(AppendError::Conflict { .. } | AppendError::DuplicateCommand { .. }) => {
                BACKOFF.wait(attempt).await;
            }
            Err(AppendError::NotKept { source: AnswerNotKept::KeyTaken, .. }) => {
                return Err(ExecuteError::ClaimLost);
            }
            // The command is executed, and its answer known: a retry is answered from the log.
            Err(AppendError::NotKept { appended: Some(appended), source }) => {
                tracing::warn!(error = %source, "a command was executed, its answer not kept");
                return Ok(answer(&decided.after(&appended)));
            }
            Err(AppendError::NotKept { source, .. }) => return Err(source.into()),
            Err(AppendError::Log(error)) => return Err(error.into()),
        }
    }
    Err(ExecuteError::Contended)
}

async fn wait_for_turn<A: Aggregate>(
    log: &dyn EventLog,
    request: &Request<A>,
) -> Result<StreamTurn, ExecuteError<A::Rejection>> {
    let stream = StreamId::for_aggregate::<A>(&request.aggregate_id);
    log.turns().wait_for_turn(&stream).await.ok_or(ExecuteError::Contended)
}

impl<R: std::error::Error> From<AnswerNotKept> for ExecuteError<R> {
    fn from(error: AnswerNotKept) -> Self {
        match error {
            AnswerNotKept::KeyTaken => Self::ClaimLost,
            AnswerNotKept::Log(error) => Self::Log(error),
        }
    }
}

#[derive(Clone)]
struct Decided<A: Aggregate> {
    loaded: Loaded<A>,
    events: Vec<A::Event>,
}

impl<A: Aggregate> Decided<A> {
    /// What was executed, where its last event is as well.
    fn after(self, appended: &Appended) -> Executed<A> {
        let executed = self.at(appended.stream_version());
        Executed { position: appended.position.unwrap_or(executed.position), ..executed }
    }

    /// The same before anybody knows that: the position is the last one known.
    fn at(self, version: StreamVersion) -> Executed<A> {
        // Where only an answer is kept, it is still what was loaded.
        if self.events.is_empty() {
            return Executed::unchanged(self.loaded);
        }
        let Loaded { mut state, position, .. } = self.loaded;
        self.events.iter().for_each(|event| state.evolve(event));
        let StreamVersion { number: version, incarnation } = version;
        Executed { state, version, position, incarnation, events: self.events }
    }
}

async fn decide_on<A: Aggregate>(
    log: &dyn EventLog,
    request: &Request<A>,
    loaded: Loaded<A>,
) -> Result<(Decided<A>, Append), ExecuteError<A::Rejection>>
where
    A::Command: Clone,
{
    if let Some(seen) = request.if_match
        && !is_version(log, seen, &loaded).await?
    {
        return Err(ExecuteError::VersionMismatch { current: loaded.stream_version() });
    }
    let events = loaded.state.decide(request.command.clone()).map_err(ExecuteError::Rejected)?;
    to_append(request, Decided { loaded, events })
}

/// Whether the aggregate is as it was when it had the version `seen`. Of another history of the log it is only
/// when its last event was there in that one, too: the same number may count another event.
async fn is_version<A>(
    log: &dyn EventLog,
    seen: StreamVersion,
    loaded: &Loaded<A>,
) -> Result<bool, EventLogError> {
    if seen.number != loaded.version || seen.incarnation == loaded.incarnation {
        return Ok(seen.number == loaded.version);
    }
    let last_event = LogPlace { incarnation: seen.incarnation, position: loaded.position };
    match log.check_place(last_event).await {
        Ok(()) => Ok(true),
        Err(EventLogError::Reissued { .. } | EventLogError::EndsBefore { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Decides, unless another owner of the key has executed the command: then only the answer is missing.
/// That owner may have died, or have been so slow that its events came after the key was claimed.
async fn decide_once<A: Aggregate>(
    log: &dyn EventLog,
    request: &Request<A>,
    (claim, reach): (&Claim, &Reach),
    known: Option<(Loaded<A>, Option<Recorded>)>,
) -> Result<(Decided<A>, Append), ExecuteError<A::Rejection>>
where
    A::Command: Clone,
{
    let command_id = claim.command_id();
    let (loaded, appended) = match known {
        Some(known) => known,
        None => load_beside::<A>(log, &request.aggregate_id, command_id).await?,
    };
    if !loaded.state.is_within(reach, &request.command) {
        return Err(ExecuteError::OutOfReach);
    }
    let of_command = |event: &&Recorded| event.command_id == Some(command_id);
    match appended.as_ref().or_else(|| claim.recorded().iter().find(of_command)) {
        None => decide_on(log, request, loaded).await,
        Some(event) if claim.is_held() && claim.is_of_same_request(event) => {
            to_append(request, Decided { loaded, events: Vec::new() })
        }
        Some(_) => Err(ExecuteError::ClaimLost),
    }
}

fn to_append<A: Aggregate>(
    request: &Request<A>,
    decided: Decided<A>,
) -> Result<(Decided<A>, Append), ExecuteError<A::Rejection>> {
    let events = decided.events.iter().map(NewEvent::from_domain::<A>).collect::<Result<_, _>>()?;
    let stream = StreamId::for_aggregate::<A>(&request.aggregate_id);
    let version = decided.loaded.version;
    let append = Append::new(stream, version, events, request.metadata.clone());
    Ok((decided, append))
}
