//! What the OpenAPI document says of every command: its headers, how problems look, and which of them may
//! answer what.

use std::collections::BTreeMap;

use serde_json::json;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::{
    ContentBuilder, Header, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Type,
};
use utoipa::{IntoParams, IntoResponses, ToSchema};

/// The headers of every command.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes headers that crate::command reads")]
pub(crate) struct MutationHeaders {
    /// 1 to 255 visible ASCII characters, bare or quoted; new for every command, the same for its
    /// repetitions.
    // No example: the page of the documentation would send it, and then replay the first answer.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 257)]
    idempotency_key: String,
    /// `*`, or the `ETag` that you have seen: 412 when the resource has changed since.
    #[param(rename = "If-Match")]
    if_match: Option<String>,
    /// W3C trace context; the trace is kept with the events.
    #[param(rename = "traceparent")]
    traceparent: Option<String>,
}

/// The preference that a command takes.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what platform::http::PreferredWait reads")]
pub(crate) struct PreferHeader {
    /// `wait=SECONDS` (RFC 7240): answer when there is a judgement, or after so long, 20 s at most. An answer
    /// with `Preference-Applied` has waited.
    #[param(rename = "Prefer")]
    prefer: Option<String>,
}

/// A problem (RFC 9457).
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes platform::http::Problem, which knows no OpenAPI")]
pub(crate) struct ProblemDetails {
    /// `urn:chipq:problem:<name>`; stable.
    #[schema(example = "urn:chipq:problem:validation")]
    r#type: String,
    /// The name in words.
    #[schema(example = "Validation")]
    title: String,
    /// The status again.
    #[schema(example = 422)]
    status: u16,
    /// What is wrong, and what to do.
    #[schema(example = "lot: must not be empty")]
    detail: String,
    /// The path of the request.
    instance: Option<String>,
    /// Quote it when you report the problem.
    trace_id: Option<String>,
    /// Every field that is wrong.
    errors: Option<Vec<FieldProblem>>,
}

/// A field that is wrong.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes platform::http::FieldError, which knows no OpenAPI")]
pub(crate) struct FieldProblem {
    /// Its path in the body.
    #[schema(example = "lot")]
    field: String,
    /// What is wrong with it.
    #[schema(example = "must not be empty")]
    message: String,
}

/// A kind of problem, as a component of the document.
pub(crate) struct ProblemComponent {
    pub(crate) component: &'static str,
    status: &'static str,
    description: &'static str,
    name: &'static str,
    headers: &'static [(&'static str, &'static str)],
}

const fn component(
    component: &'static str,
    status: &'static str,
    name: &'static str,
    description: &'static str,
) -> ProblemComponent {
    ProblemComponent { component, status, description, name, headers: &[] }
}

const RETRY_AFTER: (&str, &str) = ("Retry-After", "Seconds to wait");

pub(crate) const PROBLEMS: &[ProblemComponent] = &[
    component("BadRequest", "400", "idempotency-key-missing", "The request cannot be understood"),
    ProblemComponent {
        headers: &[("WWW-Authenticate", "RFC 6750")],
        ..component("Unauthorized", "401", "unauthorized", "No token, or one that is not believed")
    },
    component(
        "Forbidden",
        "403",
        "missing-scope",
        "The token, or the signed URL, does not allow this",
    ),
    component("NotFound", "404", "inspection-not-found", "What the path names does not exist"),
    component("UploadPaused", "408", "upload-paused", "Nothing came for a while; send it again"),
    ProblemComponent {
        headers: &[("Retry-After", "When the first request with the key is still running")],
        ..component("Conflict", "409", "already-judged", "The rules forbid it in this state")
    },
    ProblemComponent {
        headers: &[("ETag", "The version now")],
        ..component("PreconditionFailed", "412", "precondition-failed", "If-Match is stale")
    },
    component("PayloadTooLarge", "413", "payload-too-large", "The body is too large"),
    component(
        "UnsupportedMediaType",
        "415",
        "unsupported-media-type",
        "The body is of another format",
    ),
    component(
        "Unprocessable",
        "422",
        "validation",
        "Fields are wrong, or the Idempotency-Key was used for another request",
    ),
    ProblemComponent {
        headers: &[
            RETRY_AFTER,
            ("RateLimit", "draft-ietf-httpapi-ratelimit-headers"),
            ("RateLimit-Policy", "draft-ietf-httpapi-ratelimit-headers"),
        ],
        ..component("TooManyRequests", "429", "too-many-requests", "Too many requests")
    },
    component("Internal", "500", "internal", "Something failed here; nothing was half-done"),
    ProblemComponent {
        headers: &[RETRY_AFTER],
        ..component(
            "Unavailable",
            "503",
            "unavailable",
            "The event log or the picture store is away",
        )
    },
    component(
        "Timeout",
        "504",
        "timeout",
        "Too slow; repeat it with the same key to learn the outcome",
    ),
    component("StorageFull", "507", "storage-full", "There is no space left for pictures"),
];

impl ProblemComponent {
    pub(crate) fn describe_response(&self) -> Response {
        let example = json!({
            "type": format!("urn:chipq:problem:{}", self.name),
            "title": self.description,
            "status": self.status.parse::<u16>().unwrap_or_default(),
            "detail": self.description,
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        });
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("ProblemDetails")))
            .example(Some(example))
            .build();
        let described = ResponseBuilder::new().description(self.description);
        let described = described.content("application/problem+json", content);
        self.headers
            .iter()
            .fold(described, |d, (name, text)| d.header(*name, text_header(text)))
            .build()
    }
}

fn problem_references(statuses: &[&str]) -> BTreeMap<String, RefOr<Response>> {
    let kinds = PROBLEMS.iter().filter(|kind| statuses.contains(&kind.status));
    let reference = |kind: &ProblemComponent| RefOr::Ref(Ref::from_response_name(kind.component));
    kinds.map(|kind| (kind.status.to_owned(), reference(kind))).collect()
}

/// What can stand in the way of a command.
pub(crate) struct MutationProblems;

impl IntoResponses for MutationProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problem_references(&[
            "400", "401", "403", "404", "409", "412", "413", "415", "422", "429", "500", "503",
            "504",
        ])
    }
}

/// What can stand in the way of an upload.
pub(crate) struct UploadProblems;

impl IntoResponses for UploadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problem_references(&[
            "400", "403", "404", "408", "409", "413", "415", "422", "429", "500", "503", "504",
            "507",
        ])
    }
}

/// What can stand in the way of a token, besides RFC 6749's errors.
pub(crate) struct TokenProblems;

impl IntoResponses for TokenProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problem_references(&["429", "500", "504"])
    }
}

pub(crate) fn text_header(description: &str) -> Header {
    let text = ObjectBuilder::new().schema_type(Type::String);
    HeaderBuilder::new().schema(Some(text)).description(Some(description)).build()
}
