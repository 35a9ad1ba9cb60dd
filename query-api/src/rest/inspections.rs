//! `GET /v1/inspections` and `GET /v1/inspections/{id}`.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use domain::{Lot, PartNumber, ProjectionName, Station};
use platform::auth::Scope;
use platform::event_log::Position;
use platform::http::Problem;
use serde::{Deserialize, Serialize};
use tracing::Span;
use tracing::field::display;
use utoipa::{IntoParams, ToSchema};

use super::list::{ListArguments, ListPage, read_list};
use super::query::{QueryParams, parse_id};
use super::respond::{json_at_position, with_etag};
use crate::QueryApi;
use crate::error::QueryError;
use crate::read_model::inspections::{self, InspectionFilter, InspectionObject};
use crate::read_model::words::{InspectionStateWord, JudgementWord};
use crate::session::Session;

/// Which inspections.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct InspectionListParams {
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
    items: Vec<InspectionObject>,
    /// Where the next page begins; absent on the last.
    next_cursor: Option<String>,
}

/// Inspections, newest first.
#[utoipa::path(get, path = "/v1/inspections", operation_id = "listInspections",
    tag = "reads", params(InspectionListParams), responses(
    (status = 200, body = InspectionPage, headers(("x-log-position" = i64))),
    (status = 400, description = "invalid-query, invalid-cursor"),
    (status = 401), (status = 403), (status = 429), (status = 503)), security(("oauth2" = ["inspections:read"]), ("bearer" = [])))]
#[tracing::instrument(skip_all)]
pub(super) async fn list_inspections(
    State(api): State<QueryApi>,
    session: Session,
    QueryParams(params): QueryParams<InspectionListParams>,
) -> Result<Response, Problem> {
    session.require_scope(Scope::InspectionsRead)?;
    let filter = InspectionFilter {
        lot: params.lot.map(String::from),
        part: params.part.map(String::from),
        station: params.station.map(String::from),
        judgement: params.judgement,
        state: params.state,
    };
    let arguments = ListArguments {
        limit: params.limit,
        cursor: params.cursor,
        min_position: params.min_position,
    };
    let ListPage { rows, next_cursor, position } = read_list::<InspectionObject>(
        api.context(),
        &session,
        ProjectionName::InspectionOverview,
        &filter,
        arguments,
    )
    .await?;
    Ok(json_at_position(position, &InspectionPage { items: rows, next_cursor }))
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
    (status = 429), (status = 503)), security(("oauth2" = ["inspections:read"]), ("bearer" = [])))]
#[tracing::instrument(skip_all, fields(inspection_id))]
pub(super) async fn get_inspection(
    State(api): State<QueryApi>,
    session: Session,
    Path(text): Path<String>,
    QueryParams(params): QueryParams<GetParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    session.require_scope(Scope::InspectionsRead)?;
    let nothing = || format!("inspection {text}");
    let id = parse_id(&nothing(), &text)?;
    Span::current().record("inspection_id", display(id));
    let context = api.context();
    let wanted = params.min_position.map(Position);
    let position = context.checkpoints.reached(ProjectionName::InspectionOverview, wanted).await?;
    let detail = inspections::read_detail(&context.pool, id).await?;
    let detail = detail.ok_or_else(|| QueryError::NotFound(nothing()))?;
    let etag = format!("\"{}\"", detail.inspection.version);
    Ok(with_etag(&headers, &etag, json_at_position(position, &detail)))
}
