//! `GET /v1/parts` and `GET /v1/parts/{part}`.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use domain::{PartNumber, ProjectionName};
use platform::auth::Scope;
use platform::event_log::LogPlace;
use platform::http::Problem;
use serde::{Deserialize, Serialize};
use tracing::Span;
use utoipa::{IntoParams, ToSchema};

use super::descriptions::{ListProblems, ReadProblems};
use super::inspections::GetParams;
use super::list::{ListArguments, ListPage, PageSize, read_list};
use super::query::QueryParams;
use super::respond::{json_at_place, resource_etag, with_etag};
use crate::QueryApi;
use crate::error::QueryError;
use crate::read_model::parts::{self, PartFilter, PartObject};
use crate::session::Session;

/// Which parts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct PartListParams {
    /// Whether there is a golden sample.
    has_golden_sample: Option<bool>,
    /// Rows of the page, 1 to 200; 50 when nothing is said.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200)]
    limit: Option<PageSize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Wait up to 2 s until the answer reflects the log up to here.
    #[param(value_type = Option<String>)]
    min_position: Option<LogPlace>,
}

/// A page of parts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PartPage {
    /// The parts, by number.
    items: Vec<PartObject>,
    /// Where the next page begins; absent on the last.
    next_cursor: Option<String>,
}

/// Parts, by number.
#[utoipa::path(get, path = "/v1/parts", operation_id = "listParts",
    tag = "reads", params(PartListParams), responses(
    (status = 200, description = "A page", body = PartPage, headers(("x-log-position" = String))),
    ListProblems), security(("oauth2" = ["parts:read"]), ("bearer" = [])))]
#[tracing::instrument(skip_all)]
pub(super) async fn list_parts(
    State(api): State<QueryApi>,
    session: Session,
    QueryParams(params): QueryParams<PartListParams>,
) -> Result<Response, Problem> {
    session.require_scope(Scope::PartsRead)?;
    let filter = PartFilter { has_golden_sample: params.has_golden_sample };
    let arguments = ListArguments {
        limit: params.limit,
        cursor: params.cursor,
        min_position: params.min_position,
    };
    let ListPage { rows, next_cursor, place } =
        read_list::<PartObject>(api.context(), &session, ProjectionName::Parts, &filter, arguments)
            .await?;
    Ok(json_at_place(place, &PartPage { items: rows, next_cursor }))
}

/// One part with its recipes and golden samples. The ETag is its version, as commands give it.
#[utoipa::path(get, path = "/v1/parts/{part}", operation_id = "getPart",
    tag = "reads",
    params(("part" = String, Path, description = "The part number"), GetParams), responses(
    (status = 200, description = "The part", body = parts::PartDetail, headers(("etag" = String), ("x-log-position" = String))),
    (status = 304, description = "As If-None-Match names it"), ReadProblems), security(("oauth2" = ["parts:read"]), ("bearer" = [])))]
#[tracing::instrument(skip_all, fields(part))]
pub(super) async fn get_part(
    State(api): State<QueryApi>,
    session: Session,
    Path(text): Path<String>,
    QueryParams(params): QueryParams<GetParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    session.require_scope(Scope::PartsRead)?;
    let nothing = || QueryError::NotFound(format!("part {text:?}"));
    let part = PartNumber::new(&text).map_err(|_| nothing())?;
    Span::current().record("part", part.as_str());
    let context = api.context();
    let place = context.checkpoints.reached(ProjectionName::Parts, params.min_position).await?;
    let detail = parts::read_detail(&context.pool, part.as_str()).await?.ok_or_else(nothing)?;
    let etag = resource_etag(place, detail.part.version);
    Ok(with_etag(&headers, &etag, json_at_place(place, &detail)))
}
