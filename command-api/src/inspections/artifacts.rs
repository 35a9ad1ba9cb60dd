//! The pictures of an inspection: announce one, let it come later, take it back, find one that arrived
//! without a word.
//!
//! Invariant: whoever appends that a picture is at rest has looked at the bytes in the store.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::inspection::Artifact;
use domain::{
    Aggregate as _, ArtifactId, Inspection, InspectionCommand, InspectionId, InspectionRejection,
    Picture, PixelScale, Reach, ViewName,
};
use futures::{StreamExt as _, stream};
use platform::event_log::StreamVersion;
use platform::execute::load;
use platform::http::{NoBody, Problem, ProblemType};
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::parse_inspection_id;
use crate::command::{Mutation, WriteInspections};
use crate::descriptions::{MutationHeaders, MutationProblems};
use crate::uploads::announcement::{
    AnnouncedFile, Announcement, AnnouncementQuery, AnnouncementTerms, RenewedPicture, SCALE,
};
use crate::uploads::arrivals::settle_picture;
use crate::uploads::reservation::{
    CancelledReservation, RenewalRequest, ReservationRequest, UploadTicket, cancel_slot,
    complete_slot, renew_slot, reserve_slot,
};
use crate::uploads::{PictureBody, PictureOwnerId, PictureType, parse_artifact_id};
use crate::{CommandApi, problems};

/// Pictures of one inspection that are looked at at once.
const SETTLED_AT_ONCE: usize = 4;

/// The commands on an inspection's pictures.
pub(super) fn routes() -> OpenApiRouter<CommandApi> {
    OpenApiRouter::default()
        .routes(routes!(reserve_artifact))
        .routes(routes!(renew_artifact))
        .routes(routes!(cancel_artifact))
        .routes(routes!(complete_artifact))
}

/// Every announced picture that is at rest without a word, for stations that never say so. One that is refused, or
/// cannot be read any more, counts as not come: it can be sent again. No picture is read for a request that is refused
/// whatever they are, however often it is sent: its caller is out of `reach`, has `seen` another version, or one of the
/// pictures may still come at `now`.
///
/// # Errors
/// Which pictures may still come, and of those that came and were refused why, since whoever sends `infer` alone hears
/// it nowhere else; or when log or store fail.
pub(super) async fn find_pictures_at_rest(
    api: &CommandApi,
    inspection_id: InspectionId,
    reach: &Reach,
    (seen, now): (Option<StreamVersion>, DateTime<Utc>),
) -> Result<Vec<(ArtifactId, Picture)>, Problem> {
    let loaded = load::<Inspection>(api.log(), &inspection_id.to_string()).await;
    let loaded = loaded.map_err(problems::from_execute_error)?;
    let is_stale = seen.is_some_and(|seen| seen != loaded.stream_version());
    let command = InspectionCommand::RequestInference { at_rest: Vec::new(), now };
    if is_stale || !loaded.state.is_within(reach, &command) {
        return Ok(Vec::new());
    }
    let Inspection::Open(facts) = loaded.state else { return Ok(Vec::new()) };
    let (mut candidates, mut pending) = (Vec::new(), Vec::new());
    for (&artifact_id, artifact) in &facts.artifacts {
        let Artifact::Reserved { .. } = artifact else { continue };
        let store = api.artifacts();
        if store.is_at_rest(artifact_id).await? || store.find_arrival(artifact_id).await?.is_some()
        {
            candidates.push(artifact_id);
        } else if artifact.is_awaited(now) {
            pending.push(artifact_id);
        }
    }
    if !pending.is_empty() {
        return Err(problems::from_rejection(&InspectionRejection::ArtifactsPending { pending }));
    }
    let (at_rest, mut refused) = settle_pictures(api, candidates).await?;
    // Nobody waits for the others any more: the board is judged without them.
    refused.retain(|(id, _)| facts.artifacts.get(id).is_some_and(|one| one.is_awaited(now)));
    if refused.is_empty() { Ok(at_rest) } else { Err(describe_refused(&refused)) }
}

/// The pictures that are in order, and what is wrong with the others.
type SettledPictures = (Vec<(ArtifactId, Picture)>, Vec<(ArtifactId, Problem)>);

async fn settle_pictures(
    api: &CommandApi,
    candidates: Vec<ArtifactId>,
) -> Result<SettledPictures, Problem> {
    let settling = candidates.into_iter().map(|artifact_id| async move {
        (artifact_id, settle_picture(api, artifact_id, None).await)
    });
    let settled: Vec<_> = stream::iter(settling).buffered(SETTLED_AT_ONCE).collect().await;
    let (mut at_rest, mut refused) = (Vec::new(), Vec::new());
    for (artifact_id, picture) in settled {
        match picture {
            Ok(picture) => at_rest.extend(picture.map(|picture| (artifact_id, picture))),
            Err(problem) if is_about_the_file(&problem) => {
                let why = problem.name();
                tracing::warn!(%artifact_id, refused = why, "a picture is left out");
                refused.push((artifact_id, problem));
            }
            Err(problem) => return Err(problem),
        }
    }
    Ok((at_rest, refused))
}

/// A file that can be sent again, as it has to be.
fn is_about_the_file(problem: &Problem) -> bool {
    use StatusCode as S;
    [S::PAYLOAD_TOO_LARGE, S::UNSUPPORTED_MEDIA_TYPE, S::UNPROCESSABLE_ENTITY]
        .contains(&problem.status())
}

/// 409: pictures that came and are not taken, each with what `complete` says of it.
fn describe_refused(refused: &[(ArtifactId, Problem)]) -> Problem {
    let said: Vec<_> = refused
        .iter()
        .map(|(id, problem)| format!("artifact {id}: {}", problem.detail()))
        .collect();
    let detail = match &said[..] {
        [one] => format!("a picture came and is refused; {one}"),
        many => format!("{} pictures came and are refused; {}", many.len(), many.join("; ")),
    };
    let each = refused.iter().map(|(artifact_id, problem)| {
        let body = problem.to_json();
        json!({ "artifact_id": artifact_id, "type": body["type"], "detail": body["detail"] })
    });
    let each: Vec<_> = each.collect();
    Problem::new(ProblemType::ArtifactsPending, detail).with_extension("refused", each)
}

/// What is said of a picture when it is announced.
struct PictureTerms {
    view: Option<ViewName>,
    scale: Option<PixelScale>,
}

impl AnnouncementTerms for PictureTerms {
    const PARAMETERS: &'static [&'static str] = &["view", SCALE];

    fn parse(query: &AnnouncementQuery) -> Result<Self, Problem> {
        Ok(Self { view: query.parse_optional("view")?, scale: query.parse_optional(SCALE)? })
    }
}

/// Announce a picture
///
/// Answers with a URL that takes the picture for 15 minutes. Announce every picture before `infer`. When
/// the part's recipe names views, each picture is announced as one of them: a board of which one was
/// not seen, was seen twice, or that has a picture of another one, is judged *review*. So is a board of which
/// a picture is of another scale than its golden sample, or of none where the golden sample has one.
#[utoipa::path(
    post, path = "/v1/inspections/{inspection_id}/artifacts", tag = "inspections",
    operation_id = "reserveArtifact",
    params(
        ("inspection_id" = uuid::Uuid, Path, description = "The inspection"),
        ("type" = PictureType, Query, description = "The picture's format"),
        AnnouncedFile,
        ("view" = Option<String>, Query, description = "The view of the board that it shows: 1 to 32 \
            of a–z, 0–9 and the hyphen", example = "top"),
        ("pixels_per_millimetre" = Option<f32>, Query, minimum = 0.1, maximum = 10000, description = "Its \
            scale: pixels of the picture per millimetre of the board", example = 48.0),
        MutationHeaders,
    ),
    security(("oauth2" = ["inspections:write"]), ("bearer" = [])),
    responses((status = 201, description = "Announced", body = UploadTicket), MutationProblems),
)]
#[tracing::instrument(skip_all)]
async fn reserve_artifact(
    State(api): State<CommandApi>,
    Path(inspection_id): Path<String>,
    mutation: Mutation<WriteInspections>,
    announced: Announcement<PictureTerms>,
) -> Result<Response, Problem> {
    let Announcement { picture, terms: PictureTerms { view, scale } } = announced;
    let owner = PictureOwnerId::Inspection(parse_inspection_id(&inspection_id)?);
    let by = mutation.announcer();
    let request = ReservationRequest { owner, by, picture };
    reserve_slot::<Inspection, _>(&api, mutation.without_body(), request, move |slot| {
        InspectionCommand::ReserveArtifact {
            artifact_id: slot.artifact_id,
            media_type: slot.media_type,
            view,
            pixels_per_millimetre: scale,
            expires_at: slot.expires_at,
        }
    })
    .await
}

/// Let a picture come later
///
/// Answers with a new URL for a picture that was announced and has not come, for 15 minutes from now; also
/// when the last one has expired.
#[utoipa::path(
    post, path = "/v1/inspections/{inspection_id}/artifacts/{artifact_id}/renew",
    tag = "inspections", operation_id = "renewArtifact",
    params(
        ("inspection_id" = uuid::Uuid, Path, description = "The inspection"),
        ("artifact_id" = uuid::Uuid, Path, description = "The picture"),
        AnnouncedFile,
        MutationHeaders,
    ),
    security(("oauth2" = ["inspections:write"]), ("bearer" = [])),
    responses((status = 200, description = "Renewed", body = UploadTicket), MutationProblems),
)]
#[tracing::instrument(skip_all)]
async fn renew_artifact(
    State(api): State<CommandApi>,
    Path((inspection_id, artifact_id)): Path<(String, String)>,
    mutation: Mutation<WriteInspections>,
    picture: RenewedPicture,
    _: NoBody,
) -> Result<Response, Problem> {
    let owner = PictureOwnerId::Inspection(parse_inspection_id(&inspection_id)?);
    let artifact_id = parse_artifact_id(&artifact_id)?;
    let by = mutation.announcer();
    let request = RenewalRequest { owner, artifact_id, by, picture };
    renew_slot::<Inspection>(&api, mutation.without_body(), request).await
}

/// Take the announcement of a picture back
///
/// Nobody waits any more for a picture that was announced and has not come, and its URL is good for nothing.
/// Use it when a picture cannot be taken, or when other bytes came first under its id; then announce
/// another. A view that the recipe names is missing all the same.
#[utoipa::path(
    post, path = "/v1/inspections/{inspection_id}/artifacts/{artifact_id}/cancel",
    tag = "inspections", operation_id = "cancelArtifact",
    params(
        ("inspection_id" = uuid::Uuid, Path, description = "The inspection"),
        ("artifact_id" = uuid::Uuid, Path, description = "The picture"),
        MutationHeaders,
    ),
    security(("oauth2" = ["inspections:write"]), ("bearer" = [])),
    responses(
        (status = 200, description = "Taken back", body = CancelledReservation),
        MutationProblems,
    ),
)]
#[tracing::instrument(skip_all)]
async fn cancel_artifact(
    State(api): State<CommandApi>,
    Path((inspection_id, artifact_id)): Path<(String, String)>,
    mutation: Mutation<WriteInspections>,
    _: NoBody,
) -> Result<Response, Problem> {
    let owner = PictureOwnerId::Inspection(parse_inspection_id(&inspection_id)?);
    let artifact_id = parse_artifact_id(&artifact_id)?;
    cancel_slot::<Inspection>(&api, mutation.without_body(), owner, artifact_id).await
}

/// Say that a picture is uploaded
///
/// Not needed after a `PUT` to this service that was answered, nor where the bucket tells of what arrives. After a
/// `PUT` to a bucket, or one whose answer was lost, it finds the picture in the store, looks at it as an upload is
/// looked at, and completes it; once that is done it changes nothing. The digest is that of what counts.
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
async fn complete_artifact(
    State(api): State<CommandApi>,
    Path((inspection_id, artifact_id)): Path<(String, String)>,
    mutation: Mutation<WriteInspections>,
    _: NoBody,
) -> Result<Response, Problem> {
    let owner = PictureOwnerId::Inspection(parse_inspection_id(&inspection_id)?);
    let artifact_id = parse_artifact_id(&artifact_id)?;
    complete_slot::<Inspection>(&api, mutation.without_body(), owner, artifact_id).await
}
