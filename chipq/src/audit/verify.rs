//! `chipq audit verify` of an installation, also while a platform serves from it.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context as _;
use domain::{ArtifactId, Sha256};
use platform::artifact_store::{ArtifactStore, ArtifactStoreError};
use proof::{VerifiedLog, WitnessPlace, believe_heads, list_origins, verify_log};
use transparency::{ArtifactRecord, note_artifacts};

use super::{find_own_key, read_heads, read_public_keys, tell_difference};
use crate::cli::VerifyAuditArgs;
use crate::failure::Failure;
use crate::operator_session::OperatorSession;

/// What was made of the pictures.
#[derive(Default)]
struct ReadArtifacts {
    read: u64,
    retired: u64,
    unread: u64,
}

/// Verifies the log of an installation.
pub(super) async fn run(args: VerifyAuditArgs) -> anyhow::Result<ExitCode> {
    let session = OperatorSession::open(&args.installation).await?;
    let outcome = verify(&session, &args).await;
    match session.close(outcome).await? {
        Ok(last) => {
            outln!("{last}");
            Ok(ExitCode::SUCCESS)
        }
        Err(what) => Ok(tell_difference(&what)),
    }
}

/// The last line, or the first difference.
async fn verify(
    session: &OperatorSession,
    args: &VerifyAuditArgs,
) -> anyhow::Result<Result<String, String>> {
    let public_keys = find_public_keys(session, args)?;
    let (own, mut places) = (args.proof.head_folder(session.data_dir()), args.heads.clone());
    if let Some(WitnessPlace::Folder(witness)) = &args.proof.witness {
        places.push(witness.clone());
    }
    // Before the tree is looked at: what is signed meanwhile would seem to be ahead of it.
    let mut notes = if own.exists() { read_heads(std::slice::from_ref(&own))? } else { Vec::new() };
    let kept = notes.len();
    notes.extend(read_heads(&places)?);
    let elsewhere = notes.len() - kept;
    let origins = list_origins(session.pool()).await?;
    let (heads, given_up) = match believe_heads(notes, &public_keys, &origins) {
        Ok(believed) => believed,
        Err(what) => return Ok(Err(what)),
    };
    if heads.is_empty() {
        return Ok(Err(format!(
            "there is no tree head of this log in {}, so that nothing can be proved; the first one is signed within \
             seconds of the first event where `chipq up` or `chipq log-proof` runs",
            own.display()
        )));
    }
    let (mut artifacts, mut unreadable) = (BTreeMap::new(), false);
    let mut see = |envelope: &[u8]| unreadable |= note_artifacts(envelope, &mut artifacts).is_err();
    let log = session.log();
    let verdict = verify_log((session.pool(), &*log), (heads, given_up), &mut see).await?;
    let verified = match verdict {
        Ok(verified) => verified,
        Err(what) => return Ok(Err(what)),
    };
    if unreadable {
        return Ok(Err("an event does not say which picture it is about".to_owned()));
    }
    let read = if args.without_artifacts {
        ReadArtifacts { unread: artifacts.len() as u64, ..ReadArtifacts::default() }
    } else {
        match read_artifacts(session, &artifacts).await? {
            Ok(read) => read,
            Err(what) => return Ok(Err(what)),
        }
    };
    Ok(Ok(describe(&verified, &read, (kept, elsewhere))))
}

fn find_public_keys(
    session: &OperatorSession,
    args: &VerifyAuditArgs,
) -> Result<Vec<[u8; 32]>, Failure> {
    if !args.public_keys.is_empty() {
        return read_public_keys(&args.public_keys);
    }
    Ok(vec![find_own_key(session, &args.keys)?])
}

/// Compares every picture that is not retired with its digest; the first that differs.
async fn read_artifacts(
    session: &OperatorSession,
    artifacts: &BTreeMap<String, ArtifactRecord>,
) -> anyhow::Result<Result<ReadArtifacts, String>> {
    let store = session.open_artifacts_to_read()?;
    let mut read = ReadArtifacts::default();
    for artifact in artifacts.values() {
        if artifact.retired_at.is_some() {
            read.retired += 1;
            continue;
        }
        if let Err(what) = read_artifact(&store, artifact).await? {
            return Ok(Err(what));
        }
        read.read += 1;
    }
    Ok(Ok(read))
}

async fn read_artifact(
    store: &ArtifactStore,
    artifact: &ArtifactRecord,
) -> anyhow::Result<Result<(), String>> {
    let ArtifactRecord { artifact_id, position, sha256, .. } = artifact;
    let about =
        format!("the picture {artifact_id}, which the event at position {position} announces,");
    let id: ArtifactId = artifact_id.parse().context("an artifact's id in the log")?;
    let expected: Sha256 = sha256.parse().context("an artifact's digest in the log")?;
    Ok(match store.get_verified(id, &expected).await {
        Ok(_) => Ok(()),
        Err(ArtifactStoreError::NotFound(_)) => {
            Err(format!("{about} is missing in the store, and no event says that it was retired"))
        }
        Err(ArtifactStoreError::DigestMismatch { found, .. }) => {
            Err(format!("{about} was altered: its SHA-256 is {found}, not {sha256}"))
        }
        Err(error) => return Err(error.into()),
    })
}

/// Exactly what was read, and what was not.
fn describe(
    verified: &VerifiedLog,
    artifacts: &ReadArtifacts,
    (kept, elsewhere): (usize, usize),
) -> String {
    let VerifiedLog { events, positions, proved, heads, given_up, beyond } = verified;
    let (first, last) = positions.unwrap_or_default();
    let mut line = format!(
        "proved: events 1 to {} (up to position {}); read: {events} events at positions {first} to {last}, {kept} tree heads \
         of the installation and {elsewhere} from elsewhere, of which {heads} different ones fit, {} pictures",
        proved.0, proved.1, artifacts.read
    );
    let mut unread = Vec::new();
    if proved.0 < *events {
        unread.push(format!("{} events that no tree head covers yet", events - proved.0));
    }
    if *beyond > 0 {
        unread.push(format!("{beyond} events that are not in the tree yet"));
    }
    if artifacts.retired > 0 {
        unread.push(format!("{} pictures that events say were retired", artifacts.retired));
    }
    if artifacts.unread > 0 {
        unread.push(format!("{} pictures, which were not read", artifacts.unread));
    }
    if *given_up != (0, 0) {
        let (fit, differ) = given_up;
        unread.push(format!(
            "of names of the log that were given up, {fit} tree heads fit and {differ} do not"
        ));
    }
    if elsewhere == 0 {
        unread.push("no tree head that somebody else has kept was compared".to_owned());
    }
    if !unread.is_empty() {
        line += &format!("; not proved: {}", unread.join("; "));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_says_what_was_not_read() {
        let verified = VerifiedLog {
            events: 12,
            positions: Some((1, 15)),
            proved: (10, 13),
            heads: 2,
            given_up: (1, 2),
            beyond: 3,
        };
        let artifacts = ReadArtifacts { read: 4, retired: 1, unread: 0 };
        let line = describe(&verified, &artifacts, (2, 0));
        for part in [
            "events 1 to 10 (up to position 13)",
            "12 events at positions 1 to 15",
            "4 pictures",
            "not proved: 2 events that no tree head covers yet",
            "3 events that are not in the tree",
            "1 pictures that events say were retired",
            "1 tree heads fit and 2 do not",
            "no tree head that somebody else has kept",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
}
