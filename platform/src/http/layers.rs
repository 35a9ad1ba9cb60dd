//! What every router is wrapped in: the record of each request, and layers that each turn one kind of failure
//! into a problem.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::limit::RequestBodyLimitLayer;

use super::access_log::{HttpMetrics, method_name, record_request};
use super::client_address::note_client_address;
use super::content_headers::check_content_headers;
use super::cors::{SocketOrigins, check_socket_origin};
use super::rate_limit::show_rate_limit;
use super::serve::refuse_in_reserve;
use super::unread_body::settle_unread_body;
use super::{ConnectionLimits, CorsConfig, Problem, ProblemType, ProxyConfig};
use crate::telemetry::TraceContext;

/// Answers shorter than this are sent as they are.
const COMPRESSED_FROM_BYTES: u64 = 1024;
/// The longest plain-text rejection that is quoted in a problem, in bytes.
const QUOTED_MAX_BYTES: usize = 1024;

/// How a router is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// How long a handler may take to begin its answer; 504 afterwards. Default 30 s.
    pub request_timeout: Duration,
    /// The same for `PUT`, which carries uploads. Default 5 min.
    pub upload_timeout: Duration,
    /// Largest request body in bytes; 413 beyond. Default 33 MiB: one picture and a little more.
    pub max_body_bytes: usize,
    /// The limits of connections.
    pub connections: ConnectionLimits,
    /// The name that a proxy in front is reached by, which a listener on loopback answers to beside those
    /// of this machine. Default none.
    pub public_host: Option<String>,
    /// The pages of other servers that may use this one. Default none.
    pub cors: CorsConfig,
    /// The proxies that are believed about the addresses of clients. Default none.
    pub proxies: ProxyConfig,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(30),
            upload_timeout: Duration::from_secs(300),
            max_body_bytes: 33 << 20,
            connections: ConnectionLimits::default(),
            public_host: None,
            cors: CorsConfig::default(),
            proxies: ProxyConfig::default(),
        }
    }
}

/// Gives `router` everything that is common: trace context and request log, security headers,
/// what is left of a rate, panics, time and body limits as problems, 404 and 405 as problems.
///
/// It sets the router's fallback: serve a single-page application from a wildcard route, not from a
/// fallback. Call it once, on the outermost router.
pub fn wrap(router: Router, config: &HttpConfig) -> Router {
    let sockets = SocketOrigins::new(&config.cors, config.public_host.as_deref());
    let proxies = Arc::new(config.proxies.clone());
    // One stack, from the outermost: a router keeps what it is given at once in one piece, and copies that for each
    // request, where of layers that are given one by one each is copied by all around it.
    let layers = ServiceBuilder::new()
        .layer(from_fn(settle_unread_body))
        .layer(compression())
        .map_request(move |request| note_client_address(&proxies, request))
        .layer(from_fn_with_state(HttpMetrics::for_process(), record_request))
        .layer(from_fn(show_rate_limit))
        .map_response(add_security_headers)
        // Around everything that refuses: a page has to be able to read why.
        .option_layer(config.cors.layer())
        .layer(from_fn(errors_are_problems))
        .layer(from_fn(refuse_in_reserve))
        .layer(from_fn_with_state(sockets, check_socket_origin))
        .layer(from_fn(refuse_nul))
        .layer(from_fn(check_content_headers))
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(from_fn_with_state(TimeLimits::new(config), limit_time))
        .layer(RequestBodyLimitLayer::new(config.max_body_bytes));
    router.fallback(not_found).method_not_allowed_fallback(method_not_allowed).layer(layers)
}

/// Compresses what a client asks to have compressed and is worth it: text of more than a packet. Pictures and
/// PDFs are small already, and a feed is sent item by item.
fn compression() -> CompressionLayer<impl Predicate> {
    let worth_it = SizeAbove::new(COMPRESSED_FROM_BYTES)
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::const_new("application/pdf"))
        .and(NotForContentType::SSE);
    CompressionLayer::new().compress_when(worth_it)
}

/// As an extractor it never fails: without the middleware it is a new trace.
impl<S: Sync> FromRequestParts<S> for TraceContext {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get().cloned().unwrap_or_else(|| Self::new(None)))
    }
}

async fn not_found(uri: Uri) -> Problem {
    Problem::not_found(format!("there is nothing at {}", uri.path()))
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = match method_name(&method) {
        "_OTHER" => format!("{} does not answer to that method", uri.path()),
        name => format!("{} does not answer to {name}", uri.path()),
    };
    Problem::new(ProblemType::MethodNotAllowed, detail)
}

/// Nothing is named with NUL, and PostgreSQL takes none: in a path or a query it is a mistake or an attack.
async fn refuse_nul(request: Request, next: Next) -> Response {
    match request.uri().path_and_query() {
        Some(text) if text.as_str().contains("%00") => {
            Problem::new(ProblemType::NulCharacter, "the URL holds a NUL character").into_response()
        }
        _ => next.run(request).await,
    }
}

/// How long a handler may take to begin its answer.
#[derive(Debug, Clone, Copy)]
struct TimeLimits {
    request: Duration,
    upload: Duration,
}

impl TimeLimits {
    const fn new(config: &HttpConfig) -> Self {
        Self { request: config.request_timeout, upload: config.upload_timeout }
    }
}

async fn limit_time(State(limits): State<TimeLimits>, request: Request, next: Next) -> Response {
    let limit = match *request.method() {
        Method::PUT => limits.upload,
        _ => limits.request,
    };
    tokio::time::timeout(limit, next.run(request))
        .await
        .unwrap_or_else(|_| Problem::timeout().into_response())
}

fn answer_panic(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    Problem::internal(format_args!("a handler panicked: {message}")).into_response()
}

/// Extractors of axum and tower refuse in plain text; here that becomes a problem.
async fn errors_are_problems(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if !is_plain_error(&response) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = to_bytes(body, QUOTED_MAX_BYTES).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let problem = match parts.status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(ProblemType::PayloadTooLarge, "the body is larger than allowed")
        }
        status if status.is_server_error() => Problem::internal(text),
        status => Problem::new(type_of(status), text).with_status(status),
    };
    let mut answer = problem.into_response();
    let kept = [header::ALLOW, header::RETRY_AFTER, header::WWW_AUTHENTICATE];
    for name in kept {
        if let Some(value) = parts.headers.get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    answer
}

fn is_plain_error(response: &Response) -> bool {
    let status = response.status();
    let media_type = response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    (status.is_client_error() || status.is_server_error())
        && media_type.is_none_or(|text| text.starts_with("text/plain"))
}

fn type_of(status: StatusCode) -> ProblemType {
    match status {
        StatusCode::BAD_REQUEST => ProblemType::BadRequest,
        StatusCode::NOT_FOUND => ProblemType::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => ProblemType::MethodNotAllowed,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ProblemType::UnsupportedMediaType,
        StatusCode::UNPROCESSABLE_ENTITY => ProblemType::Validation,
        _ => ProblemType::Refused,
    }
}

/// Headers that keep a browser from guessing, framing or leaking; those already set are kept.
fn add_security_headers(mut response: Response) -> Response {
    let defaults = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in defaults {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
