//! The arguments of what was, and of what would have been: `chipq audit replay` and `rejudge`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Args};
use domain::PartNumber;
use platform::event_log::LogMoment;
use query_api::ReportFontConfig;
use uuid::Uuid;

use crate::cli::model::ModelServerArgs;
use crate::installation::InstallationArgs;

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
