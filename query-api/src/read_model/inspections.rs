//! Inspections and their events. Their pictures come from the same projection, so all agree with
//! each other when they are read in one snapshot.

use std::sync::Arc;

use async_graphql::{InputObject, SimpleObject};
use chrono::{DateTime, Utc};
use domain::{FiredRule, Reach, Recipe};
use platform::postgres::Pool;
use platform::shared_reads::SharedReads;
use serde::{Deserialize, Serialize};
use sqlx::query_builder::Separated;
use sqlx::types::Json;
use sqlx::{FromRow, Postgres, QueryBuilder};
use utoipa::ToSchema;
use uuid::Uuid;

use super::LogPosition;
use super::artifacts::{self, ArtifactObject};
use super::conditions::{check_names, check_times, given};
use super::words::{InspectionStateWord, JudgementWord};
use crate::error::QueryError;
use crate::paging::{Filter, Listed, TimeRange};
use crate::visibility::{Placed, restrict_to_reach};

/// One inspection of one board.
#[derive(Debug, Clone, FromRow, SimpleObject, Serialize, ToSchema)]
#[graphql(complex, name = "Inspection")]
#[schema(as = Inspection)]
pub(crate) struct InspectionObject {
    #[graphql(skip)]
    pub(crate) inspection_id: Uuid,
    /// The board's lot.
    pub(crate) lot: String,
    /// The part the board is.
    pub(crate) part: String,
    /// The station that inspects it.
    pub(crate) station: String,
    /// Where it is in its life.
    pub(crate) state: InspectionStateWord,
    /// The machine's judgement, once there is one.
    pub(crate) judgement: Option<JudgementWord>,
    /// The rules that fired, once it is judged.
    #[graphql(skip)]
    #[schema(value_type = Option<Vec<Object>>)]
    pub(crate) rules: Option<Json<Vec<FiredRule>>>,
    /// The recipe in force when it was created.
    #[graphql(skip)]
    #[schema(value_type = Object)]
    pub(crate) recipe: Json<Recipe>,
    /// The part's latest golden sample when it was created: its pictures are compared with those that were in
    /// force then. Absent when the part had none, and of the oldest inspections.
    pub(crate) golden_sample_revision: Option<i32>,
    /// Findings from the recipe's fail_at.
    pub(crate) defect_count: i32,
    /// Findings from the recipe's review_at up to fail_at.
    pub(crate) doubtful_count: i32,
    /// Differences that no finding explains.
    pub(crate) difference_count: i32,
    /// When it was created.
    pub(crate) created_at: DateTime<Utc>,
    /// When it was judged.
    pub(crate) judged_at: Option<DateTime<Utc>>,
    /// When it was withdrawn.
    pub(crate) voided_at: Option<DateTime<Utc>>,
    /// Why it was withdrawn.
    pub(crate) void_reason: Option<String>,
    /// How many events it has. If-Match takes the ETag of a REST answer, which says it as well.
    pub(crate) version: i64,
    #[graphql(skip)]
    #[serde(skip)]
    pub(crate) created_position: LogPosition,
    /// The place in the log of its last event.
    #[schema(value_type = i64)]
    pub(crate) position: LogPosition,
    /// As of which position of the log it is shown, where it is shown as it was.
    #[graphql(skip)]
    #[serde(skip)]
    #[sqlx(skip)]
    pub(crate) as_of: Option<LogPosition>,
}

/// Newest first: by time, so that a stretch of time is found by the index that the list is read by. A
/// position is one event, which creates one inspection, so positions are unique.
impl Listed for InspectionObject {
    type Key = (DateTime<Utc>, i64);
    const NAME: &'static str = "inspections by time";
    const SELECT: &'static str =
        "SELECT inspection_id, lot, part, station, state, judgement, rules,
        recipe, golden_sample_revision, defect_count, doubtful_count, difference_count, created_at, judged_at, voided_at,
        void_reason, version, created_position, position FROM read.inspections";
    const KEY: &'static [&'static str] = &["created_at", "created_position"];
    const DESCENDING: bool = true;
    const PLACED: Placed = Placed::AtStation;

    fn sort_key(&self) -> Self::Key {
        (self.created_at, self.created_position.0)
    }

    fn bind_key(key: Self::Key, values: &mut Separated<'_, '_, Postgres, &'static str>) {
        values.push_bind(key.0).push_bind(key.1);
    }
}

/// Which inspections; everything that is given must hold.
#[derive(Debug, Clone, Default, InputObject, Serialize, Deserialize)]
pub(crate) struct InspectionFilter {
    /// Of this lot.
    pub(crate) lot: Option<String>,
    /// Of this part.
    pub(crate) part: Option<String>,
    /// From this station.
    pub(crate) station: Option<String>,
    /// Judged so.
    pub(crate) judgement: Option<JudgementWord>,
    /// In this state.
    pub(crate) state: Option<InspectionStateWord>,
    /// Created at this time or later.
    pub(crate) from: Option<DateTime<Utc>>,
    /// Created before this time.
    pub(crate) to: Option<DateTime<Utc>>,
}

impl InspectionFilter {
    /// # Errors
    /// When a name or the times could not be ones.
    pub(crate) fn check_arguments(&self) -> Result<(), QueryError> {
        check_names(self.lot.as_deref(), self.part.as_deref(), self.station.as_deref())?;
        check_times(self.stretch())
    }

    /// Whether `inspection` passes.
    pub(crate) fn admits_inspection(&self, inspection: &InspectionObject) -> bool {
        let fits = |wanted: &Option<String>, value: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == value)
        };
        fits(&self.lot, &inspection.lot)
            && fits(&self.part, &inspection.part)
            && fits(&self.station, &inspection.station)
            && (self.judgement.is_none() || self.judgement == inspection.judgement)
            && self.state.is_none_or(|state| state == inspection.state)
            && self.from.is_none_or(|from| from <= inspection.created_at)
            && self.to.is_none_or(|to| inspection.created_at < to)
    }

    /// Whether everything passes.
    pub(crate) fn is_open(&self) -> bool {
        self.lot.is_none()
            && self.part.is_none()
            && self.station.is_none()
            && self.judgement.is_none()
            && self.state.is_none()
            && self.stretch() == (None, None)
    }
}

impl Filter for InspectionFilter {
    fn wanted(&self) -> Vec<(&'static str, String)> {
        given([
            ("lot", self.lot.clone()),
            ("station", self.station.clone()),
            ("part", self.part.clone()),
            ("judgement", self.judgement.map(|word| word.to_string())),
            ("state", self.state.map(|word| word.to_string())),
        ])
    }

    fn stretch(&self) -> TimeRange {
        (self.from, self.to)
    }

    fn is_small(&self) -> bool {
        self.lot.is_some()
    }
}

/// One event of an inspection.
#[derive(Debug, Clone, FromRow, SimpleObject, Serialize, ToSchema)]
#[graphql(name = "TimelineEntry")]
#[schema(as = TimelineEntry)]
pub(crate) struct TimelineObject {
    #[graphql(skip)]
    #[serde(skip)]
    pub(crate) inspection_id: Uuid,
    /// Its place in the inspection's stream, from 1.
    pub(crate) sequence: i64,
    /// Its place in the log.
    #[schema(value_type = i64)]
    pub(crate) position: LogPosition,
    /// Its stored name.
    pub(crate) event_type: String,
    /// When the command was accepted.
    pub(crate) occurred_at: DateTime<Utc>,
    /// When the log took it.
    pub(crate) recorded_at: DateTime<Utc>,
    /// Who asked for it.
    pub(crate) actor: Option<String>,
}

/// An inspection with its pictures and its events.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct InspectionDetail {
    #[serde(flatten)]
    pub(crate) inspection: InspectionObject,
    /// Its report, once it is judged.
    pub(crate) report_id: Option<Uuid>,
    /// Its pictures, in the order in which they were announced.
    pub(crate) artifacts: Vec<ArtifactObject>,
    /// Its events, in order.
    pub(crate) timeline: Vec<TimelineObject>,
}

impl TimelineObject {
    pub(super) const SELECT: &'static str =
        "SELECT inspection_id, sequence, position, event_type, occurred_at, recorded_at, actor
         FROM read.timeline";
}

impl InspectionDetail {
    /// With the report that every judged inspection has.
    pub(super) fn new(
        inspection: InspectionObject,
        artifacts: Vec<ArtifactObject>,
        timeline: Vec<TimelineObject>,
    ) -> Self {
        let id = domain::InspectionId(inspection.inspection_id);
        let judged = inspection.judgement.is_some();
        let report_id = judged.then(|| domain::ReportId::for_inspection(id).0);
        Self { inspection, report_id, artifacts, timeline }
    }
}

/// The inspections of these ids within `reach`, in any order.
pub(crate) async fn by_ids(
    pool: &Pool,
    ids: &[Uuid],
    reach: &Reach,
) -> Result<Vec<InspectionObject>, QueryError> {
    Ok(found_by_ids(ids, reach).build_query_as().fetch_all(pool).await?)
}

/// Inspections that are read now, by their ids and who may see them.
pub(crate) type SharedInspections =
    SharedReads<(Reach, Vec<Uuid>), Result<Arc<[InspectionObject]>, QueryError>>;

/// What [`by_ids`] reads, once for all who ask for the same ones at once.
pub(crate) async fn by_ids_shared(
    shared: &SharedInspections,
    pool: &Pool,
    ids: Vec<Uuid>,
    reach: &Reach,
) -> Result<Arc<[InspectionObject]>, QueryError> {
    let read = {
        let (pool, ids, reach) = (pool.clone(), ids.clone(), reach.clone());
        async move { by_ids(&pool, &ids, &reach).await.map(Arc::from) }
    };
    let rows = shared.read((reach.clone(), ids), read).await;
    rows.unwrap_or_else(|| Err(QueryError::internal("inspections were not read")))
}

fn found_by_ids(ids: &[Uuid], reach: &Reach) -> QueryBuilder<'static, Postgres> {
    let mut sql = QueryBuilder::new(InspectionObject::SELECT);
    sql.push(" WHERE inspection_id = ANY(").push_bind(ids.to_vec()).push(")");
    restrict_to_reach(&mut sql, InspectionObject::PLACED, reach);
    sql
}

/// The events of these inspections, in order.
pub(crate) async fn timeline_of<'e>(
    executor: impl sqlx::PgExecutor<'e>,
    inspections: &[Uuid],
) -> Result<Vec<TimelineObject>, QueryError> {
    let sql = format!(
        "{} WHERE inspection_id = ANY($1) ORDER BY inspection_id, sequence",
        TimelineObject::SELECT
    );
    Ok(sqlx::query_as(&sql).bind(inspections).fetch_all(executor).await?)
}

/// The inspection, if it is within `reach`, with everything of its projection, from one snapshot.
pub(crate) async fn read_detail(
    pool: &Pool,
    id: Uuid,
    reach: &Reach,
) -> Result<Option<InspectionDetail>, QueryError> {
    let mut snapshot = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let found: Option<InspectionObject> =
        found_by_ids(&[id], reach).build_query_as().fetch_optional(&mut *snapshot).await?;
    let Some(inspection) = found else { return Ok(None) };
    let artifacts = artifacts::of_inspections(&mut *snapshot, &[id]).await?;
    let timeline = timeline_of(&mut *snapshot, &[id]).await?;
    snapshot.commit().await?;
    Ok(Some(InspectionDetail::new(inspection, artifacts, timeline)))
}
