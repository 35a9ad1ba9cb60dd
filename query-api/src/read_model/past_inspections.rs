//! Inspections as they were, from rows that their events made: taken apart by the same row types and read by the same
//! columns as what serves, so that both answer alike.

use domain::Reach;
use platform::postgres::Pool;
use sqlx::QueryBuilder;
use uuid::Uuid;

use super::artifacts::{self, ArtifactObject};
use super::defects::DefectObject;
use super::inspections::{InspectionDetail, InspectionObject, TimelineObject};
use super::{LogPosition, from_rows};
use crate::error::QueryError;
use crate::paging::Listed as _;
use crate::past_rows::PastRows;
use crate::visibility::restrict_to_reach;

/// An inspection as it was, with everything of its own.
#[derive(Debug)]
pub(crate) struct PastInspection {
    as_of: LogPosition,
    inspection: InspectionObject,
    artifacts: Vec<ArtifactObject>,
    timeline: Vec<TimelineObject>,
    defects: Vec<DefectObject>,
}

impl PastInspection {
    /// How many events it had.
    pub(crate) const fn version(&self) -> i64 {
        self.inspection.version
    }

    /// What it is found by: its id, and as of when it is.
    pub(crate) const fn key(&self) -> (Uuid, LogPosition) {
        (self.inspection.inspection_id, self.as_of)
    }

    /// It, with all that belongs to it as it was.
    pub(crate) fn object(&self) -> InspectionObject {
        InspectionObject { as_of: Some(self.as_of), ..self.inspection.clone() }
    }

    /// Its pictures, in the order in which they were announced.
    pub(crate) fn artifacts(&self) -> Vec<ArtifactObject> {
        self.artifacts.clone()
    }

    /// Its events, in order.
    pub(crate) fn timeline(&self) -> Vec<TimelineObject> {
        self.timeline.clone()
    }

    /// Its findings, pictures as they were announced.
    pub(crate) fn defects(&self) -> Vec<DefectObject> {
        self.defects.iter().map(|defect| defect.shown_as_of(self.as_of)).collect()
    }

    /// As REST shows it.
    pub(crate) fn detail(&self) -> InspectionDetail {
        let (artifacts, timeline) = (self.artifacts(), self.timeline());
        InspectionDetail::new(self.inspection.clone(), artifacts, timeline)
    }
}

/// The inspection that these rows are of, if it is within `reach`.
pub(crate) async fn read_rows(
    pool: &Pool,
    (rows, as_of): (&PastRows, LogPosition),
    reach: &Reach,
) -> Result<Option<PastInspection>, QueryError> {
    let mut connection = pool.acquire().await?;
    let mut sql = QueryBuilder::new(from_rows(InspectionObject::SELECT, "inspections"));
    sql.push_bind(&rows.inspections).push("::text::json) WHERE true");
    restrict_to_reach(&mut sql, InspectionObject::PLACED, reach);
    let found = sql.build_query_as().fetch_optional(&mut *connection).await?;
    let Some(inspection) = found else { return Ok(None) };
    let artifacts = artifacts::of_rows(&mut *connection, &rows.artifacts).await?;
    let timeline =
        from_rows(TimelineObject::SELECT, "timeline") + "$1::text::json) ORDER BY sequence";
    let timeline =
        sqlx::query_as(&timeline).bind(&rows.timeline).fetch_all(&mut *connection).await?;
    let defects = from_rows(DefectObject::SELECT, "defects")
        + "$1::text::json) ORDER BY announced_sequence, number";
    let defects = sqlx::query_as(&defects).bind(&rows.defects).fetch_all(&mut *connection).await?;
    Ok(Some(PastInspection { as_of, inspection, artifacts, timeline, defects }))
}
