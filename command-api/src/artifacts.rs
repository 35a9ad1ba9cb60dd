//! Pictures before and after their upload: announce one, find one that arrived without a word.
//!
//! Invariant: whoever appends that a picture is at rest has looked at the bytes in the store.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use domain::inspection::Artifact;
use domain::{
    Aggregate, ArtifactId, Inspection, InspectionCommand, InspectionId, InspectionRejection,
    MediaType, Picture, PictureOwner as _, UploadSlot,
};
use platform::artifact_store::UploadNotes;
use platform::event_log::EventMetadata;
use platform::execute::{Executed, Request, execute, load};
use platform::http::Problem;
use platform::telemetry::TraceContext;

use crate::command::{Plan, answer, dispatch};
use crate::inspections::parse_inspection_id;
use crate::model::{PictureBody, PictureType, UploadTicket};
use crate::mutation::{Announcement, Mutation, NoBody, Order, WriteInspections};
use crate::openapi::{MutationHeaders, MutationProblems};
use crate::uploads::{BY, OWNER, Owner, stored_command_id};
use crate::{CommandApi, problems};

/// How long an upload URL is good.
const RESERVATION: TimeDelta = TimeDelta::minutes(15);

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
pub(crate) async fn reserve_artifact(
    State(api): State<CommandApi>,
    Path(inspection_id): Path<String>,
    mutation: Mutation<WriteInspections>,
    picture: Announcement,
) -> Result<Response, Problem> {
    let owner = Owner::Inspection(parse_inspection_id(&inspection_id)?);
    let by = mutation.subject().to_owned();
    let reservation = Reservation { owner, by, picture };
    reserve::<Inspection, _>(&api, mutation.without_body(), reservation, |place| {
        InspectionCommand::ReserveArtifact {
            artifact_id: place.artifact_id,
            media_type: place.media_type,
            expires_at: place.expires_at,
        }
    })
    .await
}

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
pub(crate) async fn complete_artifact(
    State(api): State<CommandApi>,
    Path((inspection_id, artifact_id)): Path<(String, String)>,
    mutation: Mutation<WriteInspections>,
    _: NoBody,
) -> Result<Response, Problem> {
    let inspection_id = parse_inspection_id(&inspection_id)?;
    let artifact_id = parse_artifact_id(&artifact_id)?;
    let store = api.clone();
    dispatch(&api, mutation.without_body(), move |_| async move {
        let picture = at_rest(&store, inspection_id, artifact_id).await?;
        let body = PictureBody { artifact_id, picture: picture.clone() };
        Ok(Plan::<Inspection> {
            aggregate_id: inspection_id.to_string(),
            command: InspectionCommand::UploadArtifact { artifact_id, picture },
            answer: Arc::new(move |done: &Executed<Inspection>| {
                answer(StatusCode::OK, done, None, &body)
            }),
        })
    })
    .await
}

/// A picture that is to be announced.
pub(crate) struct Reservation {
    pub(crate) owner: Owner,
    pub(crate) by: String,
    pub(crate) picture: Announcement,
}

/// The place that a picture gets.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) artifact_id: ArtifactId,
    pub(crate) media_type: MediaType,
    pub(crate) now: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
}

/// Announces a picture of `A` and answers with its upload URL.
pub(crate) async fn reserve<A, Command>(
    api: &CommandApi,
    order: Order,
    reservation: Reservation,
    command: Command,
) -> Result<Response, Problem>
where
    A: Aggregate,
    A::Command: Clone + Sync,
    Command: FnOnce(Place) -> A::Command + Send + 'static,
{
    let store = api.clone();
    dispatch(api, order, move |accepted| async move {
        let place = Place {
            artifact_id: ArtifactId(accepted.new_id("artifact")),
            media_type: reservation.picture.media_type,
            now: accepted.at,
            // Whole seconds, as the URL tells them.
            expires_at: accepted.at.trunc_subsecs(0) + RESERVATION,
        };
        let ticket = make_ticket(&store, &reservation, place).await?;
        Ok(Plan::<A> {
            aggregate_id: reservation.owner.aggregate_id(),
            command: command(place),
            answer: Arc::new(move |done: &Executed<A>| {
                answer(StatusCode::CREATED, done, None, &ticket)
            }),
        })
    })
    .await
}

async fn make_ticket(
    api: &CommandApi,
    reservation: &Reservation,
    place: Place,
) -> Result<UploadTicket, Problem> {
    let Place { artifact_id, media_type, expires_at, .. } = place;
    let notes = UploadNotes::from([
        (BY.to_owned(), reservation.by.clone()),
        (OWNER.to_owned(), reservation.owner.to_string()),
    ]);
    let target = api.artifacts().upload_target(artifact_id, media_type, expires_at, notes).await?;
    let (inspection_id, part) = match &reservation.owner {
        Owner::Inspection(id) => (Some(*id), None),
        Owner::Part(part) => (None, Some(part.clone())),
    };
    Ok(UploadTicket {
        inspection_id,
        part,
        artifact_id,
        upload_url: reservation.picture.base.resolve(&target.url),
        method: target.method,
        headers: target.headers,
        expires_at: target.expires_at,
    })
}

/// The picture, from the log or, when its upload was cut off before the event, from the store.
async fn at_rest(
    api: &CommandApi,
    inspection_id: InspectionId,
    artifact_id: ArtifactId,
) -> Result<Picture, Problem> {
    let loaded = load::<Inspection>(api.log(), &inspection_id.to_string()).await;
    let state = loaded.map_err(problems::execution)?.state;
    match state.upload_slot(artifact_id).map_err(|refused| problems::rejection(&refused))? {
        UploadSlot::Taken(picture) => Ok(picture.clone()),
        UploadSlot::Free { .. } => api.artifacts().describe(artifact_id).await?.ok_or_else(|| {
            problems::rejection(&InspectionRejection::ArtifactNotUploaded { artifact_id })
        }),
    }
}

/// Completes every announced picture that is at rest, for stations that never say so.
pub(crate) async fn settle_reserved(
    api: &CommandApi,
    inspection_id: InspectionId,
    trace: &TraceContext,
) -> Result<(), Problem> {
    let aggregate_id = inspection_id.to_string();
    let loaded = load::<Inspection>(api.log(), &aggregate_id).await.map_err(problems::execution)?;
    let Inspection::Open(facts) = loaded.state else { return Ok(()) };
    for (&artifact_id, artifact) in &facts.artifacts {
        let Artifact::Reserved { .. } = artifact else { continue };
        let Some(picture) = api.artifacts().describe(artifact_id).await? else { continue };
        let metadata = EventMetadata::by_service("command-api")
            .requested_in(trace)
            .with_command_id(stored_command_id(artifact_id, &picture));
        let request = Request::<Inspection> {
            aggregate_id: aggregate_id.clone(),
            command: InspectionCommand::UploadArtifact { artifact_id, picture },
            if_match: None,
            metadata,
        };
        execute(api.log(), request).await.map_err(problems::execution)?;
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
