//! `chipq audit`: what the log proves to somebody who does not trust its database.

mod export;
mod key;
mod offline;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use platform::auth::parse_public_pem;
use proof::HeadFolder;
use transparency::SignedNote;

use crate::cli::{AuditCommand, NewOriginArgs};
use crate::failure::{Failure, exit};
use crate::operator_session::{OperatorSession, operator};

/// The exit code of what is not as it should be.
const DIFFERS: u8 = 1;

/// `chipq audit`
pub(crate) async fn run(command: AuditCommand) -> anyhow::Result<ExitCode> {
    match command {
        AuditCommand::Verify(args) => match args.export.clone() {
            Some(export) => offline::verify_export(args, export).await,
            None => verify::run(args).await,
        },
        AuditCommand::Export(args) => export::run(args).await,
        AuditCommand::Key(args) => key::run(args),
        AuditCommand::NewOrigin(args) => begin_origin(args).await,
    }
}

async fn begin_origin(args: NewOriginArgs) -> anyhow::Result<ExitCode> {
    let session = OperatorSession::open(&args.installation).await?;
    let actor = operator(args.decision.actor.as_deref());
    let begun = proof::begin_origin(session.pool(), &actor.subject, &args.decision.reason).await;
    let origin = session.close(begun.map_err(Into::into)).await?;
    outln!("{origin}");
    errln!(
        "the log's tree is built again from its first event; within seconds of that its heads are signed in this name"
    );
    Ok(ExitCode::SUCCESS)
}

/// The public keys in these files.
fn read_public_keys(paths: &[PathBuf]) -> Result<Vec<[u8; 32]>, Failure> {
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).map_err(|error| cannot_read(path, &error))?;
        parse_public_pem(&text).ok_or_else(|| {
            Failure::new(
                format_args!("{} is no public Ed25519 key in PEM", path.display()),
                "give the file that `chipq audit key --out` wrote",
                exit::DATA,
            )
        })
    };
    paths.iter().map(read).collect()
}

/// The tree heads in these folders and files, which nobody has verified yet.
fn read_heads(paths: &[PathBuf]) -> Result<Vec<SignedNote>, Failure> {
    let mut notes = Vec::new();
    for path in paths {
        notes.extend(HeadFolder::new(path.clone()).read_all().map_err(|error| {
            let text = error.to_string();
            let (what, next) =
                text.rsplit_once("; ").unwrap_or((&text, "name a folder of tree heads"));
            let code = match error {
                proof::HeadFolderError::Io { .. } => exit::NO_INPUT,
                proof::HeadFolderError::Malformed { .. } => DIFFERS,
            };
            Failure::new(what, next, code)
        })?);
    }
    Ok(notes)
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        format_args!("cannot read {}: {error}", path.display()),
        "name a file that is there and that you may read",
        exit::NO_INPUT,
    )
}

/// Says the first difference, which ends a verification.
fn tell_difference(what: &str) -> ExitCode {
    outln!("not as it should be: {what}");
    ExitCode::from(DIFFERS)
}
