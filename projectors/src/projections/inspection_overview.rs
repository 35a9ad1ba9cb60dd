//! `read.inspections`, `read.artifacts` and `read.timeline`: every inspection, its pictures, its
//! events. What is judged or voided takes no more results, as in the domain.

mod row;

use std::collections::HashMap;

use domain::{
    Aggregate as _, ArtifactId, Inspection, InspectionEvent, InspectionState, ProjectionName,
};
use platform::postgres::DatabaseConnection;
use uuid::Uuid;

use super::read_model::{
    InspectionRecord, ReadModel, distinct_inspections, load_rows, rows_to_json, store_rows,
};
use crate::projection::{ApplyError, ProjectionDefinition};
use row::{ArtifactRow, InspectionRow, TimelineRow};

/// The read model `inspection_overview`.
pub(super) struct InspectionOverview {
    inspections: HashMap<Uuid, InspectionRow>,
    artifacts: HashMap<ArtifactId, ArtifactRow>,
    timeline: Vec<TimelineRow>,
}

impl InspectionOverview {
    /// Before any event.
    pub(super) fn empty() -> Self {
        Self { inspections: HashMap::new(), artifacts: HashMap::new(), timeline: Vec::new() }
    }

    /// The rows of its three tables, each as a JSON array.
    pub(super) fn into_json(self) -> Result<[String; 3], ApplyError> {
        Ok([
            rows_to_json(self.inspections.into_values())?,
            rows_to_json(self.artifacts.into_values())?,
            rows_to_json(self.timeline)?,
        ])
    }
}

impl ReadModel for InspectionOverview {
    const DEFINITION: ProjectionDefinition = ProjectionDefinition {
        name: ProjectionName::InspectionOverview.as_str(),
        schema_version: 12,
        schema_sql: |_| include_str!("inspection_overview.sql"),
        views: &["inspections", "artifacts", "timeline"],
        aggregate_types: &[Inspection::TYPE],
    };

    type Event = InspectionEvent;

    async fn load(
        tx: &mut DatabaseConnection,
        records: &[InspectionRecord<'_>],
    ) -> Result<Self, ApplyError> {
        let ids = distinct_inspections(records);
        let inspections: Vec<InspectionRow> = load_rows(&mut *tx, ids).await?;
        let ids: Vec<Uuid> =
            records.iter().flat_map(|r| artifacts_of(&r.event)).map(|id| id.0).collect();
        let artifacts: Vec<ArtifactRow> = load_rows(tx, ids).await?;
        Ok(Self {
            inspections: inspections.into_iter().map(|row| (row.inspection_id, row)).collect(),
            artifacts: artifacts.into_iter().map(|row| (row.artifact_id, row)).collect(),
            timeline: Vec::with_capacity(records.len()),
        })
    }

    fn apply_record(&mut self, record: InspectionRecord<'_>) -> Result<(), ApplyError> {
        let known = self.inspections.get(&record.aggregate_id).map_or(0, |row| row.version);
        if !record.follows_on(known)? {
            return Ok(());
        }
        self.timeline.push(TimelineRow::new(&record));
        if let Some(row) = self.inspections.get_mut(&record.aggregate_id) {
            evolve_rows(row, &mut self.artifacts, &record)?;
            row.version = record.recorded.sequence;
            row.position = record.recorded.position;
        } else if let Some(row) = InspectionRow::created(&record) {
            self.inspections.insert(record.aggregate_id, row);
        }
        Ok(())
    }

    async fn store(self, tx: &mut DatabaseConnection) -> Result<(), ApplyError> {
        store_rows(tx, &self.inspections.into_values().collect::<Vec<_>>()).await?;
        store_rows(tx, &self.artifacts.into_values().collect::<Vec<_>>()).await?;
        store_rows(tx, &self.timeline).await
    }
}

/// The pictures whose rows the event changes.
fn artifacts_of(event: &InspectionEvent) -> &[ArtifactId] {
    use InspectionEvent as E;
    match event {
        E::ArtifactReserved { artifact_id, .. }
        | E::ArtifactReservationCancelled { artifact_id }
        | E::ArtifactUploaded { artifact_id, .. }
        | E::InferenceCompleted { artifact_id, .. }
        | E::InferenceFailed { artifact_id, .. } => std::slice::from_ref(artifact_id),
        E::PicturesRetired { artifacts, .. } => artifacts,
        E::InspectionCreated { .. }
        | E::ArtifactReservationRenewed { .. }
        | E::InferenceRequested { .. }
        | E::InspectionJudged { .. }
        | E::InspectionVoided { .. } => &[],
    }
}

/// How an event changes the row of its inspection and those of its pictures.
fn evolve_rows(
    row: &mut InspectionRow,
    artifacts: &mut HashMap<ArtifactId, ArtifactRow>,
    record: &InspectionRecord<'_>,
) -> Result<(), ApplyError> {
    use InspectionEvent as E;
    let takes_results = row.state.takes_results();
    let at = record.recorded.occurred_at();
    match &record.event {
        E::ArtifactReserved { artifact_id, .. } if takes_results => {
            let reserved = ArtifactRow::reserved(record);
            if reserved.and_then(|row| artifacts.insert(*artifact_id, row)).is_some() {
                return Err(ApplyError::permanent("the artifact is reserved already"));
            }
        }
        E::ArtifactReservationCancelled { artifact_id } if takes_results => {
            reserved_artifact(artifacts, *artifact_id, record)?.set_cancelled();
        }
        E::ArtifactUploaded { artifact_id, picture } if takes_results => {
            reserved_artifact(artifacts, *artifact_id, record)?.set_uploaded(picture, at);
        }
        E::InferenceRequested { .. } if takes_results => row.state = InspectionState::Inferring,
        E::InferenceCompleted {
            artifact_id,
            picture,
            golden,
            model,
            registration,
            defects,
            differences,
            coverage,
            timing,
            ..
        } if takes_results => {
            let artifact = reserved_artifact(artifacts, *artifact_id, record)?;
            artifact.set_comparison(*registration, coverage.as_ref(), differences, at);
            artifact.set_picture(picture);
            artifact.set_golden(golden);
            artifact.set_model(model, *timing);
            row.count_findings(defects, differences);
        }
        E::InferenceFailed { artifact_id, picture, golden, reason, detail, .. }
            if takes_results =>
        {
            let artifact = reserved_artifact(artifacts, *artifact_id, record)?;
            artifact.set_not_comparable(*reason, detail, at);
            artifact.set_picture(picture);
            golden.iter().for_each(|golden| artifact.set_golden(golden));
        }
        E::InspectionJudged { judgement, rules, .. } if takes_results => {
            row.set_judged(*judgement, rules, at);
        }
        E::InspectionVoided { reason } if takes_results => {
            row.set_voided(reason, at);
        }
        E::PicturesRetired { artifacts: retired, .. } if !takes_results => {
            for id in retired {
                reserved_artifact(artifacts, *id, record)?.retired_at = Some(at);
            }
        }
        // The row is there already; it does not say until when a picture may come; and what comes of these
        // after the judgement changes nothing in it.
        E::InspectionCreated { .. }
        | E::ArtifactReserved { .. }
        | E::ArtifactReservationRenewed { .. }
        | E::ArtifactReservationCancelled { .. }
        | E::ArtifactUploaded { .. }
        | E::InferenceRequested { .. }
        | E::InferenceCompleted { .. }
        | E::InferenceFailed { .. }
        | E::InspectionJudged { .. }
        | E::InspectionVoided { .. }
        | E::PicturesRetired { .. } => {}
    }
    Ok(())
}

/// A picture that was announced for this inspection.
fn reserved_artifact<'a>(
    artifacts: &'a mut HashMap<ArtifactId, ArtifactRow>,
    id: ArtifactId,
    record: &InspectionRecord<'_>,
) -> Result<&'a mut ArtifactRow, ApplyError> {
    artifacts
        .get_mut(&id)
        .filter(|artifact| artifact.inspection_id == record.aggregate_id)
        .ok_or_else(|| ApplyError::Permanent(format!("artifact {id} was never reserved here")))
}
