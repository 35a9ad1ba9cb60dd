//! Every resource with its routes, and the OpenAPI 3.1 document that describes them: collected from the
//! handlers and completed with what they all share.
//!
//! `chipq` merges the reads into it, for `/docs` and for `schemas/openapi.json`.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use platform::auth::Scope;
use platform::http::PageLink;
use platform::http::describe::{describe_problems, text_header};
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ClientCredentials, Flow, HttpAuthScheme, HttpBuilder, OAuth2, Password, Scopes, SecurityScheme,
};
use utoipa::openapi::{Components, RefOr};
use utoipa_axum::router::OpenApiRouter;

use crate::parts::GoldenSampleUseBody;
use crate::{CommandApi, access, docs_page, inspections, parts, picture_retention, token, uploads};

/// What of the commands is there to be looked at.
pub const PAGES: [PageLink; 3] = [
    PageLink { href: "/docs", title: "Every call over REST, to read and to try" },
    PageLink { href: "/openapi.json", title: "The same for generators of clients (OpenAPI 3.1)" },
    PageLink { href: "/.well-known/jwks.json", title: "The keys that tokens are checked with" },
];

/// The largest body of a request for a token, in bytes.
const FORM_MAX_BYTES: usize = 64 << 10;

/// The commands, `/docs`, `/openapi.json` and the public keys, to be merged with other routers and
/// wrapped once by `platform::http::wrap`.
pub fn router(api: CommandApi) -> Router {
    router_described_by(api, openapi())
}

/// The same, with a document that describes more than the commands.
pub fn router_described_by(api: CommandApi, document: utoipa::openapi::OpenApi) -> Router {
    let commands: Router = Router::from(described_routes()).with_state(api);
    commands.layer(DefaultBodyLimit::max(FORM_MAX_BYTES)).merge(docs_page::routes(document))
}

/// Routes and their descriptions, by resource.
fn described_routes() -> OpenApiRouter<CommandApi> {
    OpenApiRouter::default()
        .merge(token::routes())
        .merge(access::routes())
        .merge(parts::routes())
        .merge(picture_retention::routes())
        .merge(inspections::routes())
        .merge(uploads::routes())
}

/// The OpenAPI 3.1 document of the command API.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = ApiDocument::openapi();
    document.merge(described_routes().into_openapi());
    let components = document.components.get_or_insert_default();
    add_security_schemes(components);
    describe_problems(components);
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
            **Bodies** are taken as they are: any `Content-Encoding` is refused (415). A `Content-Digest` \
            (RFC 9530, sha-256 or sha-512) is compared.\n\n\
            **Read what you wrote.** Give `X-Log-Position` to a read as `min_position`, as it is: with \
            the position it names the history of the log. When the database was restored without what you \
            wrote, the read is refused (409 `positions-reissued`), and so is a command by an `If-Match` of \
            what is gone (412).\n\n\
            **Problems** are `application/problem+json` (RFC 9457) with a stable `type`.",
    ),
    servers((url = "/", description = "The server that this document comes from")),
    tags(
        (name = "tokens", description = "Who you are"),
        (name = "access", description = "Accounts of people, and clients of machines"),
        (name = "parts", description = "What boards are, and their golden samples"),
        (name = "inspections", description = "One look at one board"),
        (name = "uploads", description = "Pictures"),
        (name = "retention", description = "For how long pictures are kept"),
        (name = "reads", description = "What was found, as far as the log was projected"),
        (name = "problems", description = "What each kind of problem means; without a token"),
        (name = "health", description = "For probes; without a token"),
    ),
    components(schemas(GoldenSampleUseBody)),
)]
struct ApiDocument;

/// Every answer about a resource carries its version and place in the log; those to a command with
/// a key may be replays.
fn add_common_headers(operation: &mut Operation) {
    let parameters = operation.parameters.as_deref().unwrap_or_default();
    let has_key = parameters
        .iter()
        .any(|parameter| matches!(parameter, RefOr::T(header) if header.name == "Idempotency-Key"));
    let is_upload = operation.operation_id.as_deref() == Some("uploadPicture");
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
    }
}

fn add_security_schemes(components: &mut Components) {
    let scopes = Scope::ALL.map(|scope| (scope.as_str(), scope.meaning()));
    let scopes = Scopes::from_iter(scopes);
    let client = Flow::ClientCredentials(ClientCredentials::new("/v1/token", scopes.clone()));
    let account = Flow::Password(Password::new("/v1/token", scopes));
    let oauth2 = OAuth2::with_description(
        [account, client],
        "Sign in: a person with account and password, a station or another machine with client_id and client_secret. \
         Without any scope chosen, the token has all that are granted.",
    );
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("An access token, from /v1/token or from the identity provider"))
        .build();
    components.add_security_scheme("oauth2", SecurityScheme::OAuth2(oauth2));
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
}

#[cfg(test)]
mod tests {
    use domain::{GoldenSampleUse, InspectionState, MediaType};
    use serde_json::json;

    use super::*;

    #[test]
    fn the_document_names_the_words_of_the_domain_and_no_others() {
        let document = serde_json::to_value(openapi()).unwrap();
        let words = |schema: &str| document["components"]["schemas"][schema]["enum"].clone();
        let states = InspectionState::ALL.map(InspectionState::as_str);
        assert_eq!(words("InspectionState"), json!(states));
        let uses = GoldenSampleUse::ALL.map(GoldenSampleUse::as_str);
        assert_eq!(words("GoldenSampleUse"), json!(uses));
        assert_eq!(words("PictureType"), json!(MediaType::ALL.map(MediaType::as_str)));
    }
}
