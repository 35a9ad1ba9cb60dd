//! Withdraw an inspection.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Inspection, InspectionCommand};
use platform::execute::Executed;
use platform::http::{JsonBody, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{InspectionBody, answer_with_inspection, parse_inspection_id};
use crate::CommandApi;
use crate::command::{Plan, dispatch_command};
use crate::mutation::{Mutation, VoidInspections};
use crate::openapi::{MutationHeaders, MutationProblems};

/// The longest reason for voiding an inspection, in characters.
const REASON_MAX_CHARS: usize = 500;

/// Why an inspection is withdrawn.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VoidInspection {
    /// 1 to 500 printable characters; kept with the inspection for ever.
    #[schema(min_length = 1, max_length = 500, example = "wrong board on the fixture")]
    reason: String,
}

impl VoidInspection {
    pub(crate) fn parse(&self) -> Result<String, Problem> {
        let reason = self.reason.trim();
        let wrong = if reason.is_empty() {
            "must not be empty"
        } else if reason.chars().count() > REASON_MAX_CHARS {
            "must be at most 500 characters long"
        } else if reason.chars().any(is_unprintable) {
            "must consist of printable characters"
        } else {
            return Ok(reason.to_owned());
        };
        Err(Problem::invalid_field("reason", wrong))
    }
}

/// Withdraw an inspection
///
/// Possible until it is judged. Nothing is deleted: the inspection and the reason stay on record.
#[utoipa::path(
    post, path = "/v1/inspections/{inspection_id}/void", tag = "inspections",
    operation_id = "voidInspection",
    params(("inspection_id" = uuid::Uuid, Path, description = "The inspection"), MutationHeaders),
    request_body = VoidInspection,
    security(("oauth2" = ["inspections:void"]), ("bearer" = [])),
    responses((status = 200, description = "Withdrawn", body = InspectionBody), MutationProblems),
)]
#[tracing::instrument(skip_all)]
pub(super) async fn void_inspection(
    State(api): State<CommandApi>,
    Path(inspection_id): Path<String>,
    mutation: Mutation<VoidInspections>,
    JsonBody(body): JsonBody<VoidInspection>,
) -> Result<Response, Problem> {
    let inspection_id = parse_inspection_id(&inspection_id)?;
    let reason = body.parse()?;
    let request = mutation.with_body(&body)?;
    dispatch_command(&api, request, move |_| async move {
        Ok(Plan::<Inspection> {
            aggregate_id: inspection_id.to_string(),
            command: InspectionCommand::Void { reason },
            answer: Arc::new(|done: &Executed<Inspection>| {
                answer_with_inspection(StatusCode::OK, done, None)
            }),
        })
    })
    .await
}

/// Controls, line separators, direction overrides and invisible characters.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}')
}
