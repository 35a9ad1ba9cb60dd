//! `read.defects`: every finding from the recipe's `review_at`. Its position is that of the result
//! that named it; position and number together are unique.

use chrono::{DateTime, Utc};
use domain::{Aggregate as _, Lot, PartNumber, ProjectionName, Station};
use domain::{ArtifactId, Confidence, Defect, DefectClass, Grade, Inspection, InspectionEvent};
use platform::event_log::Position;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::event_record::InspectionRecord;
use super::inspection_context::{Advanced, InspectionContext, InspectionContexts};
use super::read_model::ReadModel;
use super::rows::{self, TableRow};
use crate::projection::{ApplyError, ProjectionDefinition};

/// The read model `defects`.
pub(super) struct Defects {
    contexts: InspectionContexts,
    findings: Vec<DefectRow>,
}

impl ReadModel for Defects {
    const DEFINITION: ProjectionDefinition = ProjectionDefinition {
        name: ProjectionName::Defects.as_str(),
        schema_version: 2,
        schema_sql: |_| include_str!("defects.sql"),
        views: &["defects"],
        aggregate_types: &[Inspection::TYPE],
    };

    type Event = InspectionEvent;

    async fn load(
        tx: &mut PgConnection,
        records: &[InspectionRecord<'_>],
    ) -> Result<Self, ApplyError> {
        let contexts = InspectionContexts::load(tx, records).await?;
        Ok(Self { contexts, findings: Vec::new() })
    }

    fn apply_record(&mut self, record: InspectionRecord<'_>) -> Result<(), ApplyError> {
        use InspectionEvent as E;
        let Some(Advanced { context, takes_results }) = self.contexts.advance_to(&record)? else {
            return Ok(());
        };
        match &record.event {
            E::InferenceCompleted { artifact_id, defects, .. } if takes_results => {
                self.findings.extend(graded_rows(context, &record, *artifact_id, defects));
            }
            // Nothing that is found, and results that come after the judgement.
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

    async fn store(self, tx: &mut PgConnection) -> Result<(), ApplyError> {
        rows::store_rows(tx, &self.findings).await?;
        self.contexts.store(tx).await
    }
}

/// The findings that matter under the inspection's recipe, numbered in the order of the result.
fn graded_rows<'a>(
    context: &'a InspectionContext,
    record: &'a InspectionRecord<'_>,
    artifact_id: ArtifactId,
    defects: &'a [Defect],
) -> impl Iterator<Item = DefectRow> + 'a {
    defects
        .iter()
        .map(|defect| (defect, context.recipe.grade(defect.confidence)))
        .filter(|(_, grade)| *grade > Grade::Negligible)
        .zip(1..)
        .map(move |((defect, grade), number)| DefectRow {
            inspection_id: record.aggregate_id,
            artifact_id,
            number,
            class: defect.class,
            confidence: defect.confidence,
            grade,
            x: defect.bounds.x,
            y: defect.bounds.y,
            width: defect.bounds.width,
            height: defect.bounds.height,
            lot: context.lot.clone(),
            part: context.part.clone(),
            station: context.station.clone(),
            found_at: record.recorded.occurred_at(),
            position: record.recorded.position,
        })
}

#[derive(Serialize, Deserialize)]
struct DefectRow {
    inspection_id: Uuid,
    artifact_id: ArtifactId,
    number: u32,
    class: DefectClass,
    confidence: Confidence,
    grade: Grade,
    x: u32,
    y: u32,
    width: u32,
    height: u32,
    lot: Lot,
    part: PartNumber,
    station: Station,
    found_at: DateTime<Utc>,
    position: Position,
}

impl TableRow for DefectRow {
    const TABLE: &'static str = "defects";
    const LOOKUP: &'static str = "artifact_id";
    const KEY: &'static str = "artifact_id, number, found_at";
    const CHANGING: &'static [&'static str] = &[];
}
