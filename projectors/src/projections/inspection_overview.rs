//! `read.inspections`, `read.artifacts` and `read.timeline`: every inspection, its pictures, its
//! events. What is judged or voided takes no more results, as in the domain.

mod evolve;
mod row;

use std::collections::HashMap;

use domain::{Aggregate as _, ArtifactId, Inspection, InspectionEvent, ProjectionName};
use sqlx::PgConnection;
use uuid::Uuid;

use super::event_record::{InspectionRecord, distinct_inspections};
use super::read_model::ReadModel;
use super::rows;
use crate::projection::{ApplyError, ProjectionDefinition};
use row::{ArtifactRow, InspectionRow, TimelineRow};

/// The read model `inspection_overview`.
pub(super) struct InspectionOverview {
    inspections: HashMap<Uuid, InspectionRow>,
    artifacts: HashMap<ArtifactId, ArtifactRow>,
    timeline: Vec<TimelineRow>,
}

impl ReadModel for InspectionOverview {
    const DEFINITION: ProjectionDefinition = ProjectionDefinition {
        name: ProjectionName::InspectionOverview.as_str(),
        schema_version: 2,
        schema_sql: |_| include_str!("inspection_overview.sql"),
        views: &["inspections", "artifacts", "timeline"],
        aggregate_types: &[Inspection::TYPE],
    };

    type Event = InspectionEvent;

    async fn load(
        tx: &mut PgConnection,
        records: &[InspectionRecord<'_>],
    ) -> Result<Self, ApplyError> {
        let ids = distinct_inspections(records);
        let inspections: Vec<InspectionRow> = rows::load_rows(&mut *tx, ids).await?;
        let ids: Vec<Uuid> = records.iter().filter_map(|r| artifact_of(&r.event)).collect();
        let artifacts: Vec<ArtifactRow> = rows::load_rows(tx, ids).await?;
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
            evolve::evolve_rows(row, &mut self.artifacts, &record)?;
            row.version = record.recorded.sequence;
            row.position = record.recorded.position;
        } else if let Some(row) = InspectionRow::created(&record) {
            self.inspections.insert(record.aggregate_id, row);
        }
        Ok(())
    }

    async fn store(self, tx: &mut PgConnection) -> Result<(), ApplyError> {
        rows::store_rows(tx, &self.inspections.into_values().collect::<Vec<_>>()).await?;
        rows::store_rows(tx, &self.artifacts.into_values().collect::<Vec<_>>()).await?;
        rows::store_rows(tx, &self.timeline).await
    }
}

/// The picture whose row the event changes.
fn artifact_of(event: &InspectionEvent) -> Option<Uuid> {
    use InspectionEvent as E;
    match event {
        E::ArtifactReserved { artifact_id, .. }
        | E::ArtifactUploaded { artifact_id, .. }
        | E::InferenceCompleted { artifact_id, .. }
        | E::InferenceFailed { artifact_id, .. } => Some(artifact_id.0),
        E::InspectionCreated { .. }
        | E::InferenceRequested { .. }
        | E::InspectionJudged { .. }
        | E::InspectionVoided { .. } => None,
    }
}
