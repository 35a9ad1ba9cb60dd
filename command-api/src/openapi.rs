//! The OpenAPI 3.1 document, collected from the handlers and completed with what they all share.
//!
//! `chipq` merges the reads into it, for `/docs` and for `schemas/openapi.json`.

mod problem_responses;

use platform::auth::Scope;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    Flow, HttpAuthScheme, HttpBuilder, OAuth2, Password, Scopes, SecurityScheme,
};
use utoipa::openapi::{Components, RefOr};
use utoipa::{IntoParams, OpenApi};

use crate::routes::described_routes;

use problem_responses::{FieldProblem, PROBLEMS, ProblemDetails, text_header};
pub(crate) use problem_responses::{MutationProblems, TokenProblems, UploadProblems};

/// The OpenAPI 3.1 document of the command API.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = ApiDocument::openapi();
    document.merge(described_routes().into_openapi());
    let components = document.components.get_or_insert_default();
    add_security_schemes(components);
    for problem in PROBLEMS {
        let response = RefOr::T(problem.describe_response());
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
struct ApiDocument;

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
            response.headers.insert(name.to_owned(), RefOr::T(text_header(text)));
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
