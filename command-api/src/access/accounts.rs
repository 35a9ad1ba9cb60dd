//! Accounts of people.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use domain::{AccessControlCommand as Command, NewPrincipal, PrincipalKind, Role};
use platform::http::{JsonBody, Problem};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::change::{Existence, Subject, change_credential, holdings_of};
use super::edit::{change_reach, change_role, disable, enable, read_reason};
use super::list::{self, AccessReader, PrincipalListParams, PrincipalPage};
use super::{Flaws, GivenReason, PrincipalBody, ReachToGive, RoleToGive, unstored};
use crate::command::{Mutation, WriteAccess};
use crate::descriptions::{AccessReadProblems, MutationHeaders, MutationProblems};
use crate::{CommandApi, problems};

/// Accounts.
pub(super) fn routes() -> OpenApiRouter<CommandApi> {
    OpenApiRouter::default()
        .routes(routes!(list_accounts, create_account))
        .routes(routes!(get_account))
        .routes(routes!(disable_account))
        .routes(routes!(enable_account))
        .routes(routes!(change_account_role))
        .routes(routes!(change_account_reach))
        .routes(routes!(set_password))
}

/// An account to create.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AccountToCreate {
    /// 1 to 64 of a–z, 0–9 and . _ @ - between them; nobody has had it or will have it again.
    #[schema(min_length = 1, max_length = 64, example = "bob")]
    name: String,
    /// The person's name as it is printed.
    #[serde(default)]
    #[schema(example = "Bob Dylan")]
    display_name: Option<String>,
    /// What it may do; `station` is for clients.
    #[schema(value_type = super::RoleBody, example = "operator")]
    role: String,
    /// The stations it is limited to; every one when empty.
    #[serde(default)]
    #[schema(max_items = 256, example = json!(["AOI-1"]))]
    stations: Vec<String>,
    /// The parts it is limited to; every one when empty.
    #[serde(default)]
    #[schema(max_items = 256, example = json!([]))]
    parts: Vec<String>,
    /// 12 to 128 characters that are not guessed early.
    #[serde(skip_serializing)]
    #[schema(format = "password", min_length = 12, max_length = 128)]
    password: String,
    /// 1 to 500 printable characters; kept for ever.
    #[schema(min_length = 1, max_length = 500, example = "works at line 2")]
    reason: String,
}

/// A password to set, and why.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordToSet {
    /// 12 to 128 characters that are not guessed early.
    #[serde(skip_serializing)]
    #[schema(format = "password", min_length = 12, max_length = 128)]
    password: String,
    /// 1 to 500 printable characters; kept for ever.
    #[schema(min_length = 1, max_length = 500, example = "forgotten")]
    reason: String,
}

/// What makes a request with a password what it is, without telling the password.
#[derive(Serialize)]
struct Marked<'a, T> {
    body: &'a T,
    password: String,
}

impl<'a, T> Marked<'a, T> {
    fn for_body(api: &CommandApi, body: &'a T, password: &SecretString) -> Self {
        let mark = api.mark_of(password);
        Self { body, password: mark.iter().map(|byte| format!("{byte:02x}")).collect() }
    }
}

impl AccountToCreate {
    /// The account, without its credential, and why; or everything that is wrong.
    fn parse(&self) -> Result<(NewPrincipal, String), Problem> {
        let mut flaws = Flaws::default();
        let name = flaws.keep(self.name.parse());
        let display_name = self.display_name.as_deref().map(str::parse).transpose();
        let display_name = flaws.keep(display_name);
        let role = flaws.keep(self.role.parse::<Role>());
        let reach = flaws.reach(&self.stations, &self.parts);
        let reason = flaws.reason(&self.reason);
        let (Some(name), Some(display_name), Some(role), Some(reach), Some(reason)) =
            (name, display_name, role, reach, reason)
        else {
            return Err(flaws.into_problem());
        };
        let (kind, credential) = (PrincipalKind::Account, uuid::Uuid::nil());
        let public_key = None;
        let principal =
            NewPrincipal { name, kind, display_name, role, reach, credential, public_key };
        Ok((principal, reason))
    }
}

/// List accounts
///
/// By name. Whoever is limited to stations or parts sees those who are limited to some of the same.
#[utoipa::path(get, path = "/v1/accounts", tag = "access", operation_id = "listAccounts",
    params(PrincipalListParams), security(("oauth2" = ["access:read"]), ("bearer" = [])),
    responses((status = 200, description = "A page", body = PrincipalPage,
        headers(("etag" = String), ("x-log-position" = String))), AccessReadProblems))]
#[tracing::instrument(skip_all)]
async fn list_accounts(
    State(api): State<CommandApi>,
    reader: AccessReader,
    params: Result<Query<PrincipalListParams>, QueryRejection>,
) -> Result<Response, Problem> {
    list::list(&api, &reader, PrincipalKind::Account, params).await
}

/// Read an account
///
/// The ETag changes whenever anything about any account or client does.
#[utoipa::path(get, path = "/v1/accounts/{name}", tag = "access", operation_id = "getAccount",
    params(("name" = String, Path, description = "The account's name")),
    security(("oauth2" = ["access:read"]), ("bearer" = [])),
    responses((status = 200, description = "The account", body = PrincipalBody,
        headers(("etag" = String), ("x-log-position" = String))), AccessReadProblems))]
#[tracing::instrument(skip_all)]
async fn get_account(
    State(api): State<CommandApi>,
    reader: AccessReader,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    list::get(&api, &reader, Subject::account(&name)?).await
}

/// Create an account
///
/// With a role that allows no more than your own, within your own reach.
#[utoipa::path(post, path = "/v1/accounts", tag = "access", operation_id = "createAccount",
    params(MutationHeaders), request_body = AccountToCreate,
    security(("oauth2" = ["access:write"]), ("bearer" = [])),
    responses((status = 201, description = "Created", body = PrincipalBody, headers(
        ("Location" = String, description = "The path of the new resource"))), MutationProblems))]
#[tracing::instrument(skip_all)]
async fn create_account(
    State(api): State<CommandApi>,
    mutation: Mutation<WriteAccess>,
    JsonBody(body): JsonBody<AccountToCreate>,
) -> Result<Response, Problem> {
    let (account, reason) = body.parse()?;
    let password = SecretString::from(body.password.clone());
    let holdings = holdings_of(&api, &mutation);
    let request = mutation.with_body(&Marked::for_body(&api, &body, &password))?;
    let subject = Subject { name: account.name.clone(), kind: PrincipalKind::Account };
    let (of, owner, shown) = (api.clone(), account.name.clone(), account.display_name.clone());
    let prepare = move || async move {
        let kept = of.administration().keep_password(&owner, shown.as_ref(), &password).await;
        kept.map_err(problems::from_access_error)
    };
    let create = move |credential| Command::CreatePrincipal {
        principal: NewPrincipal { credential, ..account },
        reason,
    };
    let what = (subject, Existence::Created);
    let (answer, _) = change_credential(&api, (request, holdings), what, prepare, create).await?;
    Ok(unstored(answer.into_response()))
}

/// Set an account's password
///
/// The one before is worth nothing, and neither is any token that was given for it.
#[utoipa::path(post, path = "/v1/accounts/{name}/password", tag = "access",
    operation_id = "setPassword",
    params(("name" = String, Path, description = "The account's name"), MutationHeaders),
    request_body = PasswordToSet, security(("oauth2" = ["access:write"]), ("bearer" = [])),
    responses((status = 200, description = "Set", body = PrincipalBody), MutationProblems))]
#[tracing::instrument(skip_all)]
async fn set_password(
    State(api): State<CommandApi>,
    Path(name): Path<String>,
    mutation: Mutation<WriteAccess>,
    JsonBody(body): JsonBody<PasswordToSet>,
) -> Result<Response, Problem> {
    let subject = Subject::account(&name)?;
    let reason = read_reason(&body.reason)?;
    let password = SecretString::from(body.password.clone());
    let holdings = holdings_of(&api, &mutation);
    let request = mutation.with_body(&Marked::for_body(&api, &body, &password))?;
    let (of, owner, name) = (api.clone(), subject.name.clone(), subject.name.clone());
    let prepare = move || async move {
        let kept = of.administration().keep_password(&owner, None, &password).await;
        kept.map_err(problems::from_access_error)
    };
    let replace = move |credential| Command::ReplaceCredential { name, credential, reason };
    let what = (subject, Existence::Required);
    let (answer, _) = change_credential(&api, (request, holdings), what, prepare, replace).await?;
    Ok(unstored(answer.into_response()))
}

/// Disable an account
///
/// It may do nothing any more, with any token; the last administrator is not disabled.
#[utoipa::path(post, path = "/v1/accounts/{name}/disable", tag = "access",
    operation_id = "disableAccount",
    params(("name" = String, Path, description = "The account's name"), MutationHeaders),
    request_body = GivenReason, security(("oauth2" = ["access:write"]), ("bearer" = [])),
    responses((status = 200, description = "Disabled", body = PrincipalBody), MutationProblems))]
#[tracing::instrument(skip_all)]
async fn disable_account(
    State(api): State<CommandApi>,
    Path(name): Path<String>,
    mutation: Mutation<WriteAccess>,
    JsonBody(body): JsonBody<GivenReason>,
) -> Result<Response, Problem> {
    disable(&api, Subject::account(&name)?, mutation, body).await
}

/// Enable an account
///
/// It may do again what its role allows; it needs a new token.
#[utoipa::path(post, path = "/v1/accounts/{name}/enable", tag = "access",
    operation_id = "enableAccount",
    params(("name" = String, Path, description = "The account's name"), MutationHeaders),
    request_body = GivenReason, security(("oauth2" = ["access:write"]), ("bearer" = [])),
    responses((status = 200, description = "Enabled", body = PrincipalBody), MutationProblems))]
#[tracing::instrument(skip_all)]
async fn enable_account(
    State(api): State<CommandApi>,
    Path(name): Path<String>,
    mutation: Mutation<WriteAccess>,
    JsonBody(body): JsonBody<GivenReason>,
) -> Result<Response, Problem> {
    enable(&api, Subject::account(&name)?, mutation, body).await
}

/// Change an account's role
///
/// To one that allows no more than your own.
#[utoipa::path(post, path = "/v1/accounts/{name}/role", tag = "access",
    operation_id = "changeAccountRole",
    params(("name" = String, Path, description = "The account's name"), MutationHeaders),
    request_body = RoleToGive, security(("oauth2" = ["access:write"]), ("bearer" = [])),
    responses((status = 200, description = "Changed", body = PrincipalBody), MutationProblems))]
#[tracing::instrument(skip_all)]
async fn change_account_role(
    State(api): State<CommandApi>,
    Path(name): Path<String>,
    mutation: Mutation<WriteAccess>,
    JsonBody(body): JsonBody<RoleToGive>,
) -> Result<Response, Problem> {
    change_role(&api, Subject::account(&name)?, mutation, body).await
}

/// Change where an account may act
///
/// To stations and parts within your own reach.
#[utoipa::path(post, path = "/v1/accounts/{name}/reach", tag = "access",
    operation_id = "changeAccountReach",
    params(("name" = String, Path, description = "The account's name"), MutationHeaders),
    request_body = ReachToGive, security(("oauth2" = ["access:write"]), ("bearer" = [])),
    responses((status = 200, description = "Changed", body = PrincipalBody), MutationProblems))]
#[tracing::instrument(skip_all)]
async fn change_account_reach(
    State(api): State<CommandApi>,
    Path(name): Path<String>,
    mutation: Mutation<WriteAccess>,
    JsonBody(body): JsonBody<ReachToGive>,
) -> Result<Response, Problem> {
    change_reach(&api, Subject::account(&name)?, mutation, body).await
}
