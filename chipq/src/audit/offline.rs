//! `chipq audit verify --export`: an export, and nothing but a public key.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use platform::auth::verify_ed25519;
use transparency::{ExportDifference, ExportSummary, ExportVerifier, SignedTreeHead};

use super::{cannot_read, read_heads, read_public_keys, tell_difference};
use crate::cli::VerifyAuditArgs;
use crate::failure::Failure;

/// The longest line that is read, in bytes: an event has some thousand.
const LINE_MAX_BYTES: u64 = 64 << 20;
/// How much of the file is read at once, in bytes.
const READ_BYTES: usize = 1 << 20;

/// Verifies an export.
pub(super) async fn verify_export(
    args: VerifyAuditArgs,
    export: PathBuf,
) -> anyhow::Result<ExitCode> {
    let public_keys = read_public_keys(&args.public_keys)?;
    let notes = read_heads(&args.heads)?;
    let mut elsewhere = Vec::with_capacity(notes.len());
    for (number, note) in (1..).zip(notes) {
        match SignedTreeHead::verify(note, &public_keys, &verify_ed25519) {
            Ok(signed) => elsewhere.push(signed),
            Err(error) => {
                let what =
                    format!("the tree head number {number} of --heads is not believed: {error}");
                return Ok(tell_difference(&what));
            }
        }
    }
    let kept_elsewhere = elsewhere.len();
    let reading = move || read_export(&export, elsewhere, &public_keys);
    let summary = match tokio::task::spawn_blocking(reading).await?? {
        Ok(summary) => summary,
        Err(difference) => return Ok(tell_difference(&difference.to_string())),
    };
    let last = describe(&summary, kept_elsewhere);
    if summary.events > summary.proved_events && summary.proved_events == 0 {
        return Ok(tell_difference(&format!(
            "no tree head covers any of its events: nothing is proved; {last}"
        )));
    }
    outln!("{last}");
    Ok(ExitCode::SUCCESS)
}

/// Reads it line after line; what was read, or the first difference.
pub(crate) fn read_export(
    path: &Path,
    elsewhere: Vec<SignedTreeHead>,
    public_keys: &[[u8; 32]],
) -> Result<Result<ExportSummary, ExportDifference>, Failure> {
    let failed = |error: std::io::Error| cannot_read(path, &error);
    let mut reader = BufReader::with_capacity(READ_BYTES, File::open(path).map_err(failed)?);
    let mut line = Vec::new();
    let mut verifier: Option<ExportVerifier<'_>> = None;
    let mut elsewhere = Some(elsewhere);
    loop {
        line.clear();
        let length =
            (&mut reader).take(LINE_MAX_BYTES).read_until(b'\n', &mut line).map_err(failed)?;
        if length == 0 {
            break;
        }
        // A line without an end is what a truncated file ends with, and is refused as what it is.
        let text = line.strip_suffix(b"\n").unwrap_or(&[]);
        let taken = match &mut verifier {
            Some(verifier) => verifier.take_line(text),
            None => {
                let header = String::from_utf8_lossy(text);
                let believed = (public_keys, &verify_ed25519 as _);
                ExportVerifier::begin(&header, elsewhere.take().unwrap_or_default(), believed)
                    .map(|begun| verifier = Some(begun))
            }
        };
        if let Err(difference) = taken {
            return Ok(Err(difference));
        }
    }
    match verifier {
        Some(verifier) => Ok(verifier.finish()),
        None => Ok(Err(ExportDifference { line: 1, what: "the file is empty".to_owned() })),
    }
}

/// Exactly what was read, and what was not.
fn describe(summary: &ExportSummary, elsewhere: usize) -> String {
    let ExportSummary {
        origin,
        index,
        positions,
        events,
        proved_events,
        heads,
        heads_beyond,
        artifacts,
    } = summary;
    let (first, last) = positions.unwrap_or_default();
    let retired = artifacts.values().filter(|artifact| artifact.retired_at.is_some()).count();
    let mut line = format!(
        "proved: events {} to {} of the log {origin}; read: {events} events at positions {first} to {last}, and the digests of \
         {} pictures, {retired} of them retired; {heads} tree heads fit; not read: the pictures themselves",
        index + 1,
        index + proved_events,
        artifacts.len()
    );
    if *index > 0 {
        line += &format!("; the {index} events before it");
    }
    if proved_events < events {
        line +=
            &format!("; not proved: {} events that no tree head covers", events - proved_events);
    }
    if *heads_beyond > 0 {
        line += &format!(
            "; not compared: {heads_beyond} tree heads of fewer events than where the export begins, or of more than it has"
        );
    }
    if elsewhere == 0 {
        line += "; no tree head that somebody else has kept was compared (--heads)";
    }
    line
}
