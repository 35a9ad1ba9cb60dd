//! The arguments of `chipq audit`.

mod past;
mod proof;
mod trail;

use clap::Subcommand;

pub(crate) use past::{AuditRejudgeArgs, AuditReplayArgs, NamedNetwork};
pub(crate) use proof::{
    AuditKeyArgs, CheckAuditArgs, ExportAuditArgs, NewOriginArgs, ProveAuditArgs, VerifyAuditArgs,
};
pub(crate) use trail::AuditTrailArgs;

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
            Self::Replay(args) => Some(&args.installation),
            Self::Rejudge(args) => Some(&args.server.installation),
            Self::Verify(args) if args.export.is_some() => None,
            Self::Verify(args) => Some(&args.installation),
            Self::Export(args) => Some(&args.installation),
            Self::Prove(args) => Some(&args.installation),
            Self::Key(_) | Self::Check(_) => None,
            Self::NewOrigin(args) => Some(&args.installation),
        }
    }
}
