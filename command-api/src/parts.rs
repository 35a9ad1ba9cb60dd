//! Parts: register one. Its recipe is `recipe`, its golden samples are `golden`.

mod golden;
mod recipe;

use std::sync::Arc;

use axum::extract::State;
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
use crate::{CommandApi, problems};
pub(crate) use golden::GoldenSampleUseBody;
use recipe::RecipeBody;

/// The commands on parts.
pub(crate) fn routes() -> OpenApiRouter<CommandApi> {
    OpenApiRouter::default()
        .routes(routes!(register_part))
        .merge(recipe::routes())
        .merge(golden::routes())
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
    /// The latest golden sample, if any, by its number within the part; of whatever use and view.
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
            is_new: false,
            command: PartCommand::RegisterPart { part },
            answer: Arc::new(move |done: &Executed<Part>| {
                let body = PartBody::from_state(number.clone(), &done.state, done.version);
                make_answer(StatusCode::CREATED, done, Some(part_location(&number)), body)
            }),
        })
    })
    .await
}
