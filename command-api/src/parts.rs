//! Parts: register one, announce its golden sample. Its recipe is `recipe`.

mod recipe;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Part, PartCommand, PartNumber, PartRejection};
use platform::execute::Executed;
use platform::http::{JsonBody, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::base_url::encode_segment;
use crate::command::{Mutation, Plan, WriteParts, dispatch_command, make_answer};
use crate::descriptions::{MutationHeaders, MutationProblems};
use crate::problems::field_error;
use crate::uploads::reservation::{
    AnnouncedPicture, ReservationRequest, UploadTicket, reserve_slot,
};
use crate::uploads::{PictureOwnerId, PictureType};
use crate::{CommandApi, problems};
use recipe::RecipeBody;

/// The commands on parts.
pub(crate) fn routes() -> OpenApiRouter<CommandApi> {
    OpenApiRouter::default()
        .routes(routes!(register_part))
        .routes(routes!(reserve_golden_sample))
        .merge(recipe::routes())
}

/// The path of a part.
fn part_location(part: &PartNumber) -> String {
    format!("/v1/parts/{}", encode_segment(part.as_str()))
}

/// What cannot be a part number is nobody's.
fn parse_part_number(text: &str) -> Result<PartNumber, Problem> {
    PartNumber::new(text).map_err(|_| problems::from_rejection(&PartRejection::NotFound))
}

/// A registered part.
#[derive(Debug, Serialize, ToSchema)]
struct PartBody {
    /// The part number.
    #[schema(value_type = String, example = "PCB-4711")]
    part: PartNumber,
    /// The recipe in force.
    #[schema(value_type = RecipeBody)]
    recipe: domain::Recipe,
    /// The golden sample in force, if any, by its number within the part.
    golden_sample_revision: Option<u32>,
    /// The version that `ETag` names.
    #[schema(example = 1)]
    version: u64,
}

impl PartBody {
    fn from_state(part: PartNumber, state: &Part, version: u64) -> Self {
        let golden_sample_revision = state.golden_sample_revision();
        Self { part, recipe: state.recipe(), golden_sample_revision, version }
    }
}

/// A part to register.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RegisterPart {
    /// The part number: 1 to 64 printable characters, no white space at either end.
    #[schema(min_length = 1, max_length = 64, example = "PCB-4711")]
    part: String,
}

impl RegisterPart {
    fn parse(&self) -> Result<PartNumber, Problem> {
        PartNumber::new(&self.part)
            .map_err(|invalid| Problem::validation(vec![field_error(invalid)]))
    }
}

/// Register a part
///
/// The part starts with the factory recipe and without a golden sample: until one is uploaded its
/// boards are judged *review*.
#[utoipa::path(
    post, path = "/v1/parts", tag = "parts", operation_id = "registerPart",
    params(MutationHeaders), request_body = RegisterPart,
    security(("oauth2" = ["parts:write"]), ("bearer" = [])),
    responses(
        (status = 201, description = "Registered", body = PartBody, headers(
            ("Location" = String, description = "The path of the new resource"),
        )),
        MutationProblems,
    ),
)]
#[tracing::instrument(skip_all)]
async fn register_part(
    State(api): State<CommandApi>,
    mutation: Mutation<WriteParts>,
    JsonBody(body): JsonBody<RegisterPart>,
) -> Result<Response, Problem> {
    let part = body.parse()?;
    let request = mutation.with_body(&body)?;
    dispatch_command(&api, request, move |_| async move {
        let number = part.clone();
        Ok(Plan::<Part> {
            aggregate_id: part.to_string(),
            command: PartCommand::RegisterPart { part },
            answer: Arc::new(move |done: &Executed<Part>| {
                let body = PartBody::from_state(number.clone(), &done.state, done.version);
                make_answer(StatusCode::CREATED, done, Some(part_location(&number)), body)
            }),
        })
    })
    .await
}

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
async fn reserve_golden_sample(
    State(api): State<CommandApi>,
    Path(part): Path<String>,
    mutation: Mutation<WriteParts>,
    picture: AnnouncedPicture,
) -> Result<Response, Problem> {
    let part = parse_part_number(&part)?;
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
