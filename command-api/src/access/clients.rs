//! Clients of machines.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use domain::{AccessControlCommand as Command, ClientKey, NewPrincipal, PrincipalKind, Role};
use platform::http::{JsonBody, Problem};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::change::{Existence, Subject, change, change_credential, holdings_of};
use super::edit::{change_reach, change_role, disable, enable};
use super::list::{self, AccessReader, PrincipalListParams, PrincipalPage};
use super::{Flaws, GivenReason, PrincipalBody, ReachToGive, RoleToGive, unstored};
use crate::command::{CommandAnswer, KeyedRequest, Mutation, WriteAccess};
use crate::descriptions::{AccessReadProblems, MutationHeaders, MutationProblems};
use crate::{CommandApi, problems};

/// Clients.
pub(super) fn routes() -> OpenApiRouter<CommandApi> {
    OpenApiRouter::default()
        .routes(routes!(list_clients, create_client))
        .routes(routes!(get_client))
        .routes(routes!(disable_client))
        .routes(routes!(enable_client))
        .routes(routes!(change_client_role))
        .routes(routes!(change_client_reach))
        .routes(routes!(rotate_secret))
}

/// A client to create.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ClientToCreate {
    /// 1 to 64 of a–z, 0–9 and . _ @ - between them: its `client_id`. Nobody has had it or will have it again.
    #[schema(min_length = 1, max_length = 64, example = "aoi-1")]
    name: String,
    /// What it may do.
    #[schema(value_type = super::RoleBody, example = "station")]
    role: String,
    /// The stations it is limited to; every one when empty. A station names the stations that it is.
    #[serde(default)]
    #[schema(max_items = 256, example = json!(["AOI-1"]))]
    stations: Vec<String>,
    /// The parts it is limited to; every one when empty.
    #[serde(default)]
    #[schema(max_items = 256, example = json!([]))]
    parts: Vec<String>,
    /// The client's public key in PEM (Ed25519, P-256, or RSA of 2,048 bits and more): it then signs assertions, and has
    /// no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 16_384, example = json!(null))]
    public_key: Option<String>,
    /// 1 to 500 printable characters; kept for ever.
    #[schema(min_length = 1, max_length = 500, example = "new on line 2")]
    reason: String,
}

/// What a client proves who it is with from now on.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CredentialToReplace {
    /// Its public key in PEM; without one, it gets a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 16_384, example = json!(null))]
    public_key: Option<String>,
    /// 1 to 500 printable characters; kept with the change for ever.
    #[schema(min_length = 1, max_length = 500, example = "the one before was lost")]
    reason: String,
}

/// A client, and its secret in the one answer that tells it.
#[derive(Serialize, ToSchema)]
struct ClientWithSecret {
    #[serde(flatten)]
    client: PrincipalBody,
    /// The secret. It is told once: an answer that is given again has none, and whoever lost it rotates it. A client
    /// with a public key has none.
    client_secret: Option<String>,
}

impl ClientToCreate {
    /// The client, without its credential, and why; or everything that is wrong.
    fn parse(&self) -> Result<(NewPrincipal, String), Problem> {
        let mut flaws = Flaws::default();
        let name = flaws.keep(self.name.parse());
        let role = flaws.keep(self.role.parse::<Role>());
        let reach = flaws.reach(&self.stations, &self.parts);
        let public_key = flaws.public_key(self.public_key.as_deref());
        let reason = flaws.reason(&self.reason);
        let (Some(name), Some(role), Some(reach), Some(public_key), Some(reason)) =
            (name, role, reach, public_key, reason)
        else {
            return Err(flaws.into_problem());
        };
        // Where it has a key, nothing is kept under this id.
        let (kind, credential) = (PrincipalKind::Client, uuid::Uuid::new_v4());
        let display_name = None;
        let principal =
            NewPrincipal { name, kind, display_name, role, reach, credential, public_key };
        Ok((principal, reason))
    }
}

impl CredentialToReplace {
    /// The key, if it is one, and why; or everything that is wrong.
    fn parse(&self) -> Result<(Option<ClientKey>, String), Problem> {
        let mut flaws = Flaws::default();
        let public_key = flaws.public_key(self.public_key.as_deref());
        let reason = flaws.reason(&self.reason);
        public_key.zip(reason).ok_or_else(|| flaws.into_problem())
    }
}

/// Gives a client a new secret, and tells it in the answer of the request that made it, and in no other.
async fn with_new_secret(
    api: &CommandApi,
    by: (KeyedRequest, domain::Holdings),
    what: (Subject, Existence),
    command: impl FnOnce(uuid::Uuid) -> Command + Send + 'static,
) -> Result<Response, Problem> {
    let (secret, of) = (std::sync::Arc::new(std::sync::OnceLock::new()), api.clone());
    let made = std::sync::Arc::clone(&secret);
    let prepare = move || async move {
        let kept = of.administration().keep_new_secret().await;
        let (credential, secret): (_, SecretString) = kept.map_err(problems::from_access_error)?;
        made.get_or_init(|| secret);
        Ok(credential)
    };
    let (mut answer, counts) = change_credential(api, by, what, prepare, command).await?;
    if let (CommandAnswer::Made(answer), true, Some(secret)) = (&mut answer, counts, secret.get()) {
        answer.body["client_secret"] = secret.expose_secret().into();
    }
    Ok(unstored(answer.into_response()))
}

/// List clients
///
/// By name. Whoever is limited to stations or parts sees those who are limited to some of the same.
#[utoipa::path(get, path = "/v1/clients", tag = "access", operation_id = "listClients",
    params(PrincipalListParams), security(("oauth2" = ["access:read"]), ("bearer" = [])),
    responses((status = 200, description = "A page", body = PrincipalPage,
        headers(("etag" = String), ("x-log-position" = String))), AccessReadProblems))]
#[tracing::instrument(skip_all)]
async fn list_clients(
    State(api): State<CommandApi>,
    reader: AccessReader,
    params: Result<Query<PrincipalListParams>, QueryRejection>,
) -> Result<Response, Problem> {
    list::list(&api, &reader, PrincipalKind::Client, params).await
}

/// Read a client
///
/// The ETag changes whenever anything about any account or client does.
#[utoipa::path(get, path = "/v1/clients/{name}", tag = "access", operation_id = "getClient",
    params(("name" = String, Path, description = "The client's name")),
    security(("oauth2" = ["access:read"]), ("bearer" = [])),
    responses((status = 200, description = "The client", body = PrincipalBody,
        headers(("etag" = String), ("x-log-position" = String))), AccessReadProblems))]
#[tracing::instrument(skip_all)]
async fn get_client(
    State(api): State<CommandApi>,
    reader: AccessReader,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    list::get(&api, &reader, Subject::client(&name)?).await
}

/// Create a client
///
/// With a role that allows no more than your own, within your own reach. Its secret is in the answer, once.
#[utoipa::path(post, path = "/v1/clients", tag = "access", operation_id = "createClient",
    params(MutationHeaders), request_body = ClientToCreate,
    security(("oauth2" = ["access:write"]), ("bearer" = [])),
    responses((status = 201, description = "Created", body = ClientWithSecret, headers(
        ("Location" = String, description = "The path of the new resource"))), MutationProblems))]
#[tracing::instrument(skip_all)]
async fn create_client(
    State(api): State<CommandApi>,
    mutation: Mutation<WriteAccess>,
    JsonBody(body): JsonBody<ClientToCreate>,
) -> Result<Response, Problem> {
    let (client, reason) = body.parse()?;
    let holdings = holdings_of(&api, &mutation);
    let by = (mutation.with_body(&body)?, holdings);
    let subject = Subject { name: client.name.clone(), kind: PrincipalKind::Client };
    if client.public_key.is_some() {
        let create = Command::CreatePrincipal { principal: client, reason };
        return change(&api, by, (subject, Existence::Created), create).await;
    }
    let create = move |credential| Command::CreatePrincipal {
        principal: NewPrincipal { credential, ..client },
        reason,
    };
    with_new_secret(&api, by, (subject, Existence::Created), create).await
}

/// Give a client another secret, or take another key
///
/// A secret is in the answer, once. What the client had before is worth nothing, and neither is any token that was given
/// for it.
#[utoipa::path(post, path = "/v1/clients/{name}/rotate", tag = "access",
    operation_id = "rotateSecret",
    params(("name" = String, Path, description = "The client's name"), MutationHeaders),
    request_body = CredentialToReplace, security(("oauth2" = ["access:write"]), ("bearer" = [])),
    responses((status = 200, description = "Rotated", body = ClientWithSecret), MutationProblems))]
#[tracing::instrument(skip_all)]
async fn rotate_secret(
    State(api): State<CommandApi>,
    Path(name): Path<String>,
    mutation: Mutation<WriteAccess>,
    JsonBody(body): JsonBody<CredentialToReplace>,
) -> Result<Response, Problem> {
    let subject = Subject::client(&name)?;
    let name = subject.name.clone();
    let (key, reason) = body.parse()?;
    let holdings = holdings_of(&api, &mutation);
    let by = (mutation.with_body(&body)?, holdings);
    if let Some(key) = key {
        let register = Command::RegisterPublicKey { name, key, reason };
        return change(&api, by, (subject, Existence::Required), register).await;
    }
    let replace = move |credential| Command::ReplaceCredential { name, credential, reason };
    with_new_secret(&api, by, (subject, Existence::Required), replace).await
}

/// Disable a client
///
/// It may do nothing any more, with any token.
#[utoipa::path(post, path = "/v1/clients/{name}/disable", tag = "access",
    operation_id = "disableClient",
    params(("name" = String, Path, description = "The client's name"), MutationHeaders),
    request_body = GivenReason, security(("oauth2" = ["access:write"]), ("bearer" = [])),
    responses((status = 200, description = "Disabled", body = PrincipalBody), MutationProblems))]
#[tracing::instrument(skip_all)]
async fn disable_client(
    State(api): State<CommandApi>,
    Path(name): Path<String>,
    mutation: Mutation<WriteAccess>,
    JsonBody(body): JsonBody<GivenReason>,
) -> Result<Response, Problem> {
    disable(&api, Subject::client(&name)?, mutation, body).await
}

/// Enable a client
///
/// It may do again what its role allows; it needs a new token.
#[utoipa::path(post, path = "/v1/clients/{name}/enable", tag = "access",
    operation_id = "enableClient",
    params(("name" = String, Path, description = "The client's name"), MutationHeaders),
    request_body = GivenReason, security(("oauth2" = ["access:write"]), ("bearer" = [])),
    responses((status = 200, description = "Enabled", body = PrincipalBody), MutationProblems))]
#[tracing::instrument(skip_all)]
async fn enable_client(
    State(api): State<CommandApi>,
    Path(name): Path<String>,
    mutation: Mutation<WriteAccess>,
    JsonBody(body): JsonBody<GivenReason>,
) -> Result<Response, Problem> {
    enable(&api, Subject::client(&name)?, mutation, body).await
}

/// Change a client's role
///
/// To one that allows no more than your own.
#[utoipa::path(post, path = "/v1/clients/{name}/role", tag = "access",
    operation_id = "changeClientRole",
    params(("name" = String, Path, description = "The client's name"), MutationHeaders),
    request_body = RoleToGive, security(("oauth2" = ["access:write"]), ("bearer" = [])),
    responses((status = 200, description = "Changed", body = PrincipalBody), MutationProblems))]
#[tracing::instrument(skip_all)]
async fn change_client_role(
    State(api): State<CommandApi>,
    Path(name): Path<String>,
    mutation: Mutation<WriteAccess>,
    JsonBody(body): JsonBody<RoleToGive>,
) -> Result<Response, Problem> {
    change_role(&api, Subject::client(&name)?, mutation, body).await
}

/// Change where a client may act
///
/// To stations and parts within your own reach.
#[utoipa::path(post, path = "/v1/clients/{name}/reach", tag = "access",
    operation_id = "changeClientReach",
    params(("name" = String, Path, description = "The client's name"), MutationHeaders),
    request_body = ReachToGive, security(("oauth2" = ["access:write"]), ("bearer" = [])),
    responses((status = 200, description = "Changed", body = PrincipalBody), MutationProblems))]
#[tracing::instrument(skip_all)]
async fn change_client_reach(
    State(api): State<CommandApi>,
    Path(name): Path<String>,
    mutation: Mutation<WriteAccess>,
    JsonBody(body): JsonBody<ReachToGive>,
) -> Result<Response, Problem> {
    change_reach(&api, Subject::client(&name)?, mutation, body).await
}
