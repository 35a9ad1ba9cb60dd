//! `GET /v1/inspections` and `GET /v1/inspections/{id}`.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use domain::{Lot, PartNumber, ProjectionName, Station};
use platform::auth::Scope;
use platform::event_log::Position;
use platform::http::Problem;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::query::{Params, forward, id};
use super::respond::{conditional, json};
use crate::QueryApi;
use crate::error::QueryError;
use crate::paging;
use crate::read_model::inspections::{self, Inspection, InspectionFilter};
use crate::read_model::words::{InspectionStateWord, JudgementWord};
use crate::session::Session;

/// Which inspections.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// Of this lot.
    #[param(value_type = Option<String>)]
    lot: Option<Lot>,
    /// Of this part.
    #[param(value_type = Option<String>)]
    part: Option<PartNumber>,
    /// From this station.
    #[param(value_type = Option<String>)]
    station: Option<Station>,
    /// Judged so.
    judgement: Option<JudgementWord>,
    /// In this state.
    state: Option<InspectionStateWord>,
    /// Rows of the page, 1 to 200; 50 when nothing is said.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Wait up to 2 s until the answer reflects the log up to here.
    min_position: Option<i64>,
}

/// A page of inspections.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InspectionPage {
    /// The inspections, newest first.
    items: Vec<Inspection>,
    /// Where the next page begins; absent on the last.
    next_cursor: Option<String>,
}

/// Inspections, newest first.
#[utoipa::path(get, path = "/v1/inspections", operation_id = "listInspections",
    tag = "reads", params(ListParams), responses(
    (status = 200, body = InspectionPage, headers(("x-log-position" = i64))),
    (status = 400, description = "invalid-query, invalid-cursor"),
    (status = 401), (status = 403), (status = 503)), security(("oauth2" = ["inspections:read"]), ("bearer" = [])))]
pub(super) async fn list(
    State(api): State<QueryApi>,
    session: Session,
    Params(params): Params<ListParams>,
) -> Result<Response, Problem> {
    session.require(Scope::InspectionsRead)?;
    let filter = InspectionFilter {
        lot: params.lot.map(String::from),
        part: params.part.map(String::from),
        station: params.station.map(String::from),
        judgement: params.judgement,
        state: params.state,
    };
    let reads = api.reads();
    let arguments = forward(params.limit, params.cursor)?;
    let page = paging::page::<Inspection>(arguments, &filter, &reads.cursor_key)?;
    let wanted = params.min_position.map(Position);
    let position = reads.checkpoints.reached(ProjectionName::InspectionOverview, wanted).await?;
    let slice = paging::list::<Inspection>(&reads.pool, page, &filter).await?;
    let next_cursor = slice.next_cursor(&filter, &reads.cursor_key);
    Ok(json(position, &InspectionPage { items: slice.rows, next_cursor }))
}

/// What a read of one resource takes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct GetParams {
    /// Wait up to 2 s until the answer reflects the log up to here.
    pub(super) min_position: Option<i64>,
}

/// One inspection with its pictures and its events. The ETag is its version, as commands give it.
#[utoipa::path(get, path = "/v1/inspections/{inspection_id}", operation_id = "getInspection",
    tag = "reads",
    params(("inspection_id" = String, Path, description = "The inspection's id"), GetParams),
    responses(
    (status = 200, body = inspections::InspectionDetail,
     headers(("etag" = String), ("x-log-position" = i64))),
    (status = 304), (status = 400), (status = 401), (status = 403), (status = 404),
    (status = 503)), security(("oauth2" = ["inspections:read"]), ("bearer" = [])))]
pub(super) async fn get(
    State(api): State<QueryApi>,
    session: Session,
    Path(text): Path<String>,
    Params(params): Params<GetParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    session.require(Scope::InspectionsRead)?;
    let nothing = || format!("inspection {text}");
    let id = id(&nothing(), &text)?;
    let reads = api.reads();
    let wanted = params.min_position.map(Position);
    let position = reads.checkpoints.reached(ProjectionName::InspectionOverview, wanted).await?;
    let detail = inspections::detail(&reads.pool, id).await?;
    let detail = detail.ok_or_else(|| QueryError::NotFound(nothing()))?;
    let etag = format!("\"{}\"", detail.inspection.version);
    Ok(conditional(&headers, &etag, json(position, &detail)))
}
