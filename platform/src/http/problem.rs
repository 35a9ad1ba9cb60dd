//! RFC 9457 problem details: what a client is told when something is refused or fails.
//!
//! Invariant: `type` is `urn:chipq:problem:<name>` and never changes its meaning; causes are logged
//! where the problem is made and never sent. However long what is refused is, the answer is short.

use std::fmt;

use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};

use super::abbreviate;

/// The most fields of which is said that they are wrong: a list of 64 views has as many.
const FIELDS_MAX: usize = 100;

/// What precedes a problem's name in its `type`.
pub const TYPE_PREFIX: &str = "urn:chipq:problem:";

/// One field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field as it stands in the request, such as `recipe.threshold`; empty for the whole body.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// A problem, on its way to a client.
#[derive(Clone)]
pub struct Problem(Box<Details>);

#[derive(Clone)]
struct Details {
    status: StatusCode,
    name: String,
    title: String,
    detail: String,
    instance: Option<String>,
    trace_id: Option<String>,
    errors: Vec<FieldError>,
    extensions: Map<String, Value>,
    headers: HeaderMap,
}

impl Problem {
    /// A problem of this status and kebab-case name; the title is the name in words.
    #[must_use]
    pub fn new(status: StatusCode, name: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self(Box::new(Details {
            status,
            name: name.to_owned(),
            title: title_from_name(name),
            detail: abbreviate(&detail).into_owned(),
            instance: None,
            trace_id: None,
            errors: Vec::new(),
            extensions: Map::new(),
            headers: HeaderMap::new(),
        }))
    }

    /// 400: the request cannot be understood.
    #[must_use]
    pub fn bad_request(name: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, name, detail)
    }

    /// 422: the request is understood, and these fields are wrong; of many, the first are named.
    #[must_use]
    pub fn validation(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] if !one.field.is_empty() => format!("{}: {}", one.field, one.message),
            [one] => one.message.clone(),
            many => format!("{} fields are wrong; see errors", many.len()),
        };
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation", detail);
        let named = errors.into_iter().take(FIELDS_MAX).map(|error| FieldError {
            field: abbreviate(&error.field).into_owned(),
            message: abbreviate(&error.message).into_owned(),
        });
        problem.0.errors = named.collect();
        problem
    }

    /// 422 for one field.
    #[must_use]
    pub fn invalid_field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::validation(vec![FieldError { field: field.into(), message: message.into() }])
    }

    /// 401 with `challenge` as its `WWW-Authenticate`.
    #[must_use]
    pub fn unauthorized(challenge: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
            .with_header(header::WWW_AUTHENTICATE, challenge)
    }

    /// 403.
    #[must_use]
    pub fn forbidden(name: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, name, detail)
    }

    /// 404.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// 409: the rules of the domain forbid it; `name` is the rejection's.
    #[must_use]
    pub fn conflict(name: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, name, detail)
    }

    /// 412: `If-Match` is stale; `current` is the resource's `ETag` now.
    #[must_use]
    pub fn precondition_failed(current: &str) -> Self {
        let detail = format!("the resource has changed: its ETag is now {current}; read it again");
        Self::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", detail)
            .with_header(header::ETAG, current)
    }

    /// 413.
    #[must_use]
    pub fn payload_too_large(limit_bytes: u64) -> Self {
        let detail = format!("the body is larger than {limit_bytes} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload-too-large", detail)
            .with_extension("limit_bytes", limit_bytes)
    }

    /// 415.
    #[must_use]
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)
    }

    /// 422 with a name of its own.
    #[must_use]
    pub fn unprocessable(name: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, name, detail)
    }

    /// 429 with `Retry-After` in whole seconds.
    #[must_use]
    pub fn too_many_requests(retry_after_s: u64) -> Self {
        let detail = format!("too many requests; try again in {retry_after_s} s");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", detail)
            .with_retry_after(retry_after_s)
    }

    /// 503 with `Retry-After` in whole seconds.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>, retry_after_s: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            .with_retry_after(retry_after_s)
    }

    /// 504.
    #[must_use]
    pub fn timeout() -> Self {
        let detail =
            "the request took too long; its outcome is unknown: repeat it with the same key";
        Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", detail)
    }

    /// 500. Logs `cause`, and tells the client nothing of it.
    #[must_use]
    pub fn internal(cause: impl fmt::Display) -> Self {
        tracing::error!(%cause, "internal error");
        let detail = "something failed on our side; quote the trace id when you report it";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// With this header in the answer; one that cannot stand in a header is left out.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.insert(name, value);
        }
        self
    }

    /// With `Retry-After`, in whole seconds.
    #[must_use]
    pub fn with_retry_after(self, seconds: u64) -> Self {
        self.with_header(header::RETRY_AFTER, &seconds.to_string())
    }

    /// With an extension member, such as the id of the thing that exists already.
    #[must_use]
    pub fn with_extension(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// With a reference to the occurrence (a path) and its trace; kept when already there.
    #[must_use]
    pub fn completed_at(mut self, instance: &str, trace_id: &str) -> Self {
        self.0.instance.get_or_insert_with(|| abbreviate(instance).into_owned());
        self.0.trace_id.get_or_insert_with(|| trace_id.to_owned());
        self
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The name, without [`TYPE_PREFIX`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What is wrong, for a person.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The fields that are wrong.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// The body as it is sent.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut body = self.0.extensions.clone();
        let mut set = |name: &str, value: Value| body.insert(name.to_owned(), value);
        set("type", format!("{TYPE_PREFIX}{}", self.0.name).into());
        set("title", self.0.title.clone().into());
        set("status", self.0.status.as_u16().into());
        set("detail", self.0.detail.clone().into());
        if let Some(instance) = &self.0.instance {
            set("instance", instance.clone().into());
        }
        if let Some(trace_id) = &self.0.trace_id {
            set("trace_id", trace_id.clone().into());
        }
        if !self.0.errors.is_empty() {
            set("errors", serde_json::json!(self.0.errors));
        }
        Value::Object(body)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.0.status, self.to_json().to_string()).into_response();
        response.headers_mut().extend(self.0.headers.clone());
        let media_type = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.extensions_mut().insert(self);
        response
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Problem {}", self.to_json())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.0.status.as_u16(), self.0.name, self.0.detail)
    }
}

impl std::error::Error for Problem {}

/// `golden-sample-missing` as "Golden sample missing".
fn title_from_name(name: &str) -> String {
    let words = name.replace('-', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + letters.as_str()
    })
}
