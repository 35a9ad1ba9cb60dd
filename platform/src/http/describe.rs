//! What the OpenAPI documents of all services say alike: how problems look, and which of them may come.

use std::collections::BTreeMap;

use serde_json::json;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::{
    Components, ContentBuilder, Header, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Type,
};
use utoipa::{PartialSchema as _, ToSchema};

use super::ProblemType;

/// A problem (RFC 9457).
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes Problem, which knows no OpenAPI")]
struct ProblemDetails {
    /// `urn:chipq:problem:<name>`; stable. `/problems/<name>` explains it.
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
#[expect(dead_code, reason = "describes FieldError, which knows no OpenAPI")]
struct FieldProblem {
    /// Its path in the body.
    #[schema(example = "lot")]
    field: String,
    /// What is wrong with it.
    #[schema(example = "must not be empty")]
    message: String,
}

/// The bytes of a file, as they are.
#[derive(Debug, ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct FileBytes(#[expect(dead_code, reason = "describes a body without a shape")] Vec<u8>);

/// A kind of problem, as a component of the document.
struct ProblemComponent {
    component: &'static str,
    status: &'static str,
    description: &'static str,
    kind: ProblemType,
    headers: &'static [(&'static str, &'static str)],
}

const fn component(
    component: &'static str,
    status: &'static str,
    kind: ProblemType,
    description: &'static str,
) -> ProblemComponent {
    ProblemComponent { component, status, description, kind, headers: &[] }
}

const RETRY_AFTER: (&str, &str) = ("Retry-After", "Seconds to wait");

const PROBLEMS: &[ProblemComponent] = &[
    component(
        "BadRequest",
        "400",
        ProblemType::IdempotencyKeyMissing,
        "The request cannot be understood",
    ),
    ProblemComponent {
        headers: &[("WWW-Authenticate", "RFC 6750")],
        ..component(
            "Unauthorized",
            "401",
            ProblemType::Unauthorized,
            "No token, or one that is not believed",
        )
    },
    component(
        "Forbidden",
        "403",
        ProblemType::MissingScope,
        "The token, or the signed URL, does not allow this",
    ),
    component(
        "NotFound",
        "404",
        ProblemType::InspectionNotFound,
        "What the path names does not exist",
    ),
    component(
        "UploadPaused",
        "408",
        ProblemType::UploadPaused,
        "Nothing came for a while; send it again",
    ),
    ProblemComponent {
        headers: &[("Retry-After", "When the first request with the key is still running")],
        ..component(
            "Conflict",
            "409",
            ProblemType::AlreadyJudged,
            "The rules forbid it in this state, or the log has lost the place that was named",
        )
    },
    ProblemComponent {
        headers: &[("ETag", "The version now")],
        ..component(
            "PreconditionFailed",
            "412",
            ProblemType::PreconditionFailed,
            "If-Match is stale",
        )
    },
    component(
        "NotAcceptable",
        "406",
        ProblemType::NotAcceptable,
        "None of the formats that Accept names",
    ),
    component("PayloadTooLarge", "413", ProblemType::PayloadTooLarge, "The body is too large"),
    ProblemComponent {
        headers: &[("Content-Range", "The length of the file")],
        ..component(
            "RangeNotSatisfiable",
            "416",
            ProblemType::RangeNotSatisfiable,
            "The file has none of the bytes that Range asks for",
        )
    },
    component(
        "UnsupportedMediaType",
        "415",
        ProblemType::UnsupportedMediaType,
        "The body is of another format",
    ),
    component(
        "Unprocessable",
        "422",
        ProblemType::Validation,
        "Fields are wrong, the Idempotency-Key was used for another request, or it is too large to be made",
    ),
    ProblemComponent {
        headers: &[
            RETRY_AFTER,
            ("RateLimit", "draft-ietf-httpapi-ratelimit-headers"),
            ("RateLimit-Policy", "draft-ietf-httpapi-ratelimit-headers"),
        ],
        ..component("TooManyRequests", "429", ProblemType::TooManyRequests, "Too many requests")
    },
    component(
        "Internal",
        "500",
        ProblemType::Internal,
        "Something failed here; nothing was half-done",
    ),
    ProblemComponent {
        headers: &[RETRY_AFTER],
        ..component(
            "Unavailable",
            "503",
            ProblemType::Unavailable,
            "The database, the picture store or a read model is away or behind",
        )
    },
    component(
        "Timeout",
        "504",
        ProblemType::Timeout,
        "Too slow; repeat it with the same key to learn the outcome",
    ),
    component(
        "StorageFull",
        "507",
        ProblemType::StorageFull,
        "There is no space left for pictures",
    ),
];

impl ProblemComponent {
    fn describe_response(&self) -> Response {
        let example = json!({
            "type": self.kind.uri(),
            "title": self.kind.title(),
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
        let described =
            described.header("Link", text_header("The page about this problem, as rel=help"));
        self.headers
            .iter()
            .fold(described, |d, (name, text)| d.header(*name, text_header(text)))
            .build()
    }
}

/// Adds the problems to `components`: how each looks, and when it comes.
pub fn describe_problems(components: &mut Components) {
    for problem in PROBLEMS {
        let response = RefOr::T(problem.describe_response());
        components.responses.insert(problem.component.to_owned(), response);
    }
    let schemas =
        [("ProblemDetails", ProblemDetails::schema()), ("FieldProblem", FieldProblem::schema())];
    components.schemas.extend(schemas.map(|(name, schema)| (name.to_owned(), schema)));
}

/// The problems with these statuses, as they stand among the components.
#[must_use]
pub fn refer_to_problems(statuses: &[&str]) -> BTreeMap<String, RefOr<Response>> {
    let kinds = PROBLEMS.iter().filter(|kind| statuses.contains(&kind.status));
    let reference = |kind: &ProblemComponent| RefOr::Ref(Ref::from_response_name(kind.component));
    kinds.map(|kind| (kind.status.to_owned(), reference(kind))).collect()
}

/// A header with text.
#[must_use]
pub fn text_header(description: &str) -> Header {
    let text = ObjectBuilder::new().schema_type(Type::String);
    HeaderBuilder::new().schema(Some(text)).description(Some(description)).build()
}
