//! Inspections: open one, ask for the verdict, withdraw it. Its pictures are `artifacts`.

mod create;
mod request_inference;
mod void;

use axum::http::StatusCode;
use domain::{
    Inspection, InspectionId, InspectionRejection, InspectionState, Lot, PartNumber, Station,
};
use platform::execute::Executed;
use platform::http::Problem;
use platform::idempotency::Answer;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::command::make_answer;
use crate::{CommandApi, problems};

/// The commands on inspections.
pub(crate) fn routes() -> OpenApiRouter<CommandApi> {
    OpenApiRouter::default()
        .routes(routes!(create::create_inspection))
        .routes(routes!(request_inference::request_inference))
        .routes(routes!(void::void_inspection))
}

/// The states of an inspection.
#[derive(ToSchema)]
#[schema(as = InspectionState, rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes domain::InspectionState")]
pub(crate) enum InspectionStateBody {
    Open,
    Inferring,
    Judged,
    Voided,
}

/// An inspection.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InspectionBody {
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
            version,
        })
    }
}

/// What cannot be an id is the id of nothing.
pub(crate) fn parse_inspection_id(text: &str) -> Result<InspectionId, Problem> {
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
