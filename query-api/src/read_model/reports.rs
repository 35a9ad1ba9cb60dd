//! Reports: the list without their documents, and each document as it is stored.

use async_graphql::{InputObject, SimpleObject};
use chrono::{DateTime, Utc};
use platform::postgres::Pool;
use serde::{Deserialize, Serialize};
use sqlx::query_builder::Separated;
use sqlx::{FromRow, Postgres, QueryBuilder};
use utoipa::ToSchema;
use uuid::Uuid;

use super::LogPosition;
use super::conditions::{check_names, check_times, is_more_than_one, only_given, restrict_text};
use super::words::JudgementWord;
use crate::error::QueryError;
use crate::paging::{Filter, IndexedValue, Listed, TimeRange};

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
    fn push_conditions(&self, sql: &mut QueryBuilder<'_, Postgres>) {
        restrict_text(sql, "lot", self.lot.clone());
        restrict_text(sql, "part", self.part.clone());
        restrict_text(sql, "station", self.station.clone());
        restrict_text(sql, "judgement", self.judgement.map(|word| word.to_string()));
    }

    fn only_value(&self) -> Option<IndexedValue> {
        let values = [
            ("lot", self.lot.clone()),
            ("station", self.station.clone()),
            ("part", self.part.clone()),
            ("judgement", self.judgement.map(|word| word.to_string())),
        ];
        only_given(values)
    }

    fn stretch(&self) -> TimeRange {
        (self.from, self.to)
    }

    /// A lot is small, and times are in the order of the list.
    fn is_combined(&self) -> bool {
        let broad = [self.part.is_some(), self.station.is_some(), self.judgement.is_some()];
        self.lot.is_none() && is_more_than_one(broad)
    }
}

/// The reports of these ids, in any order.
pub(crate) async fn by_ids(pool: &Pool, ids: &[Uuid]) -> Result<Vec<ReportObject>, QueryError> {
    let sql = format!("{} WHERE report_id = ANY($1)", ReportObject::SELECT);
    Ok(sqlx::query_as(&sql).bind(ids).fetch_all(pool).await?)
}

/// The reports of these inspections.
pub(crate) async fn of_inspections(
    pool: &Pool,
    inspections: &[Uuid],
) -> Result<Vec<ReportObject>, QueryError> {
    let sql = format!("{} WHERE inspection_id = ANY($1)", ReportObject::SELECT);
    Ok(sqlx::query_as(&sql).bind(inspections).fetch_all(pool).await?)
}

/// The documents of these reports, byte for byte as they are stored.
pub(crate) async fn read_documents(
    pool: &Pool,
    ids: &[Uuid],
) -> Result<Vec<(Uuid, String)>, QueryError> {
    let sql = "SELECT report_id, document::text FROM read.reports WHERE report_id = ANY($1)";
    Ok(sqlx::query_as(sql).bind(ids).fetch_all(pool).await?)
}
