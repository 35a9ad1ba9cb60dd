//! Parts: register one, announce its golden sample.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Part, PartCommand, PartNumber, PartRejection};
use platform::execute::Executed;
use platform::http::{JsonBody, Problem};

use crate::artifacts::{Reservation, reserve};
use crate::base_url::encode_segment;
use crate::command::{Plan, answer, dispatch};
use crate::model::{PartBody, PictureType, RegisterPart, UploadTicket};
use crate::mutation::{Announcement, Mutation, WriteParts};
use crate::openapi::{MutationHeaders, MutationProblems};
use crate::uploads::Owner;
use crate::{CommandApi, problems};

/// Register a part
///
/// The part starts with the factory recipe and without a golden sample: until one is uploaded its
/// boards are judged *review*.
#[utoipa::path(
    post, path = "/v1/parts", tag = "parts", operation_id = "registerPart",
    params(MutationHeaders), request_body = RegisterPart,
    security(("oauth2" = ["parts:write"]), ("bearer" = [])),
    responses((status = 201, description = "Registered", body = PartBody), MutationProblems),
)]
pub(crate) async fn register_part(
    State(api): State<CommandApi>,
    mutation: Mutation<WriteParts>,
    JsonBody(body): JsonBody<RegisterPart>,
) -> Result<Response, Problem> {
    let part = body.parse()?;
    let order = mutation.with_body(&body)?;
    dispatch(&api, order, move |_| async move {
        let location = format!("/v1/parts/{}", encode_segment(part.as_str()));
        let number = part.clone();
        Ok(Plan::<Part> {
            aggregate_id: part.to_string(),
            command: PartCommand::RegisterPart { part },
            answer: Arc::new(move |done: &Executed<Part>| {
                let body = PartBody::of(number.clone(), &done.state, done.version);
                answer(StatusCode::CREATED, done, Some(location.clone()), body)
            }),
        })
    })
    .await
}

/// Announce a golden sample
///
/// Answers with a URL that takes the picture of a board known to be right. Once it is uploaded,
/// boards of the part are compared with it; an older golden sample stays in the part's history.
#[utoipa::path(
    post, path = "/v1/parts/{part}/golden-sample", tag = "parts",
    operation_id = "reserveGoldenSample",
    params(
        ("part" = String, Path, description = "The part number", example = "PCB-4711"),
        ("type" = PictureType, Query, description = "The picture's format"),
        MutationHeaders,
    ),
    security(("oauth2" = ["parts:write"]), ("bearer" = [])),
    responses((status = 201, description = "Announced", body = UploadTicket), MutationProblems),
)]
pub(crate) async fn reserve_golden_sample(
    State(api): State<CommandApi>,
    Path(part): Path<String>,
    mutation: Mutation<WriteParts>,
    picture: Announcement,
) -> Result<Response, Problem> {
    // What cannot be a part number is nobody's.
    let part = PartNumber::new(&part).map_err(|_| problems::rejection(&PartRejection::NotFound))?;
    let by = mutation.subject().to_owned();
    let reservation = Reservation { owner: Owner::Part(part), by, picture };
    reserve::<Part, _>(&api, mutation.without_body(), reservation, |place| {
        PartCommand::ReserveGoldenSample {
            artifact_id: place.artifact_id,
            media_type: place.media_type,
            now: place.now,
            expires_at: place.expires_at,
        }
    })
    .await
}
