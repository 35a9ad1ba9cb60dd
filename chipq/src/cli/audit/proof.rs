//! The arguments of what the log proves: `chipq audit verify`, `export`, `key`, `prove`, `check` and `new-origin`.

use std::path::PathBuf;

use ::proof::ProofConfig;
use clap::Args;
use platform::auth::KeysConfig;
use uuid::Uuid;

use crate::cli::DecisionArgs;
use crate::installation::InstallationArgs;

/// `chipq audit verify`
#[derive(Debug, Clone, Args)]
pub(crate) struct VerifyAuditArgs {
    /// An export to be verified instead of an installation's log; nothing else is needed for it but the key.
    #[arg(long, value_name = "FILE", requires = "public_keys")]
    pub(crate) export: Option<PathBuf>,
    /// The public key, as `chipq audit key` hands it out; several where the key was another one before. Of an
    /// installation its own by default.
    #[arg(long = "key", value_name = "PUBLIC.pem")]
    pub(crate) public_keys: Vec<PathBuf>,
    /// Tree heads that somebody else has kept, to be compared as well: a folder or a file of a witness.
    #[arg(long, value_name = "DIR_OR_FILE")]
    pub(crate) heads: Vec<PathBuf>,
    /// Leave the pictures unread; the last line then says so.
    #[arg(long, conflicts_with = "export")]
    pub(crate) without_artifacts: bool,
    #[command(flatten)]
    pub(crate) proof: ProofConfig,
    #[command(flatten)]
    pub(crate) keys: KeysConfig,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}

/// `chipq audit export`
#[derive(Debug, Clone, Args)]
pub(crate) struct ExportAuditArgs {
    /// The file; what is there before stays until the export is whole.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Begin with the first event at this position, or behind it.
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(1..=i64::MAX))]
    pub(crate) from: Option<i64>,
    /// End with the last event at this position, or before it.
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(1..=i64::MAX))]
    pub(crate) to: Option<i64>,
    #[command(flatten)]
    pub(crate) proof: ProofConfig,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}

/// `chipq audit key`
#[derive(Debug, Clone, Args)]
pub(crate) struct AuditKeyArgs {
    /// The file to write it to (PEM); it is printed otherwise.
    #[arg(long, value_name = "PUBLIC.pem")]
    pub(crate) out: Option<PathBuf>,
    /// Make the key first, where there is none yet.
    #[arg(long)]
    pub(crate) create: bool,
    #[command(flatten)]
    pub(crate) keys: KeysConfig,
    /// Folder for everything that is kept: PostgreSQL, pictures, keys.
    /// Default: $XDG_DATA_HOME/chipq or ~/.local/share/chipq; /var/lib/chipq for root.
    #[arg(long, env = "CHIPQ_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

/// `chipq audit prove`
#[derive(Debug, Clone, Args)]
pub(crate) struct ProveAuditArgs {
    /// The inspection that was reported.
    #[arg(long = "report", value_name = "INSPECTION")]
    pub(crate) inspection: Uuid,
    /// The file; what is there before stays until the proof is whole.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) proof: ProofConfig,
    #[command(flatten)]
    pub(crate) keys: KeysConfig,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}

/// `chipq audit check`
#[derive(Debug, Clone, Args)]
pub(crate) struct CheckAuditArgs {
    /// What `chipq audit prove` wrote.
    pub(crate) file: PathBuf,
    /// The public key, as `chipq audit key` hands it out; several where the key was another one before.
    #[arg(long = "key", value_name = "PUBLIC.pem", required = true)]
    pub(crate) public_keys: Vec<PathBuf>,
}

/// `chipq audit new-origin`
#[derive(Debug, Clone, Args)]
pub(crate) struct NewOriginArgs {
    #[command(flatten)]
    pub(crate) decision: DecisionArgs,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}
