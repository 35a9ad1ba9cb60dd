//! W3C trace context in and out, and one log line per request.
//!
//! Invariant: the line names the route, never the path or query, which may hold a signature.

use std::time::Instant;

use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use tracing::Instrument as _;

use super::Problem;
use crate::telemetry::TraceContext;

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// As an extractor it never fails: without the middleware it is a new trace.
impl<S: Sync> FromRequestParts<S> for TraceContext {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get().cloned().unwrap_or_else(|| Self::new(None)))
    }
}

/// Middleware: sets the [`TraceContext`], answers with it, completes problems and logs the request.
pub(super) async fn trace_request(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let context = TraceContext::new(header_text(request.headers(), &TRACEPARENT));
    let request_id = request_id(request.headers(), &context);
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    request.extensions_mut().insert(context.clone());

    // What is done for the request stands under it.
    let span = tracing::info_span!(
        "request",
        %method,
        route = route.as_ref().map_or("(none)", MatchedPath::as_str),
        trace_id = context.trace_id,
    );
    let mut response = next.run(request).instrument(span).await;
    let problem = response.extensions_mut().remove::<Problem>();
    let name = problem.as_ref().map(|p| p.name().to_owned());
    if let Some(problem) = problem {
        response = complete_problem(response, problem.completed_at(&path, &context.trace_id));
    }
    response.headers_mut().insert(REQUEST_ID.clone(), request_id);
    if let Ok(value) = HeaderValue::from_str(&context.traceparent) {
        response.headers_mut().insert(TRACEPARENT.clone(), value);
    }
    tracing::info!(
        %method,
        route = route.as_ref().map_or("(none)", MatchedPath::as_str),
        status = response.status().as_u16(),
        duration_ms = started.elapsed().as_millis(),
        trace_id = context.trace_id,
        problem = name,
        "request"
    );
    response
}

fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The caller's `X-Request-Id` when it is short and harmless, else the trace id.
fn request_id(headers: &HeaderMap, context: &TraceContext) -> HeaderValue {
    let harmless = |id: &&str| {
        (1..=128).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(&b))
    };
    let id = header_text(headers, &REQUEST_ID).filter(harmless).unwrap_or(&context.trace_id);
    HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("unknown"))
}

/// The same answer, with the body of the completed problem.
fn complete_problem(response: Response, problem: Problem) -> Response {
    let (mut parts, _) = response.into_parts();
    let (problem_parts, body) = problem.into_response().into_parts();
    parts.headers.remove(axum::http::header::CONTENT_LENGTH);
    parts.headers.extend(problem_parts.headers);
    Response::from_parts(parts, body)
}
