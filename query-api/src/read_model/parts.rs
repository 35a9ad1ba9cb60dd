//! Parts, their recipes and golden samples: one projection. A part may have any number of each, so they are lists
//! of their own.

use async_graphql::{InputObject, SimpleObject};
use chrono::{DateTime, Utc};
use domain::{PartNumber, Reach, Recipe};
use platform::postgres::Pool;
use serde::{Deserialize, Serialize};
use sqlx::query_builder::Separated;
use sqlx::types::Json;
use sqlx::{FromRow, Postgres, QueryBuilder};
use utoipa::ToSchema;
use uuid::Uuid;

use super::LogPosition;
use super::detection_limits::{DetectionLimitObject, detection_limits};
use super::words::GoldenSampleUseWord;
use crate::error::QueryError;
use crate::paging::{Filter, Listed};
use crate::visibility::{Placed, restrict_to_reach};

/// The most recipes of a page: one with all its boxes has 8 kB.
pub(crate) const RECIPE_PAGE_MAX: usize = 50;

/// One part: what a board is.
#[derive(Debug, Clone, FromRow, SimpleObject, Serialize, ToSchema)]
#[graphql(complex, name = "Part")]
#[schema(as = Part)]
pub(crate) struct PartObject {
    /// The part number.
    pub(crate) part: String,
    /// The recipe in force.
    #[graphql(skip)]
    #[schema(value_type = Object)]
    pub(crate) recipe: Json<Recipe>,
    /// When it was registered.
    pub(crate) registered_at: DateTime<Utc>,
    /// The latest golden sample, of whatever use and view.
    pub(crate) golden_revision: Option<i32>,
    /// How many events it has. If-Match takes the ETag of a REST answer, which says it as well.
    pub(crate) version: i64,
    /// The place in the log of its last event.
    #[schema(value_type = i64)]
    pub(crate) position: LogPosition,
}

/// By part number.
impl Listed for PartObject {
    type Key = (String,);
    const NAME: &'static str = "parts";
    const SELECT: &'static str =
        "SELECT part, recipe, registered_at, golden_revision, version, position FROM read.parts";
    const KEY: &'static [&'static str] = &["part COLLATE \"C\""];
    const DESCENDING: bool = false;
    const PLACED: Placed = Placed::OfPart;

    fn sort_key(&self) -> Self::Key {
        (self.part.clone(),)
    }

    fn bind_key(key: Self::Key, values: &mut Separated<'_, '_, Postgres, &'static str>) {
        values.push_bind(key.0);
    }
}

/// Which parts; everything that is given must hold.
#[derive(Debug, Clone, Default, InputObject, Serialize, Deserialize)]
pub(crate) struct PartFilter {
    /// Whether there is a golden sample.
    pub(crate) has_golden_sample: Option<bool>,
}

impl Filter for PartFilter {
    fn wanted(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn push_others(&self, sql: &mut QueryBuilder<'_, Postgres>) {
        match self.has_golden_sample {
            Some(true) => sql.push(" AND golden_revision IS NOT NULL"),
            Some(false) => sql.push(" AND golden_revision IS NULL"),
            None => sql,
        };
    }

    fn has_others(&self) -> bool {
        self.has_golden_sample.is_some()
    }
}

/// Of which part something is.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct OfPart {
    /// The part number.
    pub(crate) part: String,
}

impl OfPart {
    /// # Errors
    /// When this is no part number.
    pub(crate) fn parse(part: &str) -> Result<Self, QueryError> {
        Ok(Self { part: PartNumber::new(part)?.to_string() })
    }
}

impl Filter for OfPart {
    fn wanted(&self) -> Vec<(&'static str, String)> {
        vec![("part", self.part.clone())]
    }
}

/// One golden sample of a part.
#[derive(Debug, Clone, FromRow, SimpleObject, Serialize, ToSchema)]
#[graphql(complex, name = "GoldenSample")]
#[schema(as = GoldenSample)]
pub(crate) struct GoldenSampleObject {
    /// From 1.
    pub(crate) revision: i32,
    #[graphql(skip)]
    pub(crate) artifact_id: Uuid,
    /// Digest of the file, hexadecimal.
    pub(crate) sha256: String,
    /// Format.
    pub(crate) media_type: String,
    /// Length of the file.
    pub(crate) bytes: i64,
    /// Width in pixels.
    pub(crate) width: i32,
    /// Height in pixels.
    pub(crate) height: i32,
    /// What it is for.
    #[sqlx(rename = "use")]
    #[serde(rename = "use")]
    #[graphql(name = "use")]
    pub(crate) usage: GoldenSampleUseWord,
    /// The view of the board that it shows; null where views have no names.
    pub(crate) view: Option<String>,
    /// Why it was announced; null when nobody said it.
    pub(crate) reason: Option<String>,
    /// Its scale, in pixels of the picture per millimetre of the board; absent when nobody stated it.
    #[graphql(skip)]
    pub(crate) pixels_per_millimetre: Option<f32>,
    /// Who announced it.
    pub(crate) actor: String,
    /// When it was registered.
    pub(crate) registered_at: DateTime<Utc>,
    /// When its file was given up, because another took its place and its retention period was over; null while it is
    /// kept.
    pub(crate) retired_at: Option<DateTime<Utc>>,
}

/// The latest first.
impl Listed for GoldenSampleObject {
    type Key = (i32,);
    const NAME: &'static str = "golden_samples";
    const SELECT: &'static str =
        "SELECT revision, artifact_id, sha256, media_type, bytes, width, height,
         use, view, reason, pixels_per_millimetre, actor, registered_at, retired_at FROM read.golden_samples";
    const KEY: &'static [&'static str] = &["revision"];
    const DESCENDING: bool = true;
    const PLACED: Placed = Placed::OfPart;

    fn sort_key(&self) -> Self::Key {
        (self.revision,)
    }

    fn bind_key(key: Self::Key, values: &mut Separated<'_, '_, Postgres, &'static str>) {
        values.push_bind(key.0);
    }
}

/// One revision of a part's recipe.
#[derive(Debug, Clone, FromRow, SimpleObject, Serialize, ToSchema)]
#[graphql(complex, name = "RecipeRevision")]
#[schema(as = RecipeRevision)]
pub(crate) struct RecipeRevisionObject {
    /// From 1.
    pub(crate) revision: i32,
    /// The whole recipe.
    #[graphql(skip)]
    #[schema(value_type = Object)]
    pub(crate) recipe: Json<Recipe>,
    /// When it was put in force.
    pub(crate) revised_at: DateTime<Utc>,
    /// Who put it in force.
    pub(crate) actor: String,
    /// Why; null of the recipe that the part was registered with.
    pub(crate) reason: Option<String>,
}

/// The latest first.
impl Listed for RecipeRevisionObject {
    type Key = (i32,);
    const NAME: &'static str = "recipe_revisions";
    const SELECT: &'static str =
        "SELECT revision, recipe, revised_at, actor, reason FROM read.recipe_revisions";
    const KEY: &'static [&'static str] = &["revision"];
    const DESCENDING: bool = true;
    const PLACED: Placed = Placed::OfPart;
    const PAGE_MAX: usize = RECIPE_PAGE_MAX;

    fn sort_key(&self) -> Self::Key {
        (self.revision,)
    }

    fn bind_key(key: Self::Key, values: &mut Separated<'_, '_, Postgres, &'static str>) {
        values.push_bind(key.0);
    }
}

/// A golden sample with what comparisons with it find.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct GoldenSampleDetail {
    #[serde(flatten)]
    sample: GoldenSampleObject,
    /// What comparisons with it find and may not find, by method: the pictures decide which one it is.
    detection_limits: Vec<DetectionLimitObject>,
}

impl GoldenSampleDetail {
    pub(crate) fn new(sample: GoldenSampleObject) -> Result<Self, QueryError> {
        let detection_limits = detection_limits(sample.pixels_per_millimetre)?;
        Ok(Self { sample, detection_limits })
    }
}

/// The part with this number, if it is within `reach`.
pub(crate) async fn by_number(
    pool: &Pool,
    part: &str,
    reach: &Reach,
) -> Result<Option<PartObject>, QueryError> {
    Ok(by_numbers(pool, &[part.to_owned()], reach).await?.pop())
}

/// The parts with these numbers within `reach`, in any order.
pub(crate) async fn by_numbers(
    pool: &Pool,
    numbers: &[String],
    reach: &Reach,
) -> Result<Vec<PartObject>, QueryError> {
    let mut sql = QueryBuilder::new(PartObject::SELECT);
    sql.push(" WHERE part = ANY(").push_bind(numbers).push(")");
    restrict_to_reach(&mut sql, PartObject::PLACED, reach);
    Ok(sql.build_query_as().fetch_all(pool).await?)
}

/// The golden samples within `reach` that have these pictures, in any order.
pub(crate) async fn golden_samples_by_ids(
    pool: &Pool,
    ids: &[Uuid],
    reach: &Reach,
) -> Result<Vec<GoldenSampleObject>, QueryError> {
    let mut sql = QueryBuilder::new(GoldenSampleObject::SELECT);
    sql.push(" WHERE artifact_id = ANY(").push_bind(ids).push(")");
    restrict_to_reach(&mut sql, GoldenSampleObject::PLACED, reach);
    Ok(sql.build_query_as().fetch_all(pool).await?)
}
