//! `chipq audit replay`: the read models and reports as of an earlier moment, and whether the reports that serve are
//! still those.
//!
//! Invariants: it reads what serves and writes nothing but tables of its own, which go when it ends, however that is;
//! what it could not look at counts as a difference, never as the same.

mod comparison;
mod report_faces;

use std::process::ExitCode;
use std::time::Duration;

use platform::event_log::{LogMoment, LogPlace};
use platform::shutdown::Shutdown;
use projectors::{Replay, ReplayError};

use super::DIFFERS;
use super::moment::find_place;
use super::whole_folder::WholeFolder;
use crate::cli::AuditReplayArgs;
use crate::failure::{Failure, exit};
use crate::operator_session::OperatorSession;
use comparison::compare_reports;
use report_faces::ReportFaces;

/// How long what serves may take to come to the moment that is replayed.
const SERVES_WITHIN: Duration = Duration::from_secs(10);
/// How often it is looked whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// `chipq audit replay`
pub(super) async fn run(args: AuditReplayArgs, shutdown: &Shutdown) -> anyhow::Result<ExitCode> {
    let folder = args.into.as_deref().map(WholeFolder::begin).transpose()?;
    let session = OperatorSession::open(&args.installation).await?;
    let replayed = replay(&session, &args, folder, shutdown).await;
    let differences = session.close(replayed).await?;
    Ok(if differences == 0 { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) })
}

/// How many reports differ unexplained.
async fn replay(
    session: &OperatorSession,
    args: &AuditReplayArgs,
    folder: Option<WholeFolder>,
    shutdown: &Shutdown,
) -> anyhow::Result<u64> {
    let log = session.log();
    let place = find_place(&*log, args.at).await?;
    if let Some(inspection) = args.inspection {
        let checked = projectors::check_inspection(&*log, inspection, place).await;
        checked.map_err(|error| explain_replay(&error))?;
    }
    wait_until_served(session, place).await?;
    let begun = Replay::begin(session.pool(), log, place).await;
    let mut replay = begun.map_err(|error| explain_replay(&error))?;
    let shown = shutdown.run_until_requested(show(session, &mut replay, args, folder)).await;
    replay.remove(session.pool()).await;
    shown
}

/// Fills the replay and says what there was.
async fn show(
    session: &OperatorSession,
    replay: &mut Replay,
    args: &AuditReplayArgs,
    folder: Option<WholeFolder>,
) -> anyhow::Result<u64> {
    let filled = match args.inspection {
        Some(inspection) => replay.fill_with_inspection(inspection).await,
        None => replay.fill(&mut |_| {}).await,
    };
    filled.map_err(|error| explain_replay(&error))?;
    check_clock(replay, args.at)?;
    let of =
        args.inspection.map_or(String::new(), |id| format!(" of inspection {id} and its part"));
    outln!("as of position {}{of}: {} events", replay.up_to().position, replay.events());
    for table in replay.tables().await.map_err(|error| explain_replay(&error))? {
        outln!("  {:<24} {:>9} rows", table.name, table.rows);
    }
    if let Some(folder) = &folder {
        write_read_models(replay, folder).await?;
        folder.make_folder("reports")?;
    }
    let renders = folder.is_some() || args.inspection.is_some();
    let faces =
        if renders { Some(ReportFaces::open(session, &args.report_font).await?) } else { None };
    let outputs = (faces, folder.as_ref());
    let tally = compare_reports(&session.log(), replay, args.inspection, outputs).await?;
    if let Some(folder) = folder {
        folder.finish()?;
    }
    tally.print(renders);
    Ok(tally.unexplained())
}

/// The read models as JSON lines.
async fn write_read_models(replay: &mut Replay, folder: &WholeFolder) -> anyhow::Result<()> {
    folder.make_folder("read_models")?;
    for table in replay.tables().await.map_err(|error| explain_replay(&error))? {
        let mut lines = folder.begin_lines(&format!("read_models/{}.jsonl", table.name))?;
        replay.export_rows(table.name, |line| lines.push(line).map_err(ExportError::from)).await?;
        lines.finish()?;
    }
    Ok(())
}

/// Why rows were not written.
#[derive(Debug)]
struct ExportError(Failure);

impl From<ReplayError> for ExportError {
    fn from(error: ReplayError) -> Self {
        Self(explain_replay(&error))
    }
}

impl From<Failure> for ExportError {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl From<ExportError> for anyhow::Error {
    fn from(error: ExportError) -> Self {
        error.0.into()
    }
}

/// A time was looked for without reading every event; now every one has been read.
fn check_clock(replay: &Replay, at: LogMoment) -> Result<(), Failure> {
    let (LogMoment::Time(time), Some((position, latest))) = (at, replay.latest_recorded()) else {
        return Ok(());
    };
    if latest <= time {
        return Ok(());
    }
    Err(Failure::new(
        format_args!(
            "the clock of the log's server went back by more than {} s: the event at position {position} was recorded \
             later than the moment that was asked for, and others behind it earlier",
            platform::event_log::CLOCK_DISORDER_MAX.num_seconds()
        ),
        "name the position that you mean instead of a time",
        exit::DATA,
    ))
}

/// What serves must have come as far, and be this program's: else every difference would be one of time or version.
async fn wait_until_served(session: &OperatorSession, place: LogPlace) -> anyhow::Result<()> {
    let begun = tokio::time::Instant::now();
    loop {
        let generations = projectors::list_generations(session.pool(), &*session.log()).await?;
        if let Some(mismatch) = generations.iter().find_map(|one| one.mismatch.as_ref()) {
            return Err(Failure::new(mismatch, mismatch.remedy(), exit::UNAVAILABLE).into());
        }
        let serving = generations.iter().filter(|one| one.status == "serving");
        let Some(behind) = serving.min_by_key(|one| one.position) else {
            let failure =
                Failure::new("no read model serves", "run `chipq up` once", exit::UNAVAILABLE);
            return Err(failure.into());
        };
        if behind.position >= place.position {
            return Ok(());
        }
        if begun.elapsed() > SERVES_WITHIN {
            return Err(Failure::new(
                format_args!(
                    "the read model {} serves as of position {} and has not come to position {}",
                    behind.projection, behind.position, place.position
                ),
                "let `chipq up` or `chipq projectors` run, or look at `chipq projections list`",
                exit::UNAVAILABLE,
            )
            .into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn explain_replay(error: &ReplayError) -> Failure {
    let (next, code) = match error {
        ReplayError::NoInspection(_) => ("look its id up, such as in its report", exit::USAGE),
        ReplayError::CreatedLater { .. } => ("name that position or a later one", exit::USAGE),
        ReplayError::Unknown(_) => ("run it with the newer version", exit::UNAVAILABLE),
        ReplayError::Removed | ReplayError::NothingServes(_) => ("run it again", exit::UNAVAILABLE),
        ReplayError::Log(_) | ReplayError::Database(_) => {
            ("check that the database answers, then run it again", exit::UNAVAILABLE)
        }
    };
    Failure::new(error, next, code)
}
