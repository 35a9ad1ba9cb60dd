//! Inspections: open one, ask for the verdict, withdraw it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Inspection, InspectionCommand, InspectionId, InspectionRejection, Part};
use platform::execute::{Executed, load};
use platform::http::{JsonBody, Problem};
use platform::idempotency::Answer;

use crate::artifacts::settle_reserved;
use crate::command::{Plan, answer, dispatch};
use crate::model::{CreateInspection, InspectionBody, VoidInspection};
use crate::mutation::{Mutation, NoBody, VoidInspections, WriteInspections};
use crate::openapi::{MutationHeaders, MutationProblems};
use crate::{CommandApi, problems};

/// Open an inspection
///
/// One inspection is one look at one board. Next, announce its pictures.
#[utoipa::path(
    post, path = "/v1/inspections", tag = "inspections", operation_id = "createInspection",
    params(MutationHeaders), request_body = CreateInspection,
    security(("oauth2" = ["inspections:write"]), ("bearer" = [])),
    responses((status = 201, description = "Opened", body = InspectionBody), MutationProblems),
)]
pub(crate) async fn create_inspection(
    State(api): State<CommandApi>,
    mutation: Mutation<WriteInspections>,
    JsonBody(body): JsonBody<CreateInspection>,
) -> Result<Response, Problem> {
    let (lot, part, station) = body.parse()?;
    let order = mutation.with_body(&body)?;
    let log = api.clone();
    dispatch(&api, order, move |accepted| async move {
        let known = load::<Part>(log.log(), part.as_str()).await.map_err(problems::execution)?;
        let recipe = known.state.recipe();
        let inspection_id = InspectionId(accepted.new_id("inspection"));
        let location = format!("/v1/inspections/{inspection_id}");
        Ok(Plan::<Inspection> {
            aggregate_id: inspection_id.to_string(),
            command: InspectionCommand::CreateInspection {
                inspection_id,
                lot,
                part,
                station,
                recipe,
            },
            answer: Arc::new(move |done: &Executed<Inspection>| {
                inspection(StatusCode::CREATED, done, Some(location.clone()))
            }),
        })
    })
    .await
}

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
pub(crate) async fn request_inference(
    State(api): State<CommandApi>,
    Path(inspection_id): Path<String>,
    mutation: Mutation<WriteInspections>,
    _: NoBody,
) -> Result<Response, Problem> {
    let inspection_id = parse_inspection_id(&inspection_id)?;
    let (store, trace) = (api.clone(), mutation.trace().clone());
    dispatch(&api, mutation.without_body(), move |accepted| async move {
        settle_reserved(&store, inspection_id, &trace).await?;
        Ok(Plan::<Inspection> {
            aggregate_id: inspection_id.to_string(),
            command: InspectionCommand::RequestInference { now: accepted.at },
            answer: Arc::new(|done: &Executed<Inspection>| {
                inspection(StatusCode::ACCEPTED, done, None)
            }),
        })
    })
    .await
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
pub(crate) async fn void_inspection(
    State(api): State<CommandApi>,
    Path(inspection_id): Path<String>,
    mutation: Mutation<VoidInspections>,
    JsonBody(body): JsonBody<VoidInspection>,
) -> Result<Response, Problem> {
    let inspection_id = parse_inspection_id(&inspection_id)?;
    let reason = body.parse()?;
    let order = mutation.with_body(&body)?;
    dispatch(&api, order, move |_| async move {
        Ok(Plan::<Inspection> {
            aggregate_id: inspection_id.to_string(),
            command: InspectionCommand::Void { reason },
            answer: Arc::new(|done: &Executed<Inspection>| inspection(StatusCode::OK, done, None)),
        })
    })
    .await
}

/// What cannot be an id is the id of nothing.
pub(crate) fn parse_inspection_id(text: &str) -> Result<InspectionId, Problem> {
    text.parse().map_err(|_| problems::rejection(&InspectionRejection::NotFound))
}

fn inspection(status: StatusCode, done: &Executed<Inspection>, location: Option<String>) -> Answer {
    answer(status, done, location, InspectionBody::of(&done.state, done.version))
}
