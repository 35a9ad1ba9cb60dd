//! Announcing a picture: its owner records the slot, and the answer says where to send the bytes. What was
//! announced and has not come can be renewed, and taken back.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use chrono::{DateTime, SubsecRound as _, Utc};
use domain::{
    Aggregate, ArtifactId, InspectionId, Invalid, MediaType, PartNumber, PictureOwner,
    RESERVATION_MAX, Renewal, Sha256, UploadSlot,
};
use platform::artifact_store::{AnnouncedUpload, ExpectedUpload, UploadNotes};
use platform::execute::{Executed, load};
use platform::http::{NoBody, Problem, ProblemType};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::arrivals::find_uploaded_picture;
use super::{BY, OWNER, PictureBody, PictureOwnerId, PictureType, REVISION, TOKEN_ID};
use crate::announcer::Announcer;
use crate::base_url::BaseUrl;
use crate::command::{KeyedRequest, Plan, dispatch_command, make_answer};
use crate::golden_check::ComparedOwner;
use crate::{CommandApi, problems};

/// The parameters of an announcement that say what the file will be: its format, its length and its digest.
const TYPE: &str = "type";
const BYTES: &str = "bytes";
const SHA256: &str = "sha256";
/// The parameter of an announcement that states the picture's scale.
pub(crate) const SCALE: &str = "pixels_per_millimetre";

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

/// What may be announced of a file, which is refused then when it is another one.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters that AnnouncementQuery reads")]
pub(crate) struct AnnouncedFile {
    /// Its length in bytes.
    #[param(minimum = 1, example = 48_213)]
    bytes: Option<u64>,
    /// Its SHA-256 in hexadecimal.
    #[param(pattern = "^[0-9a-fA-F]{64}$")]
    sha256: Option<String>,
}

/// A picture that is announced: what its file will be, and where its upload URL will begin.
pub(crate) struct AnnouncedPicture {
    pub(crate) expected: ExpectedUpload,
    pub(crate) base: BaseUrl,
}

/// What is announced of a file when its picture may come later.
struct RenewedFile {
    bytes: Option<u64>,
    sha256: Option<Sha256>,
}

impl RenewedFile {
    fn from_query(query: &AnnouncementQuery, api: &CommandApi) -> Result<Self, Problem> {
        let limit = api.upload_limits().max_bytes;
        let bytes = match query.text(BYTES).map(str::parse::<u64>) {
            None => None,
            Some(Ok(bytes)) if bytes > limit => return Err(Problem::payload_too_large(limit)),
            Some(Ok(bytes)) if bytes > 0 => Some(bytes),
            Some(_) => return Err(Problem::invalid_field(BYTES, "must be a length in bytes")),
        };
        Ok(Self { bytes, sha256: query.parse_optional(SHA256)? })
    }
}

/// What a renewal says, and where its URL will lead.
pub(crate) struct RenewedPicture {
    file: RenewedFile,
    base: BaseUrl,
}

impl FromRequestParts<CommandApi> for RenewedPicture {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &CommandApi) -> Result<Self, Problem> {
        let base = BaseUrl::from_request_parts(parts, api).await?;
        let query = AnnouncementQuery::read(&parts.uri, &[BYTES, SHA256])?;
        Ok(Self { file: RenewedFile::from_query(&query, api)?, base })
    }
}

/// What an announcement says besides the picture's format.
pub(crate) trait AnnouncementTerms: Sized + Send {
    /// The parameters of the query that say it.
    const PARAMETERS: &'static [&'static str];

    /// # Errors
    /// When a parameter is wrong or missing.
    fn parse(query: &AnnouncementQuery) -> Result<Self, Problem>;
}

/// An announcement, from the query; it has no body.
pub(crate) struct Announcement<T> {
    pub(crate) picture: AnnouncedPicture,
    pub(crate) terms: T,
}

impl<T: AnnouncementTerms> FromRequest<CommandApi> for Announcement<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &CommandApi) -> Result<Self, Problem> {
        let known = [&[TYPE, BYTES, SHA256], T::PARAMETERS].concat();
        let query = AnnouncementQuery::read(request.uri(), &known)?;
        let media_type = query.text(TYPE).unwrap_or_default().parse().map_err(wrong_parameter)?;
        let RenewedFile { bytes, sha256 } = RenewedFile::from_query(&query, api)?;
        let expected = ExpectedUpload { media_type, sha256, bytes };
        let terms = T::parse(&query)?;
        let (mut parts, body) = request.into_parts();
        let base = BaseUrl::from_request_parts(&mut parts, api).await?;
        NoBody::from_request(Request::from_parts(parts, body), api).await?;
        Ok(Self { picture: AnnouncedPicture { expected, base }, terms })
    }
}

/// The parameters of an announcement, each once.
pub(crate) struct AnnouncementQuery(BTreeMap<String, String>);

impl AnnouncementQuery {
    fn read(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let Query(query) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| Problem::new(ProblemType::MalformedQuery, error.body_text()))?;
        let mut values = BTreeMap::new();
        for (name, value) in query {
            if !known.contains(&name.as_str()) {
                return Err(Problem::invalid_field(name, "is not a parameter here"));
            }
            if values.insert(name.clone(), value).is_some() {
                return Err(Problem::invalid_field(name, "must be given once"));
            }
        }
        Ok(Self(values))
    }

    /// The parameter as it was given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The parameter as a `T`, if it was given.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn parse_optional<T: FromStr<Err = Invalid>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, Problem> {
        self.text(name).map(str::parse).transpose().map_err(wrong_parameter)
    }
}

/// 422, naming the parameter.
pub(crate) fn wrong_parameter(wrong: Invalid) -> Problem {
    Problem::invalid_field(wrong.field, wrong.must)
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
