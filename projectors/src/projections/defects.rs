//! `read.defects`: every finding from the recipe's `review_at`. Its position is that of the result
//! that named it; position and number together are unique.
//!
//! `read.station_defects_hourly` and `read.station_defects_daily` are its sums. The tables see to them, each flavour of
//! database in its own way: here only findings are written.

use chrono::{DateTime, Utc};
use domain::{Aggregate as _, Lot, PartNumber, PixelScale, ProjectionName, Station};
use domain::{ArtifactId, Confidence, Defect, DefectClass, Grade, Inspection, InspectionEvent};
use platform::event_log::Position;
use platform::postgres::{DatabaseConnection, DatabaseFlavour};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::inspection_context::{Advanced, FindingRows, InspectionContext};
use super::read_model::{InspectionRecord, TableRow, rows_to_json, store_rows};
use crate::projection::{ApplyError, ProjectionDefinition};

/// The read model `defects`.
#[derive(Default)]
pub(super) struct Defects(Vec<DefectRow>);

impl Defects {
    /// The rows as a JSON array.
    pub(super) fn into_json(self) -> Result<String, ApplyError> {
        rows_to_json(self.0)
    }
}

impl FindingRows for Defects {
    const DEFINITION: ProjectionDefinition = ProjectionDefinition {
        name: ProjectionName::Defects.as_str(),
        schema_version: 7,
        schema_sql: |flavour| match flavour {
            DatabaseFlavour::PostgreSql => concat!(
                include_str!("defects.sql"),
                include_str!("defects/summed.sql"),
                include_str!("inspection_context.sql")
            ),
            DatabaseFlavour::TimescaleDbApache => concat!(
                include_str!("defects.sql"),
                include_str!("defects/hypertable.sql"),
                include_str!("defects/summed.sql"),
                include_str!("inspection_context.sql")
            ),
            DatabaseFlavour::TimescaleDbCommunity => concat!(
                include_str!("defects.sql"),
                include_str!("defects/hypertable.sql"),
                include_str!("summary_progress.sql"),
                include_str!("defects/continuous.sql"),
                include_str!("inspection_context.sql")
            ),
        },
        views: &["defects", "station_defects_hourly", "station_defects_daily"],
        aggregate_types: &[Inspection::TYPE],
    };

    fn apply_record(
        &mut self,
        Advanced { context, takes_results }: Advanced<'_>,
        record: &InspectionRecord<'_>,
    ) -> Result<(), ApplyError> {
        use InspectionEvent as E;
        match &record.event {
            E::InferenceCompleted { artifact_id, defects, .. } if takes_results => {
                self.0.extend(graded_rows(context, record, *artifact_id, defects)?);
            }
            // Nothing that is found, and results that come after the judgement.
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

    async fn store(self, tx: &mut DatabaseConnection) -> Result<(), ApplyError> {
        store_rows(tx, &self.0).await
    }
}

/// The findings that matter under the inspection's recipe, numbered in the order of the result.
fn graded_rows<'a>(
    context: &'a InspectionContext,
    record: &'a InspectionRecord<'_>,
    artifact_id: ArtifactId,
    defects: &'a [Defect],
) -> Result<impl Iterator<Item = DefectRow> + 'a, ApplyError> {
    let announced = context.announced(artifact_id)?;
    let rows = defects
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
            pixels_per_millimetre: announced.pixels_per_millimetre,
            lot: context.lot.clone(),
            part: context.part.clone(),
            station: context.station.clone(),
            announced_sequence: announced.sequence,
            found_at: record.recorded.occurred_at(),
            position: record.recorded.position,
        });
    Ok(rows)
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
    pixels_per_millimetre: Option<PixelScale>,
    lot: Lot,
    part: PartNumber,
    station: Station,
    announced_sequence: u64,
    found_at: DateTime<Utc>,
    position: Position,
}

impl TableRow for DefectRow {
    const TABLE: &'static str = "defects";
    const LOOKUP: &'static str = "artifact_id";
    const KEY: &'static str = "artifact_id, number, found_at";
    const CHANGING: &'static [&'static str] = &[];
}
