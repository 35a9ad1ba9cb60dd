//! Inspections and their events. Their pictures come from the same projection, so all agree with
//! each other when they are read in one snapshot.

use async_graphql::{InputObject, SimpleObject};
use chrono::{DateTime, Datelike as _, Utc};
use domain::{FiredRule, Recipe};
use platform::postgres::Pool;
use serde::{Deserialize, Serialize};
use sqlx::query_builder::Separated;
use sqlx::types::Json;
use sqlx::{FromRow, Postgres, QueryBuilder};
use utoipa::ToSchema;
use uuid::Uuid;

use super::LogPosition;
use super::artifacts::{self, ArtifactObject};
use super::words::{InspectionStateWord, JudgementWord};
use crate::error::QueryError;
use crate::paging::{Filter, IndexedValue, Listed};

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
}

/// Newest first.
impl Listed for InspectionObject {
    type Key = (i64, Uuid);
    const NAME: &'static str = "inspections";
    const SELECT: &'static str =
        "SELECT inspection_id, lot, part, station, state, judgement, rules,
        recipe, golden_sample_revision, defect_count, doubtful_count, difference_count, created_at, judged_at, voided_at,
        void_reason, version, created_position, position FROM read.inspections";
    const KEY: &'static [&'static str] = &["created_position", "inspection_id"];
    const DESCENDING: bool = true;

    fn sort_key(&self) -> Self::Key {
        (self.created_position.0, self.inspection_id)
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
}

impl InspectionFilter {
    /// # Errors
    /// When a name could not be one.
    pub(crate) fn check_arguments(&self) -> Result<(), QueryError> {
        check_names(self.lot.as_deref(), self.part.as_deref(), self.station.as_deref())
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
    }

    /// Whether everything passes.
    pub(crate) fn is_open(&self) -> bool {
        self.lot.is_none()
            && self.part.is_none()
            && self.station.is_none()
            && self.judgement.is_none()
            && self.state.is_none()
    }
}

impl Filter for InspectionFilter {
    fn push_conditions(&self, sql: &mut QueryBuilder<'_, Postgres>) {
        restrict_text(sql, "lot", self.lot.clone());
        restrict_text(sql, "part", self.part.clone());
        restrict_text(sql, "station", self.station.clone());
        restrict_text(sql, "judgement", self.judgement.map(|word| word.to_string()));
        restrict_text(sql, "state", self.state.map(|word| word.to_string()));
    }

    fn only_value(&self) -> Option<IndexedValue> {
        let values = [
            ("lot", self.lot.clone()),
            ("station", self.station.clone()),
            ("part", self.part.clone()),
            ("judgement", self.judgement.map(|word| word.to_string())),
            ("state", self.state.map(|word| word.to_string())),
        ];
        only_given(values)
    }

    /// A lot is small.
    fn is_combined(&self) -> bool {
        let broad = [
            self.part.is_some(),
            self.station.is_some(),
            self.judgement.is_some(),
            self.state.is_some(),
        ];
        self.lot.is_none() && is_more_than_one(broad)
    }
}

/// Appends ` AND column = value` when there is a value.
pub(crate) fn restrict_text(
    sql: &mut QueryBuilder<'_, Postgres>,
    column: &str,
    value: Option<String>,
) {
    if let Some(value) = value {
        sql.push(format!(" AND {column} = ")).push_bind(value);
    }
}

/// The one of `values` that is given, when no other is.
pub(crate) fn only_given<const N: usize>(
    values: [(&'static str, Option<String>); N],
) -> Option<IndexedValue> {
    let mut given = values.into_iter().filter_map(|(column, value)| Some((column, value?)));
    let (column, text) = given.next()?;
    given.next().is_none().then_some(IndexedValue { column, text })
}

/// Whether more than one of `conditions` is given.
pub(crate) fn is_more_than_one<const N: usize>(conditions: [bool; N]) -> bool {
    conditions.into_iter().filter(|is_given| *is_given).count() > 1
}

/// Refuses what can be no lot, part or station: too long, blank, unprintable.
///
/// # Errors
/// Which one, and what it must be.
pub(crate) fn check_names(
    lot: Option<&str>,
    part: Option<&str>,
    station: Option<&str>,
) -> Result<(), QueryError> {
    lot.map(domain::Lot::new).transpose()?;
    part.map(domain::PartNumber::new).transpose()?;
    station.map(domain::Station::new).transpose()?;
    Ok(())
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
    /// Its pictures.
    pub(crate) artifacts: Vec<ArtifactObject>,
    /// Its events, in order.
    pub(crate) timeline: Vec<TimelineObject>,
}

/// The inspections of these ids, in any order.
pub(crate) async fn by_ids(pool: &Pool, ids: &[Uuid]) -> Result<Vec<InspectionObject>, QueryError> {
    let sql = format!("{} WHERE inspection_id = ANY($1)", InspectionObject::SELECT);
    Ok(sqlx::query_as(&sql).bind(ids).fetch_all(pool).await?)
}

/// The events of these inspections, in order.
pub(crate) async fn timeline_of<'e>(
    executor: impl sqlx::PgExecutor<'e>,
    inspections: &[Uuid],
) -> Result<Vec<TimelineObject>, QueryError> {
    let sql =
        "SELECT inspection_id, sequence, position, event_type, occurred_at, recorded_at, actor
         FROM read.timeline WHERE inspection_id = ANY($1) ORDER BY inspection_id, sequence";
    Ok(sqlx::query_as(sql).bind(inspections).fetch_all(executor).await?)
}

/// The inspection with everything of its projection, from one snapshot.
pub(crate) async fn read_detail(
    pool: &Pool,
    id: Uuid,
) -> Result<Option<InspectionDetail>, QueryError> {
    let mut snapshot = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let sql = format!("{} WHERE inspection_id = $1", InspectionObject::SELECT);
    let found: Option<InspectionObject> =
        sqlx::query_as(&sql).bind(id).fetch_optional(&mut *snapshot).await?;
    let Some(inspection) = found else { return Ok(None) };
    let artifacts = artifacts::of_inspections(&mut *snapshot, &[id]).await?;
    let timeline = timeline_of(&mut *snapshot, &[id]).await?;
    snapshot.commit().await?;
    let judged = inspection.judgement.is_some();
    let report_id = judged.then(|| domain::ReportId::for_inspection(domain::InspectionId(id)).0);
    Ok(Some(InspectionDetail { inspection, report_id, artifacts, timeline }))
}

/// The years of which a time can be asked for; outside them PostgreSQL may have no such time.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=9999;

/// Refuses a stretch of time that is empty or lies outside any calendar in use.
///
/// # Errors
/// Which end, and what it must be.
pub(crate) fn check_times(
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
) -> Result<(), QueryError> {
    for (argument, time) in [("from", from), ("to", to)] {
        if time.is_some_and(|time| !YEARS.contains(&time.year())) {
            return Err(QueryError::invalid(argument, "must be in the years 1970 to 9999"));
        }
    }
    match (from, to) {
        (Some(from), Some(to)) if from >= to => {
            Err(QueryError::invalid("to", "must be later than from"))
        }
        _ => Ok(()),
    }
}
