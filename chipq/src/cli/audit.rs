//! The arguments of `chipq audit`.

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use clap::{ArgGroup, Args, Subcommand};
use platform::auth::KeysConfig;
use proof::ProofConfig;
use uuid::Uuid;

use super::DecisionArgs;
use super::model::parse_text;
use crate::installation::InstallationArgs;

/// `chipq audit`
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Print who did what, when, from where, with which token, to what, and why: from the event log alone.
    #[command(after_help = "\
Examples:
  chipq audit trail --inspection 019a1b2c-3d4e-7f50-8a1b-2c3d4e5f6071
  chipq audit trail --subject ada --from 2026-11-01 --to 2026-12-01 --csv > ada.csv
  chipq audit trail --from 2026-11-30T06:00:00Z --json | jq -c 'select(.event == \"AccessRefused\")'

What is given must hold together. Exits with 1 when no event does, and says what was searched. See docs/audit-trail.md.")]
    Trail(AuditTrailArgs),
    /// Prove that the log is what it was: its events, their tree, the tree heads that were signed, and every picture.
    #[command(after_help = "\
Examples:
  chipq audit verify
  chipq audit verify --heads /mnt/witness
  chipq audit verify --export log.jsonl --key public.pem --heads /mnt/witness

Exits with 0 when everything that was read is proved, with 1 when something is not as it should be: the first difference is
named. The last line says what was read, and what was not.")]
    Verify(VerifyAuditArgs),
    /// Write the log into one file that can be verified elsewhere, with nothing but the public key.
    #[command(after_help = "\
Examples:
  chipq audit export --out log.jsonl
  chipq audit export --out part.jsonl --from 10000 --to 20000")]
    Export(ExportAuditArgs),
    /// Hand out the public key by which anybody verifies tree heads, exports and proofs.
    #[command(after_help = "\
Examples:
  chipq audit key --out public.pem
  chipq audit key --create --keys ./keys --out public.pem   in a shared directory that has no such key yet")]
    Key(AuditKeyArgs),
    /// Write one file that proves an inspection's report: every event behind it, that each was in the log, and who acted.
    #[command(after_help = "\
Example:
  chipq audit prove --report 01992f6e-2a00-7c3e-9a54-3d1f0b7e5a10 --out proof.json")]
    Prove(ProveAuditArgs),
    /// Check such a file on any machine, with nothing but the public key.
    #[command(after_help = "\
Example:
  chipq audit check proof.json --key public.pem

Exits with 1 when any byte of it was changed.")]
    Check(CheckAuditArgs),
    /// Give the log another name in its tree heads, once it was put back behind what was signed: from then on tree heads
    /// are signed again. What was signed before stays, and is compared by `verify`.
    #[command(after_help = "\
Example:
  chipq audit new-origin --reason \"the backup of Sunday was put back, see ticket 4711\"")]
    NewOrigin(NewOriginArgs),
}

impl AuditCommand {
    /// Whose log it is; absent where none is asked for.
    pub(super) const fn installation(&self) -> Option<&InstallationArgs> {
        match self {
            Self::Trail(args) => Some(&args.installation),
            Self::Verify(args) if args.export.is_some() => None,
            Self::Verify(args) => Some(&args.installation),
            Self::Export(args) => Some(&args.installation),
            Self::Prove(args) => Some(&args.installation),
            Self::Key(_) | Self::Check(_) => None,
            Self::NewOrigin(args) => Some(&args.installation),
        }
    }
}

/// `chipq audit trail`
#[derive(Debug, Clone, Args)]
#[command(group(ArgGroup::new("searched").required(true).multiple(true)))]
pub(crate) struct AuditTrailArgs {
    /// What is about this inspection.
    #[arg(long, value_name = "ID", group = "searched")]
    pub(crate) inspection: Option<Uuid>,
    /// What this account, client, operator or part of the platform did, and what was done to it.
    #[arg(long, value_name = "WHO", group = "searched", value_parser = parse_text)]
    pub(crate) subject: Option<String>,
    /// What happened at this time or later: as in 2026-11-30T06:00:00Z, or a day, which begins at 00:00 UTC.
    #[arg(long, value_name = "TIME", group = "searched", value_parser = parse_time)]
    pub(crate) from: Option<DateTime<Utc>>,
    /// What happened before this time.
    #[arg(long, value_name = "TIME", group = "searched", value_parser = parse_time)]
    pub(crate) to: Option<DateTime<Utc>>,
    /// Print each event as a JSON object in a line of its own.
    #[arg(long, conflicts_with = "csv")]
    pub(crate) json: bool,
    /// Print comma-separated values (RFC 4180); a spreadsheet takes none of them for a formula.
    #[arg(long)]
    pub(crate) csv: bool,
    #[command(flatten)]
    pub(crate) installation: InstallationArgs,
}

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
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) from: Option<i64>,
    /// End with the last event at this position, or before it.
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(1..))]
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

/// A time of RFC 3339, or the beginning of a day in UTC.
fn parse_time(text: &str) -> Result<DateTime<Utc>, &'static str> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let day: NaiveDate =
        text.parse().map_err(|_| "write it as 2026-11-30T06:00:00Z, or a day as 2026-11-30")?;
    Ok(day.and_time(NaiveTime::MIN).and_utc())
}
