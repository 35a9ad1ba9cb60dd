//! The common layers of a router, each turning one kind of failure into a problem.

use std::any::Any;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::{HttpConfig, Problem};

/// The longest plain-text rejection that is quoted in a problem, in bytes.
const QUOTED_MAX_BYTES: usize = 1024;

pub(super) async fn not_found(uri: Uri) -> Problem {
    Problem::not_found(format!("there is nothing at {}", uri.path()))
}

pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} does not answer to {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
}

pub(super) async fn time_limit(
    State(config): State<HttpConfig>,
    request: Request,
    next: Next,
) -> Response {
    let limit = match *request.method() {
        Method::PUT => config.upload_timeout,
        _ => config.request_timeout,
    };
    tokio::time::timeout(limit, next.run(request))
        .await
        .unwrap_or_else(|_| Problem::timeout().into_response())
}

pub(super) fn answer_panic(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    Problem::internal(format_args!("a handler panicked: {message}")).into_response()
}

/// Extractors of axum and tower refuse in plain text; here that becomes a problem.
pub(super) async fn errors_are_problems(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if !is_plain_error(&response) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = to_bytes(body, QUOTED_MAX_BYTES).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let problem = match parts.status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(parts.status, "payload-too-large", "the body is larger than allowed")
        }
        status if status.is_server_error() => Problem::internal(text),
        status => Problem::new(status, name_of(status), text),
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

fn name_of(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "bad-request",
        StatusCode::NOT_FOUND => "not-found",
        StatusCode::METHOD_NOT_ALLOWED => "method-not-allowed",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported-media-type",
        StatusCode::UNPROCESSABLE_ENTITY => "validation",
        _ => "refused",
    }
}

/// Headers that keep a browser from guessing, framing or leaking; those already set are kept.
pub(super) async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
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
