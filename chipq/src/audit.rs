//! `chipq audit`: what an auditor asks of the event log, and what it proves to somebody who does not trust its database. All
//! of it reads the log beside a platform that serves.

mod check;
mod export;
mod key;
mod moment;
mod offline;
mod prove;
mod rejudge;
mod replay;
mod trail;
mod verify;
mod whole_folder;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use boards::WholeFile;
use platform::auth::{KeysConfig, TreeHeadKey, parse_public_pem};
use platform::shutdown::Shutdown;
use proof::HeadFolder;
use transparency::SignedNote;

use crate::cli::{AuditCommand, NewOriginArgs};
use crate::failure::{Failure, exit};
use crate::key_failure::explain_key;
use crate::operator_session::{OperatorSession, operator};

pub(crate) use export::export_all;
pub(crate) use offline::read_export;

/// The exit code of what is not as it should be.
const DIFFERS: u8 = 1;

/// `chipq audit`; exits with 1 when something is not as it should be.
pub(crate) async fn run(command: AuditCommand, shutdown: &Shutdown) -> anyhow::Result<ExitCode> {
    match command {
        AuditCommand::Trail(args) => trail::print_trail(args).await,
        AuditCommand::Replay(args) => replay::run(args, shutdown).await,
        AuditCommand::Rejudge(args) => rejudge::run(args, shutdown).await,
        AuditCommand::Verify(args) => match args.export.clone() {
            Some(export) => offline::verify_export(args, export).await,
            None => verify::run(args).await,
        },
        AuditCommand::Export(args) => export::run(args).await,
        AuditCommand::Prove(args) => prove::run(args).await,
        AuditCommand::Check(args) => check::run(&args),
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

/// The key that the installation's tree heads are signed with, for its public half.
fn find_own_key(session: &OperatorSession, keys: &KeysConfig) -> Result<[u8; 32], Failure> {
    let place = keys.place(session.data_dir());
    let key = TreeHeadKey::find(&place).map_err(|error| explain_key(&error))?;
    let key = key.ok_or_else(|| {
        Failure::new(
            format_args!(
                "there is no key of tree heads: {}",
                TreeHeadKey::file_in(&place).display()
            ),
            "name the directory of the installation's keys (--keys DIR)",
            exit::NO_INPUT,
        )
    })?;
    Ok(*key.public_key())
}

/// Writes a file that is there whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = WholeFile::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.finish()
    });
    written.map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        format_args!("cannot write {}: {error}", path.display()),
        "name a file that you may write, on a disk that has room",
        exit::CANNOT_WRITE,
    )
}

/// Says the first difference, which ends a verification.
fn tell_difference(what: &str) -> ExitCode {
    outln!("not as it should be: {what}");
    ExitCode::from(DIFFERS)
}
