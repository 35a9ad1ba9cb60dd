//! Ask for the verdict.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Inspection, InspectionCommand};
use platform::execute::Executed;
use platform::http::Problem;

use super::{InspectionBody, answer_with_inspection, parse_inspection_id};
use crate::CommandApi;
use crate::artifacts::complete_stored_pictures;
use crate::command::{Plan, dispatch_command};
use crate::mutation::{Mutation, NoBody, WriteInspections};
use crate::openapi::{MutationHeaders, MutationProblems};

/// Ask for the verdict
///
/// Closes the set of pictures: no more can be announced. The judgement follows within moments, once
/// every picture is compared; a picture that was announced and never came makes it *review*.
#[utoipa::path(
    post, path = "/v1/inspections/{inspection_id}/infer", tag = "inspections",
    operation_id = "requestInference",
    params(("inspection_id" = uuid::Uuid, Path, description = "The inspection"), MutationHeaders),
    security(("oauth2" = ["inspections:write"]), ("bearer" = [])),
    responses((status = 202, description = "Accepted", body = InspectionBody), MutationProblems),
)]
#[tracing::instrument(skip_all)]
pub(super) async fn request_inference(
    State(api): State<CommandApi>,
    Path(inspection_id): Path<String>,
    mutation: Mutation<WriteInspections>,
    _: NoBody,
) -> Result<Response, Problem> {
    let inspection_id = parse_inspection_id(&inspection_id)?;
    let (store, trace) = (api.clone(), mutation.trace().clone());
    dispatch_command(&api, mutation.without_body(), move |accepted| async move {
        complete_stored_pictures(&store, inspection_id, &trace).await?;
        Ok(Plan::<Inspection> {
            aggregate_id: inspection_id.to_string(),
            command: InspectionCommand::RequestInference { now: accepted.at },
            answer: Arc::new(|done: &Executed<Inspection>| {
                answer_with_inspection(StatusCode::ACCEPTED, done, None)
            }),
        })
    })
    .await
}
