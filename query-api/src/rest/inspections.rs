//! `GET /v1/inspections` and `GET /v1/inspections/{id}`.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, Utc};
use domain::{Lot, PartNumber, ProjectionName, Station};
use platform::auth::Scope;
use platform::event_log::{LogMoment, LogPlace};
use platform::http::{PreferredWait, Problem, Waiting};
use serde::{Deserialize, Serialize};
use tracing::Span;
use tracing::field::display;
use utoipa::{IntoParams, ToSchema};

use super::descriptions::{ListProblems, ReadProblems};
use super::list::{ListArguments, ListPage, PageBody, PageSize, TotalCount, answer_list};
use super::query::{QueryParams, parse_id, read_time};
use super::respond::{json_at_place, resource_etag, with_etag};
use crate::QueryApi;
use crate::as_of::{AsOf, read_as_of};
use crate::error::QueryError;
use crate::query_context::QueryContext;
use crate::read_model::inspections::{self, InspectionDetail, InspectionFilter, InspectionObject};
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
    /// Created at this time or later.
    #[serde(deserialize_with = "read_time")]
    from: Option<DateTime<Utc>>,
    /// Created before this time.
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

/// A page of inspections.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InspectionPage {
    /// The inspections, newest first.
    items: Vec<InspectionObject>,
    /// Where the next page begins; absent on the last.
    next_cursor: Option<String>,
    /// How many rows the list has, where `count` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_count: Option<TotalCount>,
}

impl PageBody for InspectionPage {
    type Row = InspectionObject;

    fn new(page: ListPage<InspectionObject>) -> Result<Self, QueryError> {
        let ListPage { rows, next_cursor, total_count } = page;
        Ok(Self { items: rows, next_cursor, total_count })
    }
}

/// Inspections, newest first.
#[utoipa::path(get, path = "/v1/inspections", operation_id = "listInspections",
    tag = "reads", params(InspectionListParams), responses(
    (status = 200, description = "A page", body = InspectionPage, headers(("x-log-position" = String))),
    ListProblems), security(("oauth2" = ["inspections:read"]), ("bearer" = [])))]
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
        from: params.from,
        to: params.to,
    };
    filter.check_arguments()?;
    let arguments = ListArguments {
        limit: params.limit.map(i32::from),
        cursor: params.cursor,
        count: params.count,
        min_position: params.min_position,
    };
    let projection = ProjectionName::InspectionOverview;
    let answer =
        answer_list::<InspectionPage>(&api, &session, projection, filter, arguments).await?;
    Ok(answer.into_response())
}

/// What a read of one resource takes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct GetParams {
    /// Wait up to 2 s until the answer reflects the log up to here.
    #[param(value_type = Option<String>)]
    pub(super) min_position: Option<LogPlace>,
}

/// What a read of one inspection takes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct InspectionParams {
    /// Wait up to 2 s until the answer reflects the log up to here.
    #[param(value_type = Option<String>)]
    min_position: Option<LogPlace>,
    /// As it was at this moment of the log: a position, an X-Log-Position, or a time with its offset from UTC. It is read
    /// from the log, and so waits for nothing.
    #[param(value_type = Option<String>)]
    as_of: Option<LogMoment>,
}

/// One inspection with its pictures and its events. The ETag is its version, as commands give it. With
/// `Prefer: wait=10` the answer waits until it is judged or withdrawn, and its report and findings can be read.
#[utoipa::path(get, path = "/v1/inspections/{inspection_id}", operation_id = "getInspection",
    tag = "reads",
    params(("inspection_id" = String, Path, description = "The inspection's id"), InspectionParams,
     ("Prefer" = Option<String>, Header, description = "wait=SECONDS (RFC 7240), 20 at most")),
    responses(
    (status = 200, description = "The inspection", body = inspections::InspectionDetail,
     headers(("etag" = String), ("x-log-position" = String))),
    (status = 304, description = "As If-None-Match names it"), ReadProblems), security(("oauth2" = ["inspections:read"]), ("bearer" = [])))]
#[tracing::instrument(skip_all, fields(inspection_id))]
pub(super) async fn get_inspection(
    State(api): State<QueryApi>,
    session: Session,
    Path(text): Path<String>,
    QueryParams(params): QueryParams<InspectionParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    session.require_scope(Scope::InspectionsRead)?;
    let nothing = || format!("inspection {text}");
    let id = parse_id(&nothing(), &text)?;
    Span::current().record("inspection_id", display(id));
    let context = api.context();
    if let Some(moment) = params.as_of {
        let wanted = AsOf::new("as_of", moment, params.min_position)?;
        let found = read_as_of(context, &session, id, wanted).await?;
        let (place, past) = found.ok_or_else(|| QueryError::NotFound(nothing()))?;
        let etag = resource_etag(place, past.version());
        return Ok(with_etag(&headers, &etag, json_at_place(place, &past.detail())));
    }
    let place = context
        .checkpoints
        .reached(ProjectionName::InspectionOverview, params.min_position)
        .await?;
    let found = inspections::read_detail(&context.pool, id, session.reach()).await?;
    let mut read = (place, found.ok_or_else(|| QueryError::NotFound(nothing()))?);
    let mut waiting = PreferredWait::from_headers(&headers).begin(&context.wait_places);
    if let Some(waiting) = &mut waiting {
        read = wait_for_judgement(context, &session, read, waiting).await?;
    }
    let (place, detail) = read;
    let etag = resource_etag(place, detail.inspection.version);
    let response = with_etag(&headers, &etag, json_at_place(place, &detail));
    Ok(match waiting {
        Some(waiting) => waiting.note_in(response),
        None => response,
    })
}

/// Reads again whenever something was projected, until the inspection is judged or withdrawn, and then until
/// what else is read of it has come as far.
async fn wait_for_judgement(
    context: &QueryContext,
    session: &Session,
    (mut place, mut detail): (LogPlace, InspectionDetail),
    waiting: &mut Waiting,
) -> Result<(LogPlace, InspectionDetail), QueryError> {
    let (checkpoints, overview) = (&context.checkpoints, ProjectionName::InspectionOverview);
    let is_undecided = |inspection: &InspectionObject| {
        inspection.judged_at.is_none() && inspection.voided_at.is_none()
    };
    while is_undecided(&detail.inspection) && !waiting.is_over() {
        let moved = checkpoints.wait_past(overview, place.position);
        if let Some(changed) = waiting.until_next_look(moved).await {
            changed?;
        }
        place = checkpoints.place(overview).await?;
        let (id, now) = (detail.inspection.inspection_id, session.renewed()?);
        let read = inspections::read_detail(&context.pool, id, now.reach()).await?;
        // It was there, and nothing is deleted: only a database that was put back can lack it, or its reader.
        detail = read.ok_or_else(|| QueryError::NotFound("the inspection".to_owned()))?;
    }
    let wanted = LogPlace { position: detail.inspection.position.into(), ..place };
    let others = [ProjectionName::Reports, ProjectionName::Defects];
    // What does not come in time is read later, with min_position.
    let _ = waiting.until(checkpoints.all_reached(&others, Some(wanted))).await;
    Ok((place, detail))
}
