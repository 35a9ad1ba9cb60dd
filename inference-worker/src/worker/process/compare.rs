//! One picture to one result: what it is compared with, by which network, and what a failure means.

use std::time::Instant;

use bytes::Bytes;
use domain::inspection::{Facts, InferenceResult};
use domain::part::GoldenSample;
use domain::{ModelRoute, NotComparable, Part, PartNumber};
use inference::comparison::ComparisonError;
use platform::artifact_store::ArtifactStoreError;
use platform::execute::load;

use super::InspectionProcessor;
use super::failure::{AttemptCounter, FailureKind, ProcessingError, is_damaged};
use super::result::{completed_result, failed_result};
use super::task::{PictureToCompare, SelectedModel};

impl InspectionProcessor {
    pub(super) async fn load_golden_sample(
        &self,
        part: &PartNumber,
    ) -> Result<Option<GoldenSample>, ProcessingError> {
        let part =
            load::<Part>(&*self.log, part.as_str()).await.map_err(ProcessingError::from_execute)?;
        Ok(part.state.golden_sample().cloned())
    }

    /// The network of the inspection's first comparison; before it, the one in force.
    pub(super) async fn select_model(
        &self,
        facts: &Facts,
    ) -> Result<SelectedModel, ProcessingError> {
        let shipped = self.comparer.shipped_model();
        let route = load::<ModelRoute>(&*self.log, &shipped.name).await;
        let route = route.map_err(ProcessingError::from_execute)?.state;
        let in_force = route.model().unwrap_or(shipped);
        Ok(match &facts.model {
            Some(pinned) => {
                SelectedModel { is_superseded: pinned != in_force, identity: pinned.clone() }
            }
            None => SelectedModel { is_superseded: false, identity: in_force.clone() },
        })
    }

    /// Compares, and counts what failed: a result once there is one to record.
    #[tracing::instrument(skip_all, fields(artifact_id = %task.artifact_id))]
    pub(super) async fn compare_picture(
        &self,
        task: &PictureToCompare<'_>,
        attempts: &mut AttemptCounter,
    ) -> Result<InferenceResult, ProcessingError> {
        let &PictureToCompare { artifact_id, picture, golden, model } = task;
        let started = Instant::now();
        let failed = |reason, detail: String| {
            failed_result(artifact_id, picture, Some(golden.reference()), reason, detail)
        };
        let (test, golden_bytes) = match self.fetch_pictures(task).await {
            Ok(pictures) => pictures,
            Err(error)
                if is_damaged(&error)
                    && attempts.exhausted_by(artifact_id, FailureKind::Unreadable) =>
            {
                return Ok(failed(NotComparable::Unreadable, error.to_string()));
            }
            Err(error) => return Err(ProcessingError::Transient(error.to_string())),
        };
        let golden_bytes = (golden.picture.sha256, golden_bytes);
        match self.comparer.compare(&model.identity, test, golden_bytes).await {
            Ok(compared) => {
                self.engine.report_answer();
                Ok(completed_result(task, compared, started.elapsed()))
            }
            Err(ComparisonError::NotComparable { reason, detail }) => Ok(failed(reason, detail)),
            Err(ComparisonError::Failed(detail)) => {
                self.engine.report_answer();
                if attempts.exhausted_by(artifact_id, FailureKind::EngineFailed) {
                    return Ok(failed(NotComparable::InferenceFailed, detail));
                }
                Err(ProcessingError::Transient(detail))
            }
            // A network that was replaced need not come back; the one in force has to.
            Err(ComparisonError::Model(detail)) if model.is_superseded => {
                if attempts.exhausted_by(artifact_id, FailureKind::ModelGone) {
                    return Ok(failed(NotComparable::InferenceFailed, detail));
                }
                Err(ProcessingError::Transient(detail))
            }
            Err(ComparisonError::Model(detail) | ComparisonError::Unavailable(detail)) => {
                Err(ProcessingError::EngineAway(detail))
            }
        }
    }

    /// The bytes of the picture and of its golden sample.
    async fn fetch_pictures(
        &self,
        task: &PictureToCompare<'_>,
    ) -> Result<(Bytes, Bytes), ArtifactStoreError> {
        let golden = task.golden;
        let test = self.artifacts.get_verified(task.artifact_id, &task.picture.sha256).await?;
        let golden =
            self.artifacts.get_verified(golden.artifact_id, &golden.picture.sha256).await?;
        Ok((test, golden))
    }
}
