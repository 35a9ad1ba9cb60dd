//! `GET /v1/parts`, `GET /v1/parts/{part}`, and what belongs to a part, page by page.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use domain::{PartNumber, ProjectionName};
use platform::auth::Scope;
use platform::event_log::LogPlace;
use platform::http::Problem;
use serde::{Deserialize, Serialize};
use tracing::Span;
use utoipa::{IntoParams, ToSchema};

use super::descriptions::{ListProblems, ReadProblems};
use super::inspections::GetParams;
use super::list::{
    ListAnswer, ListArguments, ListPage, PageBody, PageSize, TotalCount, answer_list,
};
use super::query::QueryParams;
use super::respond::{json_at_place, resource_etag, with_etag};
use crate::QueryApi;
use crate::error::QueryError;
use crate::query_context::QueryContext;
use crate::read_model::parts::{
    self, GoldenSampleDetail, GoldenSampleObject, OfPart, PartFilter, PartObject, RECIPE_PAGE_MAX,
    RecipeRevisionObject,
};
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
    /// Also say how many rows the list has, which counts as a request more.
    count: Option<bool>,
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
    /// How many rows the list has, where `count` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_count: Option<TotalCount>,
}

impl PageBody for PartPage {
    type Row = PartObject;

    fn new(page: ListPage<PartObject>) -> Result<Self, QueryError> {
        let ListPage { rows, next_cursor, total_count } = page;
        Ok(Self { items: rows, next_cursor, total_count })
    }
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
        limit: params.limit.map(i32::from),
        cursor: params.cursor,
        count: params.count,
        min_position: params.min_position,
    };
    let projection = ProjectionName::Parts;
    let answer = answer_list::<PartPage>(&api, &session, projection, filter, arguments).await?;
    Ok(answer.into_response())
}

/// One part with the recipe in force. The ETag is its version, as commands give it.
#[utoipa::path(get, path = "/v1/parts/{part}", operation_id = "getPart",
    tag = "reads",
    params(("part" = String, Path, description = "The part number"), GetParams), responses(
    (status = 200, description = "The part", body = PartObject, headers(("etag" = String), ("x-log-position" = String))),
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
    let number = parse_part_number(&text)?;
    let context = api.context();
    let place = context.checkpoints.reached(ProjectionName::Parts, params.min_position).await?;
    let part = read_part(context, &session, &number).await?;
    let etag = resource_etag(place, part.version);
    Ok(with_etag(&headers, &etag, json_at_place(place, &part)))
}

/// Which page of what belongs to a part.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct RecipeListParams {
    /// Rows of the page, 1 to 50; 50 when nothing is said.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 50)]
    limit: Option<PageSize<RECIPE_PAGE_MAX>>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Also say how many rows the list has, which counts as a request more.
    count: Option<bool>,
    /// Wait up to 2 s until the answer reflects the log up to here.
    #[param(value_type = Option<String>)]
    min_position: Option<LogPlace>,
}

/// A page of a part's recipes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecipeRevisionPage {
    /// The recipes, the latest first.
    items: Vec<RecipeRevisionObject>,
    /// Where the next page begins; absent on the last.
    next_cursor: Option<String>,
    /// How many rows the list has, where `count` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_count: Option<TotalCount>,
}

impl PageBody for RecipeRevisionPage {
    type Row = RecipeRevisionObject;

    fn new(page: ListPage<RecipeRevisionObject>) -> Result<Self, QueryError> {
        let ListPage { rows, next_cursor, total_count } = page;
        Ok(Self { items: rows, next_cursor, total_count })
    }
}

/// Every recipe that a part ever had, the latest first: who put it in force, when and why.
#[utoipa::path(get, path = "/v1/parts/{part}/recipe-revisions", operation_id = "listRecipeRevisions",
    tag = "reads",
    params(("part" = String, Path, description = "The part number"), RecipeListParams), responses(
    (status = 200, description = "A page", body = RecipeRevisionPage, headers(("x-log-position" = String))),
    ReadProblems), security(("oauth2" = ["parts:read"]), ("bearer" = [])))]
#[tracing::instrument(skip_all, fields(part))]
pub(super) async fn list_recipe_revisions(
    State(api): State<QueryApi>,
    session: Session,
    Path(text): Path<String>,
    QueryParams(params): QueryParams<RecipeListParams>,
) -> Result<Response, Problem> {
    let arguments = ListArguments {
        limit: params.limit.map(i32::from),
        cursor: params.cursor,
        count: params.count,
        min_position: params.min_position,
    };
    let answer =
        answer_list_of_part::<RecipeRevisionPage>(&api, &session, &text, arguments).await?;
    Ok(answer.into_response())
}

/// Which page of a part's golden samples.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct GoldenSampleListParams {
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

/// A page of a part's golden samples.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GoldenSamplePage {
    /// The golden samples, the latest first.
    items: Vec<GoldenSampleDetail>,
    /// Where the next page begins; absent on the last.
    next_cursor: Option<String>,
    /// How many rows the list has, where `count` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_count: Option<TotalCount>,
}

impl PageBody for GoldenSamplePage {
    type Row = GoldenSampleObject;

    fn new(page: ListPage<GoldenSampleObject>) -> Result<Self, QueryError> {
        let ListPage { rows, next_cursor, total_count } = page;
        let items = rows.into_iter().map(GoldenSampleDetail::new).collect::<Result<_, _>>()?;
        Ok(Self { items, next_cursor, total_count })
    }
}

/// Every golden sample that a part ever had, the latest first.
#[utoipa::path(get, path = "/v1/parts/{part}/golden-samples", operation_id = "listGoldenSamples",
    tag = "reads",
    params(("part" = String, Path, description = "The part number"), GoldenSampleListParams), responses(
    (status = 200, description = "A page", body = GoldenSamplePage, headers(("x-log-position" = String))),
    ReadProblems), security(("oauth2" = ["parts:read"]), ("bearer" = [])))]
#[tracing::instrument(skip_all, fields(part))]
pub(super) async fn list_golden_samples(
    State(api): State<QueryApi>,
    session: Session,
    Path(text): Path<String>,
    QueryParams(params): QueryParams<GoldenSampleListParams>,
) -> Result<Response, Problem> {
    let arguments = ListArguments {
        limit: params.limit.map(i32::from),
        cursor: params.cursor,
        count: params.count,
        min_position: params.min_position,
    };
    let answer = answer_list_of_part::<GoldenSamplePage>(&api, &session, &text, arguments).await?;
    Ok(answer.into_response())
}

/// A page of what belongs to the part of this number.
async fn answer_list_of_part<B: PageBody + 'static>(
    api: &QueryApi,
    session: &Session,
    number: &str,
    arguments: ListArguments,
) -> Result<ListAnswer, QueryError> {
    session.require_scope(Scope::PartsRead)?;
    let number = parse_part_number(number)?;
    let filter = OfPart::parse(number.as_str())?;
    let projection = ProjectionName::Parts;
    let answer = answer_list::<B>(api, session, projection, filter, arguments).await?;
    if answer.is_empty() {
        read_part(api.context(), session, &number).await?;
    }
    Ok(answer)
}

/// What cannot be a part number is nobody's.
fn parse_part_number(text: &str) -> Result<PartNumber, QueryError> {
    let number = PartNumber::new(text).map_err(|_| no_part(text))?;
    Span::current().record("part", number.as_str());
    Ok(number)
}

async fn read_part(
    context: &QueryContext,
    session: &Session,
    number: &PartNumber,
) -> Result<PartObject, QueryError> {
    let found = parts::by_number(&context.pool, number.as_str(), session.reach()).await?;
    found.ok_or_else(|| no_part(number.as_str()))
}

fn no_part(number: &str) -> QueryError {
    QueryError::NotFound(format!("part {number:?}"))
}
