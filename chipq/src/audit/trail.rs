//! `chipq audit trail`: the events that concern somebody, an inspection or a stretch of time, in the log's order.
//!
//! Invariants: it reads the log alone, page by page, from its first event up to where it ended when the command began;
//! what it holds of it is bounded by a page and by some streams. Every event has an entry, also one that this software
//! does not know. Absent: what an entry says (`projectors::AuditEntry`), which the read model has from there as well.

mod csv;
mod histories;
mod search;
mod table;

use std::process::ExitCode;

use platform::event_log::{EventLog, Position};
use projectors::AuditEntry;

use crate::cli::AuditTrailArgs;
use crate::failure::{Failure, exit};
use crate::operator_session::OperatorSession;
use histories::StreamHistories;
use search::{Searched, TrailSearch};

/// Events that are read at a time.
const PAGE_EVENTS: usize = 1_000;

/// The exit code when no event is what was searched for.
const NOTHING: u8 = 1;

/// How entries are printed.
#[derive(Debug, Clone, Copy)]
enum TrailFormat {
    Table,
    Json,
    Csv,
}

/// Prints the trail; exits with 1 when it is empty.
pub(super) async fn print_trail(args: AuditTrailArgs) -> anyhow::Result<ExitCode> {
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from >= to
    {
        let what = format_args!(
            "--to {} is not later than --from {}",
            search::time(to),
            search::time(from)
        );
        return Err(Failure::new(what, "name an end after the beginning", exit::USAGE).into());
    }
    let search = TrailSearch::new(&args);
    let format = match (args.json, args.csv) {
        (true, _) => TrailFormat::Json,
        (_, true) => TrailFormat::Csv,
        _ => TrailFormat::Table,
    };
    let session = OperatorSession::open(&args.installation).await?;
    let printed = print_entries(&*session.log(), &search, format).await;
    let searched = session.close(printed).await?;
    if searched.found > 0 {
        if let TrailFormat::Table = format {
            outln!("{}", search.summary(&searched));
        }
        return Ok(ExitCode::SUCCESS);
    }
    errln!("{}", search.summary(&searched));
    Ok(ExitCode::from(NOTHING))
}

async fn print_entries(
    log: &dyn EventLog,
    search: &TrailSearch,
    format: TrailFormat,
) -> anyhow::Result<Searched> {
    if let TrailFormat::Csv = format {
        out!("{}", csv::header());
    }
    let (mut histories, mut searched) = (StreamHistories::new(log), Searched::default());
    let (head, mut after) = (log.head().await?, Position(0));
    while after < head {
        let page = log.read_all(after, PAGE_EVENTS).await?;
        for event in page.events.iter().filter(|event| event.position <= head) {
            searched.look_at(event);
            if search.takes(event) {
                searched.found += 1;
                let before = histories.before(event).await?;
                print_entry(&AuditEntry::new(event, &before), format)?;
            }
        }
        if page.up_to <= after {
            break;
        }
        after = page.up_to;
    }
    Ok(searched)
}

fn print_entry(entry: &AuditEntry, format: TrailFormat) -> anyhow::Result<()> {
    match format {
        TrailFormat::Table => out!("{}", table::lines(entry)),
        TrailFormat::Json => outln!("{}", serde_json::to_string(entry)?),
        TrailFormat::Csv => out!("{}", csv::record(entry)),
    }
    Ok(())
}
