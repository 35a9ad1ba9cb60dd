//! `GET /problems` and `GET /problems/{name}`: what each problem means and what to do, where its `Link` leads to.
//!
//! No token is asked for: it is what stands in the documentation.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::Router;
use axum::extract::Path;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde::Serialize;
use utoipa::openapi::{self, RefOr};
use utoipa::{IntoResponses, ToSchema};

use super::describe::refer_to_problems;
use super::page::{self, Page, escape_with_code};
use super::{Problem, ProblemType};

/// The pages, to be merged with what answers problems.
pub(crate) fn problem_pages() -> Router {
    Router::new()
        .route("/problems", get(list_problem_types))
        .route("/problems/{name}", get(get_problem_type))
}

/// A kind of problem.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProblemTypeBody {
    /// Its name.
    #[schema(example = "idempotency-key-missing")]
    name: &'static str,
    /// What stands in `type`.
    #[schema(example = "urn:chipq:problem:idempotency-key-missing")]
    r#type: String,
    /// What stands in `title`.
    #[schema(example = "Idempotency key missing")]
    title: String,
    /// The statuses that it comes with; none where it may be any.
    #[schema(example = json!([400]))]
    statuses: &'static [u16],
    /// What to do about it.
    #[schema(example = "send one key that is new for this command")]
    advice: &'static str,
}

/// Every kind of problem.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProblemTypesBody {
    /// All of them, by name.
    items: Vec<ProblemTypeBody>,
}

impl From<ProblemType> for ProblemTypeBody {
    fn from(kind: ProblemType) -> Self {
        Self {
            name: kind.name(),
            r#type: kind.uri(),
            title: kind.title(),
            statuses: kind.statuses(),
            advice: kind.advice(),
        }
    }
}

/// Every kind of problem: its name, what it means, what to do
#[utoipa::path(get, path = "/problems", operation_id = "listProblemTypes",
    tag = "problems", security(()), responses((status = 200, description = "All of them, by name",
    content((ProblemTypesBody = "application/json"), (String = "text/html")))))]
pub async fn list_problem_types(headers: HeaderMap) -> Response {
    let kinds = ProblemType::ALL.iter().copied();
    let items = kinds.map(ProblemTypeBody::from).collect();
    page::answer(&headers, &ProblemTypesBody { items }, || {
        let mut body = "<table><tr><th>name<th>status<th>what to do\n".to_owned();
        for kind in ProblemType::ALL {
            let (page, name) = (kind.page(), kind.name());
            let (statuses, advice) = (kind.list_statuses(), escape_with_code(kind.advice()));
            // Writing to a string does not fail.
            let _ =
                writeln!(body, "<tr><td><a href=\"{page}\">{name}</a><td>{statuses}<td>{advice}");
        }
        body.push_str("</table>\n");
        Page { title: "Problems", body }
    })
}

/// One kind of problem
#[utoipa::path(get, path = "/problems/{name}", operation_id = "getProblemType",
    tag = "problems", security(()),
    params(("name" = String, Path, description = "The last part of a problem's type")), responses(
    (status = 200, description = "What it means",
    content((ProblemTypeBody = "application/json"), (String = "text/html"))),
    PageProblems))]
pub async fn get_problem_type(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(kind) = ProblemType::find(&name) else {
        let detail = format!("there is no problem of the name {name}; see /problems");
        return Problem::not_found(detail).into_response();
    };
    let described = ProblemTypeBody::from(kind);
    page::answer(&headers, &described, || {
        let body = format!(
            "<p><code>{}</code>, status {}</p>\n<p>What to do: {}.</p>\n<p><a href=\"/problems\">All \
             problems</a></p>\n",
            described.r#type,
            kind.list_statuses(),
            escape_with_code(kind.advice()),
        );
        Page { title: &described.title, body }
    })
}

/// What can stand in the way of a page.
struct PageProblems;

impl IntoResponses for PageProblems {
    fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
        refer_to_problems(&["404"])
    }
}
