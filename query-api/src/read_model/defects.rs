//! Findings from the recipe's `review_at`.

use async_graphql::{InputObject, SimpleObject};
use chrono::{DateTime, Utc};
use domain::{PixelBox, Reach};
use platform::postgres::Pool;
use serde::{Deserialize, Serialize};
use sqlx::query_builder::Separated;
use sqlx::{FromRow, Postgres, QueryBuilder};
use uuid::Uuid;

use super::LogPosition;
use super::boxes::{MillimetreBoxObject, PixelBoxObject, measure};
use super::conditions::{check_names, check_times, given};
use super::words::{DefectClassWord, GradeWord};
use crate::error::QueryError;
use crate::paging::{Filter, Listed, TimeRange};
use crate::visibility::{Placed, restrict_to_reach};

/// One finding on one picture.
#[derive(Debug, Clone, FromRow, SimpleObject)]
#[graphql(complex, name = "Defect")]
pub(crate) struct DefectObject {
    #[graphql(skip)]
    pub(crate) inspection_id: Uuid,
    #[graphql(skip)]
    pub(crate) artifact_id: Uuid,
    /// Its number within the picture, from 1, most confident first.
    pub(crate) number: i32,
    /// What it is.
    pub(crate) class: DefectClassWord,
    #[graphql(skip)]
    pub(crate) confidence: f32,
    /// What the confidence means under the recipe.
    pub(crate) grade: GradeWord,
    #[graphql(skip)]
    x: i32,
    #[graphql(skip)]
    y: i32,
    #[graphql(skip)]
    width: i32,
    #[graphql(skip)]
    height: i32,
    #[graphql(skip)]
    pixels_per_millimetre: Option<f32>,
    /// The board's lot.
    pub(crate) lot: String,
    /// The part the board is.
    pub(crate) part: String,
    /// The station.
    pub(crate) station: String,
    /// When the result was recorded.
    pub(crate) found_at: DateTime<Utc>,
    /// The place in the log of the result.
    pub(crate) position: LogPosition,
    /// As of which position of the log its inspection is shown, where that is shown as it was.
    #[graphql(skip)]
    #[sqlx(skip)]
    pub(crate) as_of: Option<LogPosition>,
}

impl DefectObject {
    /// The same, of an inspection that is shown as it was.
    pub(super) fn shown_as_of(&self, as_of: LogPosition) -> Self {
        Self { as_of: Some(as_of), ..self.clone() }
    }

    /// Where it is.
    pub(crate) const fn pixel_box(&self) -> PixelBoxObject {
        let Self { x, y, width, height, .. } = *self;
        PixelBoxObject { x, y, width, height }
    }

    /// Where it is in millimetres; `None` when the picture's scale is not known.
    pub(crate) fn millimetre_box(&self) -> Option<MillimetreBoxObject> {
        let sides = [self.x, self.y, self.width, self.height];
        let [x, y, width, height] = sides.map(i32::unsigned_abs);
        measure(self.pixels_per_millimetre, PixelBox { x, y, width, height }).map(Into::into)
    }
}

/// Newest first: by time, so that a stretch of time is found by the index that the list is read by. A
/// position is one result, which is one picture, so position and number are unique.
impl Listed for DefectObject {
    type Key = (DateTime<Utc>, i64, i32);
    const NAME: &'static str = "defects by time";
    const SELECT: &'static str =
        "SELECT inspection_id, artifact_id, number, class, confidence, grade,
        x, y, width, height, pixels_per_millimetre, lot, part, station, found_at, position FROM read.defects";
    const KEY: &'static [&'static str] = &["found_at", "position", "number"];
    const DESCENDING: bool = true;
    const PLACED: Placed = Placed::AtStation;

    fn sort_key(&self) -> Self::Key {
        (self.found_at, self.position.0, self.number)
    }

    fn bind_key(key: Self::Key, values: &mut Separated<'_, '_, Postgres, &'static str>) {
        values.push_bind(key.0).push_bind(key.1).push_bind(key.2);
    }
}

/// Which findings; everything that is given must hold.
#[derive(Debug, Clone, Default, InputObject, Serialize, Deserialize)]
pub(crate) struct DefectFilter {
    /// On boards of this lot.
    pub(crate) lot: Option<String>,
    /// On boards of this part.
    pub(crate) part: Option<String>,
    /// From this station.
    pub(crate) station: Option<String>,
    /// On the board of this inspection.
    pub(crate) inspection_id: Option<Uuid>,
    /// Of this class.
    pub(crate) class: Option<DefectClassWord>,
    /// Of this grade.
    pub(crate) grade: Option<GradeWord>,
    /// At least this confident, 0 to 1. In a list only beside lot or inspectionId.
    pub(crate) min_confidence: Option<f64>,
    /// Found at this time or later.
    pub(crate) from: Option<DateTime<Utc>>,
    /// Found before this time.
    pub(crate) to: Option<DateTime<Utc>>,
}

impl DefectFilter {
    /// # Errors
    /// When a name, the confidence or the times could not be ones.
    pub(crate) fn check_arguments(&self) -> Result<(), QueryError> {
        check_names(self.lot.as_deref(), self.part.as_deref(), self.station.as_deref())?;
        if self.min_confidence.is_some_and(|value| !(0.0..=1.0).contains(&value)) {
            return Err(QueryError::invalid("minConfidence", "must be a number from 0 to 1"));
        }
        check_times(self.stretch())
    }

    /// Refuses what no index finds in the order of the list.
    ///
    /// # Errors
    /// When only the confidence bounds what is gone through.
    pub(crate) fn check_list(&self) -> Result<(), QueryError> {
        if self.min_confidence.is_some() && !self.is_small() {
            let must = "must stand beside lot or inspectionId: nothing else finds it in a list";
            return Err(QueryError::invalid("minConfidence", must));
        }
        Ok(())
    }
}

impl Filter for DefectFilter {
    fn wanted(&self) -> Vec<(&'static str, String)> {
        given([
            ("lot", self.lot.clone()),
            ("station", self.station.clone()),
            ("part", self.part.clone()),
            ("class", self.class.map(|word| word.to_string())),
            ("grade", self.grade.map(|word| word.to_string())),
        ])
    }

    fn push_others(&self, sql: &mut QueryBuilder<'_, Postgres>) {
        if let Some(id) = self.inspection_id {
            sql.push(" AND inspection_id = ").push_bind(id);
        }
        if let Some(least) = self.min_confidence {
            // The column is single precision: compare as it was stored.
            sql.push(" AND confidence >= ").push_bind(least as f32);
        }
    }

    fn has_others(&self) -> bool {
        self.inspection_id.is_some() || self.min_confidence.is_some()
    }

    fn stretch(&self) -> TimeRange {
        (self.from, self.to)
    }

    fn is_small(&self) -> bool {
        self.lot.is_some() || self.inspection_id.is_some()
    }
}

/// The findings on these inspections within `reach`, as the reports number them: pictures as they were announced,
/// most confident first.
pub(crate) async fn of_inspections(
    pool: &Pool,
    inspections: &[Uuid],
    reach: &Reach,
) -> Result<Vec<DefectObject>, QueryError> {
    let mut sql = QueryBuilder::new(DefectObject::SELECT);
    sql.push(" WHERE inspection_id = ANY(").push_bind(inspections).push(")");
    restrict_to_reach(&mut sql, DefectObject::PLACED, reach);
    sql.push(" ORDER BY announced_sequence, number");
    Ok(sql.build_query_as().fetch_all(pool).await?)
}

/// The findings within `reach` with these numbers on these pictures, in any order.
pub(crate) async fn by_places(
    pool: &Pool,
    places: &[(Uuid, i32)],
    reach: &Reach,
) -> Result<Vec<DefectObject>, QueryError> {
    let (pictures, numbers): (Vec<Uuid>, Vec<i32>) = places.iter().copied().unzip();
    let mut sql = QueryBuilder::new(DefectObject::SELECT);
    sql.push(" WHERE (artifact_id, number) IN (SELECT * FROM unnest(").push_bind(pictures);
    sql.push("::uuid[], ").push_bind(numbers).push("::integer[]))");
    restrict_to_reach(&mut sql, DefectObject::PLACED, reach);
    Ok(sql.build_query_as().fetch_all(pool).await?)
}
