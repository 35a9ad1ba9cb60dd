//! Looking after the read models: migrate, status, rebuild, verify. All of it works beside a platform
//! that serves, and on a data folder that nobody serves from.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use platform::postgres;
use projectors::{Projection, RebuildError, RebuildOptions};

use crate::cli::{RebuildArgs, VerifyArgs};
use crate::failure::{Failure, exit};
use crate::installation::InstallationArgs;
use crate::operator_session::OperatorSession;

/// The exit code of a check that found a difference.
const DIFFERENT: u8 = 1;

async fn open_session(args: &InstallationArgs) -> anyhow::Result<OperatorSession> {
    let session = OperatorSession::open(args).await?;
    match projectors::ensure(session.pool()).await {
        Ok(()) => Ok(session),
        Err(error) => session.close(Err(error.into())).await,
    }
}

/// Brings the database to the newest shape.
pub(crate) async fn migrate(args: InstallationArgs) -> anyhow::Result<()> {
    let session = open_session(&args).await?;
    // Where services have a role of their own, whoever migrates hands them what is theirs.
    let granted = postgres::grant_to_services(session.pool()).await;
    session.close(granted.map_err(Into::into)).await?;
    println!("the database has the newest shape");
    Ok(())
}

/// Shows how far every read model is, and what is parked.
pub(crate) async fn show_status(args: InstallationArgs) -> anyhow::Result<()> {
    let session = open_session(&args).await?;
    let outcome = print_status(&session).await;
    session.close(outcome).await
}

async fn print_status(session: &OperatorSession) -> anyhow::Result<()> {
    let statuses = projectors::list_generations(session.pool(), session.log().as_ref()).await?;
    println!(
        "{:<20} {:>4}  {:<8} {:>6} {:>9} {:>9} {:>8} {:>8} {:>7}",
        "projection", "gen", "status", "schema", "position", "head", "behind", "lag s", "parked"
    );
    for status in &statuses {
        println!(
            "{:<20} {:>4}  {:<8} {:>6} {:>9} {:>9} {:>8} {:>8.1} {:>7}",
            status.projection,
            status.generation,
            status.status,
            status.schema_version,
            status.position.0,
            status.head.0,
            status.lag_events,
            status.lag.num_milliseconds() as f64 / 1e3,
            status.parked_streams,
        );
    }
    for mismatch in statuses.iter().filter_map(|status| status.mismatch.as_ref()) {
        let (generation, built_by) = (mismatch.generation, mismatch.built_by);
        println!(
            "\n{} stands still: generation {generation} was built by version {built_by} of its \
             schema, and this program writes version {}",
            mismatch.projection, mismatch.expected,
        );
        println!("  next: {}", mismatch.remedy());
    }
    for parked in projectors::list_parked_streams(session.pool()).await? {
        println!(
            "\nparked in {}: {} since position {} ({} events passed over): {}: {}",
            parked.projection,
            parked.stream,
            parked.position,
            parked.events,
            parked.event_type,
            parked.error,
        );
        println!("  next: correct the projection, then run: chipq rebuild {}", parked.projection);
    }
    Ok(())
}

/// Builds one read model again and swaps it in.
pub(crate) async fn rebuild(args: RebuildArgs) -> anyhow::Result<()> {
    let projection = find_projection(&args.projection)?;
    let session = open_session(&args.installation).await?;
    let bar = progress_bar();
    let options = RebuildOptions { expect_identical: args.expect_identical };
    let log = session.log();
    let outcome = projectors::rebuild(session.pool(), log, projection, options, &mut |at| {
        bar.set_length(at.target.0.unsigned_abs());
        bar.set_position(at.position.0.unsigned_abs());
    })
    .await;
    bar.finish_and_clear();
    let outcome = outcome.map_err(|error| explain_rebuild(error).into());
    let report = session.close(outcome).await?;
    println!(
        "{}: {} events in {:.1} s ({:.0} a second); generation {} serves instead of {}",
        report.projection,
        report.events,
        report.filling.as_secs_f64(),
        report.events as f64 / report.filling.as_secs_f64().max(1e-3),
        report.new_generation,
        report.old_generation,
    );
    if report.comparison.is_identical() {
        println!("identical to what it replaces, at position {}", report.compared_at);
    } else {
        let (at, comparison) = (report.compared_at, &report.comparison);
        println!("differs from what it replaces, at position {at}: {comparison}");
    }
    Ok(())
}

/// Checks that read models equal a rebuild; exits with 1 when one does not.
pub(crate) async fn verify(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let chosen = match args.projections.as_slice() {
        [] => projectors::ALL.to_vec(),
        names => names.iter().map(|name| find_projection(name)).collect::<Result<_, _>>()?,
    };
    let session = open_session(&args.installation).await?;
    let verified = projectors::verify_each(&chosen, session.pool(), session.log()).await;
    let verified = session.close(verified.map_err(|error| explain_rebuild(error).into())).await?;
    let mut different = false;
    for one in verified {
        let identical = one.comparison.is_identical();
        different |= !identical;
        let verdict =
            if identical { "equals a rebuild".to_owned() } else { one.comparison.to_string() };
        println!(
            "{:<20} generation {} at position {}: {verdict}",
            one.projection, one.generation, one.position
        );
    }
    if different {
        eprintln!("error: read models differ from the event log");
        eprintln!("  next: look at the differences above, then run: chipq rebuild PROJECTION");
        return Ok(ExitCode::from(DIFFERENT));
    }
    Ok(ExitCode::SUCCESS)
}

fn find_projection(name: &str) -> Result<&'static dyn Projection, Failure> {
    projectors::find(name).ok_or_else(|| {
        let names: Vec<_> = projectors::ALL.iter().map(|projection| projection.name()).collect();
        Failure::new(
            format_args!("there is no projection {name:?}"),
            format_args!("name one of {}", names.join(", ")),
            exit::USAGE,
        )
    })
}

fn explain_rebuild(error: RebuildError) -> Failure {
    let next = match &error {
        RebuildError::InProgress(_) | RebuildError::Busy => "wait a moment and run it again",
        RebuildError::NothingServes(_) => "run `chipq up` once, then try again",
        RebuildError::Poison(_) => "correct the projection, then run it again; the old one serves",
        RebuildError::Unknown(_) => "run it with the newer version; the old generation serves",
        RebuildError::Differs(_) => {
            "the old one serves; leave --expect-identical out to swap the new one in"
        }
        RebuildError::LogTooShort(_) => {
            "the event log was replaced or cut; restore it from its backup"
        }
        RebuildError::Log(_) | RebuildError::Database(_) => {
            "check that the database answers, then run it again; the old one serves"
        }
    };
    Failure::new(&error, next, exit::UNAVAILABLE)
}

fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("rebuilding  {bar:40} {pos}/{len}  {per_sec}");
    ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
