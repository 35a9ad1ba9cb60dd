//! The arguments of `chipq audit`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Args, Subcommand};
use domain::PartNumber;
use platform::event_log::LogMoment;
use query_api::ReportFontConfig;
use uuid::Uuid;

use super::model::ModelServerArgs;
use crate::installation::InstallationArgs;

/// `chipq audit`
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Show the read models and reports as of an earlier moment, from the log, and hold the reports against those that
    /// serve.
    #[command(after_help = "\
Examples:
  chipq audit replay --at 4711
  chipq audit replay --at 2026-01-31T12:00:00+01:00 --into as-of-january
  chipq audit replay --at 4711 --inspection 0198c0de-0000-7000-8000-000000000001

It works beside a platform that serves, in tables of its own that go when it ends. Exits with 1 when a report that serves
differs in a way that no later event explains.")]
    Replay(AuditReplayArgs),
    /// Say which boards would have been judged otherwise, had another recipe or network been in force.
    #[command(after_help = "\
Examples:
  chipq audit rejudge --from 2026-01-01T00:00:00Z --to 2026-02-01T00:00:00Z --recipe stricter.json
  chipq audit rejudge --from 0 --to 4711 --recipe stricter.json --part PCB-7 --out stricter
  chipq audit rejudge --from 0 --to 4711 --model golden-compare@2 --engine grpc://127.0.0.1:8001

Thresholds and views are applied to the results in the log. Another area, another bend or another network needs the pictures
compared again, which is done as the worker does it. A board of which that is not possible any more is counted as not judged
again. Nothing is written to the log.")]
    Rejudge(AuditRejudgeArgs),
}

impl AuditCommand {
    /// Where the log is.
    pub(super) const fn installation(&self) -> &InstallationArgs {
        match self {
            Self::Replay(args) => &args.installation,
            Self::Rejudge(args) => &args.server.installation,
        }
    }
}

/// `chipq audit replay`
#[derive(Debug, Clone, Args)]
pub(crate) struct AuditReplayArgs {
    /// As of when: a position of the log, an X-Log-Position, or a time with its offset from UTC, such as
    /// 2026-01-31T12:00:00Z. A time means everything before the first event that was recorded later.
    #[arg(long, value_name = "POSITION|TIME")]
    pub(crate) at: LogMoment,
    /// This inspection and its part alone, which needs no more of the log than their own events.
    #[arg(long, value_name = "ID")]
    pub(crate) inspection: Option<Uuid>,
    /// Make this folder, with the read models as JSON lines and every report as JSON and PDF. PDFs are rendered, and
    /// held against those that serve, with this or with --inspection.
    #[arg(long, value_name = "DIR")]
    pub(crate) into: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) report_font: ReportFontConfig,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}

/// `chipq audit rejudge`
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("rule").required(true).args(["recipe", "model"]))]
pub(crate) struct AuditRejudgeArgs {
    /// Boards that were judged after this moment: a position of the log, an X-Log-Position, or a time with its offset from
    /// UTC. 0, or a time before the first event, is where the log begins.
    #[arg(long, value_name = "POSITION|TIME")]
    pub(crate) from: LogMoment,
    /// Boards that were judged by this moment.
    #[arg(long, value_name = "POSITION|TIME")]
    pub(crate) to: LogMoment,
    /// Judge by the recipe in this file, which is the body of a recipe revision.
    #[arg(long, value_name = "FILE")]
    pub(crate) recipe: Option<PathBuf>,
    /// Compare by this network, which has to be served where --engine says.
    #[arg(long, value_name = "NAME@VERSION")]
    pub(crate) model: Option<NamedNetwork>,
    /// Boards of this part alone.
    #[arg(long, value_name = "PART")]
    pub(crate) part: Option<PartNumber>,
    /// Make this folder: rejudge.json with the totals, boards.jsonl with every board, index.html with the pictures of
    /// those that change.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) server: ModelServerArgs,
}

/// A network by its name and version.
#[derive(Debug, Clone)]
pub(crate) struct NamedNetwork {
    pub(crate) name: String,
    pub(crate) version: String,
}

impl FromStr for NamedNetwork {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.rsplit_once('@') {
            Some((name, version)) if !name.is_empty() && !version.is_empty() => {
                Ok(Self { name: name.to_owned(), version: version.to_owned() })
            }
            _ => Err("write its name and version, such as golden-compare@2"),
        }
    }
}
