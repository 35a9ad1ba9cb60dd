//! Announcing a picture: its owner records the slot, and the answer says where to send the bytes. What was
//! announced and has not come can be renewed, and taken back.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, SubsecRound as _, Utc};
use domain::{
    Aggregate, ArtifactId, InspectionId, MediaType, PartNumber, PictureOwner, RESERVATION_MAX,
    Renewal, UploadSlot,
};
use platform::artifact_store::{AnnouncedUpload, ExpectedUpload, UploadNotes};
use platform::execute::{Executed, load};
use platform::http::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use super::announcement::{AnnouncedPicture, RenewedFile, RenewedPicture};
use super::arrivals::find_uploaded_picture;
use super::{BY, OWNER, PictureBody, PictureOwnerId, PictureType, REVISION, TOKEN_ID};
use crate::announcer::Announcer;
use crate::command::{KeyedRequest, Plan, dispatch_command, make_answer};
use crate::golden_check::ComparedOwner;
use crate::{CommandApi, problems};

/// Where to send a picture.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct UploadTicket {
    /// The inspection that the picture belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub(crate) inspection_id: Option<InspectionId>,
    /// The part whose golden sample it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) part: Option<PartNumber>,
    /// The picture's id.
    #[schema(value_type = uuid::Uuid)]
    pub(crate) artifact_id: ArtifactId,
    /// Send the bytes here; it carries its own permission, so keep it to yourself.
    #[schema(format = "uri")]
    pub(crate) upload_url: String,
    /// How.
    #[schema(example = "PUT")]
    pub(crate) method: &'static str,
    /// With which headers.
    #[schema(value_type = UploadHeaders)]
    pub(crate) headers: BTreeMap<&'static str, String>,
    /// Until when.
    pub(crate) expires_at: DateTime<Utc>,
}

/// The headers of an upload: send all of them, as they are.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the headers that the stores ask for")]
pub(crate) struct UploadHeaders {
    /// The announced format.
    #[schema(rename = "Content-Type", example = "image/jpeg")]
    content_type: PictureType,
    /// The announced length; HTTP clients send it by themselves.
    #[schema(rename = "Content-Length", example = "48213")]
    content_length: Option<String>,
    /// Where pictures go to a bucket: the announced digest, in base64.
    #[schema(rename = "x-amz-checksum-sha256")]
    checksum: Option<String>,
    /// Where pictures go to a bucket: what was announced, signed.
    #[schema(rename = "x-amz-meta-chipq-announced")]
    announced: Option<String>,
}

/// A picture that is to be announced.
pub(crate) struct ReservationRequest {
    pub(crate) owner: PictureOwnerId,
    pub(crate) by: Announcer,
    pub(crate) picture: AnnouncedPicture,
}

/// The slot that a picture gets.
#[derive(Clone, Copy)]
pub(crate) struct ReservedSlot {
    pub(crate) artifact_id: ArtifactId,
    pub(crate) media_type: MediaType,
    pub(crate) now: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
}

impl ReservedSlot {
    fn new(artifact_id: ArtifactId, media_type: MediaType, now: DateTime<Utc>) -> Self {
        // Whole seconds, as the URL tells them.
        let expires_at = now.trunc_subsecs(0) + RESERVATION_MAX;
        Self { artifact_id, media_type, now, expires_at }
    }
}

/// Announces a picture of `A` and answers with its upload URL.
pub(crate) async fn reserve_slot<A, Command>(
    api: &CommandApi,
    keyed: KeyedRequest,
    request: ReservationRequest,
    command: Command,
) -> Result<Response, Problem>
where
    A: Aggregate,
    A::Command: Clone + Sync,
    Command: FnOnce(ReservedSlot) -> A::Command + Send + 'static,
{
    let store = api.clone();
    dispatch_command(api, keyed, move |accepted| async move {
        let artifact_id = ArtifactId(accepted.new_id("artifact"));
        let slot = ReservedSlot::new(artifact_id, request.picture.expected.media_type, accepted.at);
        let ticket = make_ticket(&store, &request, slot).await?;
        Ok(Plan::<A> {
            aggregate_id: request.owner.aggregate_id(),
            is_new: false,
            command: command(slot),
            answer: Arc::new(move |done: &Executed<A>| {
                make_answer(StatusCode::CREATED, done, None, &ticket)
            }),
        })
    })
    .await
}

/// A picture whose announcement is to be renewed.
pub(crate) struct RenewalRequest {
    pub(crate) owner: PictureOwnerId,
    pub(crate) artifact_id: ArtifactId,
    pub(crate) by: Announcer,
    pub(crate) picture: RenewedPicture,
}

/// Lets an announced picture of `A` come later and answers with its new upload URL.
pub(crate) async fn renew_slot<A>(
    api: &CommandApi,
    keyed: KeyedRequest,
    request: RenewalRequest,
) -> Result<Response, Problem>
where
    A: PictureOwner,
    A::Command: Clone + Sync,
{
    let store = api.clone();
    dispatch_command(api, keyed, move |accepted| async move {
        let RenewalRequest { owner, artifact_id, by, picture } = request;
        let RenewedPicture { file, base } = picture;
        let aggregate_id = owner.aggregate_id();
        let loaded = load::<A>(store.log(), &aggregate_id).await;
        let state = loaded.map_err(problems::from_execute_error)?.state;
        let found = state.upload_slot(artifact_id);
        let media_type = match found.map_err(|refused| problems::from_rejection(&refused))? {
            UploadSlot::Free { announced } => announced,
            // The command will be refused.
            UploadSlot::Taken(picture) => picture.media_type,
        };
        let slot = ReservedSlot::new(artifact_id, media_type, accepted.at);
        let RenewedFile { bytes, sha256 } = file;
        let expected = ExpectedUpload { media_type, sha256, bytes };
        let picture = AnnouncedPicture { expected, base };
        let ticket = make_ticket(&store, &ReservationRequest { owner, by, picture }, slot).await?;
        let renewal = Renewal { now: slot.now, expires_at: slot.expires_at };
        Ok(Plan::<A> {
            aggregate_id,
            is_new: false,
            command: A::renewal_command(artifact_id, renewal),
            answer: Arc::new(move |done: &Executed<A>| {
                make_answer(StatusCode::OK, done, None, &ticket)
            }),
        })
    })
    .await
}

/// A picture that nobody waits for any more.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct CancelledReservation {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    artifact_id: ArtifactId,
}

/// Takes the announcement of a picture of `A` back.
pub(crate) async fn cancel_slot<A>(
    api: &CommandApi,
    keyed: KeyedRequest,
    owner: PictureOwnerId,
    artifact_id: ArtifactId,
) -> Result<Response, Problem>
where
    A: PictureOwner,
    A::Command: Clone + Sync,
{
    dispatch_command(api, keyed, move |_| async move {
        Ok(Plan::<A> {
            aggregate_id: owner.aggregate_id(),
            is_new: false,
            command: A::cancellation_command(artifact_id),
            answer: Arc::new(move |done: &Executed<A>| {
                make_answer(StatusCode::OK, done, None, CancelledReservation { artifact_id })
            }),
        })
    })
    .await
}

/// Completes a picture of `A` that is at rest, or has arrived, without a word.
pub(crate) async fn complete_slot<A>(
    api: &CommandApi,
    keyed: KeyedRequest,
    owner: PictureOwnerId,
    artifact_id: ArtifactId,
) -> Result<Response, Problem>
where
    A: ComparedOwner,
    A::Command: Clone + Sync,
{
    let store = api.clone();
    let reach = keyed.reach.clone();
    dispatch_command(api, keyed, move |_| async move {
        let aggregate_id = owner.aggregate_id();
        let picture =
            find_uploaded_picture::<A>(&store, &reach, (&aggregate_id, artifact_id)).await?;
        let body = PictureBody { artifact_id, picture: picture.clone() };
        Ok(Plan::<A> {
            aggregate_id,
            is_new: false,
            command: A::upload_command(artifact_id, picture),
            answer: Arc::new(move |done: &Executed<A>| {
                make_answer(StatusCode::OK, done, None, &body)
            }),
        })
    })
    .await
}

async fn make_ticket(
    api: &CommandApi,
    request: &ReservationRequest,
    slot: ReservedSlot,
) -> Result<UploadTicket, Problem> {
    let ReservedSlot { artifact_id, expires_at: until, .. } = slot;
    let Announcer { subject, token_id, revision } = request.by.clone();
    let mut notes = UploadNotes::from([
        (BY.to_owned(), subject),
        (OWNER.to_owned(), request.owner.to_string()),
    ]);
    notes.extend(token_id.map(|id| (TOKEN_ID.to_owned(), id)));
    notes.extend(revision.map(|revision| (REVISION.to_owned(), revision.to_string())));
    let upload = AnnouncedUpload { artifact_id, expected: request.picture.expected, until, notes };
    let target = api.artifacts().upload_target(upload).await?;
    let (inspection_id, part) = match &request.owner {
        PictureOwnerId::Inspection(id) => (Some(*id), None),
        PictureOwnerId::Part(part) => (None, Some(part.clone())),
    };
    Ok(UploadTicket {
        inspection_id,
        part,
        artifact_id,
        upload_url: request.picture.base.resolve(&target.url),
        method: target.method,
        headers: target.headers,
        expires_at: target.expires_at,
    })
}
