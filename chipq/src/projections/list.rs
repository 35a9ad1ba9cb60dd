//! `chipq projections list`: how far every read model is, and what it passes over.

use std::process::ExitCode;

use projectors::{ParkedStream, Poison};

use crate::installation::InstallationArgs;
use crate::operator_session::OperatorSession;

/// Shows how far every read model is, and what is parked.
pub(super) async fn show_list(args: InstallationArgs) -> anyhow::Result<ExitCode> {
    let session = OperatorSession::open(&args).await?;
    let outcome = print_list(&session).await;
    session.close(outcome.map(|()| ExitCode::SUCCESS)).await
}

async fn print_list(session: &OperatorSession) -> anyhow::Result<()> {
    let statuses = projectors::list_generations(session.pool(), session.log().as_ref()).await?;
    outln!(
        "{:<20} {:>4}  {:<8} {:>6} {:>9} {:>9} {:>8} {:>8} {:>7} {:>9}",
        "projection",
        "gen",
        "status",
        "schema",
        "position",
        "head",
        "behind",
        "lag s",
        "parked",
        "discarded"
    );
    for status in &statuses {
        outln!(
            "{:<20} {:>4}  {:<8} {:>6} {:>9} {:>9} {:>8} {:>8.1} {:>7} {:>9}",
            status.projection,
            status.generation,
            status.status,
            status.schema_version,
            status.position.0,
            status.head.0,
            status.lag_events,
            status.lag.num_milliseconds() as f64 / 1e3,
            status.parked_streams,
            status.discarded_streams,
        );
    }
    for mismatch in statuses.iter().filter_map(|status| status.mismatch.as_ref()) {
        outln!("\n{} stands still: {mismatch}", mismatch.projection);
    }
    for beyond in statuses.iter().filter_map(|status| status.beyond_log.as_ref()) {
        outln!("\n{} stands still: {beyond}", beyond.projection);
    }
    for status in &statuses {
        if let Some(event) = &status.blocked_by {
            print_blocked(&status.projection, event);
        }
    }
    for parked in projectors::list_parked_streams(session.pool(), None).await? {
        print_parked(&parked);
    }
    Ok(())
}

fn print_blocked(projection: &str, event: &Poison) {
    let Poison { position, stream, event_type, reason } = event;
    outln!(
        "\n{projection} stands still before position {position}: {event_type} of {stream}: {reason}"
    );
    outln!(
        "  next: run the version that wrote it, or a newer one; or let every read model go on without it: \
         chipq projections discard all {position} --reason \"…\""
    );
}

fn print_parked(parked: &ParkedStream) {
    let ParkedStream { projection, stream, position, events, event_type, error, .. } = parked;
    let what = if parked.is_discarded { "discarded" } else { "parked" };
    outln!(
        "\n{what} in {projection}: {stream} since position {position} ({events} events passed \
         over): {event_type}: {error}"
    );
    if !parked.is_discarded {
        outln!(
            "  next: correct what it names, then: chipq projections retry {projection} {position}; \
             or go on without it: chipq projections discard {projection} {position}"
        );
    }
}
