//! Register a part.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Part, PartCommand, PartNumber};
use platform::execute::Executed;
use platform::http::{JsonBody, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::PartBody;
use crate::CommandApi;
use crate::base_url::encode_segment;
use crate::command::{Plan, dispatch_command, make_answer};
use crate::mutation::{Mutation, WriteParts};
use crate::openapi::{MutationHeaders, MutationProblems};
use crate::problems::field_error;

/// A part to register.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegisterPart {
    /// The part number: 1 to 64 printable characters, no white space at either end.
    #[schema(min_length = 1, max_length = 64, example = "PCB-4711")]
    part: String,
}

impl RegisterPart {
    pub(crate) fn parse(&self) -> Result<PartNumber, Problem> {
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
    responses((status = 201, description = "Registered", body = PartBody), MutationProblems),
)]
#[tracing::instrument(skip_all)]
pub(super) async fn register_part(
    State(api): State<CommandApi>,
    mutation: Mutation<WriteParts>,
    JsonBody(body): JsonBody<RegisterPart>,
) -> Result<Response, Problem> {
    let part = body.parse()?;
    let request = mutation.with_body(&body)?;
    dispatch_command(&api, request, move |_| async move {
        let location = format!("/v1/parts/{}", encode_segment(part.as_str()));
        let number = part.clone();
        Ok(Plan::<Part> {
            aggregate_id: part.to_string(),
            command: PartCommand::RegisterPart { part },
            answer: Arc::new(move |done: &Executed<Part>| {
                let body = PartBody::from_state(number.clone(), &done.state, done.version);
                make_answer(StatusCode::CREATED, done, Some(location.clone()), body)
            }),
        })
    })
    .await
}
