//! The OpenAPI 3.1 document, collected from the handlers and completed with what they all share.
//!
//! `chipq` merges the reads into it, for `/docs` and for `schemas/openapi.json`.

use std::collections::BTreeMap;

use platform::auth::Scope;
use serde_json::json;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    Flow, HttpAuthScheme, HttpBuilder, OAuth2, Password, Scopes, SecurityScheme,
};
use utoipa::openapi::{
    Components, ContentBuilder, Header, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Type,
};
use utoipa::{IntoParams, IntoResponses, OpenApi};

use crate::model::{FieldProblem, ProblemDetails};
use crate::routes::described;

/// The OpenAPI 3.1 document of the command API.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    document.merge(described().into_openapi());
    let components = document.components.get_or_insert_default();
    add_security_schemes(components);
    for problem in PROBLEMS {
        let response = RefOr::T(problem.response());
        components.responses.insert(problem.component.to_owned(), response);
    }
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post];
        operations.into_iter().flatten().for_each(add_common_headers);
    }
    document
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Chip Quality Platform",
        description = "Stations send commands; accepted ones append events to one log.\n\n\
            **Retry safely.** Every command takes an `Idempotency-Key`. The same key with the same \
            request is executed once and answered again (`Idempotency-Replayed: true`) for 7 days; \
            with another request it is refused (422). Refusals are not kept: correct the \
            request, or what was in its way, and send it again with the same key.\n\n\
            **Change what you have seen.** `ETag` is a resource's version; `If-Match` makes a \
            command fail with 412 when the resource has changed since.\n\n\
            **Read what you wrote.** Give `X-Log-Position` to a read as `min_position`.\n\n\
            **Problems** are `application/problem+json` (RFC 9457) with a stable `type`.",
    ),
    tags(
        (name = "tokens", description = "Who you are"),
        (name = "parts", description = "What boards are, and their golden samples"),
        (name = "inspections", description = "One look at one board"),
        (name = "uploads", description = "Pictures"),
    ),
    components(schemas(ProblemDetails, FieldProblem)),
)]
struct Document;

/// The headers of every command.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes headers that crate::mutation reads")]
pub(crate) struct MutationHeaders {
    /// 1 to 255 visible ASCII characters, bare or quoted; new for every command, the same for its
    /// repetitions.
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 257,
        example = "AOI-1-000017"
    )]
    idempotency_key: String,
    /// `*`, or the `ETag` that you have seen: 412 when the resource has changed since.
    #[param(rename = "If-Match", example = "\"3\"")]
    if_match: Option<String>,
    /// W3C trace context; the trace is kept with the events.
    #[param(rename = "traceparent")]
    traceparent: Option<String>,
}

/// A kind of problem, as a component of the document.
struct Kind {
    component: &'static str,
    status: &'static str,
    description: &'static str,
    name: &'static str,
    headers: &'static [(&'static str, &'static str)],
}

const fn kind(
    component: &'static str,
    status: &'static str,
    name: &'static str,
    description: &'static str,
) -> Kind {
    Kind { component, status, description, name, headers: &[] }
}

const RETRY_AFTER: (&str, &str) = ("Retry-After", "Seconds to wait");

const PROBLEMS: &[Kind] = &[
    kind("BadRequest", "400", "idempotency-key-missing", "The request cannot be understood"),
    Kind {
        headers: &[("WWW-Authenticate", "RFC 6750")],
        ..kind("Unauthorized", "401", "unauthorized", "No token, or one that is not believed")
    },
    kind("Forbidden", "403", "missing-scope", "The token, or the signed URL, does not allow this"),
    kind("NotFound", "404", "inspection-not-found", "What the path names does not exist"),
    Kind {
        headers: &[("Retry-After", "When the first request with the key is still running")],
        ..kind("Conflict", "409", "already-judged", "The rules forbid it in this state")
    },
    Kind {
        headers: &[("ETag", "The version now")],
        ..kind("PreconditionFailed", "412", "precondition-failed", "If-Match is stale")
    },
    kind("PayloadTooLarge", "413", "payload-too-large", "The body is too large"),
    kind("UnsupportedMediaType", "415", "unsupported-media-type", "The body is of another format"),
    kind(
        "Unprocessable",
        "422",
        "validation",
        "Fields are wrong, or the Idempotency-Key was used for another request",
    ),
    Kind {
        headers: &[
            RETRY_AFTER,
            ("RateLimit", "draft-ietf-httpapi-ratelimit-headers"),
            ("RateLimit-Policy", "draft-ietf-httpapi-ratelimit-headers"),
        ],
        ..kind("TooManyRequests", "429", "too-many-requests", "Too many requests")
    },
    kind("Internal", "500", "internal", "Something failed here; nothing was half-done"),
    Kind {
        headers: &[RETRY_AFTER],
        ..kind("Unavailable", "503", "unavailable", "The event log or the picture store is away")
    },
    kind("Timeout", "504", "timeout", "Too slow; repeat it with the same key to learn the outcome"),
    kind("StorageFull", "507", "storage-full", "There is no space left for pictures"),
];

impl Kind {
    fn response(&self) -> Response {
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
        self.headers.iter().fold(described, |d, (name, text)| d.header(*name, header(text))).build()
    }
}

fn references(statuses: &[&str]) -> BTreeMap<String, RefOr<Response>> {
    let kinds = PROBLEMS.iter().filter(|kind| statuses.contains(&kind.status));
    let reference = |kind: &Kind| RefOr::Ref(Ref::from_response_name(kind.component));
    kinds.map(|kind| (kind.status.to_owned(), reference(kind))).collect()
}

/// What can stand in the way of a command.
pub(crate) struct MutationProblems;

impl IntoResponses for MutationProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        references(&[
            "400", "401", "403", "404", "409", "412", "413", "415", "422", "429", "500", "503",
            "504",
        ])
    }
}

/// What can stand in the way of an upload.
pub(crate) struct UploadProblems;

impl IntoResponses for UploadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        references(&[
            "400", "403", "404", "409", "413", "415", "422", "429", "500", "503", "504", "507",
        ])
    }
}

/// What can stand in the way of a token, besides RFC 6749's errors.
pub(crate) struct TokenProblems;

impl IntoResponses for TokenProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        references(&["429", "500", "504"])
    }
}

/// Every answer about a resource carries its version and place in the log; those to a command with
/// a key may be replays.
fn add_common_headers(operation: &mut Operation) {
    let parameters = operation.parameters.as_deref().unwrap_or_default();
    let has_key = parameters
        .iter()
        .any(|parameter| matches!(parameter, RefOr::T(header) if header.name == "Idempotency-Key"));
    let is_upload = operation.operation_id.as_deref() == Some("uploadPicture");
    let creates = ["registerPart", "createInspection"]
        .contains(&operation.operation_id.as_deref().unwrap_or_default());
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if !status.starts_with('2') || !(has_key || is_upload) {
            continue;
        }
        let mut add = |name: &str, text| {
            response.headers.insert(name.to_owned(), RefOr::T(header(text)));
        };
        add("ETag", "The resource's version, for If-Match");
        add("X-Log-Position", "Where the resource's last event is, for min_position");
        if has_key {
            add("Idempotency-Replayed", "true, when this is the answer to an earlier request");
        }
        if creates {
            add("Location", "The path of the new resource");
        }
    }
}

fn header(description: &str) -> Header {
    let text = ObjectBuilder::new().schema_type(Type::String);
    HeaderBuilder::new().schema(Some(text)).description(Some(description)).build()
}

fn add_security_schemes(components: &mut Components) {
    let scopes = Scope::ALL.map(|scope| (scope.as_str(), scope.as_str()));
    let password = Flow::Password(Password::new("/v1/token", Scopes::from_iter(scopes)));
    let oauth2 = OAuth2::with_description([password], "Development users get a token here");
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("An access token, from /v1/token or from the identity provider"))
        .build();
    components.add_security_scheme("oauth2", SecurityScheme::OAuth2(oauth2));
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
}
