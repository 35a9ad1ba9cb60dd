//! The golden samples of a part on their way in.

use super::{Part, PartCommand, PartEvent, PartFacts, PartRejection as Rejection};
use crate::{ArtifactId, Picture, PictureOwner, UploadSlot};

impl PictureOwner for Part {
    fn upload_slot(&self, artifact_id: ArtifactId) -> Result<UploadSlot<'_>, Rejection> {
        let Self::Registered(facts) = self else { return Err(Rejection::NotFound) };
        let golden = facts.golden_samples.iter().find(|golden| golden.artifact_id == artifact_id);
        match (golden, facts.reserved.get(&artifact_id)) {
            (Some(golden), _) => Ok(UploadSlot::Taken(&golden.picture)),
            (None, Some(reserved)) => Ok(UploadSlot::Free { announced: reserved.media_type }),
            (None, None) => Err(Rejection::NoSuchArtifact { artifact_id }),
        }
    }

    fn upload_command(artifact_id: ArtifactId, picture: Picture) -> PartCommand {
        PartCommand::RegisterGoldenSample { artifact_id, picture }
    }
}

pub(super) fn register_golden_sample(
    state: &Part,
    facts: &PartFacts,
    artifact_id: ArtifactId,
    picture: Picture,
) -> Result<Vec<PartEvent>, Rejection> {
    match state.upload_slot(artifact_id)? {
        UploadSlot::Taken(stored) if stored.sha256 == picture.sha256 => Ok(Vec::new()),
        UploadSlot::Taken(_) => Err(Rejection::ArtifactAlreadyUploaded { artifact_id }),
        UploadSlot::Free { announced } if announced != picture.media_type => {
            Err(Rejection::MediaTypeMismatch { announced, found: picture.media_type })
        }
        UploadSlot::Free { .. } => {
            let latest = facts.golden_samples.last();
            let revision = latest.map_or(1, |golden| golden.revision.saturating_add(1));
            Ok(vec![PartEvent::GoldenSampleRegistered { artifact_id, revision, picture }])
        }
    }
}
