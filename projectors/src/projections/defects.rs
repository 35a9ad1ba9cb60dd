//! `read.defects`: every finding from the recipe's `review_at`. Its position is that of the result
//! that named it; position and number together are unique.

use chrono::{DateTime, Utc};
use domain::{Aggregate as _, Lot, PartNumber, Station};
use domain::{ArtifactId, Confidence, Defect, DefectClass, Grade, Inspection, InspectionEvent};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::event_log::{Position, Recorded};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::boards::{Board, Boards};
use super::inspection_stream::{Fact, facts};
use super::rows::{self, Row};
use crate::projection::{ApplyError, Projection};

/// The projection `defects`.
pub(super) struct Defects;

impl Projection for Defects {
    fn name(&self) -> &'static str {
        "defects"
    }

    fn schema_sql(&self) -> &'static str {
        include_str!("defects.sql")
    }

    fn views(&self) -> &'static [&'static str] {
        &["defects"]
    }

    fn aggregate_types(&self) -> &'static [&'static str] {
        &[Inspection::TYPE]
    }

    fn apply<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        events: &'a [&'a Recorded],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        apply(tx, events).boxed()
    }
}

async fn apply(tx: &mut PgConnection, events: &[&Recorded]) -> Result<(), ApplyError> {
    let facts = facts(events)?;
    let mut boards = Boards::load(tx, &facts).await?;
    let mut findings = Vec::new();
    for fact in &facts {
        if let Some(board) = boards.advance(fact)?
            && let InspectionEvent::InferenceCompleted { artifact_id, defects, .. } = &fact.event
        {
            findings.extend(graded(board, fact, *artifact_id, defects));
        }
    }
    rows::store(tx, &findings).await?;
    boards.store(tx).await
}

/// The findings that matter under the board's recipe, numbered in the order of the result.
fn graded<'a>(
    board: &'a Board,
    fact: &'a Fact<'_>,
    artifact_id: ArtifactId,
    defects: &'a [Defect],
) -> impl Iterator<Item = DefectRow> + 'a {
    defects
        .iter()
        .map(|defect| (defect, board.recipe.grade(defect.confidence)))
        .filter(|(_, grade)| *grade > Grade::Negligible)
        .zip(1..)
        .map(move |((defect, grade), number)| DefectRow {
            inspection_id: fact.inspection_id,
            artifact_id,
            number,
            class: defect.class,
            confidence: defect.confidence,
            grade,
            x: defect.bounds.x,
            y: defect.bounds.y,
            width: defect.bounds.width,
            height: defect.bounds.height,
            lot: board.lot.clone(),
            part: board.part.clone(),
            station: board.station.clone(),
            found_at: fact.recorded.occurred_at(),
            position: fact.recorded.position,
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

impl Row for DefectRow {
    const TABLE: &'static str = "defects";
    const KEY: &'static str = "artifact_id, number";
    const CHANGING: &'static [&'static str] = &[];
}
