//! For how long pictures are kept: the policy of the installation.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Invalid, PictureRetention, PictureRetentionCommand, RetentionDays, RetentionPeriods};
use platform::execute::{Executed, load};
use platform::http::{FieldError, JsonBody, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::CommandApi;
use crate::command::{
    Mutation, Plan, ReadRetention, Reader, WriteRetention, dispatch_command, make_answer,
    make_response,
};
use crate::descriptions::{AccessReadProblems, MutationHeaders, MutationProblems};
use crate::problems::{self, field_error};
use crate::reason::parse_reason;

/// The commands on the policy, and how it is read.
pub(crate) fn routes() -> OpenApiRouter<CommandApi> {
    OpenApiRouter::default()
        .routes(routes!(get_picture_retention))
        .routes(routes!(revise_picture_retention))
}

/// For how many days the files of pictures are kept; null for ever.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PeriodsBody {
    /// Golden samples, from when another took their place. One in force is always kept.
    #[schema(required, minimum = 1, maximum = 36500, example = json!(null))]
    #[serde(deserialize_with = "Option::deserialize")]
    golden_sample_days: Option<u32>,
    /// Boards that passed, from their judgement.
    #[schema(required, minimum = 1, maximum = 36500, example = 90)]
    #[serde(deserialize_with = "Option::deserialize")]
    pass_days: Option<u32>,
    /// Boards that went to review, from their judgement.
    #[schema(required, minimum = 1, maximum = 36500, example = 730)]
    #[serde(deserialize_with = "Option::deserialize")]
    review_days: Option<u32>,
    /// Boards that failed, from their judgement.
    #[schema(required, minimum = 1, maximum = 36500, example = 3650)]
    #[serde(deserialize_with = "Option::deserialize")]
    fail_days: Option<u32>,
    /// Inspections that were withdrawn, from then.
    #[schema(required, minimum = 1, maximum = 36500, example = 30)]
    #[serde(deserialize_with = "Option::deserialize")]
    void_days: Option<u32>,
}

impl PeriodsBody {
    /// The periods, and everything that is wrong with them.
    fn parse(self, wrong: &mut Vec<FieldError>) -> RetentionPeriods {
        let mut days = |field, given: Option<u32>| {
            let parsed = given.map(RetentionDays::new).transpose();
            parsed.map_err(|invalid| wrong.push(field_error(Invalid { field, ..invalid }))).ok()?
        };
        RetentionPeriods {
            golden_sample_days: days("golden_sample_days", self.golden_sample_days),
            pass_days: days("pass_days", self.pass_days),
            review_days: days("review_days", self.review_days),
            fail_days: days("fail_days", self.fail_days),
            void_days: days("void_days", self.void_days),
        }
    }
}

impl From<RetentionPeriods> for PeriodsBody {
    fn from(periods: RetentionPeriods) -> Self {
        let days = |days: Option<RetentionDays>| days.map(RetentionDays::get);
        Self {
            golden_sample_days: days(periods.golden_sample_days),
            pass_days: days(periods.pass_days),
            review_days: days(periods.review_days),
            fail_days: days(periods.fail_days),
            void_days: days(periods.void_days),
        }
    }
}

/// The policy in force.
#[derive(Debug, Serialize, ToSchema)]
struct PictureRetentionBody {
    /// Its number, from 1; 0 while nobody has set one, and everything is kept.
    #[schema(example = 1)]
    revision: u32,
    /// How long pictures are kept.
    periods: PeriodsBody,
    /// Why; null while nobody has set one.
    reason: Option<String>,
    /// The version that `ETag` names.
    #[schema(example = 1)]
    version: u64,
}

impl PictureRetentionBody {
    fn from_state(state: &PictureRetention, version: u64) -> Self {
        let PictureRetention { revision, periods, reason } = state;
        Self { revision: *revision, periods: (*periods).into(), reason: reason.clone(), version }
    }
}

/// The whole new policy, and why. Nothing may be left out, so that nothing is deleted, or kept, without being said.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RevisePictureRetention {
    /// How long pictures are kept.
    periods: PeriodsBody,
    /// 1 to 500 printable characters; kept with the revision for ever.
    #[schema(min_length = 1, max_length = 500, example = "the customer asks for two years")]
    reason: String,
}

impl RevisePictureRetention {
    fn parse(&self) -> Result<(RetentionPeriods, String), Problem> {
        let mut wrong = Vec::new();
        let periods = self.periods.parse(&mut wrong);
        match parse_reason(&self.reason) {
            Ok(reason) if wrong.is_empty() => Ok((periods, reason)),
            Ok(_) => Err(Problem::validation(wrong)),
            Err(invalid) => {
                wrong.push(field_error(invalid));
                Err(Problem::validation(wrong))
            }
        }
    }
}

/// For how long pictures are kept
#[utoipa::path(
    get, path = "/v1/picture-retention", tag = "retention", operation_id = "getPictureRetention",
    security(("oauth2" = ["retention:read"]), ("bearer" = [])),
    responses(
        (status = 200, description = "The policy in force", body = PictureRetentionBody, headers(
            ("ETag" = String, description = "Its version, for If-Match"),
        )),
        AccessReadProblems,
    ),
)]
#[tracing::instrument(skip_all)]
async fn get_picture_retention(
    State(api): State<CommandApi>,
    _reader: Reader<ReadRetention>,
) -> Result<Response, Problem> {
    let loaded = load::<PictureRetention>(api.log(), PictureRetention::ID).await;
    let read = Executed::unchanged(loaded.map_err(problems::from_execute_error)?);
    let body = PictureRetentionBody::from_state(&read.state, read.version);
    Ok(make_response(&make_answer(StatusCode::OK, &read, None, body)))
}

/// Say for how long pictures are kept
///
/// The body is the whole policy. It counts for what was inspected before, too: whatever is older than its period is
/// retired within minutes, with an event that says so, and its file is deleted for good. What was found on it, its
/// digest and the report stay. The policy in force again changes nothing; for another reason it is a new revision, so
/// that the reason is on record.
#[utoipa::path(
    post, path = "/v1/picture-retention/revisions", tag = "retention",
    operation_id = "revisePictureRetention",
    params(MutationHeaders), request_body = RevisePictureRetention,
    security(("oauth2" = ["retention:write"]), ("bearer" = [])),
    responses(
        (status = 201, description = "In force", body = PictureRetentionBody, headers(
            ("Location" = String, description = "The path of the policy"),
        )),
        MutationProblems,
    ),
)]
#[tracing::instrument(skip_all)]
async fn revise_picture_retention(
    State(api): State<CommandApi>,
    mutation: Mutation<WriteRetention>,
    JsonBody(body): JsonBody<RevisePictureRetention>,
) -> Result<Response, Problem> {
    let (periods, reason) = body.parse()?;
    let request = mutation.with_body(&body)?;
    dispatch_command(&api, request, move |_| async move {
        Ok(Plan::<PictureRetention> {
            aggregate_id: PictureRetention::ID.to_owned(),
            is_new: false,
            command: PictureRetentionCommand::RevisePictureRetention { periods, reason },
            answer: Arc::new(|done: &Executed<PictureRetention>| {
                let body = PictureRetentionBody::from_state(&done.state, done.version);
                let location = Some("/v1/picture-retention".to_owned());
                make_answer(StatusCode::CREATED, done, location, body)
            }),
        })
    })
    .await
}
