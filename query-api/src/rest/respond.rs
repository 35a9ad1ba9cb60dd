//! Answers: JSON with the log position it reflects, and conditional answers by strong ETag.

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use platform::event_log::Position;
use serde::Serialize;

/// The answer reflects the log at least up to here.
pub(super) const LOG_POSITION: HeaderName = HeaderName::from_static("x-log-position");

/// `body` as JSON, with the position it reflects.
pub(super) fn json_at_position(position: Position, body: &impl Serialize) -> Response {
    ([(LOG_POSITION, position.to_string())], Json(body)).into_response()
}

/// `response` with this strong ETag, or 304 when the caller has it (RFC 9110, 13.1.2).
pub(super) fn with_etag(request: &HeaderMap, etag: &str, mut response: Response) -> Response {
    let Ok(value) = HeaderValue::from_str(etag) else { return response };
    response.headers_mut().insert(header::ETAG, value);
    if !matches_etag(request, etag) {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    parts.status = StatusCode::NOT_MODIFIED;
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    (parts, ()).into_response()
}

/// Whether `If-None-Match` names `etag` or anything at all; the comparison is weak, as for GET.
pub(super) fn matches_etag(request: &HeaderMap, etag: &str) -> bool {
    let values = request.get_all(header::IF_NONE_MATCH).iter();
    let mut tags = values.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    tags.any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
    })
}
