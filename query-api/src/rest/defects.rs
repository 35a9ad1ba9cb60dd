//! `GET /v1/defects`.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, Utc};
use domain::{Lot, PartNumber, ProjectionName, Station};
use platform::auth::Scope;
use platform::event_log::LogPlace;
use platform::http::Problem;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::descriptions::ListProblems;
use super::list::{ListArguments, ListPage, PageBody, PageSize, TotalCount, answer_list};
use super::query::{QueryParams, read_confidence, read_time};
use crate::QueryApi;
use crate::error::QueryError;
use crate::read_model::boxes::{MillimetreBoxObject, PixelBoxObject};
use crate::read_model::defects::{DefectFilter, DefectObject};
use crate::read_model::words::{DefectClassWord, GradeWord};
use crate::read_model::{LogPosition, round_to_single};
use crate::session::Session;

/// Which findings.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct DefectListParams {
    /// On boards of this lot.
    #[param(value_type = Option<String>)]
    lot: Option<Lot>,
    /// On boards of this part.
    #[param(value_type = Option<String>)]
    part: Option<PartNumber>,
    /// From this station.
    #[param(value_type = Option<String>)]
    station: Option<Station>,
    /// On the board of this inspection.
    inspection_id: Option<Uuid>,
    /// Of this class.
    class: Option<DefectClassWord>,
    /// Of this grade.
    grade: Option<GradeWord>,
    /// At least this confident, 0 to 1; only beside lot or inspection_id.
    #[serde(deserialize_with = "read_confidence")]
    min_confidence: Option<f64>,
    /// Found at this time or later.
    #[serde(deserialize_with = "read_time")]
    from: Option<DateTime<Utc>>,
    /// Found before this time.
    #[serde(deserialize_with = "read_time")]
    to: Option<DateTime<Utc>>,
    /// Rows of the page, 1 to 200; 50 when nothing is said.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200)]
    limit: Option<PageSize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Also say how many rows the list has, which counts as a request more.
    count: Option<bool>,
    /// Wait up to 2 s until the answer reflects the log up to here.
    #[param(value_type = Option<String>)]
    min_position: Option<LogPlace>,
}

/// One finding on one picture.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Defect)]
pub(super) struct DefectBody {
    /// The inspection.
    inspection_id: Uuid,
    /// The picture it was found on.
    artifact_id: Uuid,
    /// Its number within the picture, from 1, most confident first.
    number: i32,
    /// What it is.
    class: DefectClassWord,
    /// How sure the network is, 0 to 1.
    confidence: f64,
    /// What the confidence means under the recipe.
    grade: GradeWord,
    /// Where it is.
    #[serde(rename = "box")]
    bounds: PixelBoxObject,
    /// Where it is in millimetres; null when the picture's scale is not known.
    box_mm: Option<MillimetreBoxObject>,
    /// The board's lot.
    lot: String,
    /// The part the board is.
    part: String,
    /// The station.
    station: String,
    /// When the result was recorded.
    found_at: DateTime<Utc>,
    /// The place in the log of the result.
    #[schema(value_type = i64)]
    position: LogPosition,
}

impl From<DefectObject> for DefectBody {
    fn from(found: DefectObject) -> Self {
        Self {
            inspection_id: found.inspection_id,
            artifact_id: found.artifact_id,
            number: found.number,
            class: found.class,
            confidence: round_to_single(found.confidence),
            grade: found.grade,
            bounds: found.pixel_box(),
            box_mm: found.millimetre_box(),
            lot: found.lot,
            part: found.part,
            station: found.station,
            found_at: found.found_at,
            position: found.position,
        }
    }
}

/// A page of findings.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DefectPage {
    /// The findings, newest first.
    items: Vec<DefectBody>,
    /// Where the next page begins; absent on the last.
    next_cursor: Option<String>,
    /// How many rows the list has, where `count` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_count: Option<TotalCount>,
}

impl PageBody for DefectPage {
    type Row = DefectObject;

    fn new(page: ListPage<DefectObject>) -> Result<Self, QueryError> {
        let ListPage { rows, next_cursor, total_count } = page;
        Ok(Self {
            items: rows.into_iter().map(DefectBody::from).collect(),
            next_cursor,
            total_count,
        })
    }
}

/// Findings from the recipe's review_at, newest first.
#[utoipa::path(get, path = "/v1/defects", operation_id = "listDefects",
    tag = "reads", params(DefectListParams), responses(
    (status = 200, description = "A page", body = DefectPage, headers(("x-log-position" = String))),
    ListProblems), security(("oauth2" = ["inspections:read"]), ("bearer" = [])))]
#[tracing::instrument(skip_all)]
pub(super) async fn list_defects(
    State(api): State<QueryApi>,
    session: Session,
    QueryParams(params): QueryParams<DefectListParams>,
) -> Result<Response, Problem> {
    session.require_scope(Scope::InspectionsRead)?;
    let filter = DefectFilter {
        lot: params.lot.map(String::from),
        part: params.part.map(String::from),
        station: params.station.map(String::from),
        inspection_id: params.inspection_id,
        class: params.class,
        grade: params.grade,
        min_confidence: params.min_confidence,
        from: params.from,
        to: params.to,
    };
    filter.check_arguments()?;
    filter.check_list()?;
    let arguments = ListArguments {
        limit: params.limit.map(i32::from),
        cursor: params.cursor,
        count: params.count,
        min_position: params.min_position,
    };
    let projection = ProjectionName::Defects;
    let answer = answer_list::<DefectPage>(&api, &session, projection, filter, arguments).await?;
    Ok(answer.into_response())
}
