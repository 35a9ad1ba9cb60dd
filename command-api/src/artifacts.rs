//! The pictures of an inspection: announce one, find one that arrived without a word.
//!
//! Invariant: whoever appends that a picture is at rest has looked at the bytes in the store.

mod complete;
mod reserve;

use axum::http::StatusCode;
use domain::inspection::Artifact;
use domain::{ArtifactId, Inspection, InspectionCommand, InspectionId};
use platform::event_log::EventMetadata;
use platform::execute::{Request, execute, load};
use platform::http::Problem;
use platform::telemetry::TraceContext;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::uploads::stored_command_id;
use crate::{CommandApi, problems};

/// The commands on an inspection's pictures.
pub(crate) fn routes() -> OpenApiRouter<CommandApi> {
    OpenApiRouter::default()
        .routes(routes!(reserve::reserve_artifact))
        .routes(routes!(complete::complete_artifact))
}

/// Completes every announced picture that is at rest, for stations that never say so.
pub(crate) async fn complete_stored_pictures(
    api: &CommandApi,
    inspection_id: InspectionId,
    trace: &TraceContext,
) -> Result<(), Problem> {
    let aggregate_id = inspection_id.to_string();
    let loaded =
        load::<Inspection>(api.log(), &aggregate_id).await.map_err(problems::from_execute_error)?;
    let Inspection::Open(facts) = loaded.state else { return Ok(()) };
    for (&artifact_id, artifact) in &facts.artifacts {
        let Artifact::Reserved { .. } = artifact else { continue };
        let Some(picture) = api.artifacts().describe_stored(artifact_id).await? else { continue };
        let metadata = EventMetadata::by_service("command-api")
            .requested_in(trace)
            .with_command_id(stored_command_id(artifact_id, &picture));
        let request = Request::<Inspection> {
            aggregate_id: aggregate_id.clone(),
            command: InspectionCommand::UploadArtifact { artifact_id, picture },
            if_match: None,
            metadata,
        };
        execute(api.log(), request).await.map_err(problems::from_execute_error)?;
    }
    Ok(())
}

/// What cannot be an id is the id of nothing.
fn parse_artifact_id(text: &str) -> Result<ArtifactId, Problem> {
    text.parse().map_err(|_| {
        let detail = "there is no artifact with this id";
        Problem::new(StatusCode::NOT_FOUND, "artifact-not-found", detail)
    })
}
