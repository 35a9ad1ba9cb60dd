//! One line and one measurement for each request: what was asked, by whom, and how it was answered.
//!
//! Invariant: the line names the route, never the path or the query, which may hold a signature; what a client
//! writes bounds neither the length of a line nor the number of time series. Names and attributes of the
//! measurements are those of the OpenTelemetry semantic conventions for HTTP servers.

use std::net::IpAddr;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use opentelemetry::metrics::{Histogram, UpDownCounter};
use opentelemetry::{KeyValue, global};
use tracing::Instrument as _;

use super::{AttemptNotes, ClientAddress, Problem, RequestCaller};
use crate::telemetry::TraceContext;

/// The boundaries that the conventions advise for durations of requests, in seconds.
const DURATION_BOUNDARIES_S: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The instruments. Clones share them.
#[derive(Clone)]
pub(super) struct HttpMetrics {
    duration: Histogram<f64>,
    active: UpDownCounter<i64>,
}

impl HttpMetrics {
    /// Instruments of the process's meter: install [`crate::metrics`] first.
    pub(super) fn for_process() -> Self {
        let meter = global::meter("chipq.http");
        Self {
            duration: meter
                .f64_histogram("http.server.request.duration")
                .with_unit("s")
                .with_description("From a request's head to the head of its answer.")
                .with_boundaries(DURATION_BOUNDARIES_S.to_vec())
                .build(),
            active: meter
                .i64_up_down_counter("http.server.active_requests")
                .with_unit("{request}")
                .with_description("Requests whose answer has not begun.")
                .build(),
        }
    }
}

/// Middleware: sets the [`TraceContext`], answers with it, completes problems, measures and logs the request.
pub(super) async fn record_request(
    State(metrics): State<HttpMetrics>,
    mut request: Request,
    next: Next,
) -> Response {
    let context = TraceContext::new(header_text(request.headers(), &TRACEPARENT));
    let request_id = request_id(request.headers(), &context);
    let path = request.uri().path().to_owned();
    let under_way = RequestUnderWay::begin(metrics, &request, context.trace_id.clone());
    request.extensions_mut().insert(context.clone());
    request.extensions_mut().insert(under_way.caller.clone());
    let asked = format!("{} {}", under_way.method, under_way.route());
    let notes = AttemptNotes::begin(request.extensions(), asked, under_way.caller.clone());
    request.extensions_mut().insert(notes.clone());

    // What is done for the request stands under it.
    let span = tracing::info_span!(
        "request",
        method = under_way.method,
        route = under_way.route(),
        trace_id = context.trace_id,
    );
    let mut response = next.run(request).instrument(span).await;
    let problem = response.extensions_mut().remove::<Problem>();
    let name = problem.as_ref().map(|p| p.name().to_owned());
    notes.finish(response.status(), &path, problem.as_ref());
    if let Some(problem) = problem {
        response = complete_problem(response, problem.completed_at(&path, &context.trace_id));
    }
    response.headers_mut().insert(REQUEST_ID.clone(), request_id);
    if let Ok(value) = HeaderValue::from_str(&context.traceparent) {
        response.headers_mut().insert(TRACEPARENT.clone(), value);
    }
    under_way.end(response.status(), name.as_deref());
    response
}

/// A request that was not answered yet. When it is dropped before, its client has gone, or the process ends.
struct RequestUnderWay {
    metrics: HttpMetrics,
    started: Instant,
    method: &'static str,
    route: Option<MatchedPath>,
    caller: RequestCaller,
    client_address: Option<IpAddr>,
    trace_id: String,
    is_answered: bool,
}

impl RequestUnderWay {
    fn begin(metrics: HttpMetrics, request: &Request, trace_id: String) -> Self {
        let begun = Self {
            metrics,
            started: Instant::now(),
            method: method_name(request.method()),
            route: request.extensions().get::<MatchedPath>().cloned(),
            caller: RequestCaller::default(),
            client_address: ClientAddress::of_request(request.extensions()).address,
            trace_id,
            is_answered: false,
        };
        begun.metrics.active.add(1, &begun.attributes());
        begun
    }

    fn route(&self) -> &str {
        self.route.as_ref().map_or("(none)", MatchedPath::as_str)
    }

    fn attributes(&self) -> [KeyValue; 2] {
        [KeyValue::new("http.request.method", self.method), KeyValue::new("url.scheme", "http")]
    }

    fn end(mut self, status: StatusCode, problem: Option<&str>) {
        self.is_answered = true;
        let failed = status.is_server_error().then(|| problem.unwrap_or(status.as_str()));
        self.measure(Some(status), failed);
        tracing::info!(
            method = self.method,
            route = self.route(),
            status = status.as_u16(),
            duration_ms = self.elapsed_ms(),
            caller = self.caller.subject(),
            client_address = self.client_address.map(tracing::field::display),
            trace_id = self.trace_id,
            problem,
            "request"
        );
    }

    fn measure(&self, status: Option<StatusCode>, error: Option<&str>) {
        let mut attributes = self.attributes().to_vec();
        let route = self.route.as_ref().map(|route| route.as_str().to_owned());
        attributes.extend(route.map(|route| KeyValue::new("http.route", route)));
        let status = status.map(|status| i64::from(status.as_u16()));
        attributes.extend(status.map(|status| KeyValue::new("http.response.status_code", status)));
        attributes.extend(error.map(|error| KeyValue::new("error.type", error.to_owned())));
        self.metrics.duration.record(self.started.elapsed().as_secs_f64(), &attributes);
    }

    /// In thousandths of a second, to the microsecond.
    fn elapsed_ms(&self) -> f64 {
        (self.started.elapsed().as_secs_f64() * 1e6).round() / 1e3
    }
}

impl Drop for RequestUnderWay {
    fn drop(&mut self) {
        self.metrics.active.add(-1, &self.attributes());
        if self.is_answered {
            return;
        }
        self.measure(None, Some("abandoned"));
        tracing::info!(
            method = self.method,
            route = self.route(),
            duration_ms = self.elapsed_ms(),
            caller = self.caller.subject(),
            client_address = self.client_address.map(tracing::field::display),
            trace_id = self.trace_id,
            "request abandoned"
        );
    }
}

/// The method as the log names it. One that nobody defined may be as long as its sender likes, and is
/// `_OTHER` (OpenTelemetry semantic conventions, `http.request.method`).
pub(super) fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "_OTHER",
    }
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
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(problem_parts.headers);
    Response::from_parts(parts, body)
}
