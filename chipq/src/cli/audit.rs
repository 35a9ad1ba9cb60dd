//! The arguments of `chipq audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use platform::event_log::LogMoment;
use query_api::ReportFontConfig;
use uuid::Uuid;

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
}

impl AuditCommand {
    /// Where the log is.
    pub(super) const fn installation(&self) -> &InstallationArgs {
        match self {
            Self::Replay(args) => &args.installation,
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
