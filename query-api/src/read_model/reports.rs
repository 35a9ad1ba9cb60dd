//! Reports: the list without their documents, and each document as it is stored.

use async_graphql::{InputObject, SimpleObject};
use chrono::{DateTime, Utc};
use domain::Reach;
use platform::postgres::Pool;
use serde::{Deserialize, Serialize};
use sqlx::query_builder::Separated;
use sqlx::{FromRow, Postgres, QueryBuilder};
use utoipa::ToSchema;
use uuid::Uuid;

use super::LogPosition;
use super::conditions::{check_names, check_times, given};
use super::words::JudgementWord;
use crate::error::QueryError;
use crate::paging::{Filter, Listed, TimeRange};
use crate::visibility::{Placed, restrict_to_reach};

/// The report of a judged inspection.
#[derive(Debug, Clone, FromRow, SimpleObject, Serialize, ToSchema)]
#[graphql(complex, name = "Report")]
#[schema(as = Report)]
pub(crate) struct ReportObject {
    #[graphql(skip)]
    pub(crate) report_id: Uuid,
    #[graphql(skip)]
    pub(crate) inspection_id: Uuid,
    /// The machine's judgement.
    pub(crate) judgement: JudgementWord,
    /// The board's lot.
    pub(crate) lot: String,
    /// The part the board is.
    pub(crate) part: String,
    /// The station.
    pub(crate) station: String,
    /// Findings in the report.
    pub(crate) defect_count: i32,
    /// When the board was judged.
    pub(crate) judged_at: DateTime<Utc>,
    /// The place in the log of the judgement.
    #[schema(value_type = i64)]
    pub(crate) position: LogPosition,
    /// As of which position of the log its inspection is shown, where that is shown as it was.
    #[graphql(skip)]
    #[serde(skip)]
    #[sqlx(skip)]
    pub(crate) as_of: Option<LogPosition>,
}

/// Newest first: by time, so that a stretch of time is found by the index that the list is read by. A
/// position is one judgement, so positions are unique.
impl Listed for ReportObject {
    type Key = (DateTime<Utc>, i64);
    const NAME: &'static str = "reports by time";
    const SELECT: &'static str = "SELECT report_id, inspection_id, judgement, lot, part, station,
        defect_count, judged_at, position FROM read.reports";
    const KEY: &'static [&'static str] = &["judged_at", "position"];
    const DESCENDING: bool = true;
    const PLACED: Placed = Placed::AtStation;

    fn sort_key(&self) -> Self::Key {
        (self.judged_at, self.position.0)
    }

    fn bind_key(key: Self::Key, values: &mut Separated<'_, '_, Postgres, &'static str>) {
        values.push_bind(key.0).push_bind(key.1);
    }
}

/// Which reports; everything that is given must hold.
#[derive(Debug, Clone, Default, InputObject, Serialize, Deserialize)]
pub(crate) struct ReportFilter {
    /// Of boards of this lot.
    pub(crate) lot: Option<String>,
    /// Of boards of this part.
    pub(crate) part: Option<String>,
    /// From this station.
    pub(crate) station: Option<String>,
    /// Judged so.
    pub(crate) judgement: Option<JudgementWord>,
    /// Judged at this time or later.
    pub(crate) from: Option<DateTime<Utc>>,
    /// Judged before this time.
    pub(crate) to: Option<DateTime<Utc>>,
}

impl ReportFilter {
    /// # Errors
    /// When a name or the times could not be ones.
    pub(crate) fn check_arguments(&self) -> Result<(), QueryError> {
        check_names(self.lot.as_deref(), self.part.as_deref(), self.station.as_deref())?;
        check_times(self.stretch())
    }
}

impl Filter for ReportFilter {
    fn wanted(&self) -> Vec<(&'static str, String)> {
        given([
            ("lot", self.lot.clone()),
            ("station", self.station.clone()),
            ("part", self.part.clone()),
            ("judgement", self.judgement.map(|word| word.to_string())),
        ])
    }

    fn stretch(&self) -> TimeRange {
        (self.from, self.to)
    }

    fn is_small(&self) -> bool {
        self.lot.is_some()
    }
}

/// The reports of these ids within `reach`, in any order.
pub(crate) async fn by_ids(
    pool: &Pool,
    ids: &[Uuid],
    reach: &Reach,
) -> Result<Vec<ReportObject>, QueryError> {
    let mut sql = QueryBuilder::new(ReportObject::SELECT);
    sql.push(" WHERE report_id = ANY(").push_bind(ids).push(")");
    restrict_to_reach(&mut sql, ReportObject::PLACED, reach);
    Ok(sql.build_query_as().fetch_all(pool).await?)
}

/// The reports of these inspections within `reach`.
pub(crate) async fn of_inspections(
    pool: &Pool,
    inspections: &[Uuid],
    reach: &Reach,
) -> Result<Vec<ReportObject>, QueryError> {
    let mut sql = QueryBuilder::new(ReportObject::SELECT);
    sql.push(" WHERE inspection_id = ANY(").push_bind(inspections).push(")");
    restrict_to_reach(&mut sql, ReportObject::PLACED, reach);
    Ok(sql.build_query_as().fetch_all(pool).await?)
}

/// The documents of these reports within `reach`, byte for byte as they are stored.
pub(crate) async fn read_documents(
    pool: &Pool,
    ids: &[Uuid],
    reach: &Reach,
) -> Result<Vec<(Uuid, String)>, QueryError> {
    let mut sql = QueryBuilder::new(
        "SELECT report_id, document::text FROM read.reports WHERE report_id = ANY(",
    );
    sql.push_bind(ids).push(")");
    restrict_to_reach(&mut sql, ReportObject::PLACED, reach);
    Ok(sql.build_query_as().fetch_all(pool).await?)
}
