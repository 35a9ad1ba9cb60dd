//! The artifacts that events announce: uploaded pictures and golden samples, with their digests, and which were retired.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An artifact, as the events say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArtifactRecord {
    /// Its id.
    pub artifact_id: String,
    /// The position of the event that announces it.
    pub position: i64,
    /// The position of the event that retired it, after which its file is deleted.
    pub retired_at: Option<i64>,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// What is read of an event that concerns artifacts.
#[derive(Deserialize)]
struct ArtifactEvent {
    position: i64,
    payload: ArtifactPayload,
}

#[derive(Deserialize)]
struct ArtifactPayload {
    artifact_id: Option<String>,
    sha256: Option<String>,
    #[serde(default)]
    artifacts: Vec<String>,
}

/// Notes what the event with this canonical envelope says of artifacts. An error when it cannot be read.
///
/// # Errors
/// When the envelope is none.
pub fn note_artifacts(
    envelope: &[u8],
    artifacts: &mut BTreeMap<String, ArtifactRecord>,
) -> Result<(), UnreadableArtifacts> {
    let announces = match read_event_type(envelope).ok_or(UnreadableArtifacts)? {
        b"ArtifactUploaded" | b"GoldenSampleRegistered" => true,
        b"PicturesRetired" | b"GoldenSamplesRetired" => false,
        _ => return Ok(()),
    };
    let event: ArtifactEvent = serde_json::from_slice(envelope).map_err(|_| UnreadableArtifacts)?;
    let ArtifactEvent { position, payload } = event;
    if !announces {
        for id in payload.artifacts {
            if let Some(known) = artifacts.get_mut(&id) {
                known.retired_at.get_or_insert(position);
            }
        }
        return Ok(());
    }
    let (Some(artifact_id), Some(sha256)) = (payload.artifact_id, payload.sha256) else {
        return Err(UnreadableArtifacts);
    };
    let record = ArtifactRecord { artifact_id, position, retired_at: None, sha256 };
    artifacts.entry(record.artifact_id.clone()).or_insert(record);
    Ok(())
}

/// An event does not say of artifacts what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event does not say which artifact it is about")]
pub struct UnreadableArtifacts;

/// The stored name in an envelope, without reading the rest: what stands before it is strings, in which a quotation
/// mark is escaped.
fn read_event_type(envelope: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b",\"event_type\":\"";
    let at = envelope.windows(NAME.len()).position(|window| window == NAME)?;
    let rest = &envelope[at + NAME.len()..];
    Some(&rest[..rest.iter().position(|byte| *byte == b'"')?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(event_type: &str, position: i64, payload: &str) -> Vec<u8> {
        let text = format!(
            "{{\"aggregate_id\":\"a,\\\"event_type\\\":\\\"X\",\"event_type\":\"{event_type}\",\"payload\":{payload},\
             \"position\":{position}}}"
        );
        text.into_bytes()
    }

    #[test]
    fn artifacts_are_announced_and_retired_and_other_events_say_nothing_of_them() {
        let mut found = BTreeMap::new();
        let mut note = |event: Vec<u8>| note_artifacts(&event, &mut found);
        note(envelope("ArtifactUploaded", 1, r#"{"artifact_id":"a","sha256":"01","bytes":7}"#))
            .unwrap();
        note(envelope("GoldenSampleRegistered", 2, r#"{"artifact_id":"b","sha256":"02"}"#))
            .unwrap();
        note(envelope("PicturesRetired", 3, r#"{"artifacts":["a","unknown"]}"#)).unwrap();
        note(envelope("PartRegistered", 4, r#"{"artifact_id":"c","sha256":"03"}"#)).unwrap();
        assert_eq!(note(envelope("ArtifactUploaded", 5, "{}")), Err(UnreadableArtifacts));
        let ids: Vec<_> =
            found.values().map(|a| (&*a.artifact_id, a.position, a.retired_at)).collect();
        assert_eq!(ids, [("a", 1, Some(3)), ("b", 2, None)]);
    }
}
