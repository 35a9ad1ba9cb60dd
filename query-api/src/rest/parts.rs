//! `GET /v1/parts` and `GET /v1/parts/{part}`.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use domain::{PartNumber, ProjectionName};
use platform::auth::Scope;
use platform::event_log::Position;
use platform::http::Problem;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::inspections::GetParams;
use super::query::{Params, forward};
use super::respond::{conditional, json};
use crate::QueryApi;
use crate::error::QueryError;
use crate::paging;
use crate::read_model::parts::{self, Part, PartFilter};
use crate::session::Session;

/// Which parts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// Whether there is a golden sample.
    has_golden_sample: Option<bool>,
    /// Rows of the page, 1 to 200; 50 when nothing is said.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Wait up to 2 s until the answer reflects the log up to here.
    min_position: Option<i64>,
}

/// A page of parts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PartPage {
    /// The parts, by number.
    items: Vec<Part>,
    /// Where the next page begins; absent on the last.
    next_cursor: Option<String>,
}

/// Parts, by number.
#[utoipa::path(get, path = "/v1/parts", operation_id = "listParts",
    tag = "reads", params(ListParams), responses(
    (status = 200, body = PartPage, headers(("x-log-position" = i64))),
    (status = 400, description = "invalid-query, invalid-cursor"),
    (status = 401), (status = 403), (status = 503)), security(("oauth2" = ["parts:read"]), ("bearer" = [])))]
pub(super) async fn list(
    State(api): State<QueryApi>,
    session: Session,
    Params(params): Params<ListParams>,
) -> Result<Response, Problem> {
    session.require(Scope::PartsRead)?;
    let filter = PartFilter { has_golden_sample: params.has_golden_sample };
    let reads = api.reads();
    let arguments = forward(params.limit, params.cursor)?;
    let page = paging::page::<Part>(arguments, &filter, &reads.cursor_key)?;
    let wanted = params.min_position.map(Position);
    let position = reads.checkpoints.reached(ProjectionName::Parts, wanted).await?;
    let slice = paging::list::<Part>(&reads.pool, page, &filter).await?;
    let next_cursor = slice.next_cursor(&filter, &reads.cursor_key);
    Ok(json(position, &PartPage { items: slice.rows, next_cursor }))
}

/// One part with its golden samples. The ETag is its version, as commands give it.
#[utoipa::path(get, path = "/v1/parts/{part}", operation_id = "getPart",
    tag = "reads",
    params(("part" = String, Path, description = "The part number"), GetParams), responses(
    (status = 200, body = parts::PartDetail, headers(("etag" = String), ("x-log-position" = i64))),
    (status = 304), (status = 400), (status = 401), (status = 403), (status = 404),
    (status = 503)), security(("oauth2" = ["parts:read"]), ("bearer" = [])))]
pub(super) async fn get(
    State(api): State<QueryApi>,
    session: Session,
    Path(text): Path<String>,
    Params(params): Params<GetParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    session.require(Scope::PartsRead)?;
    let nothing = || QueryError::NotFound(format!("part {text:?}"));
    let part = PartNumber::new(&text).map_err(|_| nothing())?;
    let reads = api.reads();
    let wanted = params.min_position.map(Position);
    let position = reads.checkpoints.reached(ProjectionName::Parts, wanted).await?;
    let detail = parts::detail(&reads.pool, part.as_str()).await?.ok_or_else(nothing)?;
    let etag = format!("\"{}\"", detail.part.version);
    Ok(conditional(&headers, &etag, json(position, &detail)))
}
