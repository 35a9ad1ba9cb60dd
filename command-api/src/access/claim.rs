//! `POST /v1/claim`: whoever has the code that the platform printed becomes its first administrator.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use domain::{DisplayName, PrincipalName};
use platform::http::{ClientAddress, JsonBody, Problem, ShownRateLimit};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Flaws, unstored};
use crate::descriptions::ClaimProblems;
use crate::{CommandApi, problems};

/// The claim.
pub(super) fn routes() -> OpenApiRouter<CommandApi> {
    OpenApiRouter::default().routes(routes!(claim_installation))
}

/// A claim.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ClaimRequest {
    /// The code.
    #[schema(format = "password")]
    code: String,
    /// The name of the account: 1 to 64 of a–z, 0–9 and . _ @ - between them.
    #[schema(min_length = 1, max_length = 64, example = "ada")]
    name: String,
    /// The person's name as it is printed.
    #[serde(default)]
    #[schema(example = "Ada Lovelace")]
    display_name: Option<String>,
    /// 12 to 128 characters that are not guessed early.
    #[schema(format = "password", min_length = 12, max_length = 128)]
    password: String,
}

/// The first administrator.
#[derive(Debug, Serialize, ToSchema)]
struct ClaimedInstallation {
    /// The name of the account.
    #[schema(value_type = String, example = "ada")]
    name: PrincipalName,
}

impl ClaimRequest {
    fn parse(&self) -> Result<(PrincipalName, Option<DisplayName>), Problem> {
        let mut flaws = Flaws::default();
        let name = flaws.keep(self.name.parse());
        let display_name = flaws.keep(self.display_name.as_deref().map(str::parse).transpose());
        match (name, display_name) {
            (Some(name), Some(display_name)) => Ok((name, display_name)),
            _ => Err(flaws.into_problem()),
        }
    }
}

/// Become the first administrator
///
/// With the code that the platform printed when it started without one, or `chipq accounts claim-code`. It is worth
/// something once, for an hour. Without a token, as often as an address may ask for one.
#[utoipa::path(post, path = "/v1/claim", tag = "access", operation_id = "claimInstallation",
    request_body = ClaimRequest, security(()),
    responses((status = 201, description = "The account is there", body = ClaimedInstallation,
        headers(("Location" = String, description = "The path of the account"))), ClaimProblems))]
#[tracing::instrument(skip_all)]
async fn claim_installation(
    State(api): State<CommandApi>,
    client: ClientAddress,
    shown: ShownRateLimit,
    JsonBody(body): JsonBody<ClaimRequest>,
) -> Result<Response, Problem> {
    api.token_rate().count_request(&client.network(), &shown)?;
    let (name, display_name) = body.parse()?;
    let (code, password) = (SecretString::from(body.code), SecretString::from(body.password));
    let claimed = api.administration().claim(&code, (name.clone(), display_name), &password).await;
    claimed.map_err(problems::from_access_error)?;
    let location = [(header::LOCATION, format!("/v1/accounts/{name}"))];
    let body = Json(ClaimedInstallation { name });
    Ok(unstored((StatusCode::CREATED, location, body).into_response()))
}
