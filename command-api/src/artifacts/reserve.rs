//! Announce a picture of an inspection.

use axum::extract::{Path, State};
use axum::response::Response;
use domain::{Inspection, InspectionCommand};
use platform::http::Problem;

use crate::CommandApi;
use crate::inspections::parse_inspection_id;
use crate::mutation::{Mutation, WriteInspections};
use crate::openapi::{MutationHeaders, MutationProblems};
use crate::uploads::reservation::{
    AnnouncedPicture, ReservationRequest, UploadTicket, reserve_slot,
};
use crate::uploads::{PictureOwnerId, PictureType};

/// Announce a picture
///
/// Answers with a URL that takes the picture for 15 minutes. Announce every picture before `infer`.
#[utoipa::path(
    post, path = "/v1/inspections/{inspection_id}/artifacts", tag = "inspections",
    operation_id = "reserveArtifact",
    params(
        ("inspection_id" = uuid::Uuid, Path, description = "The inspection"),
        ("type" = PictureType, Query, description = "The picture's format"),
        MutationHeaders,
    ),
    security(("oauth2" = ["inspections:write"]), ("bearer" = [])),
    responses((status = 201, description = "Announced", body = UploadTicket), MutationProblems),
)]
#[tracing::instrument(skip_all)]
pub(super) async fn reserve_artifact(
    State(api): State<CommandApi>,
    Path(inspection_id): Path<String>,
    mutation: Mutation<WriteInspections>,
    picture: AnnouncedPicture,
) -> Result<Response, Problem> {
    let owner = PictureOwnerId::Inspection(parse_inspection_id(&inspection_id)?);
    let by = mutation.subject().to_owned();
    let request = ReservationRequest { owner, by, picture };
    reserve_slot::<Inspection, _>(&api, mutation.without_body(), request, |slot| {
        InspectionCommand::ReserveArtifact {
            artifact_id: slot.artifact_id,
            media_type: slot.media_type,
            expires_at: slot.expires_at,
        }
    })
    .await
}
