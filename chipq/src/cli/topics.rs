//! The arguments of `chipq topics`.

use clap::{Args, Subcommand};

use crate::installation::InstallationArgs;

/// `chipq topics`
#[derive(Debug, Subcommand)]
pub(crate) enum TopicsCommand {
    /// Show up to which position of the log each partition holds its events.
    List(ListTopicsArgs),
    /// Let the relay send a topic every event again, from the log's first on: after it was deleted, or emptied.
    #[command(after_help = "\
Example:
  chipq topics resend chipq.inspection

Delete the topic first where it holds anything: who reads it from the beginning would get that twice, and consumers drop what
they have seen. See docs/consumers.md.")]
    Resend(ResendTopicArgs),
}

impl TopicsCommand {
    /// Where the log is.
    pub(super) const fn installation(&self) -> &InstallationArgs {
        match self {
            Self::List(args) => &args.installation,
            Self::Resend(args) => &args.installation,
        }
    }
}

/// `chipq topics list`
#[derive(Debug, Clone, Args)]
pub(crate) struct ListTopicsArgs {
    /// Print them as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}

/// `chipq topics resend`
#[derive(Debug, Clone, Args)]
pub(crate) struct ResendTopicArgs {
    /// Its whole name, as `chipq topics list` shows it.
    pub(crate) topic: String,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}
