//! RFC 9457 problem details: what a client is told when something is refused or fails.
//!
//! Invariant: each is of a registered [`ProblemType`], and its answer links to the page about it; causes are logged
//! where the problem is made and never sent. However long what is refused is, the answer is short.

use std::fmt;

use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{ProblemType, abbreviate};

/// The most fields of which is said that they are wrong: a list of 64 views has as many.
const FIELDS_MAX: usize = 100;

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
    kind: ProblemType,
    status: StatusCode,
    is_rejection: bool,
    detail: String,
    instance: Option<String>,
    trace_id: Option<String>,
    errors: Vec<FieldError>,
    extensions: Map<String, Value>,
    headers: HeaderMap,
}

impl Problem {
    /// A problem of this type, with the type's usual status.
    #[must_use]
    pub fn new(kind: ProblemType, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self(Box::new(Details {
            kind,
            status: kind.status(),
            is_rejection: false,
            detail: abbreviate(&detail).into_owned(),
            instance: None,
            trace_id: None,
            errors: Vec::new(),
            extensions: Map::new(),
            headers: HeaderMap::new(),
        }))
    }

    /// 422: the request is understood, and these fields are wrong; of many, the first are named.
    #[must_use]
    pub fn validation(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] if !one.field.is_empty() => format!("{}: {}", one.field, one.message),
            [one] => one.message.clone(),
            many => format!("{} fields are wrong; see errors", many.len()),
        };
        let mut problem = Self::new(ProblemType::Validation, detail);
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
        Self::new(ProblemType::Unauthorized, detail)
            .with_header(header::WWW_AUTHENTICATE, challenge)
    }

    /// 404.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(ProblemType::NotFound, detail)
    }

    /// 412: `If-Match` is stale; `current` is the resource's `ETag` now.
    #[must_use]
    pub fn precondition_failed(current: &str) -> Self {
        let detail = format!("the resource has changed: its ETag is now {current}; read it again");
        Self::new(ProblemType::PreconditionFailed, detail).with_header(header::ETAG, current)
    }

    /// 413.
    #[must_use]
    pub fn payload_too_large(limit_bytes: u64) -> Self {
        let detail = format!("the body is larger than {limit_bytes} bytes");
        Self::new(ProblemType::PayloadTooLarge, detail).with_extension("limit_bytes", limit_bytes)
    }

    /// 415.
    #[must_use]
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Self::new(ProblemType::UnsupportedMediaType, detail)
    }

    /// 429 with `Retry-After` in whole seconds.
    #[must_use]
    pub fn too_many_requests(retry_after_s: u64) -> Self {
        let detail = format!("too many requests; try again in {retry_after_s} s");
        Self::new(ProblemType::TooManyRequests, detail).with_retry_after(retry_after_s)
    }

    /// 503 with `Retry-After` in whole seconds.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>, retry_after_s: u64) -> Self {
        Self::new(ProblemType::Unavailable, detail).with_retry_after(retry_after_s)
    }

    /// 504.
    #[must_use]
    pub fn timeout() -> Self {
        let detail =
            "the request took too long; its outcome is unknown: repeat it with the same key";
        Self::new(ProblemType::Timeout, detail)
    }

    /// 500. Logs `cause`, and tells the client nothing of it.
    #[must_use]
    pub fn internal(cause: impl fmt::Display) -> Self {
        tracing::error!(%cause, "internal error");
        let detail = "something failed on our side; quote the trace id when you report it";
        Self::new(ProblemType::Internal, detail)
    }

    /// With this status, where the type comes with several.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    /// As what the rules say to a command, so that it is recorded.
    #[must_use]
    pub fn rejecting_command(mut self) -> Self {
        self.0.is_rejection = true;
        self
    }

    /// Whether the rules say so to a command.
    pub(super) fn is_rejection(&self) -> bool {
        self.0.is_rejection
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

    /// The name of its type.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.kind.name()
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
        set("type", self.0.kind.uri().into());
        set("title", self.0.kind.title().into());
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
        // A header beside those of the problem, which may link to something, too.
        let help = format!("<{}>; rel=\"help\"", self.0.kind.page());
        if let Ok(help) = HeaderValue::from_str(&help) {
            response.headers_mut().append(header::LINK, help);
        }
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
        write!(f, "{} {}: {}", self.0.status.as_u16(), self.name(), self.0.detail)
    }
}

impl std::error::Error for Problem {}
