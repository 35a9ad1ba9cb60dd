//! `GET /v1/reports` and `GET /v1/reports/{id}`, the latter with two faces: JSON and PDF.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, Utc};
use domain::{Lot, PartNumber, ProjectionName, Sha256, Station};
use platform::auth::Scope;
use platform::event_log::{LogMoment, LogPlace};
use platform::http::describe::FileBytes;
use platform::http::{Problem, ProblemType, choose_offer};
use serde::{Deserialize, Serialize};
use tracing::Span;
use tracing::field::display;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::descriptions::{FormatProblems, ListProblems};
use super::list::{ListArguments, ListPage, PageBody, PageSize, TotalCount, answer_list};
use super::query::{QueryParams, parse_id, read_time};
use super::respond::{matches_etag, with_etag, with_place};
use crate::QueryApi;
use crate::as_of::AsOf;
use crate::error::QueryError;
use crate::pdf_service::read_report;
use crate::read_model::artifacts;
use crate::read_model::reports::{self, ReportFilter, ReportObject};
use crate::read_model::words::JudgementWord;
use crate::report_pdf::Pictures;
use crate::session::Session;

const JSON: &str = "application/json";
const PDF: &str = "application/pdf";

/// Which reports.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct ReportListParams {
    /// Of boards of this lot.
    #[param(value_type = Option<String>)]
    lot: Option<Lot>,
    /// Of boards of this part.
    #[param(value_type = Option<String>)]
    part: Option<PartNumber>,
    /// From this station.
    #[param(value_type = Option<String>)]
    station: Option<Station>,
    /// Judged so.
    judgement: Option<JudgementWord>,
    /// Judged at this time or later.
    #[serde(deserialize_with = "read_time")]
    from: Option<DateTime<Utc>>,
    /// Judged before this time.
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

/// A page of reports.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReportPage {
    /// The reports, newest first.
    items: Vec<ReportObject>,
    /// Where the next page begins; absent on the last.
    next_cursor: Option<String>,
    /// How many rows the list has, where `count` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_count: Option<TotalCount>,
}

impl PageBody for ReportPage {
    type Row = ReportObject;

    fn new(page: ListPage<ReportObject>) -> Result<Self, QueryError> {
        let ListPage { rows, next_cursor, total_count } = page;
        Ok(Self { items: rows, next_cursor, total_count })
    }
}

/// Reports, newest first.
#[utoipa::path(get, path = "/v1/reports", operation_id = "listReports",
    tag = "reads", params(ReportListParams), responses(
    (status = 200, description = "A page", body = ReportPage, headers(("x-log-position" = String))),
    ListProblems), security(("oauth2" = ["reports:read"]), ("bearer" = [])))]
#[tracing::instrument(skip_all)]
pub(super) async fn list_reports(
    State(api): State<QueryApi>,
    session: Session,
    QueryParams(params): QueryParams<ReportListParams>,
) -> Result<Response, Problem> {
    session.require_scope(Scope::ReportsRead)?;
    let filter = ReportFilter {
        lot: params.lot.map(String::from),
        part: params.part.map(String::from),
        station: params.station.map(String::from),
        judgement: params.judgement,
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
    let projection = ProjectionName::Reports;
    let answer = answer_list::<ReportPage>(&api, &session, projection, filter, arguments).await?;
    Ok(answer.into_response())
}

/// What a read of one report takes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct ReportParams {
    /// Wait up to 2 s until the answer reflects the log up to here.
    #[param(value_type = Option<String>)]
    min_position: Option<LogPlace>,
    /// Only if it was there at this moment of the log: a position, an X-Log-Position, or a time with its offset from UTC. A
    /// report is written once, so it is the same then and now; of its PDF, pictures that were retired since are missing.
    #[param(value_type = Option<String>)]
    as_of: Option<LogMoment>,
}

/// One report: as JSON, byte for byte as it is stored, or as PDF when Accept asks for it.
#[utoipa::path(get, path = "/v1/reports/{report_id}", operation_id = "getReport",
    tag = "reads",
    params(("report_id" = String, Path, description = "The report's id"), ReportParams),
    responses(
    (status = 200, description = "The report, schemas/report.v5.schema.json, or its PDF",
     content((Object = "application/json"), (FileBytes = "application/pdf")),
     headers(("etag" = String), ("x-log-position" = String))),
    (status = 304, description = "As If-None-Match names it"), FormatProblems), security(("oauth2" = ["reports:read"]), ("bearer" = [])))]
#[tracing::instrument(skip_all, fields(report_id))]
pub(super) async fn get_report(
    State(api): State<QueryApi>,
    session: Session,
    Path(text): Path<String>,
    QueryParams(params): QueryParams<ReportParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    session.require_scope(Scope::ReportsRead)?;
    let nothing = || format!("report {text}");
    let id = parse_id(&nothing(), &text)?;
    Span::current().record("report_id", display(id));
    let face = choose_offer(&headers, &[JSON, PDF]).ok_or_else(not_acceptable)?;
    let context = api.context();
    let (checkpoints, model) = (&context.checkpoints, ProjectionName::Reports);
    let place = match params.as_of {
        None => checkpoints.reached(model, params.min_position).await?,
        Some(moment) => {
            let wanted = AsOf::new("as_of", moment, params.min_position)?;
            let _turn = context.wait_for_broad_turn(&session).await?;
            let then = wanted.find_place(checkpoints.log(), &nothing()).await?;
            checkpoints.reached(model, Some(then)).await?;
            let reports = reports::by_ids(&context.pool, &[id], session.reach()).await?;
            if reports.first().is_some_and(|report| report.position.0 > then.position.0) {
                let at =
                    format!("{} as of position {}: it was judged later", nothing(), then.position);
                return Err(QueryError::NotFound(at).into());
            }
            then
        }
    };
    let found = reports::read_documents(&context.pool, &[id], session.reach()).await?.pop();
    let (_, document) = found.ok_or_else(|| QueryError::NotFound(nothing()))?;
    let mut response = if face == PDF {
        respond_with_pdf(&api, &session, (id, &document), &headers).await?
    } else {
        let etag = format!("\"{}\"", Sha256::digest_of(document.as_bytes()));
        with_etag(&headers, &etag, ([(header::CONTENT_TYPE, JSON)], document).into_response())
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(with_place(place, response))
}

/// The same report, the same pictures kept, the same renderer and the same font give the same bytes, so their names make the ETag and a
/// caller that has the PDF costs no rendering.
async fn respond_with_pdf(
    api: &QueryApi,
    session: &Session,
    (id, document): (Uuid, &str),
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let digest = Sha256::digest_of(document.as_bytes());
    let report = read_report(document)?;
    let shown = Pictures::artifacts_to_fetch(&report);
    let retired = artifacts::retired_among(&api.context().pool, &shown).await?;
    let edition = api.pdf_service().edition();
    let etag = match retired.values().max() {
        None => format!("\"{digest}-pdf-{edition}\""),
        Some(at) => {
            format!("\"{digest}-pdf-{edition}-{}-{}\"", retired.len(), at.timestamp_micros())
        }
    };
    let bytes = match matches_etag(headers, &etag) {
        true => Vec::new(),
        false => api.pdf_service().render_stored(session.principal(), report, retired).await?,
    };
    let disposition = format!("inline; filename=\"report-{id}.pdf\"");
    let about =
        [(header::CONTENT_TYPE, PDF.to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    Ok(with_etag(headers, &etag, (about, bytes).into_response()))
}

fn not_acceptable() -> Problem {
    let detail = "a report is served as application/json or application/pdf";
    Problem::new(ProblemType::NotAcceptable, detail).with_extension("offers", vec![JSON, PDF])
}
