//! Say that a picture is uploaded.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::{
    ArtifactId, Inspection, InspectionCommand, InspectionId, InspectionRejection, Picture,
    PictureOwner as _, UploadSlot,
};
use platform::execute::{Executed, load};
use platform::http::Problem;

use super::parse_artifact_id;
use crate::command::{Plan, dispatch_command, make_answer};
use crate::inspections::parse_inspection_id;
use crate::mutation::{Mutation, NoBody, WriteInspections};
use crate::openapi::{MutationHeaders, MutationProblems};
use crate::uploads::PictureBody;
use crate::{CommandApi, problems};

/// Say that a picture is uploaded
///
/// Not needed after a `PUT` that was answered. After one whose answer was lost it finds the picture
/// in the store and completes it; once that is done it changes nothing.
#[utoipa::path(
    post, path = "/v1/inspections/{inspection_id}/artifacts/{artifact_id}/complete",
    tag = "inspections", operation_id = "completeArtifact",
    params(
        ("inspection_id" = uuid::Uuid, Path, description = "The inspection"),
        ("artifact_id" = uuid::Uuid, Path, description = "The picture"),
        MutationHeaders,
    ),
    security(("oauth2" = ["inspections:write"]), ("bearer" = [])),
    responses((status = 200, description = "At rest", body = PictureBody), MutationProblems),
)]
#[tracing::instrument(skip_all)]
pub(super) async fn complete_artifact(
    State(api): State<CommandApi>,
    Path((inspection_id, artifact_id)): Path<(String, String)>,
    mutation: Mutation<WriteInspections>,
    _: NoBody,
) -> Result<Response, Problem> {
    let inspection_id = parse_inspection_id(&inspection_id)?;
    let artifact_id = parse_artifact_id(&artifact_id)?;
    let store = api.clone();
    dispatch_command(&api, mutation.without_body(), move |_| async move {
        let picture = find_stored_picture(&store, inspection_id, artifact_id).await?;
        let body = PictureBody { artifact_id, picture: picture.clone() };
        Ok(Plan::<Inspection> {
            aggregate_id: inspection_id.to_string(),
            command: InspectionCommand::UploadArtifact { artifact_id, picture },
            answer: Arc::new(move |done: &Executed<Inspection>| {
                make_answer(StatusCode::OK, done, None, &body)
            }),
        })
    })
    .await
}

/// The picture, from the log or, when its upload was cut off before the event, from the store.
async fn find_stored_picture(
    api: &CommandApi,
    inspection_id: InspectionId,
    artifact_id: ArtifactId,
) -> Result<Picture, Problem> {
    let loaded = load::<Inspection>(api.log(), &inspection_id.to_string()).await;
    let state = loaded.map_err(problems::from_execute_error)?.state;
    match state.upload_slot(artifact_id).map_err(|refused| problems::from_rejection(&refused))? {
        UploadSlot::Taken(picture) => Ok(picture.clone()),
        UploadSlot::Free { .. } => {
            api.artifacts().describe_stored(artifact_id).await?.ok_or_else(|| {
                problems::from_rejection(&InspectionRejection::ArtifactNotUploaded { artifact_id })
            })
        }
    }
}
