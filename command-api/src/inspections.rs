//! Inspections: open one, ask for the verdict, withdraw it. Its pictures are `artifacts`.

mod artifacts;
mod judgement;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::{
    Inspection, InspectionCommand, InspectionId, InspectionRejection, InspectionState, Judgement,
    Lot, PartNumber, Station,
};
use platform::execute::Executed;
use platform::http::{JsonBody, NoBody, PreferredWait, Problem};
use platform::idempotency::Answer;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::CommandApi;
use crate::command::{
    Mutation, Plan, VoidInspections, WriteInspections, dispatch_command, make_answer,
};
use crate::descriptions::{MutationHeaders, MutationProblems, PreferHeader};
use crate::problems::{self, field_error};
use crate::reason::parse_reason;
use artifacts::find_pictures_at_rest;
use judgement::wait_for_judgement;

/// The commands on inspections and their pictures.
pub(crate) fn routes() -> OpenApiRouter<CommandApi> {
    OpenApiRouter::default()
        .routes(routes!(create_inspection))
        .routes(routes!(request_inference))
        .routes(routes!(void_inspection))
        .merge(artifacts::routes())
}

/// The states of an inspection.
#[derive(ToSchema)]
#[schema(as = InspectionState, rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes domain::InspectionState")]
enum InspectionStateBody {
    Open,
    Inferring,
    Judged,
    Voided,
}

/// The machine's judgements.
#[derive(ToSchema)]
#[schema(as = Judgement, rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes domain::Judgement")]
enum JudgementBody {
    Pass,
    Fail,
    Review,
}

/// An inspection.
#[derive(Debug, Serialize, ToSchema)]
struct InspectionBody {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    inspection_id: InspectionId,
    /// The board's lot.
    #[schema(value_type = String, example = "LOT-2026-07")]
    lot: Lot,
    /// The board's part.
    #[schema(value_type = String, example = "PCB-4711")]
    part: PartNumber,
    /// The station.
    #[schema(value_type = String, example = "AOI-1")]
    station: Station,
    /// Its state.
    #[schema(value_type = InspectionStateBody, example = "open")]
    state: InspectionState,
    /// The machine's judgement; null until there is one.
    #[schema(value_type = Option<JudgementBody>, example = json!(null))]
    judgement: Option<Judgement>,
    /// The part's latest golden sample when it was created: its pictures are compared with those that were in
    /// force then. Null when the part had none.
    golden_sample_revision: Option<u32>,
    /// The version that `ETag` names.
    #[schema(example = 1)]
    version: u64,
}

impl InspectionBody {
    /// `None` for an inspection that nobody created.
    fn from_state(state: &Inspection, version: u64) -> Option<Self> {
        let facts = state.facts()?;
        Some(Self {
            inspection_id: facts.inspection_id,
            lot: facts.lot.clone(),
            part: facts.part.clone(),
            station: facts.station.clone(),
            state: state.state()?,
            judgement: match state {
                Inspection::Judged { judgement, .. } => Some(*judgement),
                _ => None,
            },
            golden_sample_revision: facts.golden_sample_revision,
            version,
        })
    }
}

/// What cannot be an id is the id of nothing.
fn parse_inspection_id(text: &str) -> Result<InspectionId, Problem> {
    text.parse().map_err(|_| problems::from_rejection(&InspectionRejection::NotFound))
}

fn answer_with_inspection(
    status: StatusCode,
    done: &Executed<Inspection>,
    location: Option<String>,
) -> Answer {
    let body = InspectionBody::from_state(&done.state, done.version);
    make_answer(status, done, location, body)
}

/// An inspection to open.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateInspection {
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
    fn parse(&self) -> Result<(Lot, PartNumber, Station), Problem> {
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
    responses(
        (status = 201, description = "Opened", body = InspectionBody, headers(
            ("Location" = String, description = "The path of the new resource"),
        )),
        MutationProblems,
    ),
)]
#[tracing::instrument(skip_all)]
async fn create_inspection(
    State(api): State<CommandApi>,
    mutation: Mutation<WriteInspections>,
    JsonBody(body): JsonBody<CreateInspection>,
) -> Result<Response, Problem> {
    let (lot, part, station) = body.parse()?;
    let request = mutation.with_body(&body)?;
    let parts = api.clone();
    dispatch_command(&api, request, move |accepted| async move {
        let known = parts.read_inspected_part(part.clone()).await;
        let known = known.map_err(problems::from_execute_error)?;
        let inspection_id = InspectionId(accepted.new_id("inspection"));
        let location = format!("/v1/inspections/{inspection_id}");
        Ok(Plan::<Inspection> {
            aggregate_id: inspection_id.to_string(),
            is_new: true,
            command: InspectionCommand::CreateInspection {
                inspection_id,
                lot,
                part,
                station,
                recipe: known.recipe,
                golden_sample_revision: known.golden_sample_revision,
            },
            answer: Arc::new(move |done: &Executed<Inspection>| {
                answer_with_inspection(StatusCode::CREATED, done, Some(location.clone()))
            }),
        })
    })
    .await
}

/// Ask for the verdict
///
/// Closes the set of pictures: no more can be announced. The judgement follows within moments, once
/// every picture is compared; a picture that was announced and never came makes it *review*. A picture that came and
/// is refused keeps the set open while it may be sent again: `refused` says of each which and why. With
/// `Prefer: wait=10` the answer waits for the judgement, for 20 s at most.
#[utoipa::path(
    post, path = "/v1/inspections/{inspection_id}/infer", tag = "inspections",
    operation_id = "requestInference",
    params(
        ("inspection_id" = uuid::Uuid, Path, description = "The inspection"),
        MutationHeaders,
        PreferHeader,
    ),
    security(("oauth2" = ["inspections:write"]), ("bearer" = [])),
    responses(
        (status = 202, description = "Accepted", body = InspectionBody),
        (status = 200, description = "Judged while the answer waited", body = InspectionBody),
        MutationProblems,
    ),
)]
#[tracing::instrument(skip_all)]
async fn request_inference(
    State(api): State<CommandApi>,
    Path(inspection_id): Path<String>,
    preferred: PreferredWait,
    mutation: Mutation<WriteInspections>,
    _: NoBody,
) -> Result<Response, Problem> {
    let inspection_id = parse_inspection_id(&inspection_id)?;
    let store = api.clone();
    let request = mutation.without_body();
    let (seen, reach) = (request.if_match, request.reach.clone());
    let accepted = dispatch_command(&api, request, move |accepted| async move {
        let asked = (seen, accepted.at);
        let at_rest = find_pictures_at_rest(&store, inspection_id, &reach, asked).await?;
        Ok(Plan::<Inspection> {
            aggregate_id: inspection_id.to_string(),
            is_new: false,
            command: InspectionCommand::RequestInference { at_rest, now: accepted.at },
            answer: Arc::new(|done: &Executed<Inspection>| {
                answer_with_inspection(StatusCode::ACCEPTED, done, None)
            }),
        })
    })
    .await?;
    match preferred.begin(api.wait_places()) {
        Some(mut waiting) => {
            Ok(wait_for_judgement(&api, inspection_id, accepted, &mut waiting).await)
        }
        None => Ok(accepted),
    }
}

/// Why an inspection is withdrawn.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct VoidInspection {
    /// 1 to 500 printable characters; kept with the inspection for ever.
    #[schema(min_length = 1, max_length = 500, example = "wrong board on the fixture")]
    reason: String,
}

impl VoidInspection {
    fn parse(&self) -> Result<String, Problem> {
        parse_reason(&self.reason)
            .map_err(|invalid| Problem::validation(vec![field_error(invalid)]))
    }
}

/// Withdraw an inspection
///
/// Possible until it is judged. Nothing is deleted: the inspection and the reason stay on record.
#[utoipa::path(
    post, path = "/v1/inspections/{inspection_id}/void", tag = "inspections",
    operation_id = "voidInspection",
    params(("inspection_id" = uuid::Uuid, Path, description = "The inspection"), MutationHeaders),
    request_body = VoidInspection,
    security(("oauth2" = ["inspections:void"]), ("bearer" = [])),
    responses((status = 200, description = "Withdrawn", body = InspectionBody), MutationProblems),
)]
#[tracing::instrument(skip_all)]
async fn void_inspection(
    State(api): State<CommandApi>,
    Path(inspection_id): Path<String>,
    mutation: Mutation<VoidInspections>,
    JsonBody(body): JsonBody<VoidInspection>,
) -> Result<Response, Problem> {
    let inspection_id = parse_inspection_id(&inspection_id)?;
    let reason = body.parse()?;
    let request = mutation.with_body(&body)?;
    dispatch_command(&api, request, move |_| async move {
        Ok(Plan::<Inspection> {
            aggregate_id: inspection_id.to_string(),
            is_new: false,
            command: InspectionCommand::Void { reason },
            answer: Arc::new(|done: &Executed<Inspection>| {
                answer_with_inspection(StatusCode::OK, done, None)
            }),
        })
    })
    .await
}
