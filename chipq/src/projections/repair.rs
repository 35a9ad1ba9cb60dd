//! `chipq projections retry`, `discard` and `history`: what operators decide about streams that a read model
//! could not take.
//!
//! Invariant: a decision is an event; the projectors carry it out. This waits for a while to see what came of
//! it.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use platform::event_log::Position;
use platform::projection_repair::{
    Decided, ReadRepair, RepairAction, RepairError, RepairRequest, list_repairs, record_repairs,
};
use platform::telemetry::TraceContext;
use projectors::ParkedStream;

use super::find_projection;
use crate::cli::{DecisionArgs, DiscardStreamArgs, RepairHistoryArgs, RetryStreamArgs};
use crate::failure::{Failure, exit};
use crate::operator_session::{OperatorSession, operator};

/// The exit code when a stream stays parked.
const STAYS_PARKED: u8 = 1;
/// How long to wait for the projectors to come to a decision. They may not run at all.
const CARRIED_OUT_WITHIN: Duration = Duration::from_secs(10);
/// How often to look.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Decisions of each read model that are shown.
const HISTORY_MAX: usize = 200;

/// What is said in place of a read model's name for every one that an event is in the way of.
const ALL: &str = "all";

const LOOK_AT_LIST: &str =
    "look at `chipq projections list` for what is parked, and for what stands still";

/// Applies parked streams again; exits with 1 when one stays parked.
pub(super) async fn retry(args: RetryStreamArgs) -> anyhow::Result<ExitCode> {
    let projection = find_projection(&args.projection)?.name();
    let session = OperatorSession::open(&args.installation).await?;
    let outcome = retry_streams(&session, projection, &args).await;
    session.close(outcome).await
}

async fn retry_streams(
    session: &OperatorSession,
    projection: &'static str,
    args: &RetryStreamArgs,
) -> anyhow::Result<ExitCode> {
    let parked = match args.position {
        Some(position) => vec![find_parked(session, projection, position).await?],
        None => list_parked(session, projection).await?,
    };
    let mut decided_at = Position::default();
    for stream in &parked {
        let retry = (RepairAction::Retry, stream.position);
        let decided = record(session, vec![projection.to_owned()], retry, &args.decision).await?;
        decided_at = decided.last().map_or(decided_at, |one| one.place.position);
    }
    if !wait_until_carried_out(session, projection, decided_at).await? {
        return Ok(ExitCode::SUCCESS);
    }
    let mut left = 0;
    for ParkedStream { stream, .. } in &parked {
        let still = projectors::read_parked_stream(session.pool(), projection, stream).await?;
        if let Some(ParkedStream { position, error, .. }) = still {
            outln!("stays parked: {stream} since position {position}: {error}");
            left += 1;
        }
    }
    outln!("{projection}: {} of {} applied again", parked.len() - left, parked.len());
    Ok(if left == 0 { ExitCode::SUCCESS } else { ExitCode::from(STAYS_PARKED) })
}

/// Gives a stream up, or whatever an event that this software does not know is of.
pub(super) async fn discard(args: DiscardStreamArgs) -> anyhow::Result<ExitCode> {
    let projection = match args.projection.as_str() {
        ALL => None,
        name => Some(find_projection(name)?.name()),
    };
    let session = OperatorSession::open(&args.installation).await?;
    let outcome = discard_stream(&session, projection, &args).await;
    session.close(outcome).await
}

async fn discard_stream(
    session: &OperatorSession,
    projection: Option<&'static str>,
    args: &DiscardStreamArgs,
) -> anyhow::Result<ExitCode> {
    let projections = choose_projections(session, projection, args).await?;
    let discard = (RepairAction::Discard, Position(args.position));
    for Decided { projection, place, .. } in
        record(session, projections, discard, &args.decision).await?
    {
        if !wait_until_carried_out(session, &projection, place.position).await? {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The read models that the decision is for: the one that is named, or all that the event is in the way of.
async fn choose_projections(
    session: &OperatorSession,
    projection: Option<&'static str>,
    args: &DiscardStreamArgs,
) -> anyhow::Result<Vec<String>> {
    if args.not_parked {
        let names = projectors::ALL.into_iter().map(|one| one.name());
        let chosen = names.filter(|name| projection.is_none_or(|chosen| chosen == *name));
        return Ok(chosen.map(str::to_owned).collect());
    }
    let at = Position(args.position);
    let stopped = projectors::list_stopped_by(session.pool(), at).await?;
    match projection {
        None if stopped.is_empty() => {
            let what = format_args!("the event at position {at} is in the way of no read model");
            Err(Failure::new(what, LOOK_AT_LIST, exit::USAGE).into())
        }
        None => Ok(stopped),
        Some(name) => {
            if !stopped.iter().any(|one| one == name) {
                find_parked(session, name, args.position).await?;
            }
            Ok(vec![name.to_owned()])
        }
    }
}

/// Records a decision for each of the read models, and says what it is about.
async fn record(
    session: &OperatorSession,
    projections: Vec<String>,
    (action, position): (RepairAction, Position),
    decision: &DecisionArgs,
) -> anyhow::Result<Vec<Decided>> {
    let requests = projections.into_iter().map(|projection| RepairRequest {
        projection,
        action,
        position,
        reason: decision.reason.clone(),
        actor: operator(decision.actor.as_deref()),
        trace: TraceContext::new(None),
    });
    let decided = record_repairs(&*session.log(), requests.collect()).await;
    let decided = decided.map_err(explain_repair)?;
    for Decided { projection, poison, .. } in &decided {
        outln!(
            "{projection}: {} at position {position}, {} of {}/{}",
            name_of(action),
            poison.event_type,
            poison.aggregate_type,
            poison.aggregate_id,
        );
    }
    Ok(decided)
}

/// Waits until the projectors have come to a decision; false when they do not in time.
async fn wait_until_carried_out(
    session: &OperatorSession,
    projection: &str,
    decided_at: Position,
) -> anyhow::Result<bool> {
    let begun = Instant::now();
    while projectors::serving_position(session.pool(), projection).await? < Some(decided_at) {
        if begun.elapsed() > CARRIED_OUT_WITHIN {
            outln!(
                "decided at position {decided_at}; it takes effect when the projectors come there"
            );
            return Ok(false);
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    Ok(true)
}

/// The stream that is parked or discarded there.
async fn find_parked(
    session: &OperatorSession,
    projection: &str,
    position: i64,
) -> anyhow::Result<ParkedStream> {
    let at = Position(position);
    let found = projectors::find_parked_stream(session.pool(), projection, at).await?;
    found.ok_or_else(|| {
        let what = format_args!("no stream is parked in {projection} at position {position}");
        Failure::new(what, LOOK_AT_LIST, exit::USAGE).into()
    })
}

/// The streams that somebody has to decide about.
async fn list_parked(
    session: &OperatorSession,
    projection: &str,
) -> anyhow::Result<Vec<ParkedStream>> {
    let mut parked = projectors::list_parked_streams(session.pool(), Some(projection)).await?;
    parked.retain(|stream| !stream.is_discarded);
    if parked.is_empty() {
        let what = format_args!("no stream is parked in {projection}");
        return Err(Failure::new(what, LOOK_AT_LIST, exit::USAGE).into());
    }
    Ok(parked)
}

fn explain_repair(error: RepairError) -> Failure {
    let (next, code) = match &error {
        RepairError::NoEvent(_) | RepairError::Refused(_) => (LOOK_AT_LIST, exit::USAGE),
        RepairError::Contended | RepairError::Log(_) => ("run it again", exit::UNAVAILABLE),
    };
    Failure::new(&error, next, code)
}

/// Prints who decided what, and why.
pub(super) async fn show_history(args: RepairHistoryArgs) -> anyhow::Result<ExitCode> {
    let names = match &args.projection {
        Some(name) => vec![find_projection(name)?.name()],
        None => projectors::ALL.iter().map(|projection| projection.name()).collect(),
    };
    let session = OperatorSession::open(&args.installation).await?;
    let outcome = print_history(&session, &names).await;
    session.close(outcome.map(|()| ExitCode::SUCCESS)).await
}

async fn print_history(session: &OperatorSession, names: &[&str]) -> anyhow::Result<()> {
    for name in names {
        for repair in list_repairs(&*session.log(), name, HISTORY_MAX).await? {
            let actor = repair.actor.map_or_else(|| "unknown".to_owned(), |actor| actor.subject);
            let (position, at) = (repair.position, repair.at.format("%FT%TZ"));
            match repair.decision {
                Ok(ReadRepair { action, poison, reason }) => outln!(
                    "{name}: {} at position {} ({} of {}/{}) by {actor} on {at}: {reason}",
                    name_of(action),
                    poison.position,
                    poison.event_type,
                    poison.aggregate_type,
                    poison.aggregate_id,
                ),
                Err(error) => outln!(
                    "{name}: unreadable decision at position {position} by {actor} on {at}, which \
                     counts as not made: {error}"
                ),
            }
        }
    }
    Ok(())
}

const fn name_of(action: RepairAction) -> &'static str {
    match action {
        RepairAction::Retry => "retry",
        RepairAction::Discard => "discard",
    }
}
