//! The arguments of `chipq projections`.

use clap::{Args, Subcommand};

use super::model::parse_text;
use crate::installation::InstallationArgs;

/// `chipq projections`
#[derive(Debug, Subcommand)]
pub(crate) enum ProjectionsCommand {
    /// Show how far every read model is, and which streams it passes over.
    List(InstallationArgs),
    /// Apply the events of a parked stream again.
    #[command(after_help = "\
Examples:
  chipq projections retry reports 4711 --reason \"the column is wider now\"
  chipq projections retry reports --all --reason \"the column is wider now\"

POSITION is where `chipq projections list` says that the stream is parked. The projectors do it when they read
the decision in the log; exits with 1 when a stream stays parked. A stream that was discarded is taken up, too.
After an upgrade the new program tries by itself what the old one could not apply.")]
    Retry(RetryStreamArgs),
    /// Go on for good without an event that cannot be applied, and what comes after it in its stream.
    #[command(after_help = "\
Examples:
  chipq projections discard reports 4711 --reason \"a tool wrote it; the board was inspected again\"
  chipq projections discard all 4711 --reason \"...\"   every read model that it is in the way of
  chipq projections discard reports 4711 --not-parked --reason \"...\"   a rebuild has reported it

The read model keeps what it had of the stream. A rebuild goes on past it, too. It can be taken back:
chipq projections retry.")]
    Discard(DiscardStreamArgs),
    /// Show who retried or discarded what, and why.
    History(RepairHistoryArgs),
}

impl ProjectionsCommand {
    /// Where the read models are.
    pub(super) const fn installation(&self) -> &InstallationArgs {
        match self {
            Self::List(args) => args,
            Self::Retry(args) => &args.installation,
            Self::Discard(args) => &args.installation,
            Self::History(args) => &args.installation,
        }
    }
}

/// Who decides, and why.
#[derive(Debug, Clone, Args)]
pub(crate) struct DecisionArgs {
    /// Why; it is kept with the decision for ever.
    #[arg(long, value_name = "TEXT", value_parser = parse_text)]
    pub(crate) reason: String,
    /// Who decides; by default the account that this command runs in.
    #[arg(long, env = "CHIPQ_ACTOR", value_name = "NAME", value_parser = parse_text)]
    pub(crate) actor: Option<String>,
}

/// `chipq projections retry`
#[derive(Debug, Clone, Args)]
pub(crate) struct RetryStreamArgs {
    /// The read model: inspection_overview, defects, parts, yield, reports or audit_trail.
    pub(crate) projection: String,
    /// Where the event is that parked the stream.
    #[arg(required_unless_present = "all", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) position: Option<i64>,
    /// Every stream that is parked in the read model, at most 1,000.
    #[arg(long, conflicts_with = "position")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) decision: DecisionArgs,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}

/// `chipq projections discard`
#[derive(Debug, Clone, Args)]
pub(crate) struct DiscardStreamArgs {
    /// The read model: inspection_overview, defects, parts, yield, reports or audit_trail; or all: every one that the event
    /// stops, or has parked a stream of.
    pub(crate) projection: String,
    /// Where the event is.
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) position: i64,
    /// Also when it is in the way of no read model that serves: a rebuild has reported it.
    #[arg(long)]
    pub(crate) not_parked: bool,
    #[command(flatten)]
    pub(crate) decision: DecisionArgs,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}

/// `chipq projections history`
#[derive(Debug, Clone, Args)]
pub(crate) struct RepairHistoryArgs {
    /// The read model; all by default.
    pub(crate) projection: Option<String>,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}
