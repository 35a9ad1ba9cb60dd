//! `chipq audit check`: a proof of an inspection, and nothing but a public key.

use std::process::ExitCode;

use platform::auth::verify_ed25519;
use transparency::InspectionProof;

use super::{cannot_read, read_public_keys, tell_difference};
use crate::cli::CheckAuditArgs;

/// Checks it.
pub(super) fn run(args: &CheckAuditArgs) -> anyhow::Result<ExitCode> {
    let public_keys = read_public_keys(&args.public_keys)?;
    let file = std::fs::read(&args.file).map_err(|error| cannot_read(&args.file, &error))?;
    let proved = match InspectionProof::check(&file, &public_keys, &verify_ed25519) {
        Ok(proved) => proved,
        Err(error) => return Ok(tell_difference(&error.to_string())),
    };
    for event in &proved.events {
        let at = event.recorded_at.format("%FT%TZ");
        let actor = event.metadata.get("actor_subject").and_then(|actor| actor.as_str());
        let (kind, name) = (&event.aggregate_type, &event.event_type);
        outln!("{:>9}  {at}  {kind:<15} {name:<26} {}", event.position, actor.unwrap_or("-"));
    }
    for artifact in &proved.artifacts {
        let retired = if artifact.retired_at.is_some() { ", retired" } else { "" };
        outln!("picture {}  SHA-256 {}{retired}", artifact.artifact_id, artifact.sha256);
    }
    let head = &proved.head.head;
    outln!(
        "proved: these {} events behind the report of inspection {} were in the log {} when its tree head of {} events was \
         signed at {}; by {}; not read: the pictures, and what came after that tree head",
        proved.events.len(),
        proved.inspection_id,
        head.origin,
        head.size,
        head.signed_at.format("%FT%TZ"),
        proved.persons.into_iter().collect::<Vec<_>>().join(", ")
    );
    Ok(ExitCode::SUCCESS)
}
