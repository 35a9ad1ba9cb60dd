//! The pictures of an inspection on their way in.

use super::command::open;
use super::{
    Artifact, Inspection, InspectionCommand, InspectionEvent, InspectionRejection as Rejection,
};
use crate::{ArtifactId, Picture, PictureOwner, UploadSlot};

impl PictureOwner for Inspection {
    fn upload_slot(&self, artifact_id: ArtifactId) -> Result<UploadSlot<'_>, Rejection> {
        let facts = self.facts().ok_or(Rejection::NotFound)?;
        let missing = Rejection::NoSuchArtifact { artifact_id };
        match facts.artifacts.get(&artifact_id).ok_or(missing)? {
            Artifact::Reserved { media_type, .. } => {
                open(self)?;
                Ok(UploadSlot::Free { announced: *media_type })
            }
            // In whatever state the inspection is: an upload may be repeated long after.
            Artifact::Uploaded(picture)
            | Artifact::Compared { picture, .. }
            | Artifact::NotComparable { picture, .. } => Ok(UploadSlot::Taken(picture)),
        }
    }

    fn upload_command(artifact_id: ArtifactId, picture: Picture) -> InspectionCommand {
        InspectionCommand::UploadArtifact { artifact_id, picture }
    }
}

pub(super) fn record_upload(
    state: &Inspection,
    artifact_id: ArtifactId,
    picture: Picture,
) -> Result<Vec<InspectionEvent>, Rejection> {
    match state.upload_slot(artifact_id)? {
        UploadSlot::Taken(stored) if stored.sha256 == picture.sha256 => Ok(Vec::new()),
        UploadSlot::Taken(_) => Err(Rejection::ArtifactAlreadyUploaded { artifact_id }),
        UploadSlot::Free { announced } if announced != picture.media_type => {
            Err(Rejection::MediaTypeMismatch { announced, found: picture.media_type })
        }
        UploadSlot::Free { .. } => {
            Ok(vec![InspectionEvent::ArtifactUploaded { artifact_id, picture }])
        }
    }
}
