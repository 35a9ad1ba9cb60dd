//! The arguments of `chipq keys`.

use clap::{Args, Subcommand};

use super::DecisionArgs;
use crate::installation::InstallationArgs;

/// `chipq keys`
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Show every key that tokens are checked with, and what it is for.
    List(ListKeysArgs),
    /// Make a key that tokens are signed with from half a minute on; those that are signed already stay good.
    #[command(after_help = "\
Example:
  chipq keys rotate --reason \"once a quarter\"")]
    Rotate(RotateKeyArgs),
    /// Delete a key: within a minute no token that was signed with it is believed any more.
    #[command(after_help = "\
Example:
  chipq keys retire 9c56cc51b374c3ba --reason \"its disk was given away\"

The key that tokens are signed with cannot be retired: rotate first, and wait a minute.")]
    Retire(RetireKeyArgs),
}

impl KeysCommand {
    /// Where the keys are.
    pub(super) const fn installation(&self) -> &InstallationArgs {
        match self {
            Self::List(args) => &args.installation,
            Self::Rotate(args) => &args.installation,
            Self::Retire(args) => &args.installation,
        }
    }
}

/// `chipq keys list`
#[derive(Debug, Clone, Args)]
pub(crate) struct ListKeysArgs {
    /// Print them as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}

/// `chipq keys rotate`
#[derive(Debug, Clone, Args)]
pub(crate) struct RotateKeyArgs {
    #[command(flatten)]
    pub(crate) decision: DecisionArgs,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}

/// `chipq keys retire`
#[derive(Debug, Clone, Args)]
pub(crate) struct RetireKeyArgs {
    /// Its id, as `chipq keys list` shows it.
    pub(crate) kid: String,
    #[command(flatten)]
    pub(crate) decision: DecisionArgs,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}
