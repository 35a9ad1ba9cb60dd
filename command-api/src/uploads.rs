//! Pictures on their way into the store, whatever they belong to: the signed `PUT` that brings one. It needs
//! no token, since the URL carries its own permission; it is the receiving end of a store whose pictures
//! come through this service. Of a store that takes pictures itself, [`arrivals`] and [`notifications`].
//!
//! Invariant: bytes are taken only for a slot that is announced and free; the event follows only
//! when the whole picture is at rest. The same bytes again change nothing, other bytes are refused.

pub(crate) mod announcement;
pub(crate) mod arrivals;
mod notifications;
pub(crate) mod reservation;

use std::fmt;
use std::num::NonZeroU32;
use std::pin::pin;

use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::{
    ArtifactId, Inspection, InspectionId, Part, PartNumber, Picture, PictureOwner, Sha256,
    UploadSlot,
};
use futures::TryStreamExt as _;
use platform::artifact_store::{ExpectedUpload, StagedPicture, UploadPermit};
use platform::event_log::EventMetadata;
use platform::execute::{Executed, Request, execute, load};
use platform::http::describe::FileBytes;
use platform::http::{ClientAddress, Problem, ProblemType, RequestCaller, ShownRateLimit};
use platform::telemetry::TraceContext;
use serde::Serialize;
use sha2::Digest as _;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::announcer::Announcer;
use crate::command::{finish_regardless, make_answer, make_response};
use crate::descriptions::UploadProblems;
use crate::golden_check::{ComparedOwner, GoldenSlot};
use crate::in_flight::pieces_of;
use crate::{CommandApi, problems};

/// The receiving end of uploads.
pub(crate) fn routes() -> OpenApiRouter<CommandApi> {
    OpenApiRouter::default().routes(routes!(upload_picture)).merge(notifications::routes())
}

/// Who announced the picture, as a note in its upload URL.
const BY: &str = "by";
/// What the picture belongs to, as a note in its upload URL.
const OWNER: &str = "owner";

/// The id of the token that it was announced with, as a note in its upload URL.
const TOKEN_ID: &str = "token_id";
/// The revision of the account or client that announced it, as a note in its upload URL.
const REVISION: &str = "revision";

/// What a picture belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PictureOwnerId {
    Inspection(InspectionId),
    Part(PartNumber),
}

impl PictureOwnerId {
    /// The id of its stream.
    pub(crate) fn aggregate_id(&self) -> String {
        match self {
            Self::Inspection(id) => id.to_string(),
            Self::Part(part) => part.to_string(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.split_once('/')? {
            ("inspection", id) => id.parse().ok().map(Self::Inspection),
            ("part", part) => part.parse().ok().map(Self::Part),
            _ => None,
        }
    }
}

impl fmt::Display for PictureOwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inspection(id) => write!(f, "inspection/{id}"),
            Self::Part(part) => write!(f, "part/{part}"),
        }
    }
}

/// The formats of pictures (IANA media types).
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes domain::MediaType, which knows no OpenAPI")]
pub(crate) enum PictureType {
    #[schema(rename = "image/jpeg")]
    Jpeg,
    #[schema(rename = "image/png")]
    Png,
}

/// A picture at rest.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct PictureBody {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    pub(crate) artifact_id: ArtifactId,
    /// Digest, length, format and size.
    #[serde(flatten)]
    #[schema(value_type = PictureFacts)]
    pub(crate) picture: Picture,
}

/// What is known of a picture at rest.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes domain::Picture, which knows no OpenAPI")]
pub(crate) struct PictureFacts {
    /// SHA-256 of the bytes, in lower-case hexadecimal.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    sha256: String,
    /// Length in bytes.
    #[schema(example = 48_213)]
    bytes: u64,
    /// Format, as sniffed from the bytes.
    media_type: PictureType,
    /// Width in pixels.
    #[schema(example = 640)]
    width: u32,
    /// Height in pixels.
    #[schema(example = 640)]
    height: u32,
}

/// What cannot be an id is the id of nothing.
pub(crate) fn parse_artifact_id(text: &str) -> Result<ArtifactId, Problem> {
    text.parse().map_err(|_| {
        let detail = "there is no artifact with this id";
        Problem::new(ProblemType::ArtifactNotFound, detail)
    })
}

/// The id of the command that records these bytes of an artifact: the same for every upload of them.
fn stored_command_id(artifact_id: ArtifactId, picture: &Picture) -> Uuid {
    Uuid::new_v5(&artifact_id.0, picture.sha256.as_bytes())
}

/// Upload a picture
///
/// The URL comes from announcing the picture. The body is the file as it is. Interrupted or refused
/// uploads leave nothing behind and may be repeated until the URL expires. A damaged picture, and a golden
/// sample that boards cannot be compared with, are refused with 422 and why.
#[utoipa::path(
    put, path = "/v1/uploads/{artifact_id}", tag = "uploads", operation_id = "uploadPicture",
    params(
        ("artifact_id" = uuid::Uuid, Path, description = "The picture"),
        ("expires" = i64, Query, description = "As given in upload_url"),
        ("by" = String, Query, description = "As given in upload_url"),
        ("owner" = String, Query, description = "As given in upload_url"),
        ("token_id" = Option<String>, Query, description = "As given in upload_url"),
        ("revision" = Option<u32>, Query, description = "As given in upload_url"),
        ("type" = String, Query, description = "As given in upload_url"),
        ("bytes" = Option<u64>, Query, description = "As given in upload_url"),
        ("sha256" = Option<String>, Query, description = "As given in upload_url"),
        ("signature" = String, Query, description = "As given in upload_url"),
    ),
    request_body(
        description = "The file's bytes",
        content((FileBytes = "image/jpeg"), (FileBytes = "image/png")),
    ),
    security(()),
    responses(
        (status = 201, description = "At rest", body = PictureBody),
        (status = 200, description = "Was at rest already; the same bytes", body = PictureBody),
        UploadProblems,
    ),
)]
#[tracing::instrument(skip_all)]
async fn upload_picture(
    State(api): State<CommandApi>,
    trace: TraceContext,
    shown: ShownRateLimit,
    client: ClientAddress,
    request: HttpRequest,
) -> Result<Response, Problem> {
    let now = api.idempotency().database_time().await.map_err(problems::from_log_error)?;
    let upload = PermittedUpload::from_url(&api, request.uri(), now, (client, trace))?;
    let caller = RequestCaller::of_request(request.extensions());
    caller.identify(&upload.by.subject, upload.by.token_id.as_deref());
    api.upload_rate().count_requests(&upload.by.actor(&api), NonZeroU32::MIN, &shown)?;
    let bytes = upload.check_headers(&api, request.headers())?;
    let by = upload.by.subject.clone();
    let _place = api.uploads_in_flight().take_place(&by, bytes).await?;
    let body = request.into_body();
    match upload.owner.clone() {
        PictureOwnerId::Inspection(id) => {
            receive_picture::<Inspection>(&api, upload, id.to_string(), body).await
        }
        PictureOwnerId::Part(part) => {
            receive_picture::<Part>(&api, upload, part.to_string(), body).await
        }
    }
}

async fn receive_picture<A: ComparedOwner>(
    api: &CommandApi,
    upload: PermittedUpload,
    aggregate_id: String,
    body: Body,
) -> Result<Response, Problem>
where
    A::Command: Clone + Sync,
{
    let loaded = load::<A>(api.log(), &aggregate_id).await.map_err(problems::from_execute_error)?;
    let artifact_id = upload.artifact_id;
    match loaded
        .state
        .upload_slot(artifact_id)
        .map_err(|refused| problems::from_rejection(&refused))?
    {
        UploadSlot::Taken(picture) => {
            let picture = picture.clone();
            let again = digest_body(body, picture.bytes).await?;
            if again != Some(picture.sha256) {
                let detail = "another picture is stored for this artifact; reserve a new artifact";
                return Err(problems::already_uploaded(detail));
            }
            let unchanged = Executed::unchanged(loaded);
            let body = PictureBody { artifact_id, picture };
            Ok(make_response(&make_answer(StatusCode::OK, &unchanged, None, body)))
        }
        UploadSlot::Free { .. } => {
            let golden = loaded.state.golden_slot(artifact_id);
            let (pieces, limits) = (pieces_of(body), api.upload_limits());
            let staged = api.artifacts().stage_stream(pieces, limits, upload.expected).await;
            let staged = staged.map_err(problems::from_upload_error)?;
            let api = api.clone();
            finish_regardless(async move {
                let picture = store_checked(&api, artifact_id, staged, golden).await?;
                let done = upload.append::<A>(&api, aggregate_id, picture.clone()).await?;
                let status =
                    if done.events.is_empty() { StatusCode::OK } else { StatusCode::CREATED };
                let body = PictureBody { artifact_id, picture };
                Ok(make_response(&make_answer(status, &done, None, body)))
            })
            .await
        }
    }
}

/// Puts a picture to rest when its file is whole and, where boards will be compared with it, they can be.
async fn store_checked(
    api: &CommandApi,
    artifact_id: ArtifactId,
    staged: StagedPicture,
    golden: Option<GoldenSlot>,
) -> Result<Picture, Problem> {
    let store = api.artifacts();
    let checked = match golden {
        Some(slot) => api.golden_check().check(slot, store, &staged).await,
        None => api.file_check().check(store, &staged).await,
    };
    if let Err(refused) = checked {
        store.discard_staged(staged).await;
        return Err(refused);
    }
    store.publish_staged(artifact_id, staged).await.map_err(problems::from_upload_error)
}

/// The digest of the body, `None` as soon as it has more than `bytes`.
async fn digest_body(body: Body, bytes: u64) -> Result<Option<Sha256>, Problem> {
    let (mut hash, mut length) = (sha2::Sha256::new(), 0);
    let mut pieces = pin!(pieces_of(body));
    while let Some(piece) = pieces.try_next().await.map_err(|error| Problem::from(&error))? {
        length += piece.len() as u64;
        if length > bytes {
            return Ok(None);
        }
        hash.update(&piece);
    }
    Ok(Some(Sha256::from_bytes(hash.finalize().into())))
}

/// An upload that its URL allows.
struct PermittedUpload {
    artifact_id: ArtifactId,
    owner: PictureOwnerId,
    expected: ExpectedUpload,
    by: Announcer,
    client: ClientAddress,
    trace: TraceContext,
}

impl PermittedUpload {
    fn from_url(
        api: &CommandApi,
        uri: &Uri,
        now: DateTime<Utc>,
        about: (ClientAddress, TraceContext),
    ) -> Result<Self, Problem> {
        let query = uri.query().unwrap_or_default();
        let permit = api.artifacts().verify_permit(uri.path(), query, now)?;
        Self::from_permit(api, permit, about)
    }

    fn from_permit(
        api: &CommandApi,
        permit: UploadPermit,
        (client, trace): (ClientAddress, TraceContext),
    ) -> Result<Self, Problem> {
        let UploadPermit { artifact_id, expected, mut notes } = permit;
        let owner = notes.get(OWNER).and_then(|text| PictureOwnerId::parse(text));
        match (owner, notes.remove(BY)) {
            (Some(owner), Some(subject)) => {
                let revision = notes.remove(REVISION).and_then(|text| text.parse().ok());
                let by = Announcer { subject, token_id: notes.remove(TOKEN_ID), revision };
                by.require_unchanged(api)?;
                Ok(Self { artifact_id, owner, expected, by, client, trace })
            }
            _ => Err(Problem::internal("a signed upload URL does not say what it is for")),
        }
    }

    /// Refuses before a byte is read what the headers give away; how many bytes may come, else.
    fn check_headers(&self, api: &CommandApi, headers: &HeaderMap) -> Result<u64, Problem> {
        let announced = self.expected.media_type.as_str();
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let essence = text(header::CONTENT_TYPE).map(|t| t.split(';').next().unwrap_or(t).trim());
        if let Some(sent) = essence.filter(|sent| !sent.eq_ignore_ascii_case(announced)) {
            let detail = format!("Content-Type is {sent}, but {announced} was announced");
            return Err(Problem::new(ProblemType::MediaTypeMismatch, detail));
        }
        let limit = api.upload_limits().max_bytes;
        match text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok()) {
            Some(length) if length > limit => Err(Problem::payload_too_large(limit)),
            Some(length) => Ok(length),
            None => Ok(limit),
        }
    }

    /// Appends that the picture is at rest, by whoever announced it.
    async fn append<A: PictureOwner>(
        self,
        api: &CommandApi,
        aggregate_id: String,
        picture: Picture,
    ) -> Result<Executed<A>, Problem>
    where
        A::Command: Clone + Sync,
    {
        let by = self.by.actor(api).acting_from(self.client.address);
        let metadata = EventMetadata::by_actor(by, &self.trace)
            .with_command_id(stored_command_id(self.artifact_id, &picture));
        let request = Request::<A> {
            aggregate_id,
            command: A::upload_command(self.artifact_id, picture),
            is_new: false,
            if_match: None,
            metadata,
        };
        execute(api.log(), request).await.map_err(problems::from_execute_error)
    }
}
