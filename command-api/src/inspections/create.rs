//! Open an inspection.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Inspection, InspectionCommand, InspectionId, Lot, Part, PartNumber, Station};
use platform::execute::{Executed, load};
use platform::http::{JsonBody, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{InspectionBody, answer_with_inspection};
use crate::CommandApi;
use crate::command::{Plan, dispatch_command};
use crate::mutation::{Mutation, WriteInspections};
use crate::openapi::{MutationHeaders, MutationProblems};
use crate::problems::{self, field_error};

/// An inspection to open.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateInspection {
    /// The board's lot: 1 to 64 printable characters, no white space at either end.
    #[schema(min_length = 1, max_length = 64, example = "LOT-2026-07")]
    lot: String,
    /// The board's part. A part that nobody registered is accepted and judged *review*.
    #[schema(min_length = 1, max_length = 64, example = "PCB-4711")]
    part: String,
    /// The station that inspects.
    #[schema(min_length = 1, max_length = 64, example = "AOI-1")]
    station: String,
}

impl CreateInspection {
    pub(crate) fn parse(&self) -> Result<(Lot, PartNumber, Station), Problem> {
        match (Lot::new(&self.lot), PartNumber::new(&self.part), Station::new(&self.station)) {
            (Ok(lot), Ok(part), Ok(station)) => Ok((lot, part, station)),
            (lot, part, station) => {
                let wrong = [lot.err(), part.err(), station.err()];
                Err(Problem::validation(wrong.into_iter().flatten().map(field_error).collect()))
            }
        }
    }
}

/// Open an inspection
///
/// One inspection is one look at one board. Next, announce its pictures.
#[utoipa::path(
    post, path = "/v1/inspections", tag = "inspections", operation_id = "createInspection",
    params(MutationHeaders), request_body = CreateInspection,
    security(("oauth2" = ["inspections:write"]), ("bearer" = [])),
    responses((status = 201, description = "Opened", body = InspectionBody), MutationProblems),
)]
#[tracing::instrument(skip_all)]
pub(super) async fn create_inspection(
    State(api): State<CommandApi>,
    mutation: Mutation<WriteInspections>,
    JsonBody(body): JsonBody<CreateInspection>,
) -> Result<Response, Problem> {
    let (lot, part, station) = body.parse()?;
    let request = mutation.with_body(&body)?;
    let log = api.clone();
    dispatch_command(&api, request, move |accepted| async move {
        let known =
            load::<Part>(log.log(), part.as_str()).await.map_err(problems::from_execute_error)?;
        let recipe = known.state.recipe();
        let inspection_id = InspectionId(accepted.new_id("inspection"));
        let location = format!("/v1/inspections/{inspection_id}");
        Ok(Plan::<Inspection> {
            aggregate_id: inspection_id.to_string(),
            command: InspectionCommand::CreateInspection {
                inspection_id,
                lot,
                part,
                station,
                recipe,
            },
            answer: Arc::new(move |done: &Executed<Inspection>| {
                answer_with_inspection(StatusCode::CREATED, done, Some(location.clone()))
            }),
        })
    })
    .await
}
