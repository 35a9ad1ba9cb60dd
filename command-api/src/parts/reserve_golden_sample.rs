//! Announce a part's golden sample.

use axum::extract::{Path, State};
use axum::response::Response;
use domain::{Part, PartCommand, PartNumber, PartRejection};
use platform::http::Problem;

use crate::mutation::{Mutation, WriteParts};
use crate::openapi::{MutationHeaders, MutationProblems};
use crate::uploads::reservation::{
    AnnouncedPicture, ReservationRequest, UploadTicket, reserve_slot,
};
use crate::uploads::{PictureOwnerId, PictureType};
use crate::{CommandApi, problems};

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
#[tracing::instrument(skip_all)]
pub(super) async fn reserve_golden_sample(
    State(api): State<CommandApi>,
    Path(part): Path<String>,
    mutation: Mutation<WriteParts>,
    picture: AnnouncedPicture,
) -> Result<Response, Problem> {
    // What cannot be a part number is nobody's.
    let part =
        PartNumber::new(&part).map_err(|_| problems::from_rejection(&PartRejection::NotFound))?;
    let by = mutation.subject().to_owned();
    let request = ReservationRequest { owner: PictureOwnerId::Part(part), by, picture };
    reserve_slot::<Part, _>(&api, mutation.without_body(), request, |slot| {
        PartCommand::ReserveGoldenSample {
            artifact_id: slot.artifact_id,
            media_type: slot.media_type,
            now: slot.now,
            expires_at: slot.expires_at,
        }
    })
    .await
}
