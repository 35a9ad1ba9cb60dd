//! Answers: JSON with the place in the log that it reflects, and conditional answers by strong ETag.

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use platform::event_log::{LogPlace, StreamVersion};
use serde::Serialize;

const LOG_POSITION: HeaderName = HeaderName::from_static("x-log-position");

/// `response`, which reflects the log at least up to `place`.
pub(super) fn with_place(place: LogPlace, response: Response) -> Response {
    ([(LOG_POSITION, place.to_string())], response).into_response()
}

/// `body` as JSON, which reflects the log at least up to `place`.
pub(super) fn json_at_place(place: LogPlace, body: &impl Serialize) -> Response {
    with_place(place, Json(body).into_response())
}

/// The ETag of a resource that has had so many events, as commands give it, in a row that was read after the
/// read model was at `place`. Should another history of the log have begun in between, the tag is of the one
/// before and fits nothing that came after it.
pub(super) fn resource_etag(place: LogPlace, version: i64) -> String {
    let number = version.unsigned_abs();
    StreamVersion { incarnation: place.incarnation, number }.entity_tag()
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
