//! How an event changes the row of its inspection and those of its pictures.

use std::collections::HashMap;

use domain::inspection::{GoldenReference, ModelIdentity, Timing};
use domain::{ArtifactId, ArtifactState, Defect, Grade, InspectionEvent, InspectionState, Picture};

use super::super::event_record::InspectionRecord;
use super::row::{ArtifactRow, InspectionRow};
use crate::projection::ApplyError;

type Artifacts = HashMap<ArtifactId, ArtifactRow>;

pub(super) fn evolve_rows(
    row: &mut InspectionRow,
    artifacts: &mut Artifacts,
    record: &InspectionRecord<'_>,
) -> Result<(), ApplyError> {
    use InspectionEvent as E;
    let takes_results = row.state.takes_results();
    let at = record.recorded.occurred_at();
    match &record.event {
        E::ArtifactReserved { artifact_id, media_type, .. } if takes_results => {
            let reserved = ArtifactRow::reserved(record, *artifact_id, *media_type);
            if artifacts.insert(*artifact_id, reserved).is_some() {
                return Err(ApplyError::permanent("the artifact is reserved already"));
            }
        }
        E::ArtifactUploaded { artifact_id, picture } if takes_results => {
            let artifact = reserved_artifact(artifacts, *artifact_id, record)?;
            artifact.state = ArtifactState::Uploaded;
            artifact.uploaded_at = Some(at);
            artifact.set_picture(picture);
        }
        E::InferenceRequested { .. } if takes_results => row.state = InspectionState::Inferring,
        E::InferenceCompleted {
            artifact_id,
            picture,
            golden,
            model,
            registration,
            defects,
            timing,
            ..
        } if takes_results => {
            let artifact = reserved_artifact(artifacts, *artifact_id, record)?;
            artifact.state = ArtifactState::Compared;
            artifact.inferred_at = Some(at);
            artifact.registration = Some(*registration);
            artifact.set_picture(picture);
            artifact.set_golden(golden);
            artifact.set_model(model, *timing);
            row.count_findings(defects);
        }
        E::InferenceFailed { artifact_id, picture, golden, reason, detail, .. }
            if takes_results =>
        {
            let artifact = reserved_artifact(artifacts, *artifact_id, record)?;
            artifact.state = ArtifactState::NotComparable;
            artifact.inferred_at = Some(at);
            artifact.reason = Some(*reason);
            artifact.detail = Some(detail.clone());
            artifact.set_picture(picture);
            golden.iter().for_each(|golden| artifact.set_golden(golden));
        }
        E::InspectionJudged { judgement, rules, .. } if takes_results => {
            row.state = InspectionState::Judged;
            row.judgement = Some(*judgement);
            row.rules = Some(rules.clone());
            row.judged_at = Some(at);
        }
        E::InspectionVoided { reason } if takes_results => {
            row.state = InspectionState::Voided;
            row.void_reason = Some(reason.clone());
            row.voided_at = Some(at);
        }
        // The row is there already, and what comes of these after the judgement changes nothing in it.
        E::InspectionCreated { .. }
        | E::ArtifactReserved { .. }
        | E::ArtifactUploaded { .. }
        | E::InferenceRequested { .. }
        | E::InferenceCompleted { .. }
        | E::InferenceFailed { .. }
        | E::InspectionJudged { .. }
        | E::InspectionVoided { .. } => {}
    }
    Ok(())
}

/// A picture that was announced for this inspection.
fn reserved_artifact<'a>(
    artifacts: &'a mut Artifacts,
    id: ArtifactId,
    record: &InspectionRecord<'_>,
) -> Result<&'a mut ArtifactRow, ApplyError> {
    artifacts
        .get_mut(&id)
        .filter(|artifact| artifact.inspection_id == record.aggregate_id)
        .ok_or_else(|| ApplyError::Permanent(format!("artifact {id} was never reserved here")))
}

impl InspectionRow {
    fn count_findings(&mut self, defects: &[Defect]) {
        for defect in defects {
            match self.recipe.grade(defect.confidence) {
                Grade::Defect => self.defect_count += 1,
                Grade::Doubtful => self.doubtful_count += 1,
                Grade::Negligible => {}
            }
        }
    }
}

impl ArtifactRow {
    fn set_picture(&mut self, picture: &Picture) {
        self.sha256 = Some(picture.sha256);
        self.bytes = Some(picture.bytes);
        self.media_type = picture.media_type;
        self.width = Some(picture.width);
        self.height = Some(picture.height);
    }

    fn set_golden(&mut self, golden: &GoldenReference) {
        self.golden_artifact_id = Some(golden.artifact_id);
        self.golden_sha256 = Some(golden.sha256);
        self.golden_revision = Some(golden.revision);
    }

    fn set_model(&mut self, model: &ModelIdentity, timing: Timing) {
        self.model_name = Some(model.name.clone());
        self.model_version = Some(model.version.clone());
        self.model_sha256 = Some(model.sha256);
        self.queue_ms = Some(timing.queue_ms);
        self.compute_ms = Some(timing.compute_ms);
        self.total_ms = Some(timing.total_ms);
    }
}
