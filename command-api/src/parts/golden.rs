//! A part's golden samples: announce one, for a use and a view; let it come later, take it back.

use axum::extract::{Path, State};
use axum::response::Response;
use domain::{GoldenPurpose, GoldenSampleUse, Part, PartCommand, PixelScale};
use platform::http::{NoBody, Problem};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::parse_part_number;
use crate::CommandApi;
use crate::command::{Mutation, WriteParts};
use crate::descriptions::{MutationHeaders, MutationProblems};
use crate::reason::parse_reason;
use crate::uploads::announcement::{
    AnnouncedFile, Announcement, AnnouncementQuery, AnnouncementTerms, RenewedPicture, SCALE,
    wrong_parameter,
};
use crate::uploads::reservation::{
    CancelledReservation, RenewalRequest, ReservationRequest, UploadTicket, cancel_slot,
    complete_slot, renew_slot, reserve_slot,
};
use crate::uploads::{PictureBody, PictureOwnerId, PictureType, parse_artifact_id};

/// The commands on golden samples.
pub(super) fn routes() -> OpenApiRouter<CommandApi> {
    OpenApiRouter::default()
        .routes(routes!(reserve_golden_sample))
        .routes(routes!(renew_golden_sample))
        .routes(routes!(cancel_golden_sample))
        .routes(routes!(complete_golden_sample))
}

/// What a golden sample is for.
#[derive(ToSchema)]
#[schema(as = GoldenSampleUse, rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes domain::GoldenSampleUse, which knows no OpenAPI")]
pub(crate) enum GoldenSampleUseBody {
    Replacement,
    Variant,
    AcceptedBoard,
}

/// What is said of a golden sample when it is announced.
struct GoldenTerms {
    purpose: GoldenPurpose,
    scale: Option<PixelScale>,
}

impl AnnouncementTerms for GoldenTerms {
    const PARAMETERS: &'static [&'static str] = &["use", "view", "reason", SCALE];

    fn parse(query: &AnnouncementQuery) -> Result<Self, Problem> {
        let usage = query.parse_optional("use")?.unwrap_or(GoldenSampleUse::Replacement);
        let view = query.parse_optional("view")?;
        let reason = query.text("reason").map(parse_reason).transpose().map_err(wrong_parameter)?;
        let purpose = GoldenPurpose::new(usage, view, reason).map_err(wrong_parameter)?;
        Ok(Self { purpose, scale: query.parse_optional(SCALE)? })
    }
}

/// Announce a golden sample
///
/// Answers with a URL that takes the picture of a board known to be right. Once it is uploaded, boards of
/// the part are compared with it; inspections that are open keep the golden samples of when they were
/// created. A `replacement` takes the place of all before it, of its view. A `variant` stands beside the
/// one in force, such as for another solder colour, and the best match decides. An `accepted-board` is a
/// good board: where good boards differ, the tolerance is wider. At most 8 variants and 32 accepted boards
/// stand beside a golden sample, each for a reason and of its scale. Whoever states the scale of a golden
/// sample asks for it: a picture of another scale, or without one, is judged *review*.
#[utoipa::path(
    post, path = "/v1/parts/{part}/golden-sample", tag = "parts",
    operation_id = "reserveGoldenSample",
    params(
        ("part" = String, Path, description = "The part number", example = "PCB-4711"),
        ("type" = PictureType, Query, description = "The picture's format"),
        AnnouncedFile,
        ("use" = Option<GoldenSampleUseBody>, Query, description = "What it is for; a replacement \
            when nothing is said"),
        ("view" = Option<String>, Query, description = "The view of the board that it shows: 1 to 32 \
            of a–z, 0–9 and the hyphen; none where views have no names", example = "top"),
        ("reason" = Option<String>, Query, description = "Why: 1 to 500 printable characters, kept for \
            ever; must be given for a variant and an accepted board"),
        ("pixels_per_millimetre" = Option<f32>, Query, minimum = 0.1, maximum = 10000, description = "Its \
            scale: pixels of the picture per millimetre of the board", example = 48.0),
        MutationHeaders,
    ),
    security(("oauth2" = ["parts:write"]), ("bearer" = [])),
    responses((status = 201, description = "Announced", body = UploadTicket), MutationProblems),
)]
#[tracing::instrument(skip_all)]
async fn reserve_golden_sample(
    State(api): State<CommandApi>,
    Path(part): Path<String>,
    mutation: Mutation<WriteParts>,
    announced: Announcement<GoldenTerms>,
) -> Result<Response, Problem> {
    let Announcement { picture, terms: GoldenTerms { purpose, scale } } = announced;
    let part = parse_part_number(&part)?;
    let by = mutation.announcer();
    let request = ReservationRequest { owner: PictureOwnerId::Part(part), by, picture };
    reserve_slot::<Part, _>(&api, mutation.without_body(), request, move |slot| {
        PartCommand::ReserveGoldenSample {
            artifact_id: slot.artifact_id,
            media_type: slot.media_type,
            purpose,
            pixels_per_millimetre: scale,
            now: slot.now,
            expires_at: slot.expires_at,
        }
    })
    .await
}

/// Let a golden sample come later
///
/// Answers with a new URL for a golden sample that was announced and has not come, for 15 minutes from now.
/// When the last one has expired, it needs a place among those that wait, as a new one does.
#[utoipa::path(
    post, path = "/v1/parts/{part}/golden-sample/{artifact_id}/renew", tag = "parts",
    operation_id = "renewGoldenSample",
    params(
        ("part" = String, Path, description = "The part number", example = "PCB-4711"),
        ("artifact_id" = uuid::Uuid, Path, description = "The picture"),
        AnnouncedFile,
        MutationHeaders,
    ),
    security(("oauth2" = ["parts:write"]), ("bearer" = [])),
    responses((status = 200, description = "Renewed", body = UploadTicket), MutationProblems),
)]
#[tracing::instrument(skip_all)]
async fn renew_golden_sample(
    State(api): State<CommandApi>,
    Path((part, artifact_id)): Path<(String, String)>,
    mutation: Mutation<WriteParts>,
    picture: RenewedPicture,
    _: NoBody,
) -> Result<Response, Problem> {
    let owner = PictureOwnerId::Part(parse_part_number(&part)?);
    let artifact_id = parse_artifact_id(&artifact_id)?;
    let by = mutation.announcer();
    let request = RenewalRequest { owner, artifact_id, by, picture };
    renew_slot::<Part>(&api, mutation.without_body(), request).await
}

/// Take the announcement of a golden sample back
///
/// The place of a golden sample that was announced and has not come is free at once, and its URL is good for
/// nothing.
#[utoipa::path(
    post, path = "/v1/parts/{part}/golden-sample/{artifact_id}/cancel", tag = "parts",
    operation_id = "cancelGoldenSample",
    params(
        ("part" = String, Path, description = "The part number", example = "PCB-4711"),
        ("artifact_id" = uuid::Uuid, Path, description = "The picture"),
        MutationHeaders,
    ),
    security(("oauth2" = ["parts:write"]), ("bearer" = [])),
    responses(
        (status = 200, description = "Taken back", body = CancelledReservation),
        MutationProblems,
    ),
)]
#[tracing::instrument(skip_all)]
async fn cancel_golden_sample(
    State(api): State<CommandApi>,
    Path((part, artifact_id)): Path<(String, String)>,
    mutation: Mutation<WriteParts>,
    _: NoBody,
) -> Result<Response, Problem> {
    let owner = PictureOwnerId::Part(parse_part_number(&part)?);
    let artifact_id = parse_artifact_id(&artifact_id)?;
    cancel_slot::<Part>(&api, mutation.without_body(), owner, artifact_id).await
}

/// Say that a golden sample is uploaded
///
/// Not needed after a `PUT` to this service that was answered, nor where the bucket tells of what arrives. After a
/// `PUT` to a bucket, or one whose answer was lost, it finds the picture in the store, looks at it as an upload is
/// looked at, and completes it; once that is done it changes nothing. The digest is that of what counts.
#[utoipa::path(
    post, path = "/v1/parts/{part}/golden-sample/{artifact_id}/complete", tag = "parts",
    operation_id = "completeGoldenSample",
    params(
        ("part" = String, Path, description = "The part number", example = "PCB-4711"),
        ("artifact_id" = uuid::Uuid, Path, description = "The picture"),
        MutationHeaders,
    ),
    security(("oauth2" = ["parts:write"]), ("bearer" = [])),
    responses((status = 200, description = "At rest", body = PictureBody), MutationProblems),
)]
#[tracing::instrument(skip_all)]
async fn complete_golden_sample(
    State(api): State<CommandApi>,
    Path((part, artifact_id)): Path<(String, String)>,
    mutation: Mutation<WriteParts>,
    _: NoBody,
) -> Result<Response, Problem> {
    let owner = PictureOwnerId::Part(parse_part_number(&part)?);
    let artifact_id = parse_artifact_id(&artifact_id)?;
    complete_slot::<Part>(&api, mutation.without_body(), owner, artifact_id).await
}
