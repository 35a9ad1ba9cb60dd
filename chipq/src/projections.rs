//! Looking after the read models: migrate, rebuild, verify, and what they could not take. All of it works
//! beside a platform that serves, and on a data folder that nobody serves from.

mod list;
mod repair;
mod timescale;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use platform::postgres;
use projectors::{Projection, RebuildError, RebuildOptions};

use crate::cli::{ProjectionsCommand, RebuildArgs, VerifyArgs};
use crate::failure::{Failure, exit};
use crate::installation::InstallationArgs;
use crate::operator_session::OperatorSession;

/// The exit code of a check that found a difference.
const DIFFERENT: u8 = 1;

/// `chipq projections`
pub(crate) async fn run(command: ProjectionsCommand) -> anyhow::Result<ExitCode> {
    match command {
        ProjectionsCommand::List(args) => list::show_list(args).await,
        ProjectionsCommand::Retry(args) => repair::retry(args).await,
        ProjectionsCommand::Discard(args) => repair::discard(args).await,
        ProjectionsCommand::History(args) => repair::show_history(args).await,
    }
}

/// Brings the database to the newest shape.
pub(crate) async fn migrate(args: InstallationArgs) -> anyhow::Result<()> {
    let session = OperatorSession::open_to_migrate(&args).await?;
    let migrated = async {
        projectors::ensure(session.pool()).await?;
        // Where services have a role of their own, whoever migrates hands them what is theirs.
        postgres::grant_to_services(session.pool()).await?;
        Ok(timescale::describe(session.pool()).await?)
    };
    let migrated = migrated.await;
    let timescale = session.close(migrated).await?;
    outln!("the database has the newest shape");
    timescale.iter().for_each(|line| outln!("{line}"));
    Ok(())
}

/// Builds one read model again and swaps it in.
pub(crate) async fn rebuild(args: RebuildArgs) -> anyhow::Result<()> {
    let projection = find_projection(&args.projection)?;
    let session = OperatorSession::open(&args.installation).await?;
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
    outln!(
        "{}: {} events in {:.1} s ({:.0} a second); generation {} serves instead of {}",
        report.projection,
        report.events,
        report.filling.as_secs_f64(),
        report.events as f64 / report.filling.as_secs_f64().max(1e-3),
        report.new_generation,
        report.old_generation,
    );
    if report.comparison.is_identical() {
        outln!("identical to what it replaces, at position {}", report.compared_at);
    } else {
        let (at, comparison) = (report.compared_at, &report.comparison);
        outln!("differs from what it replaces, at position {at}: {comparison}");
    }
    Ok(())
}

/// Checks that read models equal a rebuild; exits with 1 when one does not.
pub(crate) async fn verify(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let chosen = match args.projections.as_slice() {
        [] => projectors::ALL.to_vec(),
        names => names.iter().map(|name| find_projection(name)).collect::<Result<_, _>>()?,
    };
    let session = OperatorSession::open(&args.installation).await?;
    let verified = projectors::verify_each(&chosen, session.pool(), session.log()).await;
    let verified = session.close(verified.map_err(|error| explain_rebuild(error).into())).await?;
    let mut different = false;
    for one in verified {
        let identical = one.comparison.is_identical();
        different |= !identical;
        let verdict =
            if identical { "equals a rebuild".to_owned() } else { one.comparison.to_string() };
        outln!(
            "{:<20} generation {} at position {}: {verdict}",
            one.projection,
            one.generation,
            one.position
        );
    }
    if different {
        errln!("error: read models differ from the event log");
        errln!("  next: look at the differences above, then run: chipq rebuild PROJECTION");
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
    if let RebuildError::Poison(poisons) = &error {
        for poison in poisons {
            errln!("{poison}");
        }
    }
    let next = match &error {
        RebuildError::InProgress(_) | RebuildError::Busy => "wait a moment and run it again",
        RebuildError::NothingServes(_) => "run `chipq up` once, then try again",
        RebuildError::Poison(_) => {
            "correct the projection, or go on without each (chipq projections discard … \
             --not-parked), then run it again; the old one serves"
        }
        RebuildError::Unknown(_) => {
            "run it with the newer version, or go on without the event (chipq projections discard … \
             --not-parked); the old generation serves"
        }
        RebuildError::Differs(_) => {
            "the old one serves; leave --expect-identical out to swap the new one in"
        }
        RebuildError::BeyondLog(_) => {
            "rebuild it, and each other one of which `chipq projections list` says so"
        }
        RebuildError::LogTooShort(_) => {
            "a transaction is still appending before that; run it again"
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
