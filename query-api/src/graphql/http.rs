//! `POST /graphql`: one request in a JSON body; the answer is JSON, or a stream of events when that
//! is what `Accept` asks for.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use platform::http::JsonBody;
use platform::telemetry::TraceContext;

use super::request_body::GraphqlRequest;
use super::{execute_once, sse};
use crate::QueryApi;
use crate::session::Session;

pub(super) async fn serve_graphql(
    State(api): State<QueryApi>,
    session: Session,
    trace: TraceContext,
    headers: HeaderMap,
    JsonBody(request): JsonBody<GraphqlRequest>,
) -> Response {
    let request = async_graphql::Request::from(request).data(trace);
    if wants_events(&headers) {
        return sse::stream_answers(&api, session, request).into_response();
    }
    Json(execute_once(&api, session, request).await).into_response()
}

fn wants_events(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accept.flat_map(|value| value.split(',')).any(|range| {
        let media_type = range.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case("text/event-stream")
    })
}
