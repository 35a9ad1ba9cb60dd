//! The arguments of `chipq keys`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use platform::auth::{KeyPurpose, KeysConfig};

use super::DecisionArgs;
use crate::installation::InstallationArgs;

/// `chipq keys`
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Show every key, what it is for, and how many of the processes that serve know it.
    List(ListKeysArgs),
    /// Make the first keys in a directory that all machines are to share, or to be put into a store of secrets.
    #[command(after_help = "\
Example:
  chipq keys init ./keys && kubectl create secret generic chipq-keys --from-file=./keys")]
    Init(InitKeysArgs),
    /// Make a key that signs from half a minute on, when every process knows it; what is signed already stays good.
    #[command(after_help = "\
Examples:
  chipq keys rotate --reason \"once a quarter\"
  chipq keys rotate --of urls --keys /mnt/chipq-keys --reason \"once a year\"")]
    Rotate(RotateKeyArgs),
    /// Delete a key: within a minute nothing that was signed with it is believed any more.
    #[command(after_help = "\
Example:
  chipq keys retire 9c56cc51b374c3ba --reason \"its disk was given away\"

The key that signs cannot be retired: rotate first, and wait a minute.")]
    Retire(RetireKeyArgs),
    /// Let the installation work with these keys from now on, because its own are lost. Nobody may serve meanwhile, and
    /// nothing that was signed before is believed any more.
    #[command(after_help = "\
Example:
  chipq keys adopt --keys /mnt/chipq-keys --reason \"the disk with the keys is lost\"")]
    Adopt(AdoptKeysArgs),
}

impl KeysCommand {
    /// Whose keys they are; absent where they are nobody's yet.
    pub(super) const fn installation(&self) -> Option<&InstallationArgs> {
        match self {
            Self::List(args) => Some(&args.installation),
            Self::Init(_) => None,
            Self::Rotate(args) => Some(&args.installation),
            Self::Retire(args) => Some(&args.installation),
            Self::Adopt(args) => Some(&args.installation),
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
    pub(crate) keys: KeysConfig,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}

/// `chipq keys init`
#[derive(Debug, Clone, Args)]
pub(crate) struct InitKeysArgs {
    /// The directory; it is made when it is missing, and must hold no keys.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}

/// `chipq keys rotate`
#[derive(Debug, Clone, Args)]
pub(crate) struct RotateKeyArgs {
    /// What the key is for: access tokens, or upload URLs and cursors.
    #[arg(long, value_enum, default_value = "tokens", value_name = "PURPOSE")]
    pub(crate) of: KeyPurpose,
    #[command(flatten)]
    pub(crate) decision: DecisionArgs,
    #[command(flatten)]
    pub(crate) keys: KeysConfig,
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
    pub(crate) keys: KeysConfig,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}

/// `chipq keys adopt`
#[derive(Debug, Clone, Args)]
pub(crate) struct AdoptKeysArgs {
    #[command(flatten)]
    pub(crate) decision: DecisionArgs,
    #[command(flatten)]
    pub(crate) keys: KeysConfig,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}
