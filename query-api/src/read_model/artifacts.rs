//! Pictures of boards: what became of them, and where their files are.

use std::collections::BTreeMap;

use async_graphql::{ComplexObject, Result, SimpleObject};
use chrono::{DateTime, Utc};
use domain::inspection::Registration;
use domain::{ArtifactId, Coverage, MillimetreBox, PixelBox, Reach, UnexplainedDifference};
use platform::postgres::Pool;
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use sqlx::{FromRow, QueryBuilder};
use utoipa::ToSchema;
use uuid::Uuid;

use super::boxes::{MillimetreBoxObject, PixelBoxObject, measure};
use super::detection_limits::{DetectionLimitObject, detection_limit};
use super::words::{ArtifactStateWord, ComparisonMethodWord, DifferenceKindWord};
use super::{from_rows, round_to_single};
use crate::error::QueryError;
use crate::visibility::{Placed, restrict_to_reach};

/// One picture of an inspection.
#[derive(Debug, Clone, FromRow, SimpleObject, Serialize, ToSchema)]
#[graphql(complex, name = "Artifact")]
#[schema(as = Artifact)]
pub(crate) struct ArtifactObject {
    #[graphql(skip)]
    pub(crate) artifact_id: Uuid,
    #[graphql(skip)]
    #[serde(skip)]
    pub(crate) inspection_id: Uuid,
    /// The view of the board that it was announced as; null without a name.
    pub(crate) view: Option<String>,
    /// The scale that it was announced with, in pixels per millimetre; absent when nobody stated it.
    #[graphql(skip)]
    pub(crate) pixels_per_millimetre: Option<f32>,
    /// What has become of it.
    pub(crate) state: ArtifactStateWord,
    /// As announced, then as sniffed.
    pub(crate) media_type: String,
    /// Digest of the file, hexadecimal.
    pub(crate) sha256: Option<String>,
    /// Length of the file.
    pub(crate) bytes: Option<i64>,
    /// Width in pixels.
    pub(crate) width: Option<i32>,
    /// Height in pixels.
    pub(crate) height: Option<i32>,
    /// When it was announced.
    pub(crate) reserved_at: DateTime<Utc>,
    /// When it came to rest.
    pub(crate) uploaded_at: Option<DateTime<Utc>>,
    /// When its result was recorded.
    pub(crate) inferred_at: Option<DateTime<Utc>>,
    #[graphql(skip)]
    pub(crate) golden_artifact_id: Option<Uuid>,
    /// Digest of the golden sample it was compared with.
    pub(crate) golden_sha256: Option<String>,
    /// Revision of the golden sample it was compared with.
    pub(crate) golden_revision: Option<i32>,
    /// Whether it is that golden sample, byte for byte: then the wrong file may have been sent, since a camera gives no
    /// two such pictures. The judgement is the same. Null until it is compared with one.
    pub(crate) identical_to_golden_sample: Option<bool>,
    /// Name of the network.
    pub(crate) model_name: Option<String>,
    /// Version of the network.
    pub(crate) model_version: Option<String>,
    /// Digest of the network.
    pub(crate) model_sha256: Option<String>,
    /// How it lay over the golden sample.
    #[graphql(skip)]
    #[schema(value_type = Option<Object>)]
    pub(crate) registration: Option<Json<Registration>>,
    /// How much of it was compared; absent until it is, and of the oldest results.
    #[graphql(skip)]
    #[schema(value_type = Option<Object>)]
    pub(crate) coverage: Option<Json<Coverage>>,
    /// What differs and is not explained by the findings, strongest first, each with its `box` and `box_mm`; absent
    /// until it is compared.
    #[graphql(skip)]
    #[schema(value_type = Option<Vec<Object>>)]
    pub(crate) differences: Option<Json<Vec<MeasuredDifference>>>,
    /// Milliseconds waiting for a batch.
    pub(crate) queue_ms: Option<i32>,
    /// Milliseconds in the network.
    pub(crate) compute_ms: Option<i32>,
    /// Milliseconds from taking up the picture to the result.
    pub(crate) total_ms: Option<i32>,
    /// Why it could not be compared, as a rule's name.
    pub(crate) reason: Option<String>,
    /// Why it could not be compared, in words.
    pub(crate) detail: Option<String>,
    /// When its file was given up, because its retention period was over; null while it is kept.
    pub(crate) retired_at: Option<DateTime<Utc>>,
}

const ARTIFACT_COLUMNS: &str =
    "artifact_id, inspection_id, view, pixels_per_millimetre, state, media_type, sha256, bytes, width,
    height, reserved_at, uploaded_at, inferred_at, golden_artifact_id, golden_sha256,
    golden_revision, sha256 = golden_sha256 AS identical_to_golden_sample,
    model_name, model_version, model_sha256, registration, coverage, differences,
    queue_ms, compute_ms, total_ms, reason, detail, retired_at";

/// The pictures of these inspections, in the order in which they were announced.
pub(crate) async fn of_inspections<'e>(
    executor: impl sqlx::PgExecutor<'e>,
    inspections: &[Uuid],
) -> Result<Vec<ArtifactObject>, QueryError> {
    let sql = format!(
        "SELECT {ARTIFACT_COLUMNS} FROM read.artifacts WHERE inspection_id = ANY($1)
         ORDER BY announced_sequence"
    );
    let found: Vec<ArtifactObject> =
        sqlx::query_as(&sql).bind(inspections).fetch_all(executor).await?;
    Ok(found.into_iter().map(ArtifactObject::measured).collect())
}

/// The pictures that these rows are of, in the order in which they were announced.
pub(super) async fn of_rows<'e>(
    executor: impl sqlx::PgExecutor<'e>,
    rows: &str,
) -> Result<Vec<ArtifactObject>, QueryError> {
    let select = format!("SELECT {ARTIFACT_COLUMNS} FROM read.artifacts");
    let sql = from_rows(&select, "artifacts") + "$1::text::json) ORDER BY announced_sequence";
    let found: Vec<ArtifactObject> = sqlx::query_as(&sql).bind(rows).fetch_all(executor).await?;
    Ok(found.into_iter().map(ArtifactObject::measured).collect())
}

const PLACED: Placed = Placed::OfInspection("artifacts.inspection_id");

/// The pictures of boards within `reach` that have these ids, in any order.
pub(crate) async fn by_ids(
    pool: &Pool,
    ids: &[Uuid],
    reach: &Reach,
) -> Result<Vec<ArtifactObject>, QueryError> {
    let mut sql = QueryBuilder::new("SELECT ");
    sql.push(ARTIFACT_COLUMNS).push(" FROM read.artifacts WHERE artifact_id = ANY(");
    sql.push_bind(ids).push(")");
    restrict_to_reach(&mut sql, PLACED, reach);
    let found: Vec<ArtifactObject> = sql.build_query_as().fetch_all(pool).await?;
    Ok(found.into_iter().map(ArtifactObject::measured).collect())
}

impl ArtifactObject {
    /// The same with its differences in millimetres, too.
    fn measured(mut self) -> Self {
        let scale = self.pixels_per_millimetre;
        for MeasuredDifference { difference, box_mm } in
            self.differences.iter_mut().flat_map(|all| &mut all.0)
        {
            *box_mm = measure(scale, difference.bounds);
        }
        self
    }
}

/// A difference that no finding explains, and where it lies on the board.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MeasuredDifference {
    #[serde(flatten)]
    difference: UnexplainedDifference,
    /// By the picture's scale, so the read model does not hold it.
    #[serde(skip_deserializing)]
    box_mm: Option<MillimetreBox>,
}

/// A picture at rest: what is needed to serve its file.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct ServedPicture {
    pub(crate) is_golden: bool,
    pub(crate) media_type: String,
    /// Absent while it is only announced.
    pub(crate) sha256: Option<String>,
    /// Absent while its file is kept.
    pub(crate) retired_at: Option<DateTime<Utc>>,
}

/// The picture of a board, or the golden sample, with this id, if it is within `reach`.
pub(crate) async fn stored_picture(
    pool: &Pool,
    id: Uuid,
    reach: &Reach,
) -> Result<Option<ServedPicture>, QueryError> {
    let mut sql = QueryBuilder::new(
        "SELECT false AS is_golden, media_type, sha256, retired_at FROM read.artifacts WHERE artifact_id = ",
    );
    sql.push_bind(id);
    restrict_to_reach(&mut sql, PLACED, reach);
    sql.push(
        " UNION ALL SELECT true, media_type, sha256, retired_at FROM read.golden_samples WHERE artifact_id = ",
    );
    sql.push_bind(id);
    restrict_to_reach(&mut sql, Placed::OfPart, reach);
    sql.push(" LIMIT 1");
    Ok(sql.build_query_as().fetch_optional(pool).await?)
}

/// When the files of these pictures and golden samples were given up; those that are kept are left out. Who asks sees
/// what they belong to.
pub(crate) async fn retired_among(
    pool: &Pool,
    ids: &[ArtifactId],
) -> Result<BTreeMap<ArtifactId, DateTime<Utc>>, QueryError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let found: Vec<(Uuid, DateTime<Utc>)> = sqlx::query_as(
        "SELECT artifact_id, retired_at FROM read.artifacts
         WHERE artifact_id = ANY($1) AND retired_at IS NOT NULL
         UNION ALL SELECT artifact_id, retired_at FROM read.golden_samples
         WHERE artifact_id = ANY($1) AND retired_at IS NOT NULL",
    )
    .bind(ids)
    .fetch_all(pool)
    .await?;
    Ok(found.into_iter().map(|(id, at)| (ArtifactId(id), at)).collect())
}

/// The path at which a picture's file is served.
pub(crate) fn picture_url(artifact_id: Uuid) -> String {
    format!("/v1/artifacts/{artifact_id}")
}

/// A picture's fields that are shaped for GraphQL.
#[ComplexObject]
impl ArtifactObject {
    /// The picture's id.
    pub(crate) async fn id(&self) -> async_graphql::ID {
        self.artifact_id.into()
    }

    /// The id of the golden sample it was compared with.
    async fn golden_artifact_id(&self) -> Option<async_graphql::ID> {
        self.golden_artifact_id.map(Into::into)
    }

    /// The scale that it was announced with, in pixels per millimetre; null when nobody stated it.
    async fn pixels_per_millimetre(&self) -> Option<f64> {
        self.pixels_per_millimetre.map(round_to_single)
    }

    /// How it lay over the golden sample.
    async fn registration(&self) -> Option<RegistrationFields> {
        self.registration.as_ref().map(|Json(at)| RegistrationFields {
            dx: round_to_single(at.dx),
            dy: round_to_single(at.dy),
            score: round_to_single(at.score),
            bend: at.bend.map(round_to_single),
        })
    }

    /// How much of it was compared; null until it is, and of the oldest results.
    async fn coverage(&self) -> Result<Option<CoverageFields>> {
        let shown = |Json(coverage): &Json<Coverage>| CoverageFields::from_coverage(coverage);
        Ok(self.coverage.as_ref().map(shown).transpose()?)
    }

    /// What such a comparison finds and may not find; null until it is compared, and of older results.
    async fn detection_limit(&self) -> Result<Option<DetectionLimitObject>> {
        let method = self.coverage.as_ref().and_then(|coverage| coverage.method());
        let limit = method.map(|method| detection_limit(method, self.pixels_per_millimetre));
        Ok(limit.transpose()?)
    }

    /// How many pixels along its border were not inspected: what lies there may be on no golden sample; null
    /// until it is compared.
    async fn border_px(&self) -> Option<u32> {
        let side = |length: Option<i32>| length.and_then(|length| u32::try_from(length).ok());
        Some(self.coverage.as_ref()?.border_px(side(self.width)?, side(self.height)?))
    }

    /// What differs and is not explained by the findings, strongest first; null until it is compared.
    #[graphql(complexity = "4 * child_complexity")]
    async fn differences(&self) -> Result<Option<Vec<DifferenceFields>>> {
        let shown = |Json(all): &Json<Vec<MeasuredDifference>>| {
            all.iter().map(DifferenceFields::from_difference).collect::<Result<_, _>>()
        };
        Ok(self.differences.as_ref().map(shown).transpose()?)
    }

    /// Where the file is served, with the same token; null until it is at rest, and when it was retired.
    async fn url(&self) -> Option<String> {
        self.sha256
            .as_ref()
            .filter(|_| self.retired_at.is_none())
            .map(|_| picture_url(self.artifact_id))
    }
}

/// How a picture lay over its golden sample.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(name = "Registration")]
pub(crate) struct RegistrationFields {
    /// Pixels to the right of the golden sample.
    dx: f64,
    /// Pixels below the golden sample.
    dy: f64,
    /// Agreement after registration, 0 to 1.
    score: f64,
    /// By how many pixels at most it bends against the golden sample; null where nobody measured it.
    bend: Option<f64>,
}

/// How much of a picture was compared.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(name = "Coverage")]
pub(crate) struct CoverageFields {
    /// Pixels that were to be inspected.
    inspected_pixels: u64,
    /// Pixels of these that were compared.
    compared_pixels: u64,
    /// The part of what was to be inspected that was compared, 0 to 1.
    compared_share: f64,
    /// Pieces that were not compared and are large enough to hide a flaw, largest first.
    #[graphql(complexity = "4 * child_complexity")]
    uncovered: Vec<PixelBoxObject>,
    /// Pixels of the picture that were not to be inspected, on purpose.
    excluded_pixels: u64,
    /// The part of the picture that was not inspected on purpose, 0 to 1.
    excluded_share: f64,
    /// The boxes that the recipe keeps out, as they lie in the picture, largest first.
    #[graphql(complexity = "4 * child_complexity")]
    excluded: Vec<PixelBoxObject>,
    /// How it was compared; null of older results.
    method: Option<ComparisonMethodWord>,
}

impl CoverageFields {
    fn from_coverage(coverage: &Coverage) -> Result<Self, QueryError> {
        let boxes = |all: &[PixelBox]| all.iter().map(PixelBoxObject::from_box).collect();
        let method = coverage.method().map(|method| method.as_str().parse()).transpose();
        Ok(Self {
            inspected_pixels: coverage.inspected_pixels(),
            compared_pixels: coverage.compared_pixels(),
            compared_share: coverage.compared_share(),
            uncovered: boxes(coverage.uncovered()),
            excluded_pixels: coverage.excluded_pixels(),
            excluded_share: coverage.excluded_share(),
            excluded: boxes(coverage.excluded()),
            method: method.map_err(|error: String| QueryError::internal(error))?,
        })
    }
}

/// A difference that no finding explains.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(name = "UnexplainedDifference")]
pub(crate) struct DifferenceFields {
    /// In what way it differs.
    kind: DifferenceKindWord,
    /// How strong it is, in parts of the weakest difference that counts.
    strength: f64,
    /// Where it is.
    #[graphql(name = "box")]
    bounds: PixelBoxObject,
    /// Where it is in millimetres; null when the picture's scale is not known.
    box_mm: Option<MillimetreBoxObject>,
}

impl DifferenceFields {
    fn from_difference(
        MeasuredDifference { difference, box_mm }: &MeasuredDifference,
    ) -> Result<Self, QueryError> {
        let kind = difference.kind.as_str().parse();
        Ok(Self {
            kind: kind.map_err(|error: String| QueryError::internal(error))?,
            strength: round_to_single(difference.strength),
            bounds: PixelBoxObject::from_box(&difference.bounds),
            box_mm: box_mm.map(Into::into),
        })
    }
}
